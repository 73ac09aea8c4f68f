//! The provider that the configuration names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coffer_sse::bucket_key::Caching;
use coffer_sse::kms::{Kms, KmsError};

use super::Encryption;
use super::attempts::Limits;
use super::aws_kms::{AwsKms, AwsKmsSettings, AwsLogin};
use super::kes::{Kes, KesSettings};
use super::keys::Keys;
use super::kmip::{Kmip, KmipSettings};
use super::measured::Measured;
use super::static_key::StaticKeys;
use super::vault::{Vault, VaultAuth, VaultSettings};
use crate::config::{self, DataKeys, Provider, VaultLogin};
use crate::metrics::KmsMetrics;

/// Where systems keep the public authorities that they trust.
const SYSTEM_ROOTS: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
/// How often Vault's session is looked after: half of the shortest life that makes sense.
const SESSION: Duration = Duration::from_secs(15);

/// What requests work with, for the data folder of this id. Nothing is asked yet: a KMS that is down holds up no start.
///
/// # Errors
/// [`KmsError::Settings`] for what can't be meant together.
pub fn encryption(
    config: &config::Kms,
    tenant: String,
    metrics: &KmsMetrics,
) -> Result<Encryption, KmsError> {
    let kms = provider(config)?;
    if kms.is_none() && config.auto_encrypt {
        return Err(settings("automatic encryption needs a KMS; set COFFER_KMS_PROVIDER"));
    }
    if kms.is_none() && config.default_key.is_some() {
        return Err(settings("COFFER_KMS_DEFAULT_KEY needs a KMS; set COFFER_KMS_PROVIDER"));
    }
    if config.auto_encrypt && config.default_key.is_none() {
        return Err(settings("automatic encryption needs a key; set COFFER_KMS_DEFAULT_KEY"));
    }
    let caching = match config.data_keys {
        DataKeys::Cached => Caching::default(),
        DataKeys::EveryRequest => Caching::EveryRequest,
    };
    let keys = kms.map(|kms| {
        let kms = Arc::new(Measured::new(kms, metrics.clone()));
        Arc::new(Keys::new(kms, tenant.clone(), config.default_key.clone(), caching))
    });
    Ok(Encryption {
        tenant: tenant.into(),
        keys,
        automatic: config.auto_encrypt,
        required: config.require_encryption,
    })
}

/// What is called so, and where it is, for who asks the admin API.
pub fn place(config: &config::Kms) -> Option<(&'static str, String)> {
    Some(match config.provider? {
        Provider::Static => ("static", "127.0.0.1".to_owned()),
        Provider::Vault => ("Vault", config.vault_address.clone().unwrap_or_default()),
        Provider::AwsKms => {
            let region = config.aws_region.as_deref().unwrap_or_default();
            let usual = || AwsKms::address(region);
            ("AWS KMS", config.aws_endpoint.clone().unwrap_or_else(usual))
        }
        Provider::Kmip => ("KMIP", config.kmip_address.clone().unwrap_or_default()),
        Provider::Kes => ("KES", config.kes_address.clone().unwrap_or_default()),
    })
}

/// The KMS, if there is to be one.
fn provider(config: &config::Kms) -> Result<Option<Arc<dyn Kms>>, KmsError> {
    let Some(provider) = config.provider else { return Ok(None) };
    Ok(Some(match provider {
        Provider::Static => {
            let folder = config.static_keys.clone();
            let folder = folder.ok_or_else(|| {
                settings("the provider `static` needs a folder; set COFFER_KMS_STATIC")
            })?;
            Arc::new(StaticKeys::new(folder)?)
        }
        Provider::Vault => vault(config)?,
        Provider::AwsKms => Arc::new(AwsKms::new(AwsKmsSettings {
            region: config.aws_region.clone().ok_or_else(|| {
                settings("the provider `aws-kms` needs a region; set COFFER_KMS_AWS_REGION")
            })?,
            endpoint: config.aws_endpoint.clone(),
            ca: config.ca.clone().map_or_else(system_roots, Ok)?,
            login: aws_login(config)?,
            limits: Limits::default(),
        })?),
        Provider::Kes => Arc::new(Kes::new(KesSettings {
            address: config.kes_address.clone().ok_or_else(|| {
                settings("the provider `kes` needs an address; set COFFER_KMS_KES_ADDRESS")
            })?,
            ca: config.ca.clone().ok_or_else(|| {
                settings("the provider `kes` needs a file of certificates; set COFFER_KMS_CA")
            })?,
            credentials: credentials(config)?.to_owned(),
            limits: Limits::default(),
        })?),
        Provider::Kmip => Arc::new(Kmip::new(KmipSettings {
            address: config.kmip_address.clone().ok_or_else(|| {
                settings("the provider `kmip` needs an address; set COFFER_KMS_KMIP_ADDRESS")
            })?,
            ca: config.ca.clone().ok_or_else(|| {
                settings("the provider `kmip` needs a file of certificates; set COFFER_KMS_CA")
            })?,
            credentials: credentials(config)?.to_owned(),
            limits: Limits::default(),
        })?),
    }))
}

fn aws_login(config: &config::Kms) -> Result<AwsLogin, KmsError> {
    let folder = credentials(config)?;
    Ok(match config.aws_role_arn.clone() {
        None => AwsLogin::Files(folder.to_owned()),
        Some(role_arn) => AwsLogin::WebIdentity {
            role_arn,
            token: folder.join("token"),
            endpoint: config.aws_sts.clone(),
        },
    })
}

fn vault(config: &config::Kms) -> Result<Arc<dyn Kms>, KmsError> {
    let folder = credentials(config)?;
    let mount = |usual: &str| config.vault_auth_mount.clone().unwrap_or_else(|| usual.to_owned());
    let auth = match config.vault_auth {
        VaultLogin::Token => VaultAuth::Token { file: folder.join("token") },
        VaultLogin::AppRole => VaultAuth::AppRole {
            mount: mount("approle"),
            role_id: folder.join("roleId"),
            secret_id: folder.join("secretId"),
        },
        VaultLogin::Kubernetes => VaultAuth::Kubernetes {
            mount: mount("kubernetes"),
            role: config.vault_role.clone().ok_or_else(|| {
                settings("the login by `kubernetes` needs a role; set COFFER_KMS_VAULT_ROLE")
            })?,
            file: folder.join("token"),
        },
    };
    let vault = Vault::new(VaultSettings {
        address: config.vault_address.clone().ok_or_else(|| {
            settings("the provider `vault` needs an address; set COFFER_KMS_VAULT_ADDRESS")
        })?,
        ca: config.ca.clone().ok_or_else(|| {
            settings("the provider `vault` needs a file of certificates; set COFFER_KMS_CA")
        })?,
        mount: config.vault_mount.clone(),
        namespace: config.vault_namespace.clone().filter(|name| !name.is_empty()),
        auth,
        limits: Limits::default(),
    })?;
    let vault = Arc::new(vault);
    let kept = Arc::downgrade(&vault);
    // A token that nobody uses would end.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SESSION).await;
            let Some(vault) = kept.upgrade() else { return };
            if let Err(error) = vault.keep_session().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "no session of Vault");
            }
        }
    });
    Ok(vault)
}

fn credentials(config: &config::Kms) -> Result<&Path, KmsError> {
    config.credentials.as_deref().ok_or_else(|| {
        settings("this KMS needs a folder of credentials; set COFFER_KMS_CREDENTIALS")
    })
}

fn system_roots() -> Result<PathBuf, KmsError> {
    let found = SYSTEM_ROOTS.iter().map(PathBuf::from).find(|file| file.is_file());
    found.ok_or_else(|| {
        settings("this system has no public certificate authorities; set COFFER_KMS_CA")
    })
}

fn settings(text: &str) -> KmsError {
    KmsError::Settings(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        kms: config::Kms,
    }

    #[tokio::test]
    async fn what_cant_be_meant_ends_the_start_by_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("ca"), "no PEM").unwrap();
        let (ca, none, here) = (at("ca"), at("none"), at("."));
        for (flags, expected) in [
            (vec!["--auto-encrypt", "true"], "automatic encryption needs a KMS"),
            (vec!["--kms-default-key", "photos"], "COFFER_KMS_DEFAULT_KEY needs a KMS"),
            (vec!["--kms-provider", "static"], "set COFFER_KMS_STATIC"),
            (vec!["--kms-provider", "static", "--kms-static", &none], "can't read"),
            (
                vec!["--kms-provider", "static", "--kms-static", &here, "--auto-encrypt", "true"],
                "set COFFER_KMS_DEFAULT_KEY",
            ),
            (vec!["--kms-provider", "vault"], "set COFFER_KMS_CREDENTIALS"),
            (
                vec!["--kms-provider", "vault", "--kms-credentials", &here],
                "set COFFER_KMS_VAULT_ADDRESS",
            ),
            (
                vec![
                    "--kms-provider",
                    "vault",
                    "--kms-credentials",
                    &here,
                    "--kms-vault-address",
                    "https://vault:8200",
                ],
                "set COFFER_KMS_CA",
            ),
            (
                vec![
                    "--kms-provider",
                    "vault",
                    "--kms-credentials",
                    &here,
                    "--kms-vault-address",
                    "http://vault:8200",
                    "--kms-ca",
                    &ca,
                ],
                "is no address",
            ),
            (
                vec![
                    "--kms-provider",
                    "vault",
                    "--kms-credentials",
                    &here,
                    "--kms-vault-address",
                    "https://vault:8200",
                    "--kms-ca",
                    &ca,
                ],
                "holds no CA certificate",
            ),
            (
                vec![
                    "--kms-provider",
                    "vault",
                    "--kms-credentials",
                    &here,
                    "--kms-vault-auth",
                    "kubernetes",
                ],
                "set COFFER_KMS_VAULT_ROLE",
            ),
            (
                vec!["--kms-provider", "aws-kms", "--kms-credentials", &here],
                "set COFFER_KMS_AWS_REGION",
            ),
        ] {
            assert_told(&flags, expected);
        }
    }

    #[tokio::test]
    async fn what_a_role_or_a_clients_certificate_lacks_ends_the_start_too() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("ca"), "no PEM").unwrap();
        let (ca, here) = (at("ca"), at("."));
        for (flags, expected) in [
            (
                vec![
                    "--kms-provider",
                    "aws-kms",
                    "--kms-credentials",
                    &here,
                    "--kms-aws-region",
                    "eu-west-1",
                    "--kms-aws-role-arn",
                    "photos",
                    "--kms-ca",
                    &ca,
                ],
                "holds no CA certificate",
            ),
            (vec!["--kms-provider", "kes"], "set COFFER_KMS_KES_ADDRESS"),
            (
                vec!["--kms-provider", "kes", "--kms-kes-address", "https://kes"],
                "set COFFER_KMS_CA",
            ),
            (
                vec![
                    "--kms-provider",
                    "kes",
                    "--kms-kes-address",
                    "kes:7373",
                    "--kms-ca",
                    &ca,
                    "--kms-credentials",
                    &here,
                ],
                "is no address",
            ),
            (vec!["--kms-provider", "kmip"], "set COFFER_KMS_KMIP_ADDRESS"),
            (vec!["--kms-provider", "kmip", "--kms-kmip-address", "kmip"], "set COFFER_KMS_CA"),
            (
                vec!["--kms-provider", "kmip", "--kms-kmip-address", "kmip", "--kms-ca", &ca],
                "set COFFER_KMS_CREDENTIALS",
            ),
            (
                vec![
                    "--kms-provider",
                    "kmip",
                    "--kms-kmip-address",
                    "https://kmip",
                    "--kms-ca",
                    &ca,
                    "--kms-credentials",
                    &here,
                ],
                "is no address",
            ),
        ] {
            assert_told(&flags, expected);
        }
    }

    /// The start ends by this.
    fn assert_told(flags: &[&str], expected: &str) {
        let config = Flags::parse_from(std::iter::once("x").chain(flags.iter().copied())).kms;
        let error = encryption(&config, "t".to_owned(), &KmsMetrics::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{flags:?}: {error}");
    }
}
