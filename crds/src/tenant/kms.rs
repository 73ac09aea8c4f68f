//! Where a Tenant's external keys are.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::{CertificatesRef, SecretRef};

/// Where the external keys are, by which objects are encrypted, and what is encrypted without being asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.static), has(self.vault), has(self.awsKms), has(self.kmip), has(self.kes)].filter(is, is).size() == 1").message(
        "spec.kms: exactly one provider, of static, vault, awsKms, kmip and kes; set one and remove the others"
    ),
    validation = Rule::new("!self.autoEncrypt || has(self.defaultKey)").message(
        "spec.kms.autoEncrypt: needs the key by which it encrypts; set spec.kms.defaultKey too"
    ),
    validation = Rule::new("!self.requireEncryption || has(self.defaultKey)").message(
        "spec.kms.requireEncryption: needs a key that writes may use; set spec.kms.defaultKey too"
    )
)]
pub struct Kms {
    /// Keys in a Secret. For trying out, and the status says so: whoever may read the Secret has the keys.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_keys: Option<StaticKeys>,

    /// Keys in the Transit engine of Vault or OpenBao.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<Vault>,

    /// Keys in AWS KMS, or in a service that speaks its protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_kms: Option<AwsKms>,

    /// Keys in a service that speaks KMIP 1.4, such as Vault Enterprise or a hardware security module's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kmip: Option<Kmip>,

    /// Keys in a service that speaks the HTTP API of KES.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kes: Option<Kes>,

    /// The key of SSE-S3, and of SSE-KMS where neither the request nor the bucket names one. Another one may be named at any time:
    /// what was written under the one before stays readable as long as the KMS has that. Default: none, and then SSE-S3 is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$')").message(
        "spec.kms.defaultKey: letters, digits and `_`, and between them `.` and `-`; name a key of the KMS, not its path or ARN"
    ))]
    pub default_key: Option<String>,

    /// True: what is written into a bucket without an encryption of its own, by a request that asks for none, is encrypted as by
    /// SSE-S3. Objects that are there already stay as they are. Default: false.
    #[serde(default)]
    pub auto_encrypt: bool,

    /// True: what would be stored without encryption is refused. Default: false.
    #[serde(default)]
    pub require_encryption: bool,

    /// Whether data keys of the KMS are kept in the server's memory. `Cached`: for 5 minutes at most, so that the KMS isn't asked for
    /// each object and a short failure of it isn't noticed. `EveryRequest`: each write and each read of an encrypted object asks
    /// the KMS, so that a key that is disabled there counts at once. Default: `Cached`.
    #[serde(default)]
    pub data_keys: DataKeys,
}

/// Keys in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaticKeys {
    /// A Secret with a key for each external key: its name is the key's, its value 32 random bytes in base64 (as text, so twice
    /// encoded in `data`). An edit takes effect within seconds. What a removed key protects can't be read any more.
    pub secret_ref: SecretRef,
}

/// Keys in the Transit engine of Vault or OpenBao.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vault {
    /// Where Vault is: `https://host:port`.
    #[schemars(length(min = 9, max = 512))]
    #[x_kube(validation = Rule::new(
        "self.matches('^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$')"
    ).message(
        "spec.kms.vault.address: must be https, because keys travel over it; write it as https://vault.example.com:8200"
    ))]
    pub address: String,

    /// Where the Transit engine is mounted. Default: `transit`.
    #[serde(default = "transit")]
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_./-]*[A-Za-z0-9_])?$")
    )]
    pub mount: String,

    /// The namespace in which the engine and the login are. Default: none, as OpenBao and Vault's community edition have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_./-]*[A-Za-z0-9_/])?$")
    )]
    pub namespace: Option<String>,

    /// The certificates by which Vault is known; no others are trusted.
    pub ca_config_map_ref: CertificatesRef,

    /// How the server logs in.
    pub auth: VaultAuth,
}

/// How the server logs in to Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.kubernetes), has(self.appRole), has(self.token)].filter(is, is).size() == 1").message(
    "spec.kms.vault.auth: exactly one way to log in, of kubernetes, appRole and token; set one and remove the others"
))]
pub struct VaultAuth {
    /// By a token of the pod's `ServiceAccount` (its name is the Tenant's) that is good for Vault alone. Nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<VaultKubernetes>,

    /// By AppRole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_role: Option<VaultAppRole>,

    /// By a token from Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<VaultToken>,
}

/// A login by the pod's `ServiceAccount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultKubernetes {
    /// The role in Vault that is bound to the `ServiceAccount`.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub role: String,

    /// Where the method is mounted below `auth/`. Default: `kubernetes`.
    #[serde(default = "kubernetes")]
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_./-]*[A-Za-z0-9_])?$")
    )]
    pub mount: String,

    /// The audience of the token, which the role in Vault must ask for. It keeps the token from being of use elsewhere, the API
    /// server included. Default: `vault`.
    #[serde(default = "vault")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\s]+$"))]
    pub audience: String,
}

/// A login by AppRole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultAppRole {
    /// A Secret with the keys `roleId` and `secretId`. An edit takes effect within seconds, without a restart.
    pub secret_ref: SecretRef,

    /// Where the method is mounted below `auth/`. Default: `approle`.
    #[serde(default = "approle")]
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_./-]*[A-Za-z0-9_])?$")
    )]
    pub mount: String,
}

/// A login by a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultToken {
    /// A Secret with the key `token`. It is renewed while it may be; an edit takes effect within seconds, without a restart.
    pub secret_ref: SecretRef,
}

/// Keys in AWS KMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.credentialsSecretRef) != has(self.webIdentity)").message(
    "spec.kms.awsKms: exactly one way to log in, of credentialsSecretRef and webIdentity; set one and remove the other"
))]
pub struct AwsKms {
    /// The region of the keys.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub region: String,

    /// Where another service than the region's own is: `https://host:port`. Default: `https://kms.REGION.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 512))]
    #[x_kube(validation = Rule::new(
        "self.matches('^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$')"
    ).message(
        "spec.kms.awsKms.endpoint: must be https, because keys travel over it; write it as https://kms.example.com"
    ))]
    pub endpoint: Option<String>,

    /// The certificates by which the service is known; no others are trusted. Default: the public authorities that the image brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<CertificatesRef>,

    /// A Secret with the keys `accessKey`, `secretKey` and, for temporary credentials, `sessionToken`. An edit takes effect within
    /// seconds, without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,

    /// By a role of AWS that trusts the pod's `ServiceAccount` (its name is the Tenant's). Nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<AwsWebIdentity>,
}

/// A login at AWS by the pod's `ServiceAccount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsWebIdentity {
    /// The role that is assumed: its ARN.
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")
    )]
    pub role_arn: String,

    /// The audience of the pod's token, which AWS's identity provider of the cluster must know. It keeps the token from being of use
    /// elsewhere, the API server included. Default: `sts.amazonaws.com`.
    #[serde(default = "sts")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^\s]+$"))]
    pub audience: String,

    /// Where another STS than the region's own is: `https://host:port`. It is known by the certificates of `caConfigMapRef` too.
    /// Default: `https://sts.REGION.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 512))]
    #[x_kube(validation = Rule::new(
        "self.matches('^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$')"
    ).message(
        "spec.kms.awsKms.webIdentity.endpoint: must be https, because credentials travel over it; write it as https://sts.example.com"
    ))]
    pub endpoint: Option<String>,
}

/// Keys in a service that speaks KMIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kmip {
    /// Where the service is: `host:port`. The port is 5696 if there is none.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new(
        "self.matches('^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?$')"
    ).message(
        "spec.kms.kmip.address: a host and its port, without a scheme; write it as kmip.example.com:5696"
    ))]
    pub address: String,

    /// The certificates by which the service is known; no others are trusted.
    pub ca_config_map_ref: CertificatesRef,

    /// A Secret with the keys `tls.crt` and `tls.key`, as of type `kubernetes.io/tls`: the certificate by which the service knows this
    /// Tenant, and its key. An edit takes effect within seconds, without a restart.
    pub client_certificate_secret_ref: SecretRef,
}

/// Keys in a service that speaks the HTTP API of KES.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kes {
    /// Where the service is: `https://host:port`.
    #[schemars(length(min = 9, max = 512))]
    #[x_kube(validation = Rule::new(
        "self.matches('^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$')"
    ).message(
        "spec.kms.kes.address: must be https, because keys travel over it; write it as https://kes.example.com:7373"
    ))]
    pub address: String,

    /// The certificates by which the service is known; no others are trusted.
    pub ca_config_map_ref: CertificatesRef,

    /// A Secret with the keys `tls.crt` and `tls.key`, as of type `kubernetes.io/tls`: the certificate by which the service knows this
    /// Tenant, and its key. An edit takes effect within seconds, without a restart.
    pub client_certificate_secret_ref: SecretRef,
}

/// Whether data keys of the KMS are kept in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DataKeys {
    /// For 5 minutes at most.
    #[default]
    Cached,
    /// Never: each write and each read asks the KMS.
    EveryRequest,
}

impl DataKeys {
    /// The value as the server's setting has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "Cached",
            Self::EveryRequest => "EveryRequest",
        }
    }
}

fn transit() -> String {
    "transit".to_owned()
}

fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn approle() -> String {
    "approle".to_owned()
}

fn vault() -> String {
    "vault".to_owned()
}

fn sts() -> String {
    "sts.amazonaws.com".to_owned()
}
