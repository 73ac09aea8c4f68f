//! Secrets and the `ConfigMap` of keys, certificates and credentials.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::{kept, owned};
use crate::authority::{CA_CERTIFICATES, control};
use crate::tenant::dereference::{Certificates, Material};
use crate::tenant::validate::ValidTenant;

pub(super) fn authority(tenant: &ValidTenant, material: &Certificates) -> Secret {
    secret(tenant, tenant.names().authority(), "Opaque", material.authority.to_data())
}

pub(super) fn server(tenant: &ValidTenant, material: &Certificates) -> Secret {
    secret(tenant, tenant.names().tls(), "kubernetes.io/tls", material.server.to_data())
}

pub(super) fn root_credentials(tenant: &ValidTenant, material: &Material) -> Secret {
    secret(tenant, tenant.names().root(), "Opaque", material.root.to_data())
}

pub(super) fn iam_key(tenant: &ValidTenant, material: &Material) -> Secret {
    Secret {
        metadata: kept(tenant, tenant.names().iam()),
        type_: Some("Opaque".to_owned()),
        data: Some(material.iam.to_data()),
        ..Secret::default()
    }
}

pub(super) fn roots(tenant: &ValidTenant, material: &Certificates) -> ConfigMap {
    ConfigMap {
        metadata: owned(tenant, tenant.names().ca()),
        data: Some([(CA_CERTIFICATES.to_owned(), material.authority.roots())].into()),
        ..ConfigMap::default()
    }
}

pub(super) fn control_authority(tenant: &ValidTenant, material: &Certificates) -> Secret {
    let name = tenant.names().control_authority();
    secret(tenant, name, "Opaque", control::to_data(&material.control))
}

pub(super) fn control(tenant: &ValidTenant, material: &Certificates) -> ConfigMap {
    ConfigMap {
        metadata: owned(tenant, tenant.names().control()),
        data: Some([(CA_CERTIFICATES.to_owned(), material.control.certificate.clone())].into()),
        ..ConfigMap::default()
    }
}

fn secret(
    tenant: &ValidTenant,
    name: String,
    type_: &str,
    data: BTreeMap<String, ByteString>,
) -> Secret {
    Secret {
        metadata: owned(tenant, name),
        type_: Some(type_.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
