//! A Tenant's KMS as meant, and what it names as found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_crds::reference::{CertificatesRef, SecretRef};
use coffer_crds::tenant::kms::{
    AwsKms, AwsWebIdentity, DataKeys, Kes, Kmip, Kms, StaticKeys, Vault, VaultAppRole,
    VaultKubernetes, VaultToken,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::dereference::{SecretData, are_certificates, value};
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
    /// In AWS KMS, with the way to log in.
    AwsKms(Box<AwsKms>, AwsLogin),
    /// Behind KMIP.
    Kmip(Box<Kmip>),
    /// Behind the API of KES.
    Kes(Box<Kes>),
}

/// How the server logs in to AWS.
#[derive(Clone, Debug)]
pub enum AwsLogin {
    /// By an access key.
    Credentials(SecretRef),
    /// By the pod's `ServiceAccount`.
    WebIdentity(AwsWebIdentity),
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

/// The ports of services whose address has none.
const HTTPS: u16 = 443;
const KMIP: u16 = 5696;
/// What a Secret with a client's certificate has, as of type `kubernetes.io/tls`.
const CLIENT: [&str; 2] = ["tls.crt", "tls.key"];

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
            kmip,
            kes,
            default_key,
            auto_encrypt,
            require_encryption,
            data_keys,
        } = kms.clone();
        let provider = match (static_keys, vault, aws_kms, kmip, kes) {
            (Some(keys), None, None, None, None) => Provider::Static(keys),
            (None, Some(vault), None, None, None) => {
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
            (None, None, Some(aws), None, None) => {
                let login = match (aws.credentials_secret_ref.clone(), aws.web_identity.clone()) {
                    (Some(secret), None) => AwsLogin::Credentials(secret),
                    (None, Some(login)) => AwsLogin::WebIdentity(login),
                    (_, _) => {
                        return Err(Invalid {
                            field: "spec.kms.awsKms",
                            problem: "not exactly one way to log in".to_owned(),
                            remedy: "set one of credentialsSecretRef and webIdentity",
                        });
                    }
                };
                Provider::AwsKms(Box::new(aws), login)
            }
            (None, None, None, Some(kmip), None) => Provider::Kmip(Box::new(kmip)),
            (None, None, None, None, Some(kes)) => Provider::Kes(Box::new(kes)),
            (_, _, _, _, _) => {
                return Err(Invalid {
                    field: "spec.kms",
                    problem: "not exactly one provider".to_owned(),
                    remedy: "set one of static, vault, awsKms, kmip and kes",
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
            Self::AwsKms(_, _) => "awsKms",
            Self::Kmip(_) => "kmip",
            Self::Kes(_) => "kes",
        }
    }

    /// What a person should know of it.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Static(keys) => Some(format!(
                "for trying out: whoever may read Secret `{}` has the keys",
                keys.secret_ref.name
            )),
            Self::Vault(_, _) | Self::AwsKms(_, _) | Self::Kmip(_) | Self::Kes(_) => None,
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
            Self::Vault(_, Login::Kubernetes(_)) | Self::AwsKms(_, AwsLogin::WebIdentity(_)) => {
                None
            }
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
            Self::AwsKms(_, AwsLogin::Credentials(secret)) => Some(NamedSecret {
                field: "spec.kms.awsKms.credentialsSecretRef",
                name: &secret.name,
                keys: &["accessKey", "secretKey"],
            }),
            Self::Kmip(kmip) => Some(NamedSecret {
                field: "spec.kms.kmip.clientCertificateSecretRef",
                name: &kmip.client_certificate_secret_ref.name,
                keys: &CLIENT,
            }),
            Self::Kes(kes) => Some(NamedSecret {
                field: "spec.kms.kes.clientCertificateSecretRef",
                name: &kes.client_certificate_secret_ref.name,
                keys: &CLIENT,
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
            Self::AwsKms(aws, _) => aws
                .ca_config_map_ref
                .as_ref()
                .map(|reference| ("spec.kms.awsKms.caConfigMapRef", reference)),
            Self::Kmip(kmip) => Some(("spec.kms.kmip.caConfigMapRef", &kmip.ca_config_map_ref)),
            Self::Kes(kes) => Some(("spec.kms.kes.caConfigMapRef", &kes.ca_config_map_ref)),
        }
    }

    /// For whom the token of the pod's `ServiceAccount` is by which the server logs in; none where it logs in otherwise.
    pub fn audience(&self) -> Option<&str> {
        match self {
            Self::Vault(_, Login::Kubernetes(login)) => Some(&login.audience),
            Self::AwsKms(_, AwsLogin::WebIdentity(login)) => Some(&login.audience),
            Self::Static(_)
            | Self::Vault(_, Login::AppRole(_) | Login::Token(_))
            | Self::AwsKms(_, AwsLogin::Credentials(_))
            | Self::Kmip(_)
            | Self::Kes(_) => None,
        }
    }

    /// Hosts and ports of the services that it takes.
    pub fn remotes(&self) -> Vec<(String, u16)> {
        let addresses = match self {
            Self::Static(_) => Vec::new(),
            Self::Vault(vault, _) => vec![(vault.address.clone(), HTTPS)],
            Self::AwsKms(aws, login) => {
                let of = |service: &str, own: Option<&String>| {
                    let usual = || format!("https://{service}.{}.amazonaws.com", aws.region);
                    (own.cloned().unwrap_or_else(usual), HTTPS)
                };
                let sts = match login {
                    AwsLogin::Credentials(_) => None,
                    AwsLogin::WebIdentity(login) => Some(of("sts", login.endpoint.as_ref())),
                };
                std::iter::once(of("kms", aws.endpoint.as_ref())).chain(sts).collect()
            }
            Self::Kmip(kmip) => vec![(format!("kmip://{}", kmip.address), KMIP)],
            Self::Kes(kes) => vec![(kes.address.clone(), HTTPS)],
        };
        let remote = |(address, usual): (String, u16)| {
            let uri: http::Uri = address.parse().ok()?;
            let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
            Some((host, uri.port_u16().unwrap_or(usual)))
        };
        addresses.into_iter().filter_map(remote).collect()
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
    fn the_service_is_where_its_address_says() {
        let aws = json!({"region": "eu-west-1", "credentialsSecretRef": {"name": "aws"}});
        let web = json!({"region": "eu-west-1", "webIdentity": {"roleArn": "arn:aws:iam::123456789012:role/photos"}});
        let at = |address: &str| json!({"vault": {"address": address, "caConfigMapRef": {"name": "ca"}, "auth": {"kubernetes": {"role": "r"}}}});
        let client = json!({"address": "[2001:db8::1]", "caConfigMapRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "c"}});
        let kes = json!({"address": "https://kes:7373", "caConfigMapRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "c"}});
        for (spec, expected) in [
            (json!({"static": {"secretRef": {"name": "keys"}}}), vec![]),
            (json!({"awsKms": aws}), vec![("kms.eu-west-1.amazonaws.com", 443)]),
            (
                json!({"awsKms": web}),
                vec![("kms.eu-west-1.amazonaws.com", 443), ("sts.eu-west-1.amazonaws.com", 443)],
            ),
            (at("https://vault:8200/v"), vec![("vault", 8200)]),
            (at("https://[2001:db8::1]"), vec![("2001:db8::1", 443)]),
            (json!({"kmip": client}), vec![("2001:db8::1", 5696)]),
            (json!({"kes": kes}), vec![("kes", 7373)]),
        ] {
            let owned = |(host, port): (&str, u16)| (host.to_owned(), port);
            let expected: Vec<_> = expected.into_iter().map(owned).collect();
            assert_eq!(kms(spec.clone()).provider.remotes(), expected, "{spec}");
        }
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
