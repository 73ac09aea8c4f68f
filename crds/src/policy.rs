//! Policy: an IAM policy in a tenant.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::{ConfigMapKeyRef, TenantRef};

/// What a policy shall say, in one of three forms.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "coffer.dev",
    version = "v1alpha1",
    kind = "Policy",
    plural = "policies",
    shortname = "cpol",
    category = "coffer",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "An IAM policy in a Tenant: who has it may do what it says.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether exactly this policy is in force"
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
        description = "The Tenant that it is in"
    ),
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".status.policyName",
        description = "Its name there"
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
#[x_kube(validation = Rule::new(
    "(has(self.policyName) ? self.policyName : '') == (has(oldSelf.policyName) ? oldSelf.policyName : '')"
).message("spec.policyName: can't be changed; make a new resource with the other name"))]
#[x_kube(validation = Rule::new(
    "[has(self.statements), has(self.document), has(self.documentFrom)].filter(x, x).size() == 1"
).message("spec: exactly one of statements, document and documentFrom; name one"))]
pub struct PolicySpec {
    /// The Tenant that this is about; it can't be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.tenantRef: can't be changed; make a new resource for the other Tenant"
    ))]
    pub tenant_ref: TenantRef,

    /// The policy's name in the Tenant. It can't be changed. Default: this resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^=,\s]+$"))]
    pub policy_name: Option<String>,

    /// The statements, field by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub statements: Option<Vec<Statement>>,

    /// The document as JSON text, as AWS's IAM writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 20480))]
    pub document: Option<String>,

    /// Where the document is, as JSON text. An edit there takes effect in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_from: Option<DocumentFrom>,

    /// True: what exists already under this name and was made by another hand is taken over, and becomes what this resource
    /// says; so is what a resource that is gone left there. In another namespace than the Tenant's: only what one of this namespace left.
    /// What another resource holds is never taken over. Default: false; then it is left alone, and this resource is `Stalled` with
    /// `NotOwned`.
    #[serde(default)]
    pub adopt: bool,
}

/// One statement of a policy. Source: AWS's IAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.actions) != has(self.notActions)").message(
    "spec.statements: exactly one of actions and notActions; name one"
))]
#[x_kube(validation = Rule::new("!has(self.resources) || !has(self.notResources)").message(
    "spec.statements: resources or notResources, not both; name one"
))]
pub struct Statement {
    /// A name, by which decisions tell this statement. Default: none; then they tell its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9]+$"))]
    pub sid: Option<String>,

    /// Whether it allows or denies; a Deny wins over every Allow.
    pub effect: Effect,

    /// What it is about, such as `s3:GetObject`; `*` and `?` are wildcards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 128)))]
    pub actions: Option<Vec<String>>,

    /// It is about everything but these actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 128)))]
    pub not_actions: Option<Vec<String>>,

    /// On what, as ARNs: `arn:aws:s3:::photos` is the bucket, `arn:aws:s3:::photos/*` is all that is in it. Only statements of admin, KMS
    /// and STS actions alone may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 1200)))]
    pub resources: Option<Vec<String>>,

    /// On everything but these ARNs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 1200)))]
    pub not_resources: Option<Vec<String>>,

    /// When it holds: an operator such as `IpAddress`, below it condition keys such as `aws:SourceIp` with their values. All
    /// of them must hold. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<BTreeMap<String, BTreeMap<String, Vec<String>>>>,
}

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentFrom {
    /// A key of a `ConfigMap` in this resource's namespace.
    pub config_map_ref: ConfigMapKeyRef,
}

/// What a policy is, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
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
    pub policy_name: Option<String>,
}
