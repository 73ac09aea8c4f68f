//! What a KMS names, as found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_crds::reference::CertificatesRef;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{CLIENT, NamedSecret, Provider, ValidKms};
use crate::tenant::found::{SecretData, are_certificates, value};

/// Why what a KMS names can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KmsReferenceError {
    /// The Secret doesn't exist.
    #[error("{field}: Secret `{name}` doesn't exist; create it with {needs}")]
    SecretMissing {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        name: String,
        /// What must be in it.
        needs: String,
    },
    /// A key isn't in the Secret, or its value is empty.
    #[error("{field}: Secret `{name}` has no value under `{key}`; add it")]
    KeyMissing {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A value is no key.
    #[error(
        "{field}: in Secret `{name}`, `{key}` isn't 32 bytes in base64; make one by `openssl rand -base64 32`"
    )]
    NoKey {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// A client's certificate and its key are none, or don't belong together.
    #[error(
        "{field}: in Secret `{name}`, `tls.crt` isn't a certificate as PEM text, or `tls.key` isn't its key; issue both anew"
    )]
    NoClient {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        name: String,
    },
    /// The `ConfigMap` doesn't exist.
    #[error(
        "{field}: ConfigMap `{name}` doesn't exist; create it with certificates as PEM text under `{key}`"
    )]
    CaMissing {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The `ConfigMap` has no certificates.
    #[error(
        "{field}: ConfigMap `{name}` holds no certificates as PEM text under `{key}`; add them"
    )]
    CaInvalid {
        /// The field that names it.
        field: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
}

impl KmsReferenceError {
    /// Whether the object itself isn't there.
    pub const fn is_missing(&self) -> bool {
        match self {
            Self::SecretMissing { .. } | Self::CaMissing { .. } => true,
            Self::KeyMissing { .. }
            | Self::NoKey { .. }
            | Self::NoClient { .. }
            | Self::CaInvalid { .. } => false,
        }
    }
}

/// Whether what a KMS names is there and of use.
///
/// # Errors
/// [`KmsReferenceError`] names the field and the remedy.
pub fn check(
    kms: &ValidKms,
    secret: Option<&SecretData>,
    ca: Option<&SecretData>,
) -> Result<(), KmsReferenceError> {
    if let Some(named) = kms.provider.secret() {
        let NamedSecret { field, name, keys } = named;
        let name = name.to_owned();
        let Some(data) = secret else {
            let needs = needs(kms, keys);
            return Err(KmsReferenceError::SecretMissing { field, name, needs });
        };
        let mut wanted: Vec<&str> = keys.to_vec();
        match &kms.provider {
            Provider::Static(_) => wanted.extend(kms.default_key.as_deref()),
            Provider::Vault(_, _)
            | Provider::AwsKms(_, _)
            | Provider::Kmip(_)
            | Provider::Kes(_) => {}
        }
        for key in wanted {
            if data.get(key).is_none_or(|value| value.0.trim_ascii().is_empty()) {
                return Err(KmsReferenceError::KeyMissing { field, name, key: key.to_owned() });
            }
        }
        if let Provider::Static(_) = &kms.provider
            && let Some((key, _)) = data.iter().find(|(_, value)| !is_key(&value.0))
        {
            return Err(KmsReferenceError::NoKey { field, name, key: key.clone() });
        }
        if let Provider::Kmip(_) | Provider::Kes(_) = &kms.provider
            && !is_client(data)
        {
            return Err(KmsReferenceError::NoClient { field, name });
        }
    }
    if let Some((field, CertificatesRef { name, key })) = kms.provider.ca() {
        let (name, key) = (name.clone(), key.clone());
        let Some(data) = ca else {
            return Err(KmsReferenceError::CaMissing { field, name, key });
        };
        if !are_certificates(value(data, &key)) {
            return Err(KmsReferenceError::CaInvalid { field, name, key });
        }
    }
    Ok(())
}

fn needs(kms: &ValidKms, keys: &[&str]) -> String {
    match (&kms.provider, &kms.default_key) {
        (Provider::Static(_), Some(key)) => {
            format!("a key `{key}`, whose value is 32 random bytes in base64")
        }
        (Provider::Static(_), None) => {
            "a key for each external key, whose value is 32 random bytes in base64".to_owned()
        }
        (
            Provider::Vault(_, _) | Provider::AwsKms(_, _) | Provider::Kmip(_) | Provider::Kes(_),
            _,
        ) => {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            format!("the keys {}", keys.join(" and "))
        }
    }
}

fn is_key(text: &[u8]) -> bool {
    STANDARD.decode(text.trim_ascii()).map(Zeroizing::new).is_ok_and(|key| key.len() == 32)
}

/// Whether there is a certificate with its own key.
fn is_client(data: &SecretData) -> bool {
    let [certificate, key] = CLIENT.map(|name| value(data, name));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let (Ok(chain), Ok(key)) = (chain, PrivateKeyDer::from_pem_slice(key)) else { return false };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    !chain.is_empty() && rustls::sign::CertifiedKey::from_der(chain, key, &provider).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    fn kms(json: Value) -> ValidKms {
        ValidKms::parse(&serde_json::from_value(json).unwrap()).unwrap()
    }

    fn data(pairs: &[(&str, &str)]) -> SecretData {
        let pair = |(key, value): &(&str, &str)| {
            ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_is_named_must_be_there_and_of_use() {
        let good = STANDARD.encode([7; 32]);
        let keys = kms(json!({"static": {"secretRef": {"name": "keys"}}, "defaultKey": "photos"}));
        let vault = kms(json!({"vault": {
            "address": "https://vault:8200", "caConfigMapRef": {"name": "ca"},
            "auth": {"appRole": {"secretRef": {"name": "role"}}}
        }}));
        let both = data(&[("roleId", "a"), ("secretId", "b")]);
        for (name, kms, secret, ca, expected) in [
            (
                "no Secret",
                &keys,
                None,
                None,
                "spec.kms.static.secretRef: Secret `keys` doesn't exist; create it with a key `photos`",
            ),
            (
                "no default key",
                &keys,
                Some(data(&[("archive", &good)])),
                None,
                "spec.kms.static.secretRef: Secret `keys` has no value under `photos`",
            ),
            (
                "no key",
                &keys,
                Some(data(&[("photos", &good), ("b", "YWJj")])),
                None,
                "spec.kms.static.secretRef: in Secret `keys`, `b` isn't 32 bytes",
            ),
            (
                "no role",
                &vault,
                None,
                None,
                "spec.kms.vault.auth.appRole.secretRef: Secret `role` doesn't exist; create it with the keys `roleId` and `secretId`",
            ),
            (
                "half a role",
                &vault,
                Some(data(&[("roleId", "a"), ("secretId", " ")])),
                None,
                "spec.kms.vault.auth.appRole.secretRef: Secret `role` has no value under `secretId`",
            ),
            (
                "no CA",
                &vault,
                Some(both.clone()),
                None,
                "spec.kms.vault.caConfigMapRef: ConfigMap `ca` doesn't exist",
            ),
            (
                "another key",
                &vault,
                Some(both.clone()),
                Some(data(&[("ca.pem", "x")])),
                "spec.kms.vault.caConfigMapRef: ConfigMap `ca` holds no certificates",
            ),
            (
                "no PEM",
                &vault,
                Some(both),
                Some(data(&[("ca.crt", "x")])),
                "spec.kms.vault.caConfigMapRef: ConfigMap `ca` holds no certificates",
            ),
        ] {
            let error = check(kms, secret.as_ref(), ca.as_ref()).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{name}: {error}");
        }
        assert_eq!(check(&keys, Some(&data(&[("photos", &format!("{good}\n"))])), None), Ok(()));
    }

    #[test]
    fn a_clients_certificate_is_one_with_its_own_key() {
        let kmip = kms(json!({"kmip": {
            "address": "kmip:5696", "caConfigMapRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "client"}
        }}));
        let make = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let ((certificate, key), (_, other)) = (make(), make());
        let told = |certificate: &str, key: &str| {
            let secret = data(&[("tls.crt", certificate), ("tls.key", key)]);
            let ca = data(&[("ca.crt", &make().0)]);
            check(&kmip, Some(&secret), Some(&ca)).map_err(|error| error.to_string())
        };
        assert_eq!(told(&certificate, &key), Ok(()));
        let field = "spec.kms.kmip.clientCertificateSecretRef: ";
        for (name, certificate, key, expected) in [
            ("another's key", &*certificate, &*other, "in Secret `client`, `tls.crt` isn't"),
            ("no PEM", "x", &key, "in Secret `client`, `tls.crt` isn't"),
            ("no key", &certificate, "x", "in Secret `client`, `tls.crt` isn't"),
            ("the key twice", &key, &key, "in Secret `client`, `tls.crt` isn't"),
            ("nothing", &certificate, " ", "Secret `client` has no value under `tls.key`"),
        ] {
            let told = told(certificate, key).unwrap_err();
            assert!(told.starts_with(&format!("{field}{expected}")), "{name}: {told}");
        }
        let missing = check(&kmip, None, None).unwrap_err().to_string();
        let expected =
            "Secret `client` doesn't exist; create it with the keys `tls.crt` and `tls.key`";
        assert_eq!(missing, format!("{field}{expected}"));
    }
}
