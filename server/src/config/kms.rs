//! Where external keys come from, and what is encrypted without being asked: the Tenant's `spec.kms`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use coffer_sse::kms::KeyName;

/// The KMS, and what it is used for.
#[derive(Debug, Clone, Default, Args)]
pub struct Kms {
    /// The service that holds the external keys. Without one there is SSE-C alone.
    #[arg(long = "kms-provider", env = "COFFER_KMS_PROVIDER", value_enum)]
    pub provider: Option<Provider>,

    /// Folder of the provider `static`: a file for each key, its name the key's, in it 32 bytes in base64. For trying out.
    #[arg(long = "kms-static", env = "COFFER_KMS_STATIC")]
    pub static_keys: Option<PathBuf>,

    /// `https://host:port` of Vault or OpenBao.
    #[arg(long = "kms-vault-address", env = "COFFER_KMS_VAULT_ADDRESS")]
    pub vault_address: Option<String>,

    /// Where Vault's Transit engine is mounted.
    #[arg(long = "kms-vault-mount", env = "COFFER_KMS_VAULT_MOUNT", default_value = "transit")]
    pub vault_mount: String,

    /// Vault's namespace, where there are some.
    #[arg(long = "kms-vault-namespace", env = "COFFER_KMS_VAULT_NAMESPACE")]
    pub vault_namespace: Option<String>,

    /// How to log in to Vault.
    #[arg(long = "kms-vault-auth", env = "COFFER_KMS_VAULT_AUTH", value_enum, default_value_t = VaultLogin::Token)]
    pub vault_auth: VaultLogin,

    /// Where that way to log in is mounted below `auth/`; `approle` and `kubernetes` by default.
    #[arg(long = "kms-vault-auth-mount", env = "COFFER_KMS_VAULT_AUTH_MOUNT")]
    pub vault_auth_mount: Option<String>,

    /// The role in Vault, for the login by `kubernetes`.
    #[arg(long = "kms-vault-role", env = "COFFER_KMS_VAULT_ROLE")]
    pub vault_role: Option<String>,

    /// The region of AWS KMS.
    #[arg(long = "kms-aws-region", env = "COFFER_KMS_AWS_REGION")]
    pub aws_region: Option<String>,

    /// `https://host:port` of another service than the region's own that speaks the protocol of AWS KMS.
    #[arg(long = "kms-aws-endpoint", env = "COFFER_KMS_AWS_ENDPOINT")]
    pub aws_endpoint: Option<String>,

    /// The role of AWS that is assumed by the token in the folder of credentials. Without one there is an access key.
    #[arg(long = "kms-aws-role-arn", env = "COFFER_KMS_AWS_ROLE_ARN")]
    pub aws_role_arn: Option<String>,

    /// `https://host:port` of another STS than the region's own.
    #[arg(long = "kms-aws-sts", env = "COFFER_KMS_AWS_STS")]
    pub aws_sts: Option<String>,

    /// `host` or `host:port` of a service that speaks KMIP 1.4.
    #[arg(long = "kms-kmip-address", env = "COFFER_KMS_KMIP_ADDRESS")]
    pub kmip_address: Option<String>,

    /// `https://host:port` of a service that speaks the HTTP API of KES.
    #[arg(long = "kms-kes-address", env = "COFFER_KMS_KES_ADDRESS")]
    pub kes_address: Option<String>,

    /// PEM file of the certificates to trust; followed while it changes. AWS KMS: the system's without one.
    #[arg(long = "kms-ca", env = "COFFER_KMS_CA")]
    pub ca: Option<PathBuf>,

    /// Folder of the credentials, followed while they change: `token`, or `roleId` and `secretId`, or `accessKey`, `secretKey` and
    /// perhaps `sessionToken`, or a client's `tls.crt` and `tls.key`.
    #[arg(long = "kms-credentials", env = "COFFER_KMS_CREDENTIALS")]
    pub credentials: Option<PathBuf>,

    /// The external key of SSE-S3, and of SSE-KMS where neither request nor bucket names one.
    #[arg(long = "kms-default-key", env = "COFFER_KMS_DEFAULT_KEY")]
    pub default_key: Option<KeyName>,

    /// Whether objects get SSE-S3 where neither request nor bucket chooses an encryption.
    #[arg(long, env = "COFFER_AUTO_ENCRYPT", value_parser = clap::builder::BoolishValueParser::new(), default_value = "false", action = clap::ArgAction::Set)]
    pub auto_encrypt: bool,

    /// Whether a write that would be stored plain is refused.
    #[arg(long, env = "COFFER_REQUIRE_ENCRYPTION", value_parser = clap::builder::BoolishValueParser::new(), default_value = "false", action = clap::ArgAction::Set)]
    pub require_encryption: bool,

    /// Whether data keys of the KMS are kept for a while.
    #[arg(long = "kms-data-keys", env = "COFFER_KMS_DATA_KEYS", value_enum, default_value_t = DataKeys::Cached)]
    pub data_keys: DataKeys,
}

/// A kind of KMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Keys in a folder.
    #[value(name = "static")]
    Static,
    /// Transit of Vault or OpenBao.
    #[value(name = "vault")]
    Vault,
    /// AWS KMS, or a service that speaks its protocol.
    #[value(name = "aws-kms")]
    AwsKms,
    /// A service that speaks KMIP 1.4.
    #[value(name = "kmip")]
    Kmip,
    /// A service that speaks the HTTP API of KES.
    #[value(name = "kes")]
    Kes,
}

/// A way to log in to Vault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum VaultLogin {
    /// By a token.
    #[default]
    #[value(name = "token")]
    Token,
    /// By AppRole.
    #[value(name = "approle")]
    AppRole,
    /// By a token of the pod's ServiceAccount.
    #[value(name = "kubernetes")]
    Kubernetes,
}

/// Whether data keys are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DataKeys {
    /// For 5 minutes and 65,536 objects at most.
    #[default]
    #[value(name = "Cached")]
    Cached,
    /// Never: each write and each read asks the KMS.
    #[value(name = "EveryRequest")]
    EveryRequest,
}
