//! What a Tenant's pod is like.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When the kubelet pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// At each start of the pod.
    Always,
    /// Only when the node doesn't have it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl PullPolicy {
    /// The policy's name in a pod.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// CPU and memory of the server's container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler sets aside (`cpu: 500m`, `memory: 512Mi`). Default: 100m and 128Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<BTreeMap<String, Quantity>>,

    /// What the container may not exceed. Default: no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<BTreeMap<String, Quantity>>,
}

/// What the pod gets besides the operator's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels of the pod. Keys below `coffer.dev/` and `app.kubernetes.io/` are the operator's own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.exists(k, k.startsWith('coffer.dev/') || k.startsWith('app.kubernetes.io/'))").message(
        "spec.podTemplate.labels: keys below `coffer.dev/` and `app.kubernetes.io/` are the operator's own; choose another"
    ))]
    pub labels: Option<BTreeMap<String, String>>,

    /// Annotations of the pod. Keys below `coffer.dev/` are the operator's own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.exists(k, k.startsWith('coffer.dev/'))").message(
        "spec.podTemplate.annotations: keys below `coffer.dev/` are the operator's own; choose another"
    ))]
    pub annotations: Option<BTreeMap<String, String>>,
}
