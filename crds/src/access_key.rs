//! AccessKey: a key that acts for a user, renewed on its own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::reference::{KeySecret, TenantRef};

/// What an access key shall be.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "coffer.dev",
    version = "v1alpha1",
    kind = "AccessKey",
    plural = "accesskeys",
    shortname = "ck",
    category = "coffer",
    namespaced,
    status = "AccessKeyStatus",
    derive = "PartialEq",
    doc = "A key that acts for a user of a Tenant, in a Secret; renewed on a schedule without a gap.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether a request signed by it was answered"
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
        name = "User",
        type_ = "string",
        json_path = ".spec.user",
        description = "For whom it acts"
    ),
    printcolumn(
        name = "Key",
        type_ = "string",
        json_path = ".status.accessKey",
        description = "The key that is in the Secret"
    ),
    printcolumn(
        name = "Secret",
        type_ = "string",
        json_path = ".status.secretName",
        description = "The Secret with it"
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextRotation",
        description = "When it is replaced"
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
pub struct AccessKeySpec {
    /// The Tenant that this is about; it can't be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "spec.tenantRef: can't be changed; make a new resource for the other Tenant"
    ))]
    pub tenant_ref: TenantRef,

    /// The name, in the Tenant, of the user for whom it acts.
    #[schemars(length(min = 3, max = 128))]
    pub user: String,

    /// A policy as JSON text: of what the user may do, only what this allows too. Default: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 4096))]
    pub policy: Option<String>,

    /// A description for people. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub description: Option<String>,

    /// When it ends for good, in RFC 3339 (`2027-01-31T00:00:00Z`), 15 minutes to 365 days from when it is made. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 20, max = 35),
        regex(
            pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})$"
        )
    )]
    pub expires: Option<String>,

    /// That it is replaced again and again. Default: never; delete the Secret for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,

    /// Where its keys go. Default: the Secret `NAME-keys`, with `accessKey`, `secretKey`, `endpoint`, `region` and `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeySecret>,
}

/// How a key is replaced: the new one works before it stands in the Secret, the old one works on for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.overlap) < duration(self.interval)").message(
    "spec.rotation.overlap: shorter than the interval, or there would be ever more keys; shorten it"
))]
pub struct Rotation {
    /// How long a key is in the Secret, as hours, minutes and seconds (`720h`), from `10s` to `8760h`.
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,8}s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) >= duration('10s') && duration(self) <= duration('8760h')").message(
        "spec.rotation.interval: from 10s to 8760h; choose one in between"
    ))]
    pub interval: String,

    /// How long an old key works beside the new one, from `1s`: until then every client has to have read the Secret anew. Default: `1h`.
    #[serde(default = "an_hour")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,8}s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message(
        "spec.rotation.overlap: at least 1s, or a client would fail between two keys; lengthen it"
    ))]
    pub overlap: String,
}

fn an_hour() -> String {
    "1h".to_owned()
}

/// What an access key is, as last seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessKeyStatus {
    /// The generation of the spec that this status speaks of; -1 until the operator has seen the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// `Ready`, `Reconciling` and `Stalled`, each with a reason from a closed list and a message that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,

    /// The access key that is in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,

    /// The Secret with the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,

    /// When it is replaced, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<String>,

    /// The key before it, while that still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}
