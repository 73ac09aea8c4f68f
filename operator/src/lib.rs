//! Reconciles Coffer's resources, issues certificates, deploys the server; runs the same without a cluster.
//!
//! A Tenant's way: what it names is read ([`tenant::dereference`]), all of it is checked ([`tenant::validate`]), objects
//! are built as values ([`tenant::build`], pure), applied, and the outcome becomes conditions. [`play`] goes the same way
//! and turns the same objects into folders and a process.

pub mod run;
pub mod watch;
pub mod reconcile;
pub mod settings;
pub mod tenant;
pub mod apply;
pub mod ownership;
pub mod authority;
pub mod root_credentials;
pub mod iam_key;
pub mod control;
pub mod kms_probe;
pub mod iam;
pub mod event;
pub mod lease;
pub mod health;
pub mod metrics;
pub mod causes;
pub mod quantity;
pub mod play;
pub mod explain;
pub mod audit;
