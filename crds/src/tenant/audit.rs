//! Where the records of a Tenant's requests go.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::reference::{CertificatesRef, SecretCertificatesRef, SecretKeyRef};

/// Where the record of each request goes: who asked what of whom, and why it was decided so. Each has the hash of the one before it
/// that went the same way; `coffer-operator audit verify` finds what is missing or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.stdout || has(self.webhook)").message(
    "spec.audit: records go nowhere; set spec.audit.stdout to true or spec.audit.webhook, or remove spec.audit"
))]
pub struct Audit {
    /// True: each record is a line of JSON on the server's standard output, so in the pod's log. Default: false.
    #[serde(default)]
    pub stdout: bool,

    /// Whom records are posted to. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AuditWebhook>,
}

/// Whom records are posted to: lines of JSON, many at a time, each until it was taken (answered 2xx). After a failure one may come
/// twice; its members `run` and `sequence` tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.caConfigMapRef) != has(self.caSecretRef)").message(
    "spec.audit.webhook: exactly one of caConfigMapRef and caSecretRef; set one and remove the other"
))]
pub struct AuditWebhook {
    /// Where records are posted to: `https://host:port/path`. What is secret belongs into `tokenSecretRef`, not here.
    #[schemars(length(min = 9, max = 512))]
    #[x_kube(validation = Rule::new(
        "self.matches('^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&()*+,;=:@%/?-]*)?$')"
    ).message(
        "spec.audit.webhook.endpoint: must be https, because records tell who does what; write it as https://audit.example.com/records"
    ))]
    pub endpoint: String,

    /// A `ConfigMap` with the certificates by which the webhook is known; no others are trusted. An edit takes effect within seconds,
    /// without a restart. Default: none, and then `caSecretRef` names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<CertificatesRef>,

    /// A Secret with the certificates by which the webhook is known, as cert-manager writes them; no others are trusted. Only the named
    /// key of it reaches the pod. An edit takes effect within seconds. Default: none, and then `caConfigMapRef` names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretCertificatesRef>,

    /// A Secret with the token by which the webhook knows the server; it is sent as `Authorization: Bearer`. An edit takes effect
    /// within seconds, without a restart. Default: none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyRef>,

    /// How many bytes of records may wait on the Tenant's volume while the webhook doesn't take them, as a Kubernetes quantity, from
    /// `1Mi` to `64Gi`. Beyond them records are lost, and the next one says how many. Default: `256Mi`.
    #[serde(default = "queue_size")]
    #[schemars(length(min = 2, max = 20), regex(pattern = r"^[1-9][0-9]*(Ki|Mi|Gi|k|M|G)$"))]
    #[x_kube(validation = Rule::new(
        "!isQuantity(self) || (quantity(self).compareTo(quantity('1Mi')) >= 0 && quantity(self).compareTo(quantity('64Gi')) <= 0)"
    ).message("spec.audit.webhook.queueSize: from 1Mi to 64Gi; choose a size in between"))]
    pub queue_size: String,
}

fn queue_size() -> String {
    "256Mi".to_owned()
}
