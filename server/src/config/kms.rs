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
