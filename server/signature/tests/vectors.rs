//! Requests that others signed, stage by stage. See `vectors/README.md`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use coffer_signature::{
    Claim, Credentials, Expected, PayloadHash, Request, SecretKey, SignedClaim, Signer,
    SigningKeyCache, canonical, claim, verify,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, EXPECT, TRANSFER_ENCODING},
};
use jiff::Timestamp;

const AT: &str = "2013-05-24T00:00:00Z";
const EXPECTED: Expected<'_> = Expected { region: "us-east-1", service: "s3", host_bucket: None };

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".parse().unwrap(),
        secret_key: SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
    }
}

/// A folder of `vectors/`.
struct Case {
    name: String,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    folder: std::path::PathBuf,
}

impl Case {
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let folders = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("request.txt").is_file());
        let cases: Vec<Self> = folders.map(|folder| Self::load(&folder)).collect();
        assert!(cases.len() > 20, "the vectors are not where they should be");
        cases
    }

    fn load(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("request.txt")).unwrap();
        let (head, rest) = text.split_once('\n').unwrap();
        let (method, target) = head.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for line in rest.lines() {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(
                HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            folder: folder.to_owned(),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn claim(&self) -> SignedClaim {
        match claim(&self.request()) {
            Ok(Claim::Signed(claim)) => claim,
            other => panic!("{}: {other:?}", self.name),
        }
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    fn canonical(&self) -> Vec<u8> {
        let claim = self.claim();
        let hash = claim.payload_hash().unwrap().as_header();
        let except = claim.expires_at().map(|_| "X-Amz-Signature");
        canonical::request(&self.request(), claim.signed_headers(), &hash, except).unwrap()
    }
}

#[test]
fn the_canonical_request_is_theirs() {
    for case in Case::all() {
        let canonical = String::from_utf8(case.canonical()).unwrap();
        assert_eq!(canonical, case.text("canonical_request.txt"), "{}", case.name);
    }
}

#[test]
fn the_string_to_sign_is_theirs() {
    for case in Case::all() {
        let text = canonical::string_to_sign(
            "20130524T000000Z",
            case.claim().scope().unwrap(),
            &case.canonical(),
        );
        assert_eq!(text, case.text("string_to_sign.txt"), "{}", case.name);
    }
}

#[test]
fn their_requests_are_verified_and_their_bodies_decoded() {
    for case in Case::all() {
        let keys = SigningKeyCache::default();
        let secret = credentials().secret_key;
        let now = AT.parse().unwrap();
        let verified = verify(&case.claim(), &case.request(), Some(&secret), &EXPECTED, now, &keys)
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", case.name));
        if let Ok(body) = fs::read(case.folder.join("body.bin")) {
            let mut decoder = verified.payload().decoder(None);
            let mut out = Vec::new();
            decoder.push(Bytes::from(body), &mut out).unwrap();
            decoder.finish().unwrap_or_else(|refusal| panic!("{}: {refusal}", case.name));
            assert!(!out.is_empty(), "{}", case.name);
        }
    }
}

#[test]
fn our_signature_is_theirs() {
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let now: Timestamp = AT.parse().unwrap();
    for case in Case::all() {
        let claim = case.claim();
        if claim.session_token().is_some() {
            continue; // signed by other credentials
        }
        let mut headers = case.headers.clone();
        // What botocore has in its header set, and does not sign.
        for name in [EXPECT, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let signature = match claim.expires_at() {
            None => {
                let covered = |name: &HeaderName| claim.signed_headers().contains(name);
                let unsigned: Vec<HeaderName> =
                    headers.keys().filter(|name| !covered(name)).cloned().collect();
                for name in unsigned {
                    headers.remove(name);
                }
                let hash = claim.payload_hash().unwrap();
                signer
                    .sign_headers(&case.method, &case.path, &case.query, &mut headers, &hash, now)
                    .unwrap();
                headers[AUTHORIZATION]
                    .to_str()
                    .unwrap()
                    .rsplit_once("Signature=")
                    .unwrap()
                    .1
                    .to_owned()
            }
            Some(end) => {
                let expires = Duration::try_from(end.duration_since(now)).unwrap();
                let query =
                    case.query.split_once("X-Amz-Algorithm").unwrap().0.trim_end_matches('&');
                let query = signer
                    .presign(&case.method, &case.path, query, &headers, expires, now)
                    .unwrap();
                assert_eq!(query, case.query, "{}", case.name);
                query.rsplit_once('=').unwrap().1.to_owned()
            }
        };
        assert_eq!(signature, case.text("signature.txt"), "{}", case.name);
    }
}

#[test]
fn chunks_and_trailers_are_theirs() {
    for name in ["aws_chunked", "aws_chunked_trailer"] {
        let case =
            Case::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name));
        let credentials = credentials();
        let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
        let now = AT.parse().unwrap();
        let hash = case.claim().payload_hash().unwrap();
        let mut headers = case.headers.clone();
        let mut encoder = signer
            .sign_headers(&case.method, &case.path, &case.query, &mut headers, &hash, now)
            .unwrap()
            .unwrap();
        let mut trailers = Vec::new();
        if hash == PayloadHash::SignedChunksTrailer {
            let text = case.text("trailers.txt");
            let (name, value) = text.trim_end().split_once(':').unwrap();
            trailers.push((name.parse().unwrap(), value.parse().unwrap()));
        }
        let body = Bytes::from(vec![b'a'; 66_560]);
        let mut wire = Vec::new();
        encoder.chunk(body.slice(..65_536), &mut wire);
        encoder.chunk(body.slice(65_536..), &mut wire);
        encoder.finish(&trailers, &mut wire);

        let wire = Bytes::from(wire.concat());
        let text = String::from_utf8_lossy(&wire);
        let signatures: Vec<&str> =
            text.split("chunk-signature=").skip(1).map(|rest| rest.get(..64).unwrap()).collect();
        assert_eq!(signatures.join("\n"), case.text("chunk_signatures.txt"), "{name}");
        if hash == PayloadHash::SignedChunksTrailer {
            let end =
                format!("x-amz-trailer-signature:{}\r\n\r\n", case.text("trailer_signature.txt"));
            assert!(text.ends_with(&end), "{name}");
        } else {
            // The length that AWS prints.
            assert_eq!(wire.len(), 66_824, "{name}");
        }

        let keys = SigningKeyCache::default();
        let verified = verify(
            &case.claim(),
            &case.request(),
            Some(&credentials.secret_key),
            &EXPECTED,
            now,
            &keys,
        )
        .unwrap();
        let mut decoder = verified.payload().decoder(None);
        let mut out = Vec::new();
        decoder.push(wire, &mut out).unwrap();
        let read = decoder.finish().unwrap();
        let read: Vec<(HeaderName, HeaderValue)> =
            read.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        assert_eq!((out.concat(), read), (body.to_vec(), trailers), "{name}");
    }
}

#[test]
fn the_life_of_a_presigned_url_is_read() {
    let case =
        Case::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/aws_presigned_get"));
    assert_eq!(case.claim().expires_at(), Some("2013-05-25T00:00:00Z".parse().unwrap()));
}

#[test]
fn sts_signs_a_hash_that_it_does_not_send() {
    let folder = "tests/vectors/sts/botocore_assume_role";
    let case = Case::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let (secret, keys) = (credentials().secret_key, SigningKeyCache::default());
    let expected = Expected { region: "us-east-1", service: "sts", host_bucket: None };
    let body = fs::read(case.folder.join("body.bin")).unwrap();
    let code = |claim: SignedClaim| {
        verify(&claim, &case.request(), Some(&secret), &expected, AT.parse().unwrap(), &keys)
            .map_or_else(|refusal| refusal.code(), |_| "OK")
    };
    let with = |body: &[u8]| match PayloadHash::of(body) {
        PayloadHash::Sha256(hash) => case.claim().with_body_sha256(hash),
        other => panic!("{other:?}"),
    };
    assert_eq!(code(with(&body)), "OK");
    assert_eq!(code(with(b"another body")), "SignatureDoesNotMatch");
    assert_eq!(code(case.claim()), "MissingSecurityHeader");
}

#[test]
fn minio_go_streams_are_verified_and_decoded() {
    for name in ["minio_go_chunked", "minio_go_chunked_trailer"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/streams");
        let case = Case::load(&root.join(name));
        let (secret, keys) = (credentials().secret_key, SigningKeyCache::default());
        let now = AT.parse().unwrap();
        let verified =
            verify(&case.claim(), &case.request(), Some(&secret), &EXPECTED, now, &keys).unwrap();
        let wire = Bytes::from(fs::read(case.folder.join("body.bin")).unwrap());
        for piece in [1, 1460, wire.len()] {
            let mut decoder = verified.payload().decoder(None);
            let mut out = Vec::new();
            let mut rest = wire.clone();
            while !rest.is_empty() {
                decoder.push(rest.split_to(piece.min(rest.len())), &mut out).unwrap();
            }
            let trailers = decoder.finish().unwrap();
            assert_eq!(out.concat(), vec![b'a'; 66_560], "{name}");
            assert_eq!(trailers.is_empty(), !name.ends_with("trailer"), "{name}");
        }
    }
}
