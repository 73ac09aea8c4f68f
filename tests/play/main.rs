//! `coffer-operator play` with the real server: manifests become endpoints, and the README's examples do what it says.

#![expect(clippy::expect_used, reason = "a part of a test ends the test when it fails")]

mod stage;
mod start;
mod change;
mod end;
mod check;
mod resources;
mod documents;
mod charts;
mod kms;
mod audit;
mod root;
