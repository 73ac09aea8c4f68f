//! The operator and the server in a real Kubernetes, installed by the charts and used as people use them.
//!
//! The tests run one after another in one cluster; each has namespaces of its own.

mod admit;
mod install;
mod documents;
mod clients;
mod tenants;
mod rights;
mod secret_namespaces;
mod operator;
mod lifecycle;
mod faults;
mod certificate;
mod roll;
mod resources;
mod rest;
mod vault;
mod kms;
mod uninstall;
