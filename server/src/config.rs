//! What the server is told at its start, by flags or by the environment. Read once.

mod audit;
mod limits;
mod kms;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::authenticate::SignatureV2;
use crate::authorize::RootS3;
pub use audit::{AuditSettings, Destination};
pub use kms::{DataKeys, Kms, Provider, VaultLogin};
pub use limits::Limits;

/// An S3 server for one tenant: TLS, Signature V4, an embedded store.
#[derive(Debug, Clone, Parser)]
#[command(name = "coffer-server", version)]
pub struct Config {
    /// Address and port to listen on.
    #[arg(long, env = "COFFER_LISTEN", default_value = "0.0.0.0:9000")]
    pub listen: SocketAddr,

    /// Unix socket of the process that holds the listening socket while this one is started anew (`coffer-listener`).
    #[arg(long, env = "COFFER_LISTENER")]
    pub listener: Option<PathBuf>,

    /// Folder that keeps the data; one process at a time.
    #[arg(long, env = "COFFER_DATA")]
    pub data: PathBuf,

    /// Folder with `tls.crt` (leaf first, then intermediates) and `tls.key`, both PEM; followed while they change.
    #[arg(long, env = "COFFER_TLS")]
    pub tls: PathBuf,

    /// Folder with the files `accessKey` and `secretKey` of the root identity; followed while they change.
    #[arg(long, env = "COFFER_ROOT_CREDENTIALS")]
    pub root_credentials: PathBuf,

    /// Folder with the file `key`: 32 random bytes in base64, by which identities and policies are sealed; and, while it is being
    /// replaced, the one before it as `previous`. Without it there is only the root identity.
    #[arg(long, env = "COFFER_IAM_KEYS")]
    pub iam_keys: Option<PathBuf>,

    /// Folder with `ca.crt`, PEM: the authority of the client certificate by which the tenant's operator is known; followed
    /// while it changes. Without it there is no control identity.
    #[arg(long, env = "COFFER_CONTROL_CA", requires = "control_name")]
    pub control_ca: Option<PathBuf>,

    /// The URI that this certificate bears: `coffer://control/NAMESPACE/NAME`.
    #[arg(long, env = "COFFER_CONTROL_NAME")]
    pub control_name: Option<String>,

    /// Region that signatures have to name.
    #[arg(long, env = "COFFER_REGION", default_value = "us-east-1")]
    pub region: String,

    /// Whether the deprecated Signature V2 is accepted beside V4.
    #[arg(long, env = "COFFER_SIGNATURE_V2", value_enum, default_value_t = SignatureV2::On)]
    pub signature_v2: SignatureV2,

    /// Whether root's keys, its own and the access keys that belong to it, are good for S3 or for the admin API alone.
    #[arg(long, env = "COFFER_ROOT_S3", value_enum, default_value_t = RootS3::On)]
    pub root_s3: RootS3,

    /// Names under which `<bucket>.<name>` reaches a bucket (virtual-host style).
    #[arg(long, env = "COFFER_DOMAINS", value_delimiter = ',')]
    pub domains: Vec<String>,

    /// Oldest TLS version that is spoken.
    #[arg(long, env = "COFFER_TLS_MIN_VERSION", value_enum, default_value_t = TlsVersion::V1_2)]
    pub tls_min_version: TlsVersion,

    /// After SIGTERM: seconds in which running requests may finish.
    #[arg(long, env = "COFFER_DRAIN_SECONDS", default_value_t = 20)]
    pub drain_seconds: u16,

    /// Bytes of free space on the data folder's file system below which writes are refused. Default: 256 MiB, or the twentieth
    /// part of a file system smaller than 5 GiB.
    #[arg(long, env = "COFFER_RESERVE_BYTES")]
    pub reserve_bytes: Option<u64>,

    /// Objects up to this many bytes are kept in the index itself.
    #[arg(long, env = "COFFER_INLINE_BYTES", default_value_t = 32 * 1024, value_parser = clap::value_parser!(u64).range(..=1024 * 1024))]
    pub inline_bytes: u64,

    /// The bounds that strangers are held to.
    #[command(flatten)]
    pub limits: Limits,

    /// Where external keys come from, and what is encrypted without being asked.
    #[command(flatten)]
    pub kms: Kms,

    /// Seconds between two looks over all objects for what protects them, which metrics and the operator are told; 0: no looks.
    #[arg(long, env = "COFFER_COVERAGE_SECONDS", default_value_t = 300)]
    pub coverage_seconds: u32,

    /// Where audit records go.
    #[command(flatten)]
    pub audit: AuditSettings,

    /// End when standard input ends: whoever started this process is gone.
    #[arg(long, env = "COFFER_EXIT_WITH_STDIN", value_parser = clap::builder::BoolishValueParser::new(), default_value = "false")]
    pub exit_with_stdin: bool,

    /// What is logged, as a `tracing` filter.
    #[arg(long, env = "COFFER_LOG", default_value = "info")]
    pub log: String,
}

impl Config {
    /// The reserve of free space in bytes, as asked for or by the size of the file system that `data` is or will be on.
    pub fn reserve(&self) -> u64 {
        const USUAL: u64 = 256 * 1024 * 1024;
        let sized = || {
            let folder = self.data.ancestors().find(|folder| folder.exists())?;
            let system = rustix::fs::statvfs(folder).ok()?;
            Some(system.f_blocks.saturating_mul(system.f_frsize) / 20)
        };
        self.reserve_bytes.unwrap_or_else(|| sized().map_or(USUAL, |part| part.min(USUAL)))
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsVersion {
    /// RFC 5246.
    #[value(name = "1.2")]
    V1_2,
    /// RFC 8446.
    #[value(name = "1.3")]
    V1_3,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Two flags of one name are one flag to a release build; this says so.
    #[test]
    fn no_two_settings_share_a_name() {
        Config::command().debug_assert();
    }
}
