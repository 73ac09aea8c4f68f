//! Who may speak with the pod: anyone on the S3 port; the pod with the cluster's DNS, and with its KMS and its audit webhook where it
//! has them.

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use std::net::IpAddr;

use super::workload::PORT_NAME;
use super::{owned, selector};
use crate::tenant::validate::ValidTenant;

pub(super) fn guard(tenant: &ValidTenant) -> NetworkPolicy {
    let mut egress = vec![NetworkPolicyEgressRule {
        to: None,
        ports: Some(vec![port("UDP", IntOrString::Int(53)), port("TCP", IntOrString::Int(53))]),
    }];
    let kms = tenant.kms.iter().flat_map(|kms| kms.provider.remotes());
    let webhook = tenant.audit.iter().filter_map(|audit| audit.webhook.as_ref());
    for (host, number) in kms.chain(webhook.map(|webhook| webhook.remote.clone())) {
        let rule = NetworkPolicyEgressRule {
            // A name can't be in a policy: then its port is open everywhere.
            to: host.parse().ok().map(|ip| vec![only(ip)]),
            ports: Some(vec![port("TCP", IntOrString::Int(i32::from(number)))]),
        };
        if !egress.contains(&rule) {
            egress.push(rule);
        }
    }
    NetworkPolicy {
        metadata: owned(tenant, tenant.names().main()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(tenant)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: None,
                ports: Some(vec![port("TCP", IntOrString::String(PORT_NAME.to_owned()))]),
            }]),
            egress: Some(egress),
        }),
    }
}

fn only(ip: IpAddr) -> NetworkPolicyPeer {
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: format!("{ip}/{bits}"), except: None }),
        ..NetworkPolicyPeer::default()
    }
}

fn port(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.to_owned()), port: Some(port), end_port: None }
}
