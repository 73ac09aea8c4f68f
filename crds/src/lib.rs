//! The resources of Coffer: types, CEL rules and generated YAML.
//!
//! The Rust types are the source; `crds/*.yaml` beside this crate is printed from them by
//! `coffer-operator crds` and a test fails when it is stale. What a schema offers works: a field whose
//! function comes later isn't here yet.

#![expect(
    unreachable_pub,
    reason = "the derive of `KubeSchema` holds a private copy of each struct"
)]
#![expect(clippy::duplicated_attributes, reason = "columns of a kind have types in common")]

pub mod reference;
pub mod condition;
pub mod tenant;
pub mod policy;
pub mod policy_test;
pub mod user;
pub mod access_key;
pub mod policy_binding;
pub mod bucket;
pub mod key_rotation;
pub mod definition;

pub use access_key::{AccessKey, AccessKeySpec, AccessKeyStatus};
pub use bucket::{Bucket, BucketSpec, BucketStatus};
pub use key_rotation::{KeyRotation, KeyRotationSpec, KeyRotationStatus};
pub use policy::{Policy, PolicySpec, PolicyStatus};
pub use policy_binding::{PolicyBinding, PolicyBindingSpec, PolicyBindingStatus};
pub use policy_test::{PolicyTest, PolicyTestSpec, PolicyTestStatus};
pub use tenant::{Tenant, TenantSpec, TenantStatus};
pub use user::{User, UserSpec, UserStatus};

/// The API group of all resources.
pub const GROUP: &str = "coffer.dev";
/// The version of all resources.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of all resources, as manifests carry it.
pub const API_VERSION: &str = "coffer.dev/v1alpha1";
