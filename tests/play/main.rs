//! `coffer-operator play` with the real server: manifests become endpoints, and the README's examples do what it says.

mod stage;
mod start;
mod change;
mod end;
mod check;
mod documents;
