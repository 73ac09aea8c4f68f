//! Each parser of outside bytes, fed with broken examples.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panic")]

use std::{collections::BTreeSet, fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use coffer_fuzzing::fuzz;
use coffer_signature::{
    Claim, Expected, PayloadHash, Request, SecretKey, SigningKeyCache, anonymous_payload, claim,
    post_form::{self, Fields, FormDecoder, FormLimits, PostPolicy},
    verify,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Bytes that mean something in what is read here.
const TELLING: &[u8] = b"\r\n:;=&%+-/\"\\$,0 {}[]\x00\xff";

fn folder(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// The contents of all files of a folder.
fn files(path: &str) -> Vec<Vec<u8>> {
    let paths: BTreeSet<_> =
        fs::read_dir(folder(path)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.into_iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap()).collect()
}

/// A file of this name in each folder of a folder.
fn files_named(path: &str, name: &str) -> Vec<Vec<u8>> {
    let paths: BTreeSet<_> =
        fs::read_dir(folder(path)).unwrap().map(|entry| entry.unwrap().path().join(name)).collect();
    paths.into_iter().filter_map(|path| fs::read(path).ok()).collect()
}

struct Sent {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
}

impl Sent {
    /// `METHOD path?query`, then a header a line, as in `vectors`; as far as HTTP lets it through.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = text.split(|byte| *byte == b'\n');
        let line = std::str::from_utf8(lines.next()?).ok()?;
        let (method, target) = line.split_once(' ')?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let at = line.iter().position(|byte| *byte == b':')?;
            headers.append(
                HeaderName::from_bytes(&line[..at]).ok()?,
                HeaderValue::from_bytes(&line[at + 1..]).ok()?,
            );
        }
        Some(Self {
            method: method.parse().ok()?,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
        })
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }
}

/// Reads and proves a request: by a key that signed none of the examples, so nothing may pass.
fn request(text: &[u8]) {
    let Some(sent) = Sent::parse(text) else { return };
    let request = sent.request();
    drop(anonymous_payload(&request));
    let Ok(Claim::Signed(signed)) = claim(&request) else { return };
    let expected = Expected { region: "us-east-1", service: "s3", host_bucket: Some("johnsmith") };
    let secret = SecretKey::new("nobody's".to_owned());
    let now = signed.signed_at().unwrap_or_default();
    for secret in [Some(&secret), None] {
        let keys = SigningKeyCache::default();
        assert!(verify(&signed, &request, secret, &expected, now, &keys).is_err());
    }
}

#[test]
fn requests_of_signature_v4() {
    fuzz!(
        [files_named("vectors", "request.txt"), files("corpus/requests")].concat(),
        TELLING,
        request
    );
}

#[test]
fn requests_of_signature_v2() {
    fuzz!(
        [files_named("vectors/v2", "request.txt"), files("corpus/requests")].concat(),
        TELLING,
        request
    );
}

#[test]
fn bodies_in_chunks() {
    let bodies: Vec<Vec<u8>> = ["vectors", "vectors/streams"]
        .iter()
        .flat_map(|path| files_named(path, "body.bin"))
        .filter(|body| body.len() < 4096)
        .chain([
            b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n".to_vec(),
            b"0\r\nx-amz-checksum-crc32:AAAAAA==\n\r\n\r\n".to_vec(),
        ])
        .collect();
    fuzz!(bodies, TELLING, |wire: &[u8]| {
        let mut headers = HeaderMap::new();
        let hash = PayloadHash::UnsignedChunksTrailer.as_header().into_owned();
        headers.insert("x-amz-content-sha256", hash.parse().unwrap());
        headers.insert("x-amz-decoded-content-length", HeaderValue::from_static("5"));
        headers.insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-crc32"));
        let request = Request { method: &Method::PUT, path: "/b/k", query: "", headers: &headers };
        let payload = anonymous_payload(&request).unwrap();
        let read = |size: usize| {
            let mut decoder = payload.decoder(None);
            let mut out = Vec::new();
            for piece in wire.chunks(size) {
                decoder.push(Bytes::copy_from_slice(piece), &mut out).map_err(|why| why.code())?;
            }
            decoder.finish().map(|trailers| (out.concat(), trailers)).map_err(|why| why.code())
        };
        let whole = read(wire.len().max(1));
        assert_eq!(whole.is_ok(), read(1).is_ok());
        if let Ok((content, _)) = whole {
            assert_eq!(content.len(), 5);
        }
    });
}

#[test]
fn forms() {
    fuzz!(files("corpus/forms"), TELLING, |wire: &[u8]| {
        let limits = FormLimits { fields: 4, field_bytes: 64, total_bytes: 512 };
        let read = |size: usize| {
            let mut decoder =
                FormDecoder::new(b"multipart/form-data; boundary=xyz", limits).unwrap();
            let mut out = Vec::new();
            for piece in wire.chunks(size) {
                decoder.push(Bytes::copy_from_slice(piece), &mut out).map_err(|why| why.code())?;
            }
            assert!(decoder.fields().len() <= limits.fields);
            let mut fields = decoder.fields().clone();
            fields.name_file(decoder.filename().unwrap_or_default());
            drop(post_form::claim(&fields));
            let named: Vec<_> =
                fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            decoder.finish().map(|()| (named, out.concat())).map_err(|why| why.code())
        };
        assert_eq!(read(wire.len().max(1)).ok(), read(1).ok());
    });
}

#[test]
fn content_types_of_forms() {
    let examples =
        [&b"multipart/form-data; boundary=\"a b\""[..], b"multipart/form-data;boundary=x"];
    fuzz!(examples.map(<[u8]>::to_vec), TELLING, |text: &[u8]| {
        drop(FormDecoder::new(text, FormLimits::default()));
    });
}

#[test]
fn policies() {
    let mut fields = Fields::default();
    fields.push("key", "in/k").unwrap();
    fuzz!(files("corpus/policies"), TELLING, |json: &[u8]| {
        drop(PostPolicy::parse(&String::from_utf8_lossy(json)));
        if let Ok(policy) = PostPolicy::parse(&STANDARD.encode(json)) {
            // What has expired allows nothing.
            assert!(policy.check(&fields, "b", policy.expiration()).is_err());
            drop(policy.check(&fields, "b", jiff::Timestamp::UNIX_EPOCH));
        }
    });
}
