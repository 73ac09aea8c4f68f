//! How a Tenant's endpoint is reached.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the endpoint is reached from outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// The type of the Service `NAME`, which listens on port 443. Default: `ClusterIP`.
    #[serde(default)]
    pub service_type: ServiceType,

    /// Annotations of the Service, as load balancers and DNS controllers read them. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.exists(k, k.startsWith('coffer.dev/'))").message(
        "spec.exposure.annotations: keys below `coffer.dev/` are the operator's own; choose another"
    ))]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Reached inside the cluster only.
    #[default]
    ClusterIP,
    /// Reached on a port of every node.
    NodePort,
    /// Reached through the cloud's load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// The type's name in a Service.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Whether a `NetworkPolicy` guards the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// True: only the S3 port is reached from outside the pod, and the pod reaches nothing but the cluster's DNS, and the ports
    /// of its KMS and of its audit webhook (at their addresses alone, where those are IP addresses). Default: true.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn enabled() -> bool {
    true
}
