//! Where audit records go.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What becomes of audit records.
#[derive(Debug, Clone, Args)]
pub struct AuditSettings {
    /// Where the audit record of each request goes.
    #[arg(long = "audit", env = "COFFER_AUDIT", value_enum, default_value_t = Destination::Off)]
    pub destination: Destination,

    /// `https` address that audit records are posted to, also or alone: lines of JSON, many at a time, each until it was taken
    /// (answered 2xx). One may come twice: `run` and `sequence` tell.
    #[arg(long = "audit-webhook", env = "COFFER_AUDIT_WEBHOOK", requires = "webhook_ca")]
    pub webhook: Option<String>,

    /// File of the CAs, PEM, that the webhook's certificate may be of; followed while it changes.
    #[arg(long = "audit-webhook-ca", env = "COFFER_AUDIT_WEBHOOK_CA")]
    pub webhook_ca: Option<PathBuf>,

    /// File with what the webhook knows this server by: it is sent as `Authorization: Bearer`; followed while it changes.
    #[arg(long = "audit-webhook-token", env = "COFFER_AUDIT_WEBHOOK_TOKEN")]
    pub webhook_token: Option<PathBuf>,

    /// Bytes of records that may wait for the webhook, in the data folder; beyond them records are lost, which the next one tells.
    #[arg(long = "audit-queue-bytes", env = "COFFER_AUDIT_QUEUE_BYTES", default_value_t = 256 * 1024 * 1024, value_parser = clap::value_parser!(u64).range(1024 * 1024..=64 * 1024 * 1024 * 1024))]
    pub queue_bytes: u64,
}

/// Where records go beside the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Destination {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
}
