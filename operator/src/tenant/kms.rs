//! A Tenant's KMS as meant, and what it names as found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_crds::reference::CertificatesRef;
use coffer_crds::tenant::kms::{
    AwsKms, DataKeys, Kms, StaticKeys, Vault, VaultAppRole, VaultKubernetes, VaultToken,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::dereference::SecretData;
use super::validate::Invalid;

/// A KMS whose every field has a meaning.
#[derive(Clone, Debug)]
pub struct ValidKms {
    /// Where the keys are.
    pub provider: Provider,
    /// The key of SSE-S3, and of SSE-KMS where none is named.
    pub default_key: Option<String>,
    /// Whether what asks for no encryption gets it.
    pub auto_encrypt: bool,
    /// Whether what would be stored plain is refused.
    pub require_encryption: bool,
    /// Whether data keys are kept in memory.
    pub data_keys: DataKeys,
}

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum Provider {
    /// In a Secret.
    Static(StaticKeys),
    /// In Vault, with the way to log in.
    Vault(Box<Vault>, Login),
    /// In AWS KMS.
    AwsKms(Box<AwsKms>),
}

/// How the server logs in to Vault.
#[derive(Clone, Debug)]
pub enum Login {
    /// By the pod's `ServiceAccount`.
    Kubernetes(VaultKubernetes),
    /// By AppRole.
    AppRole(VaultAppRole),
    /// By a token.
    Token(VaultToken),
}

/// A Secret that a KMS names, and what must be in it.
#[derive(Clone, Copy, Debug)]
pub struct NamedSecret<'a> {
    /// The field that names it.
    pub field: &'static str,
    /// Its name.
    pub name: &'a str,
    /// The keys that it must have.
    pub keys: &'static [&'static str],
}

impl ValidKms {
    /// Gives each field its meaning.
    ///
    /// # Errors
    /// [`Invalid`] where the schema's rules weren't held to.
    pub fn parse(kms: &Kms) -> Result<Self, Invalid> {
        let Kms {
            static_keys,
            vault,
            aws_kms,
            default_key,
            auto_encrypt,
            require_encryption,
            data_keys,
        } = kms.clone();
        let provider = match (static_keys, vault, aws_kms) {
            (Some(keys), None, None) => Provider::Static(keys),
            (None, Some(vault), None) => {
                let auth = vault.auth.clone();
                let login = match (auth.kubernetes, auth.app_role, auth.token) {
                    (Some(login), None, None) => Login::Kubernetes(login),
                    (None, Some(login), None) => Login::AppRole(login),
                    (None, None, Some(login)) => Login::Token(login),
                    (_, _, _) => {
                        return Err(Invalid {
                            field: "spec.kms.vault.auth",
                            problem: "not exactly one way to log in".to_owned(),
                            remedy: "set one of kubernetes, appRole and token",
                        });
                    }
                };
                Provider::Vault(Box::new(vault), login)
            }
            (None, None, Some(aws)) => Provider::AwsKms(Box::new(aws)),
            (_, _, _) => {
                return Err(Invalid {
                    field: "spec.kms",
                    problem: "not exactly one provider".to_owned(),
                    remedy: "set one of static, vault and awsKms",
                });
            }
        };
        if default_key.is_none() && (auto_encrypt || require_encryption) {
            return Err(Invalid {
                field: "spec.kms.defaultKey",
                problem: "missing, but autoEncrypt or requireEncryption needs it".to_owned(),
                remedy: "name a key of the KMS",
            });
        }
        Ok(Self { provider, default_key, auto_encrypt, require_encryption, data_keys })
    }
}

impl Provider {
    /// Its name in the spec.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::Vault(_, _) => "vault",
            Self::AwsKms(_) => "awsKms",
        }
    }

    /// What a person should know of it.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Static(keys) => Some(format!(
                "for trying out: whoever may read Secret `{}` has the keys",
                keys.secret_ref.name
            )),
            Self::Vault(_, _) | Self::AwsKms(_) => None,
        }
    }

    /// The Secret that it names.
    pub fn secret(&self) -> Option<NamedSecret<'_>> {
        match self {
            Self::Static(keys) => Some(NamedSecret {
                field: "spec.kms.static.secretRef",
                name: &keys.secret_ref.name,
                keys: &[],
            }),
            Self::Vault(_, Login::Kubernetes(_)) => None,
            Self::Vault(_, Login::AppRole(login)) => Some(NamedSecret {
                field: "spec.kms.vault.auth.appRole.secretRef",
                name: &login.secret_ref.name,
                keys: &["roleId", "secretId"],
            }),
            Self::Vault(_, Login::Token(login)) => Some(NamedSecret {
                field: "spec.kms.vault.auth.token.secretRef",
                name: &login.secret_ref.name,
                keys: &["token"],
            }),
            Self::AwsKms(aws) => Some(NamedSecret {
                field: "spec.kms.awsKms.credentialsSecretRef",
                name: &aws.credentials_secret_ref.name,
                keys: &["accessKey", "secretKey"],
            }),
        }
    }

    /// The `ConfigMap` of certificates that it names, and the field that does.
    pub fn ca(&self) -> Option<(&'static str, &CertificatesRef)> {
        match self {
            Self::Static(_) => None,
            Self::Vault(vault, _) => {
                Some(("spec.kms.vault.caConfigMapRef", &vault.ca_config_map_ref))
            }
            Self::AwsKms(aws) => aws
                .ca_config_map_ref
                .as_ref()
                .map(|reference| ("spec.kms.awsKms.caConfigMapRef", reference)),
        }
    }

    /// Host and port of the service; none where there is none.
    pub fn remote(&self) -> Option<(String, u16)> {
        let address = match self {
            Self::Static(_) => return None,
            Self::Vault(vault, _) => vault.address.clone(),
            Self::AwsKms(aws) => aws
                .endpoint
                .clone()
                .unwrap_or_else(|| format!("https://kms.{}.amazonaws.com", aws.region)),
        };
        let uri: http::Uri = address.parse().ok()?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some((host, uri.port_u16().unwrap_or(443)))
    }
}

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
            Self::KeyMissing { .. } | Self::NoKey { .. } | Self::CaInvalid { .. } => false,
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
            Provider::Vault(_, _) | Provider::AwsKms(_) => {}
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
    }
    if let Some((field, CertificatesRef { name, key })) = kms.provider.ca() {
        let (name, key) = (name.clone(), key.clone());
        let Some(data) = ca else {
            return Err(KmsReferenceError::CaMissing { field, name, key });
        };
        let pem = data.get(&key).map(|value| value.0.as_slice()).unwrap_or_default();
        let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
        if certificates.peek().is_none() || !certificates.all(|certificate| certificate.is_ok()) {
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
        (Provider::Vault(_, _) | Provider::AwsKms(_), _) => {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            format!("the keys {}", keys.join(" and "))
        }
    }
}

fn is_key(text: &[u8]) -> bool {
    STANDARD.decode(text.trim_ascii()).map(Zeroizing::new).is_ok_and(|key| key.len() == 32)
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
    fn the_service_is_where_its_address_says() {
        let aws = json!({"region": "eu-west-1", "credentialsSecretRef": {"name": "aws"}});
        let at = |address: &str| json!({"vault": {"address": address, "caConfigMapRef": {"name": "ca"}, "auth": {"kubernetes": {"role": "r"}}}});
        for (spec, expected) in [
            (json!({"static": {"secretRef": {"name": "keys"}}}), None),
            (json!({"awsKms": aws}), Some(("kms.eu-west-1.amazonaws.com", 443))),
            (at("https://vault:8200/v"), Some(("vault", 8200))),
            (at("https://[2001:db8::1]"), Some(("2001:db8::1", 443))),
        ] {
            let expected = expected.map(|(host, port): (&str, u16)| (host.to_owned(), port));
            assert_eq!(kms(spec.clone()).provider.remote(), expected, "{spec}");
        }
    }
}
