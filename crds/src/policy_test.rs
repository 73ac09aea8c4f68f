//! PolicyTest: what must be allowed, and what denied.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::TenantRef;

/// Requests and how they must be decided. A Policy that would break one isn't put in force.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "coffer.dev",
    version = "v1alpha1",
    kind = "PolicyTest",
    plural = "policytests",
    shortname = "ptest",
    category = "coffer",
    namespaced,
    status = "PolicyTestStatus",
    derive = "PartialEq",
    doc = "What policies of a Tenant must allow and deny; a Policy edit that breaks it is not put in force.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether every case is decided as expected"
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
        name = "Passed",
        type_ = "integer",
        json_path = ".status.passed",
        description = "How many cases are decided as expected"
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.failed",
        description = "How many are not"
    ),
    printcolumn(
        name = "Last",
        type_ = "date",
        json_path = ".status.lastRun",
        description = "When that was last found"
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
pub struct PolicyTestSpec {
    /// The Tenant that this is about; it can't be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.tenantRef: can't be changed; make a new resource for the other Tenant"
    ))]
    pub tenant_ref: TenantRef,

    /// The cases; each has a name of its own.
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub cases: Vec<Case>,
}

/// One request and how it must be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// What is claimed, for a person: it stands in the message when it fails.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,

    /// Who asks for it.
    #[serde(rename = "as")]
    pub who: Who,

    /// What for, such as `s3:GetObject`.
    #[schemars(length(min = 1, max = 128))]
    pub action: String,

    /// On what: an ARN such as `arn:aws:s3:::photos/a.jpg`. Default: `*`, the tenant as a whole.
    #[serde(default = "everything")]
    #[schemars(length(min = 1, max = 1200))]
    pub resource: String,

    /// What else is known of the request: condition keys such as `aws:SourceIp` with their values. Default: that it came over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<BTreeMap<String, Vec<String>>>,

    /// How it must be decided.
    pub expect: Expected,
}

fn everything() -> String {
    "*".to_owned()
}

/// Who asks: a user of a User resource, or somebody who is in one group alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.user) != has(self.group)").message(
    "spec.cases.as: exactly one of user and group; name one"
))]
pub struct Who {
    /// A user's name in the Tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 128))]
    pub user: Option<String>,

    /// A group's name in the Tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub group: Option<String>,
}

/// How a request must be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Expected {
    /// A policy allows it and none denies it.
    Allow,
    /// A policy denies it, or none allows it.
    Deny,
}

/// How the cases are decided, as last found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTestStatus {
    /// The generation of the spec that this status speaks of; -1 until the operator has seen the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`, `Reconciling` and `Stalled`, each with a reason from a closed list and a message that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,

    /// How many cases are decided as expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<i32>,

    /// How many cases are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<i32>,

    /// When that was last found, in RFC 3339; it stands until the result is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
}
