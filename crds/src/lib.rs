//! The resources of Coffer: types, CEL rules and generated YAML.
//!
//! The Rust types are the source; `crds/*.yaml` beside this crate is printed from them by
//! `coffer-operator crds` and a test fails when it is stale. What a schema offers works: a field whose
//! function comes later isn't here yet.

#![expect(
    unreachable_pub,
    reason = "the derive of `KubeSchema` holds a private copy of each struct"
)]

pub mod reference;
pub mod condition;
pub mod tenant;
pub mod definition;

pub use tenant::{Tenant, TenantSpec, TenantStatus};

/// The API group of all resources.
pub const GROUP: &str = "coffer.dev";
/// The version of all resources.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of all resources, as manifests carry it.
pub const API_VERSION: &str = "coffer.dev/v1alpha1";
