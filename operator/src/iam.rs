//! The resources in a Tenant: policies and their tests, users, access keys, bindings, buckets, rotations of keys. A cluster and `play` share
//! what is here; where they differ is the [`World`].
//!
//! ```text
//! resource -> its Tenant, if that lets it in -> checked -> put as the control identity, where it differs -> tried -> status
//! ```
//! The server compares: a call says how something shall be, and writes nothing where it is so. Drift is put back by making the
//! call again, each `resyncInterval`.

pub mod tenants;
pub mod world;
pub mod managed;
pub mod model;
pub mod key_secret;
pub mod policy;
pub mod policy_test;
pub mod user;
pub mod access_key;
pub mod policy_binding;
pub mod bucket;
pub mod key_rotation;

pub use crate::play::manifests::Key;
pub use managed::{Done, Hold, Job, Managed, Released, Stepped, release, step};
pub use tenants::{Access, Changes, Tenants};
pub use world::{Calls, Doors, Inhabitants, Kept, Of, Resources, Standing, World};
