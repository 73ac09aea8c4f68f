//! A Tenant's KMS as meant.

mod reference;

use coffer_crds::reference::{CertificatesRef, SecretRef};
use coffer_crds::tenant::kms::{
    AwsKms, AwsWebIdentity, DataKeys, Kes, Kmip, Kms, StaticKeys, Vault, VaultAppRole,
    VaultKubernetes, VaultToken,
};

pub use reference::{KmsReferenceError, check};

use super::invalid::Invalid;

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn kms(json: Value) -> ValidKms {
        ValidKms::parse(&serde_json::from_value(json).unwrap()).unwrap()
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
}
