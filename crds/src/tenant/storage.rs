//! Where a Tenant's data lies, and what becomes of it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the data lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// On one volume of the Tenant's own, by the server's embedded engines.
    pub embedded: Embedded,
}

/// One volume, claimed as `NAME-data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName)").message(
    "spec.storage.embedded.storageClassName: can't be changed, because a volume can't move; make a new Tenant with the class and copy the data"
))]
pub struct Embedded {
    /// The volume's size as a Kubernetes quantity (`10Gi`). It may grow where the storage class allows expansion.
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[1-9][0-9]*(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$")
    )]
    #[x_kube(
        validation = Rule::new("!isQuantity(self) || quantity(self).compareTo(quantity('64Mi')) >= 0").message(
            "spec.storage.embedded.size: at least 64Mi, because the server keeps a reserve of free space; ask for more"
        ),
        validation = Rule::new(
            "!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0"
        ).message(
            "spec.storage.embedded.size: may not shrink, because a volume can't; set it to the former size or more"
        )
    )]
    pub size: String,

    /// The `StorageClass` of the volume; it can't be changed later. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.storage.embedded.storageClassName: can't be changed, because a volume can't move; make a new Tenant with the class and copy the data"
    ))]
    pub storage_class_name: Option<String>,
}

/// What becomes of the data when the Tenant is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The volume claim stays; a Tenant of the same name adopts it.
    #[default]
    Retain,
    /// The volume claim goes with the Tenant.
    Delete,
}
