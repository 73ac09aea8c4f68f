//! What encryption at rest needs: the providers of external keys, behind [`coffer_sse::kms::Kms`], and the bucket keys that requests
//! work with.
//!
//! Each provider bounds and repeats its calls ([`attempts::Limits`]), reads its credentials and its CA again when their files change, and
//! passes one suite of behaviours (`tests/kms/suite.rs`). What a request asks for, and what it gets, is in [`crate::s3::encryption`].

pub mod keys;
pub mod rotation;
pub mod coverage;
mod uploads;
mod bound;
pub mod provider;
pub mod measured;
pub mod attempts;
pub mod http;
pub mod static_key;
pub mod vault;
pub mod aws_kms;
pub mod kmip;
pub mod kes;
mod web_identity;
mod file;

use std::sync::Arc;

use keys::Keys;

/// What the server's requests have.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// The id of the data folder, which all keys are bound to.
    pub tenant: Arc<str>,
    /// `None`: no KMS is configured. SSE-C works without one.
    pub keys: Option<Arc<Keys>>,
    /// Whether what no request and no bucket chooses gets SSE-S3.
    pub automatic: bool,
    /// Whether what would be stored plain is refused.
    pub required: bool,
}
