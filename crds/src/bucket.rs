//! Bucket: a bucket in a tenant.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::TenantRef;
use crate::tenant::DeletionPolicy;

/// What a bucket shall be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "coffer.dev",
    version = "v1alpha1",
    kind = "Bucket",
    plural = "buckets",
    shortname = "bkt",
    category = "coffer",
    namespaced,
    status = "BucketStatus",
    derive = "PartialEq",
    doc = "A bucket in a Tenant, with its policy, quota, tags and encryption.",
    validation = Rule::new(
        "has(self.spec.bucketName) || self.metadata.name.matches('^[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]$')"
    ).message(
        "metadata.name: a bucket's name has 3 to 63 characters; choose another, or set spec.bucketName"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether it exists with this policy and quota"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or isn't"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name",
        description = "The Tenant that it is in"),
    printcolumn(name = "Bucket", type_ = "string", json_path = ".status.bucketName",
        description = "Its name there"),
    printcolumn(name = "Public", type_ = "string", json_path = ".status.public",
        description = "Whether its policy gives strangers anything"),
    printcolumn(name = "Objects", type_ = "integer", json_path = ".status.objects",
        description = "How many objects it holds"),
    printcolumn(name = "Usage", type_ = "string", json_path = ".status.usage",
        description = "How much they hold together"),
    printcolumn(name = "Encrypted", type_ = "string", json_path = ".status.encrypted",
        description = "How many of its objects are encrypted"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp",
        description = "How long the resource exists"),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What is the matter and what to do")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.bucketName) ? self.bucketName : '') == (has(oldSelf.bucketName) ? oldSelf.bucketName : '')"
).message("spec.bucketName: can't be changed; make a new resource with the other name"))]
pub struct BucketSpec {
    /// The Tenant that this is about; it can't be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.tenantRef: can't be changed; make a new resource for the other Tenant"
    ))]
    pub tenant_ref: TenantRef,

    /// The bucket's name in the Tenant. It can't be changed. Default: this resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]$"))]
    pub bucket_name: Option<String>,

    /// The bucket's policy as JSON text, which says who may do what with it. Default: none; then it is private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20480))]
    pub policy: Option<String>,

    /// How much its objects may hold together, as a Kubernetes quantity (`10Gi`). Default: as much as there is room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[1-9][0-9]*(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$")
    )]
    pub quota: Option<String>,

    /// Tags of the bucket, as S3's clients read them: at most 50, keys of 1 to 128 characters, of letters, digits, spaces and
    /// `+-=._:/@`. What another hand tags is put back to these. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "maxProperties" = 50,
        "additionalProperties" = {"type": "string", "maxLength": 256, "pattern": "^[\\p{L}\\p{Z}\\p{N}+=._:/@-]*$"}
    ))]
    #[x_kube(
        validation = Rule::new("self.all(k, size(k) >= 1 && size(k) <= 128)").message(
            "spec.tags: a key has 1 to 128 characters; shorten it"
        ),
        validation = Rule::new("!self.exists(k, k.startsWith('aws:'))").message(
            "spec.tags: keys below `aws:` are AWS's own; choose another"
        )
    )]
    pub tags: Option<BTreeMap<String, String>>,

    /// How its objects are encrypted whose writers choose nothing. What another hand sets is put back. Those that are there stay as they
    /// are. It needs the Tenant's `spec.kms`. Default: as the bucket has it, by `PutBucketEncryption`; else as the Tenant does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<BucketEncryption>,

    /// True: what would be stored plain is refused (`AccessDenied`). Without `encryption` here, of the bucket or of the Tenant, every
    /// writer has to ask for one; where the Tenant has no KMS that can only be SSE-C. Default: false; the Tenant's
    /// `spec.kms.requireEncryption` holds nevertheless.
    #[serde(default)]
    pub require_encryption: bool,

    /// True: what exists already under this name and was made by another hand is taken over, and becomes what this resource
    /// says; so is what a resource that is gone left there. In another namespace than the Tenant's: only what one of this namespace left.
    /// What another resource holds is never taken over. Default: false; then it is left alone, and this resource is `Stalled` with
    /// `NotOwned`.
    #[serde(default)]
    pub adopt: bool,

    /// What becomes of it when this resource is deleted. `Retain`: it stays as it is, with its objects. `Delete`: it is deleted with
    /// all objects in it. Default: `Retain`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// How objects are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.key) || self.type == 'SSE-KMS'").message(
    "spec.encryption.key: only SSE-KMS takes a key; SSE-S3 uses the Tenant's spec.kms.defaultKey"
))]
pub struct BucketEncryption {
    /// `SSE-S3`: under the Tenant's `spec.kms.defaultKey`, for everybody who may read the object. `SSE-KMS`: under a key that readers
    /// and writers need rights on.
    #[serde(rename = "type")]
    pub form: EncryptionForm,

    /// The key of SSE-KMS, by its name in the KMS, which must have it. Default: the Tenant's `spec.kms.defaultKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$")
    )]
    pub key: Option<String>,
}

/// A form of encryption that needs no key of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EncryptionForm {
    /// Keys of the Tenant.
    #[serde(rename = "SSE-S3")]
    S3,
    /// Keys with rights of their own.
    #[serde(rename = "SSE-KMS")]
    Kms,
}

/// What protects what a bucket holds, as the server's last look over all objects has found it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketCoverage {
    /// Objects that are stored plain.
    pub plain: i64,

    /// Objects under keys of their writers (SSE-C).
    pub customers: i64,

    /// Objects whose record of their encryption is damaged; the server's log says more once they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<i64>,

    /// Objects under keys of the KMS: those 16 that protect the most, and all others together as `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 17))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub keys: Option<Vec<KeyCoverage>>,
}

/// What one key protects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyCoverage {
    /// Its name in the KMS, or `*`.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,

    /// Objects under it.
    pub objects: i64,

    /// When the oldest of them was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,

    /// When the newest of them was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// What a bucket is, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketStatus {
    /// The generation of the spec that this status speaks of; -1 until the operator has seen the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`, `Reconciling` and `Stalled`, each with a reason from a closed list and a message that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,

    /// Its name in the Tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_name: Option<String>,

    /// `No`, or to whom its policy gives what: `Read`, `Write` or both, to `Everyone` or `SignedIn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,

    /// How many objects it holds, as of the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<i64>,

    /// How much they hold together, as of the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,

    /// How many of its objects are encrypted, in percent. `100%`: all of them; never rounded up to it. Of the same age as `coverage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<String>,

    /// What protects its objects. The server looks over all of them every 5 minutes, and this follows within the Tenant's
    /// `spec.iam.resyncInterval`: what was written since isn't in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<BucketCoverage>,
}
