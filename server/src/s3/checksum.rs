//! Checksums of content: MD5 for the ETag, and the five flexible checksums of S3, in headers and in trailing fields.
//!
//! Source: AWS S3, "Checking object integrity".

use aws_lc_rs::digest as sha;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coffer_md5::{Md5, Work};
use crc_fast::CrcAlgorithm;
use http::{HeaderMap, HeaderName};

use crate::answer::Refusal;
use crate::authenticate::Trailers;

pub use coffer_store::ChecksumAlgorithm as Algorithm;

/// Puts a checksum's value into that field of a wire document that its algorithm has.
macro_rules! tell {
    ($document:expr, $checksum:expr) => {{
        let checksum = $checksum;
        let value = Some(checksum.value.clone());
        match checksum.algorithm {
            $crate::s3::checksum::Algorithm::Crc32 => $document.checksum_crc32 = value,
            $crate::s3::checksum::Algorithm::Crc32c => $document.checksum_crc32c = value,
            $crate::s3::checksum::Algorithm::Crc64Nvme => $document.checksum_crc64nvme = value,
            $crate::s3::checksum::Algorithm::Sha1 => $document.checksum_sha1 = value,
            $crate::s3::checksum::Algorithm::Sha256 => $document.checksum_sha256 = value,
        }
    }};
}
pub(super) use tell;

/// All algorithms.
pub const ALL: [Algorithm; 5] =
    [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

/// As in headers and documents.
pub fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc32 => "CRC32",
        Algorithm::Crc32c => "CRC32C",
        Algorithm::Crc64Nvme => "CRC64NVME",
        Algorithm::Sha1 => "SHA1",
        Algorithm::Sha256 => "SHA256",
    }
}

/// The header that carries an algorithm's value.
pub fn header(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc32 => "x-amz-checksum-crc32",
        Algorithm::Crc32c => "x-amz-checksum-crc32c",
        Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Algorithm::Sha1 => "x-amz-checksum-sha1",
        Algorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

/// The algorithm of this name, in any case.
pub fn named(text: &str) -> Option<Algorithm> {
    ALL.into_iter().find(|algorithm| name(*algorithm).eq_ignore_ascii_case(text))
}

/// Bytes of a value.
fn length(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Crc32 | Algorithm::Crc32c => 4,
        Algorithm::Crc64Nvme => 8,
        Algorithm::Sha1 => 20,
        Algorithm::Sha256 => 32,
    }
}

/// The CRC behind an algorithm; a CRC's parts can be put together to the CRC of the whole.
pub fn crc(algorithm: Algorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        Algorithm::Sha1 | Algorithm::Sha256 => None,
    }
}

/// A checksum's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Whose.
    pub algorithm: Algorithm,
    /// Big-endian.
    pub bytes: Vec<u8>,
}

impl Value {
    /// As in headers and documents.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }

    /// From a header's value.
    ///
    /// # Errors
    /// `InvalidRequest` when it isn't the base64 of as many bytes as the algorithm has.
    pub fn parse(algorithm: Algorithm, text: &str) -> Result<Self, Refusal> {
        match STANDARD.decode(text.trim()) {
            Ok(bytes) if bytes.len() == length(algorithm) => Ok(Self { algorithm, bytes }),
            _ => Err(Refusal::new(
                "InvalidRequest",
                400,
                format!("Value for {} header is invalid.", header(algorithm)),
            )),
        }
    }
}

enum Running {
    Crc(Box<crc_fast::Digest>),
    Sha(sha::Context),
}

/// Digests that are computed together while content streams past.
pub struct Hashes {
    md5: Option<Md5>,
    running: Vec<(Algorithm, Running)>,
}

impl std::fmt::Debug for Hashes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.running.iter().map(|(algorithm, _)| algorithm)).finish()
    }
}

/// The digests of all that was seen.
#[derive(Debug, Clone)]
pub struct Hashed {
    /// The MD5, where it was asked for.
    pub md5: Option<[u8; 16]>,
    /// The checksums, in the order in which they were asked for.
    pub checksums: Vec<Value>,
}

impl Hashes {
    /// These checksums, without MD5.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let running = |algorithm: &Algorithm| {
            let running = match (crc(*algorithm), algorithm) {
                (Some(crc), _) => Running::Crc(Box::new(crc_fast::Digest::new(crc))),
                (None, Algorithm::Sha1) => {
                    Running::Sha(sha::Context::new(&sha::SHA1_FOR_LEGACY_USE_ONLY))
                }
                (None, _) => Running::Sha(sha::Context::new(&sha::SHA256)),
            };
            (*algorithm, running)
        };
        Self { md5: None, running: algorithms.iter().map(running).collect() }
    }

    /// The same with MD5.
    #[must_use]
    pub fn with_md5(mut self) -> Self {
        self.md5 = Some(Md5::new());
        self
    }

    /// Takes in more content.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.update_checksums(bytes);
    }

    /// Takes in more of several contents: what MD5 costs of each is far less then.
    pub fn update_all<'a>(all: impl Iterator<Item = (&'a mut Self, &'a [Bytes])>) {
        let mut work = Vec::new();
        for (hashes, pieces) in all {
            for piece in pieces {
                hashes.update_checksums(piece);
            }
            if let Some(md5) = &mut hashes.md5 {
                work.push(Work { md5, pieces });
            }
        }
        coffer_md5::update_all(&mut work);
    }

    fn update_checksums(&mut self, bytes: &[u8]) {
        for (_, running) in &mut self.running {
            match running {
                Running::Crc(digest) => digest.update(bytes),
                Running::Sha(context) => context.update(bytes),
            }
        }
    }

    /// The digests.
    pub fn finish(self) -> Hashed {
        let value = |(algorithm, running): (Algorithm, Running)| {
            let bytes = match running {
                Running::Crc(digest) => crc_bytes(algorithm, digest.finalize()),
                Running::Sha(context) => context.finish().as_ref().to_vec(),
            };
            Value { algorithm, bytes }
        };
        Hashed {
            md5: self.md5.map(Md5::finish),
            checksums: self.running.into_iter().map(value).collect(),
        }
    }
}

/// A CRC in as many big-endian bytes as it has.
fn crc_bytes(algorithm: Algorithm, crc: u64) -> Vec<u8> {
    crc.to_be_bytes().into_iter().skip(8_usize.saturating_sub(length(algorithm))).collect()
}

/// The CRC of the whole from those of its parts, each with its length in bytes; `None` for algorithms that can't.
pub fn combine(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> Option<Value> {
    let kind = crc(algorithm)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut parts = parts.iter();
    let first = number(&parts.next()?.0);
    let whole = parts.fold(first, |whole, (bytes, length)| {
        crc_fast::checksum_combine(kind, whole, number(bytes), *length)
    });
    Some(Value { algorithm, bytes: crc_bytes(algorithm, whole) })
}

/// The checksum of the parts' checksums, of which the composite checksum of an object is made.
pub fn composite(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> Option<Value> {
    let mut hashes = Hashes::new(&[algorithm]);
    for (bytes, _length) in parts {
        hashes.update(bytes);
    }
    hashes.finish().checksums.into_iter().next()
}

/// What a request says of its content's checksum.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    given: Option<Value>,
    trailing: Option<Algorithm>,
    named: Option<Algorithm>,
}

/// Reads it from the headers.
///
/// # Errors
/// `InvalidRequest` for more than one, or for a value that is none.
pub fn wanted(headers: &HeaderMap) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted::default();
    let single = || {
        Refusal::new(
            "InvalidRequest",
            400,
            "Expecting a single x-amz-checksum- header; multiple checksum types are not allowed.",
        )
    };
    for algorithm in ALL {
        let mut values = headers.get_all(header(algorithm)).iter();
        let Some(value) = values.next() else { continue };
        if wanted.given.is_some() || values.next().is_some() {
            return Err(single());
        }
        wanted.given = Some(Value::parse(algorithm, value.to_str().unwrap_or_default())?);
    }
    for value in headers.get_all("x-amz-trailer") {
        for name in value.to_str().unwrap_or_default().split(',') {
            let found = name.trim().strip_prefix("x-amz-checksum-").and_then(named);
            if let Some(algorithm) = found
                && (wanted.given.is_some() || wanted.trailing.replace(algorithm).is_some())
            {
                return Err(single());
            }
        }
    }
    let chosen = headers
        .get("x-amz-sdk-checksum-algorithm")
        .or_else(|| headers.get("x-amz-checksum-algorithm"));
    wanted.named = chosen.and_then(|name| named(name.to_str().ok()?));
    Ok(wanted)
}

impl Wanted {
    /// The algorithm that the request chose, if any.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.given.as_ref().map(|value| value.algorithm).or(self.trailing).or(self.named)
    }

    /// The algorithms that have to be computed to check it.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.algorithm().into_iter().collect()
    }

    /// Compares what was computed with what the request says: the value that the client vouches for, if it does.
    ///
    /// # Errors
    /// `BadDigest` when they differ, `InvalidRequest` when an announced trailing field is missing.
    pub fn check(&self, hashed: Hashed, trailers: &Trailers) -> Result<Option<Value>, Refusal> {
        let given = match (&self.given, self.trailing) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(algorithm)) => {
                let name = HeaderName::from_static(header(algorithm));
                let field = trailers.get().and_then(|trailers| trailers.get(&name));
                let Some(text) = field.and_then(|value| value.to_str().ok()) else {
                    return Err(Refusal::new(
                        "InvalidRequest",
                        400,
                        format!(
                            "The trailing field {} was announced but not sent.",
                            header(algorithm)
                        ),
                    ));
                };
                Some(Value::parse(algorithm, text)?)
            }
            (None, None) => None,
        };
        let Some(given) = given else { return Ok(None) };
        match hashed.checksums.into_iter().find(|value| value.algorithm == given.algorithm) {
            Some(computed) if computed == given => Ok(Some(computed)),
            _ => Err(bad_digest(name(given.algorithm))),
        }
    }
}

/// The digest that a `Content-MD5` header names.
///
/// # Errors
/// `InvalidDigest` when it isn't the base64 of 16 bytes.
pub fn md5_of(value: &[u8]) -> Result<[u8; 16], Refusal> {
    STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Refusal::new("InvalidDigest", 400, "The Content-MD5 you specified is not valid.")
    })
}

/// `400`: a digest isn't that of what was received.
pub fn bad_digest(name: &str) -> Refusal {
    Refusal::new(
        "BadDigest",
        400,
        format!("The {name} you specified did not match what we received."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the CRC catalogue and of FIPS 180 for `123456789`.
    #[test]
    fn values_are_those_of_their_standards() {
        let mut hashes = Hashes::new(&ALL).with_md5();
        hashes.update(b"1234");
        hashes.update(b"56789");
        let found = hashes.finish();
        assert_eq!(hex::encode(found.md5.unwrap()), "25f9e794323b453885f5181f1b624d0b");
        for (value, expected) in found.checksums.iter().zip([
            "cbf43926",
            "e3069283",
            "ae8b14860a799888",
            "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
        ]) {
            assert_eq!(hex::encode(&value.bytes), expected, "{}", name(value.algorithm));
        }
    }

    #[test]
    fn parts_make_the_crc_of_the_whole() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let one = |bytes: &[u8]| {
                let mut hashes = Hashes::new(&[algorithm]);
                hashes.update(bytes);
                hashes.finish().checksums.remove(0).bytes
            };
            let parts = [(one(b"12"), 2), (one(b"3456"), 4), (one(b""), 0), (one(b"789"), 3)];
            assert_eq!(
                combine(algorithm, &parts).unwrap().bytes,
                one(b"123456789"),
                "{}",
                name(algorithm)
            );
        }
        assert_eq!(combine(Algorithm::Sha256, &[(vec![0; 32], 1)]), None);
    }

    #[test]
    fn more_than_one_checksum_is_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| {
                    (HeaderName::from_static(name), http::HeaderValue::from_static(value))
                })
                .collect()
        };
        for (name, pairs, ok) in [
            ("one", vec![("x-amz-checksum-crc32", "AAAAAA==")], true),
            ("a trailing one", vec![("x-amz-trailer", "x-amz-checksum-crc32")], true),
            (
                "two",
                vec![("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32c", "AAAAAA==")],
                false,
            ),
            (
                "header and trailer",
                vec![
                    ("x-amz-checksum-crc32", "AAAAAA=="),
                    ("x-amz-trailer", "x-amz-checksum-crc32"),
                ],
                false,
            ),
            ("too short", vec![("x-amz-checksum-crc32", "AAAA")], false),
            ("not base64", vec![("x-amz-checksum-crc32", "!")], false),
        ] {
            assert_eq!(wanted(&headers(&pairs)).is_ok(), ok, "{name}");
        }
    }
}
