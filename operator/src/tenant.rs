//! A Tenant, in the order of its way: what it names, what it means, what is made of it, how it is.

pub mod found;
pub mod invalid;
pub mod kms;
pub mod audit;
pub mod validate;
pub mod dereference;
pub mod build;
pub mod status;

/// Names of the objects that are made of a Tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNames {
    tenant: String,
}

impl ObjectNames {
    /// The names for a Tenant of this name.
    pub fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned() }
    }

    /// The `StatefulSet`, the Service for clients and the `ServiceAccount`.
    pub fn main(&self) -> String {
        self.tenant.clone()
    }

    /// The headless Service that gives the pod its name.
    pub fn pods(&self) -> String {
        format!("{}-pods", self.tenant)
    }

    /// The only pod.
    pub fn pod(&self) -> String {
        format!("{}-0", self.tenant)
    }

    /// The volume claim.
    pub fn data(&self) -> String {
        format!("{}-data", self.tenant)
    }

    /// The Secret with the server certificate and its key.
    pub fn tls(&self) -> String {
        format!("{}-tls", self.tenant)
    }

    /// The Secret with the keys of root and intermediate, mounted by no pod.
    pub fn authority(&self) -> String {
        format!("{}-authority", self.tenant)
    }

    /// The Secret with the control authority, mounted by no pod.
    pub fn control_authority(&self) -> String {
        format!("{}-control-ca", self.tenant)
    }

    /// The `ConfigMap` with the control authority's certificate, for the server.
    pub fn control(&self) -> String {
        format!("{}-control", self.tenant)
    }

    /// The `ConfigMap` with the roots that clients trust.
    pub fn ca(&self) -> String {
        format!("{}-ca", self.tenant)
    }

    /// The Secret with generated root credentials.
    pub fn root(&self) -> String {
        format!("{}-root", self.tenant)
    }

    /// The Secret with the key that identities and policies are sealed by.
    pub fn iam(&self) -> String {
        format!("{}-iam", self.tenant)
    }
}
