//! A body on its way in: checked while it streams, never copied.

use std::{borrow::Cow, fmt};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq;

use crate::{
    PayloadHash, Refusal, Request,
    payload_hash::digest_bytes,
    v4::{
        X_AMZ_CONTENT_SHA256,
        chunked::{ChunkDecoder, ChunkSeed, Framing, TrailerPart},
        single,
    },
};

/// How a request's body is encoded and bound to its signature.
#[derive(Clone, Debug)]
pub enum Payload {
    /// As it is, bound by nothing: it may be anything that TLS let through.
    Unsigned,
    /// As it is, with this SHA-256.
    Sha256([u8; 32]),
    /// In chunks, each signed, and trailers signed if there are any.
    SignedChunks(SignedChunks),
    /// In chunks and trailers, bound by nothing.
    UnsignedChunks(Framing),
}

/// What it takes to read signed chunks.
#[derive(Clone, Debug)]
pub struct SignedChunks {
    framing: Framing,
    seed: ChunkSeed,
    trailer: TrailerPart,
}

/// The body of a request without signature.
///
/// # Errors
/// [`Refusal::AccessDenied`] for signed chunks, which have no first signature;
/// else as for a signed request.
pub fn anonymous_payload(request: &Request<'_>) -> Result<Payload, Refusal> {
    let said = single(request.headers, &X_AMZ_CONTENT_SHA256)?
        .map(|text| PayloadHash::parse(text.as_bytes()))
        .transpose()?;
    unsigned_payload(said, request.headers)
}

/// The body of a request whose signature, if it has one, signs no chunks.
pub(crate) fn unsigned_payload(
    said: Option<PayloadHash>,
    headers: &HeaderMap,
) -> Result<Payload, Refusal> {
    match said {
        None | Some(PayloadHash::Unsigned) => Ok(Payload::Unsigned),
        Some(PayloadHash::Sha256(hash)) => Ok(Payload::Sha256(hash)),
        Some(PayloadHash::UnsignedChunksTrailer) => {
            Framing::read(headers).map(Payload::UnsignedChunks)
        }
        Some(PayloadHash::SignedChunks | PayloadHash::SignedChunksTrailer) => {
            Err(Refusal::AccessDenied(Cow::Borrowed(
                "signed chunks in a request without Signature V4; sign the request by it too",
            )))
        }
    }
}

impl Payload {
    pub(crate) fn signed(
        hash: PayloadHash,
        headers: &HeaderMap,
        seed: ChunkSeed,
    ) -> Result<Self, Refusal> {
        let chunks = |trailer| {
            let framing = Framing::read(headers)?;
            if trailer == TrailerPart::None && framing.announces_trailers() {
                return Err(Refusal::InvalidRequest(Cow::Borrowed(
                    "x-amz-trailer is set, but x-amz-content-sha256 announces none; use a form that ends in -TRAILER",
                )));
            }
            Ok(Self::SignedChunks(SignedChunks { framing, seed, trailer }))
        };
        match hash {
            PayloadHash::Unsigned => Ok(Self::Unsigned),
            PayloadHash::Sha256(hash) => Ok(Self::Sha256(hash)),
            PayloadHash::SignedChunks => chunks(TrailerPart::None),
            PayloadHash::SignedChunksTrailer => chunks(TrailerPart::Lines),
            PayloadHash::UnsignedChunksTrailer => Framing::read(headers).map(Self::UnsignedChunks),
        }
    }

    /// The length of the body proper, of a streamed one: what it must come to.
    pub fn decoded_length(&self) -> Option<u64> {
        match self {
            Self::Unsigned | Self::Sha256(_) => None,
            Self::SignedChunks(SignedChunks { framing, seed: _, trailer: _ })
            | Self::UnsignedChunks(framing) => Some(framing.decoded_length()),
        }
    }

    /// Starts to read a body.
    ///
    /// `decoded_length` is what a body that isn't streamed must come to, where it
    /// is known (its `Content-Length`). A streamed one has its own in
    /// `x-amz-decoded-content-length`, which counts instead.
    pub fn decoder(&self, decoded_length: Option<u64>) -> PayloadDecoder {
        let plain = |hash| Decoding::Plain(Plain { hash, expected: decoded_length, seen: 0 });
        let chunked = |decoder| Decoding::Chunked(Box::new(decoder));
        let decoding = match self {
            Self::Unsigned => plain(None),
            Self::Sha256(hash) => plain(Some((digest::Context::new(&digest::SHA256), *hash))),
            Self::SignedChunks(SignedChunks { framing, seed, trailer }) => {
                chunked(ChunkDecoder::new(framing.clone(), Some(seed.clone()), *trailer))
            }
            Self::UnsignedChunks(framing) => {
                chunked(ChunkDecoder::new(framing.clone(), None, TrailerPart::Lines))
            }
        };
        PayloadDecoder { decoding, failed: None }
    }
}

/// Takes a body as it arrives, gives it out as it is meant.
///
/// INVARIANT: what [`push`](Self::push) gives out is *not yet proven*: a chunk's
/// bytes leave before its signature can be checked. The body is whole and
/// authentic only when [`finish`](Self::finish) has answered `Ok`; until then
/// nothing made of it may be committed or shown. Once something was refused,
/// every later call refuses the same.
pub struct PayloadDecoder {
    decoding: Decoding,
    failed: Option<Refusal>,
}

enum Decoding {
    Plain(Plain),
    Chunked(Box<ChunkDecoder>),
}

struct Plain {
    hash: Option<(digest::Context, [u8; 32])>,
    expected: Option<u64>,
    seen: u64,
}

impl PayloadDecoder {
    /// Refuses chunks of more than `bytes`, where that is less than the 16 MiB that are refused anyway.
    #[must_use]
    pub fn with_max_chunk(mut self, bytes: u64) -> Self {
        if let Decoding::Chunked(chunked) = &mut self.decoding {
            chunked.limit(bytes);
        }
        self
    }

    /// Takes the next piece of the body, of any size, and appends to `out` what
    /// of it is content: slices of `input`, never copies.
    ///
    /// # Errors
    /// As soon as it shows: more bytes than announced, malformed chunks or
    /// trailers, a chunk's or the trailers' signature that doesn't match.
    pub fn push(&mut self, input: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if let Some(refusal) = &self.failed {
            return Err(refusal.clone());
        }
        let result = match &mut self.decoding {
            Decoding::Plain(plain) => plain.push(input, out),
            Decoding::Chunked(chunked) => chunked.push(input, out),
        };
        result.inspect_err(|refusal| self.failed = Some(refusal.clone()))
    }

    /// Says whether the body was the one that was signed and announced.
    ///
    /// # Errors
    /// [`Refusal::IncompleteBody`] if some is missing,
    /// [`Refusal::XAmzContentSHA256Mismatch`] if it is another, or what an earlier
    /// `push` refused.
    pub fn finish(self) -> Result<Trailers, Refusal> {
        if let Some(refusal) = self.failed {
            return Err(refusal);
        }
        match self.decoding {
            Decoding::Plain(plain) => plain.finish(),
            Decoding::Chunked(chunked) => chunked.finish(),
        }
    }
}

impl fmt::Debug for PayloadDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadDecoder").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Plain {
    fn push(&mut self, input: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        self.seen = self.seen.saturating_add(u64::try_from(input.len()).unwrap_or(u64::MAX));
        if self.expected.is_some_and(|expected| self.seen > expected) {
            return Err(Refusal::IncompleteBody(Cow::Borrowed("more bytes than announced")));
        }
        if let Some((hash, _)) = &mut self.hash {
            hash.update(&input);
        }
        if !input.is_empty() {
            out.push(input);
        }
        Ok(())
    }

    fn finish(self) -> Result<Trailers, Refusal> {
        if self.expected.is_some_and(|expected| self.seen != expected) {
            return Err(Refusal::IncompleteBody(Cow::Borrowed("fewer bytes than announced")));
        }
        let Some((hash, expected)) = self.hash else { return Ok(Trailers::default()) };
        if digest_bytes(&hash.finish()).ct_eq(&expected).into() {
            Ok(Trailers::default())
        } else {
            Err(Refusal::XAmzContentSHA256Mismatch)
        }
    }
}

/// What followed a streamed body: announced in `x-amz-trailer`, each once, and
/// signed if the chunks were. Their values (checksums) are the caller's to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trailers(pub(crate) Vec<(HeaderName, HeaderValue)>);

impl Trailers {
    /// A trailer's value.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All of them, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
