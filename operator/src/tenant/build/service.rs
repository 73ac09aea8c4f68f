//! The Service that clients use, and the one that gives the pod its name.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::workload::{PORT, PORT_NAME};
use super::{owned, selector_labels};
use crate::tenant::validate::ValidTenant;

/// The port that clients use.
pub const CLIENT_PORT: u16 = 443;

pub(super) fn clients(tenant: &ValidTenant) -> Service {
    let mut metadata = owned(tenant, tenant.names().main());
    if !tenant.service_annotations.is_empty() {
        metadata.annotations = Some(tenant.service_annotations.clone());
    }
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(tenant.service_type.as_str().to_owned()),
            selector: Some(selector_labels(tenant)),
            ports: Some(vec![port(CLIENT_PORT)]),
            // A tenant on a volume has one pod: nothing is won by keeping clients from it until its second probe, and a
            // second of every roll is lost. A server that can't serve says so itself, with `Retry-After`.
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

pub(super) fn pods(tenant: &ValidTenant) -> Service {
    Service {
        metadata: owned(tenant, tenant.names().pods()),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            cluster_ip: Some("None".to_owned()),
            selector: Some(selector_labels(tenant)),
            ports: Some(vec![port(PORT)]),
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(port: u16) -> ServicePort {
    ServicePort {
        name: Some(PORT_NAME.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::String(PORT_NAME.to_owned())),
        protocol: Some("TCP".to_owned()),
        app_protocol: Some("https".to_owned()),
        ..ServicePort::default()
    }
}
