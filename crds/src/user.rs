//! User: somebody in a tenant, with a key in a Secret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::reference::{KeySecret, TenantRef};

/// What a user shall be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "coffer.dev",
    version = "v1alpha1",
    kind = "User",
    plural = "users",
    shortname = "cu",
    category = "coffer",
    namespaced,
    status = "UserStatus",
    derive = "PartialEq",
    doc = "Somebody in a Tenant, whose key is in a Secret beside it.",
    validation = Rule::new("has(self.spec.userName) || size(self.metadata.name) >= 3").message(
        "metadata.name: a user's name has at least 3 characters; choose a longer one, or set spec.userName"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether a request signed by its key was answered"),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or isn't"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name",
        description = "The Tenant that it is in"),
    printcolumn(name = "User", type_ = "string", json_path = ".status.userName",
        description = "Its name there, which is its access key"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secretName",
        description = "The Secret with its keys"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp",
        description = "How long the resource exists"),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "What is the matter and what to do")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(
    "(has(self.userName) ? self.userName : '') == (has(oldSelf.userName) ? oldSelf.userName : '')"
).message("spec.userName: can't be changed; make a new resource with the other name"))]
pub struct UserSpec {
    /// The Tenant that this is about; it can't be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.tenantRef: can't be changed; make a new resource for the other Tenant"
    ))]
    pub tenant_ref: TenantRef,

    /// The user's name in the Tenant, which is its access key. It can't be changed. Default: this resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 128), regex(pattern = r"^[^=,/\s]+$"))]
    pub user_name: Option<String>,

    /// False: it is kept, and signs nothing. Default: true.
    #[serde(default = "yes")]
    pub enabled: bool,

    /// Names of policies that are attached to it, besides those of its groups and of PolicyBindings. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub policies: Option<Vec<String>>,

    /// The groups that it is in; one that doesn't exist is made. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Option<Vec<String>>,

    /// Where its keys go. Default: the Secret `NAME-keys`, with `accessKey`, `secretKey`, `endpoint`, `region` and `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeySecret>,

    /// True: what exists already under this name and was made by another hand is taken over, and becomes what this resource
    /// says; so is what a resource that is gone left there. In another namespace than the Tenant's: only what one of this namespace left.
    /// What another resource holds is never taken over. Default: false; then it is left alone, and this resource is `Stalled` with
    /// `NotOwned`.
    #[serde(default)]
    pub adopt: bool,
}

fn yes() -> bool {
    true
}

/// What a user is, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserStatus {
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
    pub user_name: Option<String>,

    /// The Secret with its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
}
