//! Tenant: one isolated object store.

pub mod storage;
pub mod tls;
pub mod kms;
pub mod exposure;
pub mod limits;
pub mod pod;
pub mod iam;
pub mod audit;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::{PullSecretRef, SecretRef};
pub use audit::{Audit, AuditWebhook};
pub use exposure::{Exposure, NetworkPolicy, ServiceType};
pub use iam::{AllowedNamespaces, IamSettings};
pub use kms::{DataKeys, Kms};
pub use limits::{Limits, SignatureV2};
pub use pod::{PodTemplate, PullPolicy, Resources};
pub use storage::{DeletionPolicy, Embedded, Storage};
pub use tls::{Issuer, MinVersion, SelfSigned, Tls};

/// Longest name of a Tenant: the longest object made from it still fits into a DNS label of 63 characters.
pub const MAX_NAME: usize = 40;

/// What a Tenant shall be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "coffer.dev",
    version = "v1alpha1",
    kind = "Tenant",
    plural = "tenants",
    shortname = "tn",
    category = "coffer",
    namespaced,
    status = "TenantStatus",
    derive = "PartialEq",
    doc = "One isolated object store: an S3 endpoint with its own TLS, identities and data.",
    validation = Rule::new("size(self.metadata.name) <= 40").message(
        "metadata.name: at most 40 characters, because the names of the Services and the pod are made from it; choose a shorter name"
    ),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name: only lower-case letters, digits and `-`, beginning with a letter, because a Service bears it; choose such a name"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether a signed request over TLS was answered"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or isn't"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint",
        description = "Where clients inside the cluster connect to"),
    printcolumn(name = "Certificate", type_ = "string", json_path = ".status.certificate.notAfter",
        description = "When the server certificate ends; it is renewed at two thirds of its life"),
    printcolumn(name = "CA", type_ = "string", json_path = ".status.certificate.caNotAfter",
        description = "When the root that clients trust ends; the next one is made three years before", priority = 1),
    printcolumn(name = "KMS", type_ = "string", json_path = r#".status.conditions[?(@.type=="KmsReachable")].status"#,
        description = "Whether the KMS makes and opens data keys; empty without one", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp",
        description = "How long the resource exists"),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What is the matter and what to do")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "!has(self.imagePullPolicy) || self.imagePullPolicy != 'Never' || has(self.image)"
).message("spec.imagePullPolicy: `Never` needs an image that lies on the node; set spec.image too, or choose IfNotPresent"))]
pub struct TenantSpec {
    /// The container image that holds `coffer-server`. Default: the operator's own image, so that both have one
    /// version; an upgrade of the operator then rolls the tenants one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,

    /// When the kubelet pulls the image. Default: Kubernetes's own (`Always` for the tag `latest`, else `IfNotPresent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,

    /// Secrets with which the kubelet pulls the image; each lies in the Tenant's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub image_pull_secrets: Option<Vec<PullSecretRef>>,

    /// The region that clients sign for and that the server answers as the location of each bucket. Default: `us-east-1`.
    #[serde(default = "default_region")]
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub region: String,

    /// Where the data lies.
    pub storage: Storage,

    /// How the endpoint is encrypted. Default: a certificate authority of the Tenant's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Where the external keys are, by which objects are encrypted. Default: nowhere; only clients that bring their keys (SSE-C) get
    /// encryption then, and SSE-S3 and SSE-KMS are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<Kms>,

    /// Domains below which each bucket has a name of its own (`BUCKET.s3.example.com`), besides the path style that
    /// always works. Each is in the certificate, with a wildcard. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$")
        )
    )]
    #[x_kube(validation = Rule::new("!self.exists(d, d.matches('^[0-9.]+$'))").message(
        "spec.domains: an IP address has no names below it; use a DNS name such as s3.example.com, or spec.tls.additionalNames for the address"
    ), merge_strategy = ListMerge::Set)]
    pub domains: Option<Vec<String>>,

    /// How the endpoint is reached from outside the cluster. Default: not at all (a Service of type `ClusterIP`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,

    /// What clients may take of the server, one alone and all together. Default: what each field says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,

    /// Whether requests may be signed by the deprecated Signature Version 2. `Disabled`: they are refused. Default:
    /// `Enabled`, because old clients know nothing else.
    #[serde(default, rename = "signatureV2")]
    pub signature_v2: SignatureV2,

    /// Whether root's keys, its own and the access keys that belong to it, may use S3. `Disabled`: they are for the admin API alone,
    /// where root can make users that may. Default: `Enabled`.
    #[serde(default)]
    pub root_s3_access: RootS3Access,

    /// The root credentials. Default: random ones in the Secret `NAME-root` (keys `accessKey` and `secretKey`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_credentials: Option<RootCredentials>,

    /// Which other namespaces may name this Tenant in their `tenantRef`. Default: none; only resources of its own namespace may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,

    /// What holds for the users, keys and policies that resources make. Default: what each field says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<IamSettings>,

    /// Where the record of each request goes. Default: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,

    /// Whether a `NetworkPolicy` guards the pod. Default: enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,

    /// CPU and memory of the server's container. Default: requests of 100m and 128Mi, no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Labels that a node must have for the pod to run there. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,

    /// Kubernetes's rules for which nodes and beside which pods the pod runs. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,

    /// Taints of nodes that the pod tolerates. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerations: Option<Vec<Toleration>>,

    /// How the pod is spread over zones and nodes. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,

    /// The `PriorityClass` of the pod. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,

    /// Labels and annotations that the pod gets besides the operator's own. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,

    /// True: the pod is stopped, everything else including the data is kept. Default: false.
    #[serde(default)]
    pub suspend: bool,

    /// What becomes of the data when the Tenant is deleted. `Retain`: the volume claim stays, with the Secret `NAME-iam` without
    /// which users, access keys and policies in it can't be read, and a Tenant of the same name adopts both. `Delete`: they go
    /// with the Tenant. Default: `Retain`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// Whether root's keys may use S3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RootS3Access {
    /// They may do everything.
    #[default]
    Enabled,
    /// They are for the admin API alone.
    Disabled,
}

impl RootS3Access {
    /// The value as the server's setting has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "on",
            Self::Disabled => "off",
        }
    }
}

/// The root credentials: the identity that may do everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootCredentials {
    /// A Secret with the keys `accessKey` (3 to 128 characters) and `secretKey` (8 to 128 characters). An edit of it takes
    /// effect within seconds, without a restart.
    pub secret_ref: SecretRef,
}

/// What a Tenant is, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// The generation of the spec that this status speaks of; -1 until the operator has seen the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`, `Reconciling` and `Stalled`, and `KmsReachable` where there is a KMS; each with a reason from a closed list and a
    /// message that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,

    /// The URL at which clients inside the cluster reach the Tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,

    /// How many pods are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// The image that the pod's server runs; nothing while none runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// The server certificate that is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateStatus>,

    /// The KMS of `spec.kms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<KmsStatus>,

    /// The volume claim that holds the data, once it has its volume. If it is lost, the operator makes no empty one in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_claim: Option<VolumeClaimStatus>,

    /// The Secret that holds the root credentials (keys `accessKey` and `secretKey`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_credentials_secret: Option<String>,

    /// The `ConfigMap` whose key `ca.crt` holds the certificates that clients must trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map: Option<String>,
}

/// The server certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// When the certificate ends, in RFC 3339. It is renewed at two thirds of its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,

    /// The certificate's serial number, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,

    /// SHA-256 of the DER form of the root certificate that signs, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_fingerprint: Option<String>,

    /// When that root ends, in RFC 3339. Three years before, the next one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_not_after: Option<String>,

    /// The next root, where there is one: clients must load it before it takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ca: Option<NextCaStatus>,
}

/// The root that takes over next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextCaStatus {
    /// SHA-256 of its DER form, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,

    /// When the server's certificate moves to it, in RFC 3339. Whoever hasn't loaded it by then refuses the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_over: Option<String>,
}

/// The volume claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeClaimStatus {
    /// The name of the `PersistentVolumeClaim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Its uid. Another one of the same name holds other data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,

    /// The name of its `PersistentVolume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

/// The KMS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KmsStatus {
    /// Its provider: `static`, `vault`, `awsKms`, `kmip` or `kes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,

    /// Whether the server could make a data key and open it again, when it last tried. The condition `KmsReachable` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,

    /// What a person should know of this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
