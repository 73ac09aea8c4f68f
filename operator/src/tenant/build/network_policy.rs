//! Who may speak with the pod: anyone on the S3 port; the pod with the cluster's DNS alone.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::workload::PORT_NAME;
use super::{owned, selector};
use crate::tenant::validate::ValidTenant;

pub(super) fn guard(tenant: &ValidTenant) -> NetworkPolicy {
    NetworkPolicy {
        metadata: owned(tenant, tenant.names().main()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(tenant)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: None,
                ports: Some(vec![port("TCP", IntOrString::String(PORT_NAME.to_owned()))]),
            }]),
            egress: Some(vec![NetworkPolicyEgressRule {
                to: None,
                ports: Some(vec![
                    port("UDP", IntOrString::Int(53)),
                    port("TCP", IntOrString::Int(53)),
                ]),
            }]),
        }),
    }
}

fn port(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.to_owned()), port: Some(port), end_port: None }
}
