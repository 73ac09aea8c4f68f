//! Where a Tenant's audit records go, as meant, and what that names as found.

use coffer_crds::reference::{CertificatesRef, SecretCertificatesRef, SecretKeyRef};
use coffer_crds::tenant::audit::{Audit, AuditWebhook};

use super::found::{Found, are_certificates, value};
use super::invalid::Invalid;
use crate::quantity::bytes;

/// Fewest bytes that may wait for a webhook; the server takes no fewer.
const SMALLEST_QUEUE: u64 = 1024 * 1024;
/// Most bytes that may wait for a webhook; the server takes no more.
const LARGEST_QUEUE: u64 = 64 * 1024 * 1024 * 1024;

const CA_CONFIG_MAP: &str = "spec.audit.webhook.caConfigMapRef";
const CA_SECRET: &str = "spec.audit.webhook.caSecretRef";

/// An audit whose every field has a meaning.
#[derive(Clone, Debug)]
pub struct ValidAudit {
    /// Whether records are in the pod's log.
    pub stdout: bool,
    /// Whom they are posted to.
    pub webhook: Option<ValidWebhook>,
}

/// A webhook whose every field has a meaning.
#[derive(Clone, Debug)]
pub struct ValidWebhook {
    /// Its address.
    pub endpoint: String,
    /// Its host, without the brackets of an IPv6 address, and its port.
    pub remote: (String, u16),
    /// The certificates that it is known by.
    pub ca: Certificates,
    /// The token that it knows the server by.
    pub token: Option<SecretKeyRef>,
    /// How many bytes may wait for it.
    pub queue_bytes: u64,
}

/// Where certificates are.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// In a `ConfigMap`.
    ConfigMap(CertificatesRef),
    /// In a Secret.
    Secret(SecretCertificatesRef),
}

impl ValidAudit {
    /// Gives each field its meaning.
    ///
    /// # Errors
    /// [`Invalid`] where the schema's rules weren't held to.
    pub fn parse(audit: &Audit) -> Result<Self, Invalid> {
        let Audit { stdout, webhook } = audit.clone();
        if !stdout && webhook.is_none() {
            return Err(Invalid {
                field: "spec.audit",
                problem: "records go nowhere".to_owned(),
                remedy: "set stdout to true or a webhook, or remove it",
            });
        }
        Ok(Self { stdout, webhook: webhook.map(ValidWebhook::parse).transpose()? })
    }

    /// The objects that it names; none where there is no audit.
    pub fn names(audit: Option<&Self>) -> Names<'_> {
        let webhook = audit.and_then(|audit| audit.webhook.as_ref());
        let (ca_secret, ca_config_map) = match webhook.map(|webhook| &webhook.ca) {
            Some(Certificates::Secret(reference)) => (Some(reference.name.as_str()), None),
            Some(Certificates::ConfigMap(reference)) => (None, Some(reference.name.as_str())),
            None => (None, None),
        };
        let token = webhook.and_then(|webhook| webhook.token.as_ref());
        Names { token: token.map(|token| token.name.as_str()), ca_secret, ca_config_map }
    }
}

impl Certificates {
    /// The key that they are under.
    pub fn key(&self) -> &str {
        match self {
            Self::ConfigMap(reference) => &reference.key,
            Self::Secret(reference) => &reference.key,
        }
    }
}

/// The objects that an audit names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// The Secret of the token.
    pub token: Option<&'a str>,
    /// The Secret of the certificates.
    pub ca_secret: Option<&'a str>,
    /// The `ConfigMap` of the certificates.
    pub ca_config_map: Option<&'a str>,
}

impl ValidWebhook {
    fn parse(webhook: AuditWebhook) -> Result<Self, Invalid> {
        let AuditWebhook {
            endpoint,
            ca_config_map_ref,
            ca_secret_ref,
            token_secret_ref,
            queue_size,
        } = webhook;
        let ca = match (ca_config_map_ref, ca_secret_ref) {
            (Some(reference), None) => Certificates::ConfigMap(reference),
            (None, Some(reference)) => Certificates::Secret(reference),
            (_, _) => {
                return Err(Invalid {
                    field: "spec.audit.webhook",
                    problem: "not exactly one set of certificates".to_owned(),
                    remedy: "set one of caConfigMapRef and caSecretRef",
                });
            }
        };
        let remote = remote(&endpoint).ok_or_else(|| Invalid {
            field: "spec.audit.webhook.endpoint",
            problem: format!("`{endpoint}` is no address of a webhook"),
            remedy: "write it as https://audit.example.com/records",
        })?;
        let queue_bytes = bytes(&queue_size)
            .filter(|bytes| (SMALLEST_QUEUE..=LARGEST_QUEUE).contains(bytes))
            .ok_or_else(|| Invalid {
                field: "spec.audit.webhook.queueSize",
                problem: "not from 1Mi to 64Gi".to_owned(),
                remedy: "choose a size in between, such as `256Mi`",
            })?;
        Ok(Self { endpoint, remote, ca, token: token_secret_ref, queue_bytes })
    }
}

/// Host and port of an `https` address.
fn remote(endpoint: &str) -> Option<(String, u16)> {
    let uri: http::Uri = endpoint.parse().ok()?;
    let authority = uri.authority()?;
    if uri.scheme_str() != Some("https") || authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host();
    let written = authority.as_str().strip_prefix(host)?;
    let port = match written.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None => 443,
    };
    Some((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

/// Why what an audit names can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditReferenceError {
    /// The Secret of the token doesn't exist.
    #[error(
        "spec.audit.webhook.tokenSecretRef: Secret `{name}` doesn't exist; create it with the token under `{key}`"
    )]
    TokenMissing {
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The Secret has no token that can be sent.
    #[error(
        "spec.audit.webhook.tokenSecretRef: Secret `{name}` has no token under `{key}`; write one of printable ASCII characters there"
    )]
    TokenInvalid {
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The object of the certificates doesn't exist.
    #[error(
        "{field}: {kind} `{name}` doesn't exist; create it with certificates as PEM text under `{key}`"
    )]
    CaMissing {
        /// The field that names it.
        field: &'static str,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The object has no certificates.
    #[error("{field}: {kind} `{name}` holds no certificates as PEM text under `{key}`; add them")]
    CaInvalid {
        /// The field that names it.
        field: &'static str,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
}

impl AuditReferenceError {
    /// Whether the object itself isn't there.
    pub const fn is_missing(&self) -> bool {
        match self {
            Self::TokenMissing { .. } | Self::CaMissing { .. } => true,
            Self::TokenInvalid { .. } | Self::CaInvalid { .. } => false,
        }
    }
}

/// Whether what an audit names is there and of use.
///
/// # Errors
/// [`AuditReferenceError`] names the field and the remedy.
pub fn check(audit: &ValidAudit, found: &Found) -> Result<(), AuditReferenceError> {
    let Some(webhook) = &audit.webhook else { return Ok(()) };
    if let Some(SecretKeyRef { name, key }) = webhook.token.clone() {
        let Some(data) = &found.audit_token else {
            return Err(AuditReferenceError::TokenMissing { name, key });
        };
        let token = value(data, &key).trim_ascii();
        if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
            return Err(AuditReferenceError::TokenInvalid { name, key });
        }
    }
    let (field, kind, name, key) = match webhook.ca.clone() {
        Certificates::ConfigMap(CertificatesRef { name, key }) => {
            (CA_CONFIG_MAP, "ConfigMap", name, key)
        }
        Certificates::Secret(SecretCertificatesRef { name, key }) => {
            (CA_SECRET, "Secret", name, key)
        }
    };
    let Some(data) = &found.audit_ca else {
        return Err(AuditReferenceError::CaMissing { field, kind, name, key });
    };
    if !are_certificates(value(data, &key)) {
        return Err(AuditReferenceError::CaInvalid { field, kind, name, key });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    use super::*;
    use crate::tenant::found::SecretData;

    fn audit(json: Value) -> ValidAudit {
        ValidAudit::parse(&serde_json::from_value(json).unwrap()).unwrap()
    }

    fn data(key: &str, value: &str) -> SecretData {
        SecretData::from([(key.to_owned(), ByteString(value.as_bytes().to_vec()))])
    }

    #[test]
    fn what_is_named_must_be_there_and_of_use() {
        let made = rcgen::generate_simple_self_signed(["audit.example.com".to_owned()]).unwrap();
        let pem = &made.cert.pem();
        let (at, token) = ("https://audit.example.com/records", json!({"name": "hook"}));
        let of_map = audit(
            json!({"webhook": {"endpoint": at, "caConfigMapRef": {"name": "roots"}, "tokenSecretRef": token}}),
        );
        let of_secret = audit(
            json!({"webhook": {"endpoint": at, "caSecretRef": {"name": "roots", "key": "root.pem"}}}),
        );
        for (name, audit, audit_token, audit_ca, expected) in [
            (
                "no token's Secret",
                &of_map,
                None,
                Some(data("ca.crt", pem)),
                "spec.audit.webhook.tokenSecretRef: Secret `hook` doesn't exist; create it with the token under `token`",
            ),
            (
                "no token",
                &of_map,
                Some(data("password", "x")),
                Some(data("ca.crt", pem)),
                "spec.audit.webhook.tokenSecretRef: Secret `hook` has no token under `token`",
            ),
            (
                "an empty token",
                &of_map,
                Some(data("token", " \n")),
                Some(data("ca.crt", pem)),
                "spec.audit.webhook.tokenSecretRef: Secret `hook` has no token under `token`",
            ),
            (
                "a token of two lines",
                &of_map,
                Some(data("token", "a\r\nX-Other: b")),
                Some(data("ca.crt", pem)),
                "spec.audit.webhook.tokenSecretRef: Secret `hook` has no token under `token`",
            ),
            (
                "no ConfigMap",
                &of_map,
                Some(data("token", "x")),
                None,
                "spec.audit.webhook.caConfigMapRef: ConfigMap `roots` doesn't exist; create it",
            ),
            (
                "no PEM",
                &of_map,
                Some(data("token", "x")),
                Some(data("ca.crt", "x")),
                "spec.audit.webhook.caConfigMapRef: ConfigMap `roots` holds no certificates as PEM text under `ca.crt`",
            ),
            (
                "no certificate",
                &of_map,
                Some(data("token", "x")),
                Some(data(
                    "ca.crt",
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                )),
                "spec.audit.webhook.caConfigMapRef: ConfigMap `roots` holds no certificates as PEM text under `ca.crt`",
            ),
            (
                "no Secret",
                &of_secret,
                None,
                None,
                "spec.audit.webhook.caSecretRef: Secret `roots` doesn't exist; create it",
            ),
            (
                "another key",
                &of_secret,
                None,
                Some(data("ca.crt", pem)),
                "spec.audit.webhook.caSecretRef: Secret `roots` holds no certificates as PEM text under `root.pem`",
            ),
        ] {
            let found = Found { audit_token, audit_ca, ..Found::default() };
            let error = check(audit, &found).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{name}: {error}");
            assert!(!error.contains("X-Other"), "{name}: {error}");
        }
        let audit_ca = Some(data("ca.crt", pem));
        let found =
            Found { audit_token: Some(data("token", "abc.def\n")), audit_ca, ..Found::default() };
        assert_eq!(check(&of_map, &found), Ok(()));
        assert_eq!(check(&audit(json!({"stdout": true})), &Found::default()), Ok(()));
    }

    #[test]
    fn a_webhook_is_where_its_address_says() {
        for (address, expected) in [
            ("https://audit.example.com", Some(("audit.example.com", 443))),
            ("https://audit.example.com:8443/a?b=c", Some(("audit.example.com", 8443))),
            ("https://[2001:db8::1]:9/", Some(("2001:db8::1", 9))),
            ("https://192.0.2.9", Some(("192.0.2.9", 443))),
            ("http://audit.example.com", None),
            ("https://audit.example.com:0", None),
            ("https://audit.example.com:70000", None),
            ("https://user:secret@audit.example.com", None),
            ("audit.example.com", None),
            ("", None),
        ] {
            let expected = expected.map(|(host, port): (&str, u16)| (host.to_owned(), port));
            assert_eq!(remote(address), expected, "{address}");
        }
    }

    #[test]
    fn a_queue_is_held_to_its_bounds() {
        let webhook = |queue: &str| json!({"endpoint": "https://a", "caSecretRef": {"name": "a"}, "queueSize": queue});
        for (queue, bytes) in [
            ("1Mi", Some(1_048_576)),
            ("2M", Some(2_000_000)),
            ("64Gi", Some(68_719_476_736)),
            ("1023Ki", None),
            ("65Gi", None),
            ("1.5Gi", None),
        ] {
            let spec = serde_json::from_value(json!({"webhook": webhook(queue)})).unwrap();
            let parsed = ValidAudit::parse(&spec).ok();
            assert_eq!(parsed.map(|it| it.webhook.unwrap().queue_bytes), bytes, "{queue}");
        }
    }

    #[test]
    fn what_no_rule_held_to_is_refused_by_its_field() {
        for (spec, field) in [
            (json!({}), "spec.audit"),
            (json!({"webhook": {"endpoint": "https://a"}}), "spec.audit.webhook"),
            (
                json!({"webhook": {"endpoint": "http://a", "caSecretRef": {"name": "a"}}}),
                "spec.audit.webhook.endpoint",
            ),
        ] {
            let refused = ValidAudit::parse(&serde_json::from_value(spec.clone()).unwrap());
            assert_eq!(refused.unwrap_err().field, field, "{spec}");
        }
    }
}
