//! A body in chunks: `size[;chunk-signature=…]\r\n`, bytes, `\r\n`, up to a chunk
//! of size 0, then trailers.
//!
//! Each chunk's signature covers the one before it, the first that of the request,
//! so that none can be left out, doubled or moved.
//!
//! Source: Amazon S3, Signature V4, transferring payload in multiple chunks, and
//! including trailing headers.

mod decode;
mod encode;

pub use encode::ChunkEncoder;

pub(crate) use decode::ChunkDecoder;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::{
    Refusal, Scope,
    credential::{Signature, SigningKey},
    payload_hash::{EMPTY_SHA256, sha256},
    v4::single,
};

/// The bytes that one chunk may hold.
pub(crate) const MAX_CHUNK: u64 = 16 * 1024 * 1024;
/// The trailers that a request may announce.
const MAX_TRAILERS: usize = 16;

pub(crate) const X_AMZ_DECODED_CONTENT_LENGTH: HeaderName =
    HeaderName::from_static("x-amz-decoded-content-length");
pub(crate) const X_AMZ_TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
const X_AMZ_TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// What a request's headers say of the chunks to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    decoded_length: u64,
    announced: Vec<HeaderName>,
}

impl Framing {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let length =
            single(headers, &X_AMZ_DECODED_CONTENT_LENGTH)?.filter(|text| !text.is_empty());
        let length = length.ok_or(Refusal::MissingContentLength)?;
        let digits = length.bytes().all(|byte| byte.is_ascii_digit());
        let decoded_length =
            length.parse().ok().filter(|_: &u64| digits).ok_or(Refusal::InvalidArgument(
                Cow::Borrowed("x-amz-decoded-content-length is not a number of bytes"),
            ))?;
        Ok(Self { decoded_length, announced: announced(headers)? })
    }

    /// The length of the body proper.
    pub fn decoded_length(&self) -> u64 {
        self.decoded_length
    }

    pub(crate) fn announces_trailers(&self) -> bool {
        !self.announced.is_empty()
    }
}

/// The names in `x-amz-trailer`, which may be repeated.
fn announced(headers: &HeaderMap) -> Result<Vec<HeaderName>, Refusal> {
    let malformed = |message| Refusal::MalformedTrailerError(Cow::Borrowed(message));
    let mut names = Vec::new();
    for value in headers.get_all(X_AMZ_TRAILER) {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            let name = HeaderName::from_bytes(name.trim_ascii()).map_err(
                |_cause: http::header::InvalidHeaderName| {
                    malformed("x-amz-trailer is not a list of header names, joined by `,`")
                },
            )?;
            if name == X_AMZ_TRAILER_SIGNATURE
                || names.contains(&name)
                || names.len() >= MAX_TRAILERS
            {
                return Err(malformed(
                    "x-amz-trailer names a trailer twice, too many, or the signature itself",
                ));
            }
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether trailers may follow the last chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrailerPart {
    None,
    Lines,
}

/// The signature that the next chunk's builds on, and what makes it.
#[derive(Clone, Debug)]
pub(crate) struct ChunkSeed {
    key: SigningKey,
    signed_at: String,
    scope: String,
    previous: Signature,
}

impl ChunkSeed {
    pub(crate) fn new(key: SigningKey, signed_at: &str, scope: &Scope, first: Signature) -> Self {
        Self { key, signed_at: signed_at.to_owned(), scope: scope.to_string(), previous: first }
    }

    /// The signature of the next chunk, by its bytes' hash.
    fn chunk(&self, hash: [u8; 32]) -> Signature {
        let Self { key, signed_at, scope, previous } = self;
        let (previous, hash) = (previous.hex(), hex::encode(hash));
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{signed_at}\n{scope}\n{previous}\n{EMPTY_SHA256}\n{hash}"
        );
        key.sign(text.as_bytes())
    }

    /// The signature of the trailers, as `name:value\n` each.
    fn trailers(&self, lines: &[u8]) -> Signature {
        let Self { key, signed_at, scope, previous } = self;
        let (previous, hash) = (previous.hex(), hex::encode(sha256(lines)));
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{signed_at}\n{scope}\n{previous}\n{hash}");
        key.sign(text.as_bytes())
    }

    fn follow(&mut self, signature: Signature) {
        self.previous = signature;
    }
}
