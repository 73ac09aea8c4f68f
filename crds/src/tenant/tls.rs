//! How a Tenant's endpoint is encrypted.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The endpoint's certificate and protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Who issues the server certificate. Default: `selfSigned`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,

    /// How long a server certificate lives, as hours, minutes and seconds (`2160h`, `90m`), from `1m` to `8760h`; it is
    /// renewed at two thirds of that. Default: `2160h` (90 days).
    #[serde(default = "default_duration")]
    #[schemars(
        length(min = 2, max = 20),
        regex(pattern = r"^([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,8}s)?$")
    )]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('8760h')").message(
        "spec.tls.duration: from 1m to 8760h; choose a life in between"
    ))]
    pub duration: String,

    /// Further names in the certificate: DNS names, wildcards such as `*.example.com`, IPv4 addresses. Default: none; the
    /// names of the Services and of `spec.domains` are always in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        inner(
            length(min = 1, max = 253),
            regex(
                pattern = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
            )
        )
    )]
    #[x_kube(
        validation = Rule::new("!self.exists(n, n.startsWith('*.') && n.split('.').size() < 3)").message(
            "spec.tls.additionalNames: a wildcard needs at least two labels below it (`*.example.com`); name the domain in full"
        ),
        validation = Rule::new(
            "!self.exists(n, n.matches('^[0-9.]+$') && !n.matches('^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])$'))"
        ).message("spec.tls.additionalNames: a name of digits and dots must be an IPv4 address; write four numbers up to 255"),
        merge_strategy = ListMerge::Set
    )]
    pub additional_names: Option<Vec<String>>,

    /// The oldest TLS version that clients may speak. Default: `1.2`.
    #[serde(default)]
    pub min_version: MinVersion,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            issuer: None,
            duration: default_duration(),
            additional_names: None,
            min_version: MinVersion::default(),
        }
    }
}

fn default_duration() -> String {
    "2160h".to_owned()
}

/// Who issues the server certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// A certificate authority of the Tenant's own, made and kept by the operator. Clients trust the `ConfigMap` `NAME-ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<SelfSigned>,
}

/// The operator's own authority needs no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct SelfSigned {}

/// The oldest TLS version that clients may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MinVersion {
    /// TLS 1.2 and newer.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 only.
    #[serde(rename = "1.3")]
    Tls13,
}

impl MinVersion {
    /// The version as the server's setting has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}
