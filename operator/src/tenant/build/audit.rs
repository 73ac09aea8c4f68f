//! What the pod gets of its audit: settings, volumes, mounts. Token and certificates are files, so their change never replaces the pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{KeyToPath, Volume, VolumeMount};

use super::workload::{config_map_volume, mount, secret_volume};
use crate::tenant::audit::{Certificates, ValidAudit, ValidWebhook};

/// Where the certificates are mounted by which the webhook is known.
pub const CA_PATH: &str = "/etc/coffer/audit-ca";
/// Where the token is mounted.
pub const TOKEN_PATH: &str = "/etc/coffer/audit-token";

/// The server's settings.
pub(super) fn environment(audit: &ValidAudit) -> BTreeMap<&'static str, String> {
    let ValidAudit { stdout, webhook } = audit;
    let destination = if *stdout { "stdout" } else { "off" };
    let mut settings = BTreeMap::from([("COFFER_AUDIT", destination.to_owned())]);
    if let Some(ValidWebhook { endpoint, remote: _, ca, token, queue_bytes }) = webhook {
        settings.extend([
            ("COFFER_AUDIT_WEBHOOK", endpoint.clone()),
            ("COFFER_AUDIT_WEBHOOK_CA", format!("{CA_PATH}/{}", ca.key())),
            ("COFFER_AUDIT_QUEUE_BYTES", queue_bytes.to_string()),
        ]);
        let token = token.as_ref().map(|token| format!("{TOKEN_PATH}/{}", token.key));
        settings.extend(token.map(|file| ("COFFER_AUDIT_WEBHOOK_TOKEN", file)));
    }
    settings
}

/// The volumes of the pod. Of a Secret only what is named: one that cert-manager writes holds a private key too.
pub(super) fn volumes(audit: &ValidAudit) -> Vec<Volume> {
    let Some(webhook) = &audit.webhook else { return Vec::new() };
    let ca = match &webhook.ca {
        Certificates::ConfigMap(reference) => config_map_volume("audit-ca", reference.name.clone()),
        Certificates::Secret(reference) => {
            one_key("audit-ca", reference.name.clone(), &reference.key)
        }
    };
    let token = webhook.token.as_ref();
    let token = token.map(|token| one_key("audit-token", token.name.clone(), &token.key));
    std::iter::once(ca).chain(token).collect()
}

/// The mounts of the server's container.
pub(super) fn mounts(audit: &ValidAudit) -> Vec<VolumeMount> {
    let paths = [CA_PATH, TOKEN_PATH];
    let mounted = volumes(audit).into_iter().zip(paths);
    mounted.map(|(volume, path)| mount(&volume.name, path, Some(true))).collect()
}

fn one_key(name: &str, secret: String, key: &str) -> Volume {
    let mut volume = secret_volume(name, secret);
    if let Some(source) = &mut volume.secret {
        source.items =
            Some(vec![KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None }]);
    }
    volume
}
