//! AWS Signature V4 and V2: sign and verify, in headers, presigned, in POST forms, and in
//! chunked bodies.
//!
//! Pure: no network, no clock, no randomness. Time is an argument, keys are the
//! caller's to look up, and nothing here is logged.
//!
//! A server asks three things, in this order:
//!
//! 1. [`claim`]: what does the request say of itself? Look up that access key.
//! 2. [`verify`]: is it true? Nothing of the body has been read yet.
//! 3. [`Verified::payload`] and [`Payload::decoder`]: each piece of the body goes
//!    through the decoder, and only after its `finish` may the body be committed.
//!
//! An operation's meaning must come from the same bytes that were verified: the
//! path as sent, decoded once.
//!
//! ```
//! use bytes::Bytes;
//! use coffer_signature::{
//!     Claim, Credentials, Expected, PayloadHash, Request, SecretKey, Signer, SigningKeyCache, claim, verify,
//! };
//! use http::{HeaderMap, HeaderValue, Method};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = "2026-03-01T12:00:00Z".parse()?;
//! let secret_key = SecretKey::new("secret".to_owned());
//! let credentials = Credentials { access_key_id: "id".parse()?, secret_key, session_token: None };
//! let mut headers = HeaderMap::new();
//! headers.insert("host", HeaderValue::from_static("s3.example.com"));
//! Signer { credentials: &credentials, region: "us-east-1", service: "s3" }
//!     .sign_headers(&Method::PUT, "/bucket/key", "", &mut headers, &PayloadHash::of(b"body"), now)?;
//!
//! let request = Request { method: &Method::PUT, path: "/bucket/key", query: "", headers: &headers };
//! let Claim::Signed(claim) = claim(&request)? else { return Err("not signed".into()) };
//! let secret = Some(&credentials.secret_key); // found by `claim.access_key_id()`
//! let expected = Expected { region: "us-east-1", service: "s3", host_bucket: None };
//! let verified = verify(&claim, &request, secret, &expected, now, &SigningKeyCache::default())?;
//!
//! let mut decoder = verified.payload().decoder(Some(4));
//! let mut content = Vec::new();
//! decoder.push(Bytes::from_static(b"body"), &mut content)?;
//! decoder.finish()?; // only now may `content` be committed
//! # Ok(())
//! # }
//! ```

#![deny(clippy::wildcard_enum_match_arm, clippy::arithmetic_side_effects, clippy::as_conversions)]

use std::fmt;

mod credential;
mod scheme;
mod amz_date;
mod payload_hash;
mod claim;
pub mod canonical;
mod v4;
mod v2;
pub mod post_form;
mod refusal;

pub use crate::{
    claim::{Claim, Expected, SignedClaim, Verified, claim, verify},
    credential::{AccessKeyId, AccessKeyIdError, Credentials, Scope, SecretKey, SigningKeyCache},
    payload_hash::PayloadHash,
    refusal::Refusal,
    scheme::{Scheme, scheme},
    v2::{sign::V2Signer, text::V2_SUB_RESOURCES},
    v4::{
        chunked::{ChunkEncoder, Framing},
        payload::{Payload, PayloadDecoder, SignedChunks, Trailers, anonymous_payload},
        sign::{SignError, Signer},
    },
};

/// The parts of a request that a signature can cover.
///
/// Its `Debug` shows method and path only: the rest may hold signatures and tokens.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a http::Method,
    /// The path as sent: raw, percent-encoded.
    pub path: &'a str,
    /// The query as sent, without `?`; empty if there is none.
    pub query: &'a str,
    /// All headers. `host` must be among them: with HTTP/2 the server puts
    /// `:authority` there.
    pub headers: &'a http::HeaderMap,
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, query: _, headers: _ } = self;
        f.debug_struct("Request")
            .field("method", method)
            .field("path", path)
            .finish_non_exhaustive()
    }
}
