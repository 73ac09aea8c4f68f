//! Who may name a Tenant, and what holds for what resources make in it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Namespaces whose resources may name this Tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedNamespaces {
    /// Selects namespaces by their name, as the label `kubernetes.io/metadata.name` tells it; an empty selector is all of them.
    /// Other labels don't count, as whoever may edit a namespace can set them.
    #[x_kube(validation = Rule::new(
        "(!has(self.matchLabels) || self.matchLabels.all(k, k == 'kubernetes.io/metadata.name')) && (!has(self.matchExpressions) || self.matchExpressions.all(e, e.key == 'kubernetes.io/metadata.name'))"
    ).message(
        "spec.allowedNamespaces.selector: only the label kubernetes.io/metadata.name, because others can be forged; select by name"
    ))]
    pub selector: LabelSelector,
}

/// What holds for the users, keys and policies that resources make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IamSettings {
    /// The name of a policy beyond which nothing that resources make can go, whatever their policies say. It may be made by a Policy in the
    /// Tenant's own namespace. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^=,\s]+$"))]
    pub policy_boundary: Option<String>,

    /// How long a key of an AccessKey may live at most, as hours, minutes and seconds, `1s` at least: each then needs `rotation` or
    /// `expires`. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,8}s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message(
        "spec.iam.maxKeyLifetime: at least 1s; choose a longer time, or remove it to let keys live for ever"
    ))]
    pub max_key_lifetime: Option<String>,

    /// After how long what another hand changed is put back, from `1s` to `24h`. Default: `5m`.
    #[serde(default = "five_minutes")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,8}s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message(
        "spec.iam.resyncInterval: from 1s to 24h; choose one in between"
    ))]
    pub resync_interval: String,
}

fn five_minutes() -> String {
    "5m".to_owned()
}
