//! From a valid Tenant and its material to objects, as values. Pure: no client, no clock, no randomness.

pub mod workload;
pub mod kms;
pub mod audit;
pub mod service;
pub mod certificate;
pub mod claim;
pub mod network_policy;
pub mod disruption_budget;
pub mod role;

use std::collections::BTreeMap;

use coffer_crds::{API_VERSION, tenant::DeletionPolicy};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use crate::tenant::dereference::{Certificates, Material};
use crate::tenant::validate::ValidTenant;

/// The label by which an object's Tenant is known.
pub const TENANT_LABEL: &str = "coffer.dev/tenant";
/// The label of everything that this operator makes.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`], and the name of the field manager.
pub const MANAGER: &str = "coffer-operator";

/// What holds a Tenant's certificates, in the order in which it is applied: before everything else, and whatever becomes of that.
#[derive(Clone, Debug)]
pub struct CertificateObjects {
    /// Keys of root and intermediate.
    pub authority: Secret,
    /// The roots that clients trust. They come before a certificate that one of them has signed.
    pub ca: ConfigMap,
    /// The control authority's key and certificate.
    pub control_authority: Secret,
    /// The control authority's certificate, for the server.
    pub control: ConfigMap,
    /// The server certificate.
    pub tls: Secret,
}

/// All other objects of a Tenant, in the order in which they are applied: what the pod needs comes before it.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The pod's identity, with no rights.
    pub service_account: ServiceAccount,
    /// The volume claim.
    pub claim: PersistentVolumeClaim,
    /// The key that identities and policies are sealed by. Where it exists, only its owner is ever written.
    pub iam: Secret,
    /// Generated root credentials; none where the user brings them.
    pub root: Option<Secret>,
    /// What clients connect to.
    pub service: Service,
    /// What gives the pod its name.
    pub pods_service: Service,
    /// Who may speak with the pod; none where switched off.
    pub network_policy: Option<NetworkPolicy>,
    /// Lets nodes be drained.
    pub disruption_budget: PodDisruptionBudget,
    /// The pod.
    pub workload: StatefulSet,
}

/// Builds what holds a Tenant's certificates.
pub fn certificates(tenant: &ValidTenant, certificates: &Certificates) -> CertificateObjects {
    CertificateObjects {
        authority: certificate::authority(tenant, certificates),
        ca: certificate::roots(tenant, certificates),
        control_authority: certificate::control_authority(tenant, certificates),
        control: certificate::control(tenant, certificates),
        tls: certificate::server(tenant, certificates),
    }
}

/// Builds all other objects of a Tenant.
pub fn build(tenant: &ValidTenant, material: &Material) -> Objects {
    Objects {
        service_account: role::service_account(tenant),
        claim: claim::data(tenant),
        iam: certificate::iam_key(tenant, material),
        root: tenant.root_secret.is_none().then(|| certificate::root_credentials(tenant, material)),
        service: service::clients(tenant),
        pods_service: service::pods(tenant),
        network_policy: tenant.network_policy.then(|| network_policy::guard(tenant)),
        disruption_budget: disruption_budget::one_at_a_time(tenant),
        workload: workload::server(tenant),
    }
}

/// The labels of each object. None of those by which `GitOps` tools know their own: `app.kubernetes.io/instance` would
/// make Argo CD claim our objects for an application of the same name.
pub(super) fn labels(tenant: &ValidTenant) -> BTreeMap<String, String> {
    let mut labels = selector_labels(tenant);
    labels.insert("app.kubernetes.io/component".to_owned(), "server".to_owned());
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned());
    labels
}

/// The labels by which Services and the like find the pod. They never change.
pub(super) fn selector_labels(tenant: &ValidTenant) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "coffer".to_owned()),
        (TENANT_LABEL.to_owned(), tenant.name.clone()),
    ])
}

fn selector(tenant: &ValidTenant) -> LabelSelector {
    LabelSelector { match_labels: Some(selector_labels(tenant)), match_expressions: None }
}

/// Metadata of an object that goes with its Tenant.
fn owned(tenant: &ValidTenant, name: String) -> ObjectMeta {
    ObjectMeta { owner_references: Some(vec![owner(tenant)]), ..unowned(tenant, name) }
}

/// Metadata of an object that stays when its Tenant goes.
fn unowned(tenant: &ValidTenant, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(tenant.namespace.clone()),
        labels: Some(labels(tenant)),
        ..ObjectMeta::default()
    }
}

/// The mark by which an object knows its Tenant.
pub fn owner(tenant: &ValidTenant) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: "Tenant".to_owned(),
        name: tenant.name.clone(),
        uid: tenant.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Metadata of what lives as long as the data: the volume claim, and the key without which a part of it can't be read.
fn kept(tenant: &ValidTenant, name: String) -> ObjectMeta {
    match tenant.deletion_policy {
        DeletionPolicy::Retain => unowned(tenant, name),
        DeletionPolicy::Delete => owned(tenant, name),
    }
}

#[cfg(test)]
pub(crate) mod tests;
