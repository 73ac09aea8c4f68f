//! What the pod gets of its KMS: settings, volumes, mounts. Credentials and certificates are files, so their change never replaces
//! the pod.

use std::collections::BTreeMap;

use coffer_crds::tenant::kms::{AwsKms, AwsWebIdentity, Kes, Kmip, Vault};
use k8s_openapi::api::core::v1::{
    ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use super::workload::{config_map_volume, mount, secret_volume};
use crate::tenant::kms::{AwsLogin, Login, Provider, ValidKms};

/// Where keys or credentials are mounted.
pub const CREDENTIALS_PATH: &str = "/etc/coffer/kms";
/// Where the certificates are mounted by which the KMS is known.
pub const CA_PATH: &str = "/etc/coffer/kms-ca";
/// The projected token's file.
pub const TOKEN: &str = "token";
/// How long a projected token is good for, in seconds; the kubelet renews it at four fifths of that.
const TOKEN_SECONDS: i64 = 600;

/// The server's settings.
pub(super) fn environment(kms: &ValidKms) -> BTreeMap<&'static str, String> {
    let ValidKms { provider, default_key, auto_encrypt, require_encryption, data_keys } = kms;
    let mut settings = BTreeMap::from([
        ("COFFER_AUTO_ENCRYPT", auto_encrypt.to_string()),
        ("COFFER_REQUIRE_ENCRYPTION", require_encryption.to_string()),
        ("COFFER_KMS_DATA_KEYS", data_keys.as_str().to_owned()),
    ]);
    settings.extend(default_key.clone().map(|key| ("COFFER_KMS_DEFAULT_KEY", key)));
    if let Some((_, reference)) = provider.ca() {
        settings.insert("COFFER_KMS_CA", format!("{CA_PATH}/{}", reference.key));
    }
    match provider {
        Provider::Static(_) => {
            settings.insert("COFFER_KMS_PROVIDER", "static".to_owned());
            settings.insert("COFFER_KMS_STATIC", CREDENTIALS_PATH.to_owned());
        }
        Provider::Vault(vault, login) => {
            let Vault { address, mount, namespace, ca_config_map_ref: _, auth: _ } = &**vault;
            settings.extend([
                ("COFFER_KMS_PROVIDER", "vault".to_owned()),
                ("COFFER_KMS_VAULT_ADDRESS", address.clone()),
                ("COFFER_KMS_VAULT_MOUNT", mount.clone()),
                ("COFFER_KMS_CREDENTIALS", CREDENTIALS_PATH.to_owned()),
            ]);
            settings.extend(namespace.clone().map(|name| ("COFFER_KMS_VAULT_NAMESPACE", name)));
            let (auth, mount, role) = match login {
                Login::Kubernetes(login) => {
                    ("kubernetes", Some(&login.mount), Some(login.role.clone()))
                }
                Login::AppRole(login) => ("approle", Some(&login.mount), None),
                Login::Token(_) => ("token", None, None),
            };
            settings.insert("COFFER_KMS_VAULT_AUTH", auth.to_owned());
            settings.extend(mount.cloned().map(|mount| ("COFFER_KMS_VAULT_AUTH_MOUNT", mount)));
            settings.extend(role.map(|role| ("COFFER_KMS_VAULT_ROLE", role)));
        }
        Provider::AwsKms(aws, login) => {
            let AwsKms {
                region,
                endpoint,
                ca_config_map_ref: _,
                credentials_secret_ref: _,
                web_identity: _,
            } = &**aws;
            settings.extend([
                ("COFFER_KMS_PROVIDER", "aws-kms".to_owned()),
                ("COFFER_KMS_AWS_REGION", region.clone()),
                ("COFFER_KMS_CREDENTIALS", CREDENTIALS_PATH.to_owned()),
            ]);
            settings.extend(endpoint.clone().map(|address| ("COFFER_KMS_AWS_ENDPOINT", address)));
            match login {
                AwsLogin::Credentials(_) => {}
                AwsLogin::WebIdentity(AwsWebIdentity { role_arn, audience: _, endpoint }) => {
                    settings.insert("COFFER_KMS_AWS_ROLE_ARN", role_arn.clone());
                    let sts = endpoint.clone().map(|address| ("COFFER_KMS_AWS_STS", address));
                    settings.extend(sts);
                }
            }
        }
        Provider::Kmip(kmip) => {
            let Kmip { address, ca_config_map_ref: _, client_certificate_secret_ref: _ } = &**kmip;
            settings.extend([
                ("COFFER_KMS_PROVIDER", "kmip".to_owned()),
                ("COFFER_KMS_KMIP_ADDRESS", address.clone()),
                ("COFFER_KMS_CREDENTIALS", CREDENTIALS_PATH.to_owned()),
            ]);
        }
        Provider::Kes(kes) => {
            let Kes { address, ca_config_map_ref: _, client_certificate_secret_ref: _ } = &**kes;
            settings.extend([
                ("COFFER_KMS_PROVIDER", "kes".to_owned()),
                ("COFFER_KMS_KES_ADDRESS", address.clone()),
                ("COFFER_KMS_CREDENTIALS", CREDENTIALS_PATH.to_owned()),
            ]);
        }
    }
    settings
}

/// The volumes of the pod.
pub(super) fn volumes(kms: &ValidKms) -> Vec<Volume> {
    let provider = &kms.provider;
    let token = provider.audience().map(token_volume);
    let secret = provider.secret().map(|secret| secret_volume("kms", secret.name.to_owned()));
    let mut volumes: Vec<Volume> = token.into_iter().chain(secret).collect();
    let ca = provider.ca();
    volumes.extend(ca.map(|(_, reference)| config_map_volume("kms-ca", reference.name.clone())));
    volumes
}

/// The mounts of the server's container.
pub(super) fn mounts(kms: &ValidKms) -> Vec<VolumeMount> {
    volumes(kms)
        .iter()
        .map(|volume| {
            let path = if volume.config_map.is_some() { CA_PATH } else { CREDENTIALS_PATH };
            mount(&volume.name, path, Some(true))
        })
        .collect()
}

/// A token of the pod's `ServiceAccount` that only `audience` takes.
fn token_volume(audience: &str) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some(audience.to_owned()),
        expiration_seconds: Some(TOKEN_SECONDS),
        path: TOKEN.to_owned(),
    };
    let source =
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() };
    Volume {
        name: "kms".to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o440),
            sources: Some(vec![source]),
        }),
        ..Volume::default()
    }
}
