//! Where external keys come from: the providers behind [`coffer_sse::kms::Kms`].
//!
//! Each of them bounds and repeats its calls ([`http::Limits`]), reads its credentials and its CA again when their files change, and
//! passes one suite of behaviours (`tests/kms/suite.rs`). No request uses them yet.

pub mod http;
pub mod static_key;
pub mod vault;
pub mod aws_kms;
mod file;
