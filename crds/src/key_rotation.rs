//! KeyRotation: what a Tenant's key protects is put under another one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::TenantRef;

/// Which keys of a Tenant are replaced, by which.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "coffer.dev",
    version = "v1alpha1",
    kind = "KeyRotation",
    plural = "keyrotations",
    shortname = "krot",
    category = "coffer",
    namespaced,
    status = "KeyRotationStatus",
    derive = "PartialEq",
    doc = "One rotation of a Tenant's keys: all that is encrypted under one is put under another, once. Neither content nor ETag nor time of an object changes. Deleting it stops it; what was done until then stays.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether it is done"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or isn't"
    ),
    printcolumn(
        name = "Tenant",
        type_ = "string",
        json_path = ".spec.tenantRef.name",
        description = "The Tenant that it is about"
    ),
    printcolumn(
        name = "From",
        type_ = "string",
        json_path = ".spec.from",
        description = "The old key; empty: every key but the new one"
    ),
    printcolumn(
        name = "To",
        type_ = "string",
        json_path = ".status.to",
        description = "The new key"
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "How much of this pass is done"
    ),
    printcolumn(
        name = "Resealed",
        type_ = "integer",
        json_path = ".status.resealed",
        description = "How many objects and uploads were put under the new key"
    ),
    printcolumn(
        name = "Remaining",
        type_ = "integer",
        json_path = ".status.remaining",
        description = "How many couldn't be"
    ),
    printcolumn(
        name = "Old Key Unused",
        type_ = "string",
        json_path = ".status.oldKeyUnused",
        description = "Whether the old key protects nothing any more"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "How long the resource exists"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What is the matter and what to do"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.tenantRef.__namespace__)").message(
        "spec.tenantRef.namespace: a rotation is about all of a Tenant; make it in the Tenant's namespace, and leave this out"
    ),
    validation = Rule::new(
        "(has(self.from) ? self.from : '') == (has(oldSelf.from) ? oldSelf.from : '')"
    ).message("spec.from: can't be changed; make a new resource for another rotation"),
    validation = Rule::new(
        "(has(self.to) ? self.to : '') == (has(oldSelf.to) ? oldSelf.to : '')"
    ).message("spec.to: can't be changed; make a new resource for another rotation")
)]
pub struct KeyRotationSpec {
    /// The Tenant that this is about, in this resource's namespace; it can't be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.tenantRef: can't be changed; make a new resource for the other Tenant"
    ))]
    pub tenant_ref: TenantRef,

    /// The old key, by its name in the KMS. It can't be changed. Default: every key but the new one. The same as `to`: what earlier
    /// versions of that key protect is put under its newest one, where the KMS gives keys versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$")
    )]
    pub from: Option<String>,

    /// The new key, by its name in the KMS, which must have it. It can't be changed. Default: the Tenant's `spec.kms.defaultKey` when
    /// the rotation begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$")
    )]
    pub to: Option<String>,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RotationPhase {
    /// Another rotation of the Tenant is under way.
    Waiting,
    /// It is under way.
    Running,
    /// It is done.
    Finished,
    /// It is over, and left something under the old key.
    Incomplete,
}

/// Where a rotation stands, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRotationStatus {
    /// The generation of the spec that this status speaks of; -1 until the operator has seen the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`, `Reconciling` and `Stalled`, each with a reason from a closed list and a message that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,

    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<RotationPhase>,

    /// The new key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,

    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,

    /// How much of this pass is done, in percent of the objects there were when it began; a pass that found something is followed by
    /// another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,

    /// Which time it goes over everything, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<i64>,

    /// Objects there were when this pass began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,

    /// Objects and uploads looked at in this pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<i64>,

    /// Objects and uploads put under the new key, in all passes; what a crash of the server took along isn't counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resealed: Option<i64>,

    /// Objects under keys of their writers (SSE-C), as of this pass. Nobody else can put them under another key, and no key of the KMS
    /// protects them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customers: Option<i64>,

    /// Objects and uploads that couldn't be put under the new key, as of this pass. `lastError` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<i64>,

    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,

    /// Who goes on writing under the old key by default: `tenant`, and `bucket/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(max = 128)))]
    pub default_of: Option<Vec<String>>,

    /// True: the old key protects nothing any more, no default names it, and a look over everything that began after the end has found
    /// nothing under it: it may be deleted, unless clients still name it. Not told before there was such a look, and where `from` is `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_key_unused: Option<bool>,
}
