//! What `x-amz-content-sha256` says of the body.

use std::borrow::Cow;

use aws_lc_rs::digest;

use crate::{Refusal, scheme::Scheme};

/// How the body is bound to the signature: a value of `x-amz-content-sha256`.
///
/// Source: Amazon S3, Signature V4, transferring payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadHash {
    /// `UNSIGNED-PAYLOAD`: not at all; TLS must protect it.
    Unsigned,
    /// By its SHA-256.
    Sha256([u8; 32]),
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: in chunks, each signed.
    SignedChunks,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: the same, with signed trailers.
    SignedChunksTrailer,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: in unsigned chunks, with trailers.
    UnsignedChunksTrailer,
}

impl PayloadHash {
    /// The hash of `body`.
    pub fn of(body: &[u8]) -> Self {
        Self::Sha256(sha256(body))
    }

    /// Reads the header's value.
    ///
    /// # Errors
    /// [`Refusal::NotImplemented`] for the ECDSA forms, [`Refusal::InvalidArgument`]
    /// for anything else that isn't in the list above or 64 lower-case hex digits.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        match text {
            b"UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::SignedChunks),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::SignedChunksTrailer),
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::UnsignedChunksTrailer),
            b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
            | b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => Err(Refusal::NotImplemented(Scheme::V4a)),
            hash => lower_hex(hash).map(Self::Sha256).ok_or(Refusal::InvalidArgument(Cow::Borrowed(
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- form or 64 lower-case hex digits",
            ))),
        }
    }

    /// The header's value.
    pub fn as_header(&self) -> Cow<'static, str> {
        match self {
            Self::Unsigned => Cow::Borrowed("UNSIGNED-PAYLOAD"),
            Self::Sha256(hash) => Cow::Owned(hex::encode(hash)),
            Self::SignedChunks => Cow::Borrowed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            Self::SignedChunksTrailer => {
                Cow::Borrowed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
            }
            Self::UnsignedChunksTrailer => Cow::Borrowed("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        }
    }
}

/// The SHA-256 of no bytes, in hex.
pub(crate) const EMPTY_SHA256: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest_bytes(&digest::digest(&digest::SHA256, bytes))
}

pub(crate) fn digest_bytes(digest: &digest::Digest) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

/// 64 hex digits in lower case: one spelling, so that no signed byte can change.
pub(crate) fn lower_hex(text: &[u8]) -> Option<[u8; 32]> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_as_it_is_written() {
        for hash in [
            PayloadHash::Unsigned,
            PayloadHash::of(b""),
            PayloadHash::SignedChunks,
            PayloadHash::SignedChunksTrailer,
            PayloadHash::UnsignedChunksTrailer,
        ] {
            assert_eq!(PayloadHash::parse(hash.as_header().as_bytes()), Ok(hash));
        }
        assert_eq!(PayloadHash::of(b"").as_header(), EMPTY_SHA256);
    }

    #[test]
    fn other_values_are_refused_by_code() {
        for (name, text, code) in [
            ("empty", "", "InvalidArgument"),
            ("short hash", "e3b0", "InvalidArgument"),
            ("upper case", &EMPTY_SHA256.to_uppercase(), "InvalidArgument"),
            ("lower-case form", "unsigned-payload", "InvalidArgument"),
            ("asymmetric", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"),
        ] {
            assert_eq!(PayloadHash::parse(text.as_bytes()).unwrap_err().code(), code, "{name}");
        }
    }
}
