//! What is refused, by which code: a row per way to get it wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]
#![expect(clippy::too_many_lines, reason = "tables")]

use std::time::Duration;

use bytes::Bytes;
use coffer_signature::{
    Claim, Credentials, Expected, Payload, PayloadHash, Refusal, Request, Scheme, SecretKey,
    Signer, SigningKeyCache, Trailers, Verified, anonymous_payload, claim, verify,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};

const EXPECTED: Expected<'_> = Expected { region: "us-east-1", service: "s3" };
const SECRET: &str = "canary-secret";

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "id".parse().unwrap(),
        secret_key: SecretKey::new(SECRET.to_owned()),
        session_token: None,
    }
}

/// A request that can be bent before it is sent, after it was signed.
#[derive(Clone)]
struct Sent {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
}

impl Sent {
    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn verify_at(&self, now: Timestamp, expected: &Expected<'_>) -> Result<Verified, Refusal> {
        match claim(&self.request())? {
            Claim::Anonymous => panic!("no signature"),
            Claim::Signed(claim) => {
                let known = credentials();
                let secret =
                    (*claim.access_key_id() == known.access_key_id).then_some(&known.secret_key);
                verify(&claim, &self.request(), secret, expected, now, &SigningKeyCache::default())
            }
        }
    }

    fn code(&self) -> &'static str {
        self.code_at(now())
    }

    fn code_at(&self, now: Timestamp) -> &'static str {
        match self.verify_at(now, &EXPECTED) {
            Ok(_) => "OK",
            Err(refusal) => {
                let shown = format!("{refusal} {refusal:?}");
                let signature = self.signature();
                assert!(!shown.contains(SECRET) && !shown.contains(&signature), "{shown}");
                refusal.code()
            }
        }
    }

    fn signature(&self) -> String {
        let header = self.headers.get("authorization").and_then(|value| value.to_str().ok());
        let text = header.unwrap_or(&self.query);
        text.rsplit_once("Signature=")
            .map_or_else(|| "?".to_owned(), |(_, signature)| signature.to_owned())
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, value.parse().unwrap());
    }

    fn add(&mut self, name: &'static str, value: &str) {
        self.headers.append(name, value.parse().unwrap());
    }

    fn edit_header(&mut self, name: &'static str, from: &str, to: &str) {
        let text = self.headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert!(text.contains(from), "{text}");
        self.set(name, &text.replacen(from, to, 1));
    }

    fn edit_query(&mut self, from: &str, to: &str) {
        assert!(self.query.contains(from), "{}", self.query);
        self.query = self.query.replacen(from, to, 1);
    }
}

fn base() -> Sent {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("s3.example.com"));
    Sent { method: Method::PUT, path: "/bucket/key".to_owned(), query: "a=1".to_owned(), headers }
}

fn in_header() -> Sent {
    let mut sent = base();
    sent.set("x-amz-meta-a", "1");
    let (credentials, hash) = (credentials(), PayloadHash::of(b"body"));
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    signer
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
        .unwrap();
    sent
}

fn presigned() -> Sent {
    let mut sent = base();
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let life = Duration::from_hours(1);
    sent.query =
        signer.presign(&sent.method, &sent.path, &sent.query, &sent.headers, life, now()).unwrap();
    sent
}

type Change = fn(&mut Sent);

#[test]
fn a_header_signature_is_refused_by_code() {
    let rows: &[(&str, Change, &str)] = &[
        ("nothing changed", |_| (), "OK"),
        ("an unsigned header that isn't Amazon's", |s| s.set("user-agent", "x"), "OK"),
        ("method", |s| s.method = Method::DELETE, "SignatureDoesNotMatch"),
        ("path", |s| s.path = "/bucket/kez".to_owned(), "SignatureDoesNotMatch"),
        ("double slash", |s| s.path = "/bucket//key".to_owned(), "SignatureDoesNotMatch"),
        ("dots", |s| s.path = "/bucket/x/../key".to_owned(), "SignatureDoesNotMatch"),
        ("path decoded twice", |s| s.path = "/bucket/%256bey".to_owned(), "SignatureDoesNotMatch"),
        ("same path, other escape", |s| s.path = "/bucket/%6bey".to_owned(), "OK"),
        ("query", |s| s.query = "a=2".to_owned(), "SignatureDoesNotMatch"),
        ("query added", |s| s.query = "a=1&acl".to_owned(), "SignatureDoesNotMatch"),
        ("query doubled", |s| s.query = "a=1&a=1".to_owned(), "SignatureDoesNotMatch"),
        ("broken path", |s| s.path = "/bucket/%k".to_owned(), "InvalidURI"),
        ("broken query", |s| s.query = "a=%".to_owned(), "InvalidURI"),
        ("host", |s| s.set("host", "other.example.com"), "SignatureDoesNotMatch"),
        ("signed header changed", |s| s.set("x-amz-meta-a", "2"), "SignatureDoesNotMatch"),
        ("signed header repeated", |s| s.add("x-amz-meta-a", "1"), "SignatureDoesNotMatch"),
        ("signed header gone", |s| drop(s.headers.remove("x-amz-meta-a")), "AccessDenied"),
        ("host gone", |s| drop(s.headers.remove("host")), "AccessDenied"),
        ("unsigned acl", |s| s.set("x-amz-acl", "public-read"), "AccessDenied"),
        ("unsigned token", |s| s.set("x-amz-security-token", "t"), "AccessDenied"),
        (
            "host not in the list",
            |s| s.edit_header("authorization", "host;", ""),
            "AuthorizationHeaderMalformed",
        ),
        (
            "name twice",
            |s| s.edit_header("authorization", "host;", "host;host;"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "name in upper case",
            |s| s.edit_header("authorization", "host;", "Host;"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "empty name",
            |s| s.edit_header("authorization", "host;", "host;;"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "other hash",
            |s| s.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            "SignatureDoesNotMatch",
        ),
        ("hash twice", |s| s.add("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), "InvalidRequest"),
        ("hash of another kind", |s| s.set("x-amz-content-sha256", "none"), "InvalidArgument"),
        ("date twice", |s| s.add("x-amz-date", "20260301T120000Z"), "InvalidRequest"),
        ("date changed", |s| s.set("x-amz-date", "20260301T120001Z"), "SignatureDoesNotMatch"),
        (
            "date of another day",
            |s| s.set("x-amz-date", "20260228T235959Z"),
            "AuthorizationHeaderMalformed",
        ),
        ("date that is none", |s| s.set("x-amz-date", "yesterday"), "AccessDenied"),
        (
            "other id",
            |s| s.edit_header("authorization", "Credential=id", "Credential=ie"),
            "InvalidAccessKeyId",
        ),
        (
            "empty id",
            |s| s.edit_header("authorization", "Credential=id", "Credential="),
            "InvalidAccessKeyId",
        ),
        (
            "scope date",
            |s| s.edit_header("authorization", "/20260301/", "/20260302/"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "region",
            |s| s.edit_header("authorization", "us-east-1", "us-east-2"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "no region",
            |s| s.edit_header("authorization", "us-east-1", ""),
            "AuthorizationHeaderMalformed",
        ),
        (
            "service",
            |s| s.edit_header("authorization", "/s3/", "/sts/"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "terminator",
            |s| s.edit_header("authorization", "aws4_request", "aws5_request"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "part missing",
            |s| s.edit_header("authorization", "/s3", ""),
            "AuthorizationHeaderMalformed",
        ),
        (
            "signature in upper case",
            |s| {
                let upper = s.signature().to_uppercase();
                let lower = s.signature();
                s.edit_header("authorization", &lower, &upper);
            },
            "SignatureDoesNotMatch",
        ),
        (
            "signature cut",
            |s| {
                let text = s.headers["authorization"].to_str().unwrap().to_owned();
                s.set("authorization", text.get(..text.len() - 1).unwrap());
            },
            "SignatureDoesNotMatch",
        ),
        (
            "two headers",
            |s| {
                let text = s.headers["authorization"].to_str().unwrap().to_owned();
                s.add("authorization", &text);
            },
            "InvalidRequest",
        ),
        (
            "query signature too",
            |s| s.query = "a=1&X-Amz-Signature=00".to_owned(),
            "InvalidRequest",
        ),
        (
            "query credential too",
            |s| s.query = "a=1&x-amz-credential=00".to_owned(),
            "InvalidRequest",
        ),
        (
            "query token too",
            |s| s.query = "a=1&X-Amz-Security-Token=t".to_owned(),
            "InvalidRequest",
        ),
    ];
    for (name, change, expected) in rows {
        let mut sent = in_header();
        change(&mut sent);
        assert_eq!(sent.code(), *expected, "{name}");
    }
}

#[test]
fn a_presigned_signature_is_refused_by_code() {
    let malformed = "AuthorizationQueryParametersError";
    let rows: &[(&str, Change, &str)] = &[
        ("nothing changed", |_| (), "OK"),
        ("method", |s| s.method = Method::DELETE, "SignatureDoesNotMatch"),
        ("path", |s| s.path = "/bucket/kez".to_owned(), "SignatureDoesNotMatch"),
        ("query added", |s| s.query += "&acl", "SignatureDoesNotMatch"),
        ("host", |s| s.set("host", "other.example.com"), "SignatureDoesNotMatch"),
        ("unsigned content type", |s| s.set("content-type", "text/plain"), "OK"),
        ("unsigned acl", |s| s.set("x-amz-acl", "public-read"), "AccessDenied"),
        ("unsigned tags", |s| s.set("x-amz-tagging", "a=b"), "AccessDenied"),
        ("unsigned metadata", |s| s.set("x-amz-meta-a", "b"), "AccessDenied"),
        (
            "unsigned encryption",
            |s| s.set("x-amz-server-side-encryption", "AES256"),
            "AccessDenied",
        ),
        ("unsigned lock", |s| s.set("x-amz-object-lock-mode", "COMPLIANCE"), "AccessDenied"),
        ("unsigned source", |s| s.set("x-amz-copy-source", "/other/key"), "AccessDenied"),
        ("unsigned token", |s| s.set("x-amz-security-token", "t"), "AccessDenied"),
        ("unsigned hash", |s| s.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), "AccessDenied"),
        (
            "another hash",
            |s| s.set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            "AccessDenied",
        ),
        ("another date in a header", |s| s.set("x-amz-date", "20260301T120001Z"), "AccessDenied"),
        ("token added", |s| s.query += "&X-Amz-Security-Token=t", "SignatureDoesNotMatch"),
        ("signature twice", |s| s.query += "&X-Amz-Signature=00", malformed),
        ("expires twice", |s| s.query += "&X-Amz-Expires=3600", malformed),
        ("expires twice, encoded", |s| s.query += "&X%2DAmz-Expires=3600", malformed),
        ("expires twice, lower case", |s| s.query += "&x-amz-expires=3600", malformed),
        ("longer life", |s| s.edit_query("Expires=3600", "Expires=3601"), "SignatureDoesNotMatch"),
        ("life too long", |s| s.edit_query("Expires=3600", "Expires=604801"), malformed),
        ("life of nothing", |s| s.edit_query("Expires=3600", "Expires=0"), malformed),
        ("life below nothing", |s| s.edit_query("Expires=3600", "Expires=-1"), malformed),
        ("life beyond numbers", |s| s.edit_query("Expires=3600", "Expires=1e20"), malformed),
        ("no life", |s| s.edit_query("&X-Amz-Expires=3600", ""), malformed),
        ("no algorithm", |s| s.edit_query("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), malformed),
        ("other algorithm", |s| s.edit_query("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), malformed),
        ("no date", |s| s.edit_query("X-Amz-Date=20260301T120000Z&", ""), malformed),
        ("date that is none", |s| s.edit_query("20260301T120000Z", "20260301"), malformed),
        ("no names", |s| s.edit_query("&X-Amz-SignedHeaders=host", ""), malformed),
        (
            "names without host",
            |s| s.edit_query("SignedHeaders=host", "SignedHeaders=range"),
            malformed,
        ),
        ("region", |s| s.edit_query("us-east-1", "us-east-2"), malformed),
        ("service", |s| s.edit_query("%2Fs3%2F", "%2Fsts%2F"), malformed),
        ("scope date", |s| s.edit_query("%2F20260301%2F", "%2F20260302%2F"), malformed),
        ("only the credential", |s| s.query = "X-Amz-Credential=id".to_owned(), malformed),
        ("v2 too", |s| s.query += "&AWSAccessKeyId=id", "InvalidRequest"),
    ];
    for (name, change, expected) in rows {
        let mut sent = presigned();
        change(&mut sent);
        assert_eq!(sent.code(), *expected, "{name}");
    }
}

#[test]
fn times_outside_their_window_are_refused() {
    let minutes = |minutes| now() + SignedDuration::from_mins(minutes);
    let second = SignedDuration::from_secs(1);
    for (name, sent, at, expected) in [
        ("header, 15 minutes late", in_header(), minutes(15), "OK"),
        ("header, later", in_header(), minutes(15) + second, "RequestTimeTooSkewed"),
        ("header, 15 minutes early", in_header(), minutes(-15), "OK"),
        ("header, earlier", in_header(), minutes(-15) - second, "RequestTimeTooSkewed"),
        ("presigned, its last second", presigned(), minutes(60), "OK"),
        ("presigned, expired", presigned(), minutes(60) + second, "AccessDenied"),
        ("presigned, 15 minutes early", presigned(), minutes(-15), "OK"),
        ("presigned, earlier", presigned(), minutes(-15) - second, "AccessDenied"),
    ] {
        assert_eq!(sent.code_at(at), expected, "{name}");
    }
}

#[test]
fn a_wrong_region_is_answered_with_the_right_one() {
    for sent in [in_header(), presigned()] {
        let refusal =
            sent.verify_at(now(), &Expected { region: "eu-central-1", service: "s3" }).unwrap_err();
        assert_eq!((refusal.status(), refusal.expected_region()), (400, Some("eu-central-1")));
        let refusal =
            sent.verify_at(now(), &Expected { region: "us-east-1", service: "sts" }).unwrap_err();
        assert_eq!((refusal.status(), refusal.expected_region()), (400, None));
    }
}

#[test]
fn a_signature_is_not_good_at_another_service() {
    // Even one that was honestly made with the same key: the scope is signed.
    let mut sent = base();
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "sts" };
    let hash = PayloadHash::of(b"");
    signer
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
        .unwrap();
    assert_eq!(sent.code(), "AuthorizationHeaderMalformed");
    sent.edit_header("authorization", "/sts/", "/s3/");
    assert_eq!(sent.code(), "SignatureDoesNotMatch");
}

#[test]
fn an_unknown_key_is_refused_only_after_the_same_checks() {
    for (name, sent, at, expected) in [
        ("in time", in_header(), now(), "InvalidAccessKeyId"),
        ("too late", in_header(), now() + SignedDuration::from_hours(1), "RequestTimeTooSkewed"),
        ("presigned", presigned(), now(), "InvalidAccessKeyId"),
    ] {
        let Claim::Signed(claim) = claim(&sent.request()).unwrap() else { panic!("{name}") };
        let keys = SigningKeyCache::default();
        let refusal = verify(&claim, &sent.request(), None, &EXPECTED, at, &keys).unwrap_err();
        assert_eq!(refusal.code(), expected, "{name}");
    }
}

#[test]
fn a_rotated_secret_opens_nothing_from_the_cache() {
    let sent = in_header();
    let Claim::Signed(claim) = claim(&sent.request()).unwrap() else { panic!("no signature") };
    let keys = SigningKeyCache::default();
    let with = |secret: &str| {
        let secret = SecretKey::new(secret.to_owned());
        verify(&claim, &sent.request(), Some(&secret), &EXPECTED, now(), &keys).map(drop)
    };
    assert_eq!(with(SECRET), Ok(()));
    assert_eq!(with("rotated"), Err(Refusal::SignatureDoesNotMatch));
    assert_eq!(with(SECRET), Ok(()));
}

#[test]
fn s3_wants_the_bodys_hash_and_sts_may_compute_it() {
    let mut sent = in_header();
    sent.headers.remove("x-amz-content-sha256");
    assert_eq!(sent.code(), "MissingSecurityHeader");
    let Claim::Signed(claim) = claim(&sent.request()).unwrap() else { panic!("no signature") };
    // The name is still in SignedHeaders, so it is refused for its absence now.
    let claim = claim.with_body_sha256([0; 32]);
    let keys = SigningKeyCache::default();
    let secret = credentials().secret_key;
    let refusal =
        verify(&claim, &sent.request(), Some(&secret), &EXPECTED, now(), &keys).unwrap_err();
    assert_eq!(refusal.code(), "AccessDenied");
}

#[test]
fn other_forms_are_refused_by_name() {
    for (name, query, headers, expected) in [
        ("v2 header", "", vec![("authorization", "AWS id:c2ln")], Scheme::V2Header),
        ("v2 query", "AWSAccessKeyId=id&Signature=x&Expires=1", vec![], Scheme::V2Presigned),
        ("v4a", "", vec![("authorization", "AWS4-ECDSA-P256-SHA256 Credential=id")], Scheme::V4a),
        ("form", "", vec![("content-type", "multipart/form-data; boundary=b")], Scheme::PostForm),
    ] {
        let mut sent = Sent { method: Method::POST, query: query.to_owned(), ..base() };
        for (name, value) in headers {
            sent.set(name, value);
        }
        let refusal = claim(&sent.request()).map(drop).unwrap_err();
        assert_eq!(refusal, Refusal::NotImplemented(expected), "{name}");
        assert_eq!(refusal.status(), 501, "{name}");
    }
}

/// Signed in the given form, with what the chunks' headers say.
fn streamed(
    hash: PayloadHash,
    length: &str,
    trailer: Option<&str>,
    body: &[&'static [u8]],
) -> (Sent, Vec<Bytes>) {
    let mut sent = base();
    sent.set("x-amz-decoded-content-length", length);
    let mut trailers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    if let Some(name) = trailer {
        sent.set("x-amz-trailer", name);
        trailers.push((name.parse().unwrap(), "AAAA".parse().unwrap()));
    }
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let mut encoder = signer
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
        .unwrap()
        .unwrap();
    let mut chunks = Vec::new();
    for chunk in body {
        let mut out = Vec::new();
        encoder.chunk(Bytes::from_static(chunk), &mut out);
        chunks.push(Bytes::from(out.concat()));
    }
    let mut out = Vec::new();
    encoder.finish(&trailers, &mut out);
    chunks.extend(out);
    (sent, chunks)
}

fn read(payload: &Payload, wire: &[u8]) -> Result<(Vec<u8>, Trailers), Refusal> {
    let mut decoder = payload.decoder(None);
    let mut out = Vec::new();
    decoder.push(Bytes::copy_from_slice(wire), &mut out)?;
    decoder.finish().map(|trailers| (out.concat(), trailers))
}

#[test]
fn chunked_bodies_are_refused_by_code() {
    let (sent, chunks) = streamed(PayloadHash::SignedChunks, "11", None, &[b"hello ", b"world"]);
    let verified = sent.verify_at(now(), &EXPECTED).unwrap();
    let [one, two, zero, end] = chunks.as_slice() else { panic!("{chunks:?}") };
    let join = |parts: &[&[u8]]| parts.concat();
    let edit = |from: &str, to: &str| {
        let wire = String::from_utf8(chunks.concat()).unwrap();
        assert!(wire.contains(from), "{wire}");
        wire.replacen(from, to, 1).into_bytes()
    };
    let zeros = "0".repeat(1024);
    for (name, wire, expected) in [
        ("whole", chunks.concat(), "OK"),
        ("swapped", join(&[two, one, zero, end]), "SignatureDoesNotMatch"),
        ("doubled", join(&[one, one, two, zero, end]), "IncompleteBody"),
        ("left out", join(&[two, zero, end]), "SignatureDoesNotMatch"),
        ("no end", join(&[one, two]), "IncompleteBody"),
        ("no last line", join(&[one, two, zero]), "IncompleteBody"),
        ("half a last line", join(&[one, two, zero, b"\r"]), "IncompleteBody"),
        ("cut in a chunk", join(&[one, two.get(..90).unwrap()]), "IncompleteBody"),
        ("nothing", Vec::new(), "IncompleteBody"),
        ("fewer bytes", join(&[one, zero, end]), "SignatureDoesNotMatch"),
        ("bytes after the end", join(&[one, two, zero, end, b"x"]), "IncompleteBody"),
        ("chunk after the end", join(&[one, two, zero, end, one]), "IncompleteBody"),
        ("byte changed", edit("hello", "hellO"), "SignatureDoesNotMatch"),
        ("size too large", edit("6;", "b;"), "SignatureDoesNotMatch"),
        ("size too small", edit("6;", "5;"), "SignatureDoesNotMatch"),
        ("more than announced", edit("6;", "c;"), "IncompleteBody"),
        ("size of 64 bits", edit("6;", "ffffffffffffffff;"), "InvalidRequest"),
        ("size beyond 64 bits", edit("6;", "10000000000000000;"), "InvalidRequest"),
        ("size above 16 MiB", edit("6;", "1000001;"), "InvalidRequest"),
        ("negative size", edit("6;", "-1;"), "InvalidRequest"),
        ("size with a sign", edit("6;", "+6;"), "InvalidRequest"),
        ("size with a prefix", edit("6;", "0x6;"), "InvalidRequest"),
        ("size with a blank", edit("6;", "6 ;"), "InvalidRequest"),
        ("no size", edit("6;", ";"), "InvalidRequest"),
        ("1 KiB of zeros", edit("6;", &format!("{zeros}6;")), "InvalidRequest"),
        ("seventeen digits", edit("6;", "00000000000000006;"), "InvalidRequest"),
        ("no signature", edit("6;chunk-signature=", "6;"), "InvalidRequest"),
        (
            "another extension",
            edit("6;chunk-signature=", "6;a=b;chunk-signature="),
            "InvalidRequest",
        ),
        ("bare LF after a head", edit("\r\nhello", "\nhello"), "InvalidRequest"),
        ("no CRLF after a chunk", edit("hello \r\n", "hello "), "InvalidRequest"),
        ("LF after a chunk", edit("hello \r\n", "hello \n"), "InvalidRequest"),
        ("more than CRLF after a chunk", edit("hello \r\n", "hello !\r\n"), "InvalidRequest"),
    ] {
        let code = read(verified.payload(), &wire).map_or_else(|refusal| refusal.code(), |_| "OK");
        assert_eq!(code, expected, "{name}");
    }
}

#[test]
fn trailers_are_refused_by_code() {
    let bad = "MalformedTrailerError";
    let name = "x-amz-checksum-crc32";
    let line = "x-amz-checksum-crc32:AAAA\r\n";
    for hash in [PayloadHash::SignedChunksTrailer, PayloadHash::UnsignedChunksTrailer] {
        let signed = hash == PayloadHash::SignedChunksTrailer;
        let by_signature = if signed { "SignatureDoesNotMatch" } else { "OK" };
        let (sent, chunks) = streamed(hash, "11", Some(name), &[b"hello ", b"world"]);
        let verified = sent.verify_at(now(), &EXPECTED).unwrap();
        let wire = String::from_utf8(chunks.concat()).unwrap();
        let edit = |from: &str, to: &str| {
            assert!(wire.contains(from), "{wire}");
            wire.replacen(from, to, 1)
        };
        let long = format!("{name}:{}\r\n", "A".repeat(2048));
        for (row, wire, expected) in [
            ("whole", wire.clone(), "OK"),
            ("spaced", edit(line, "X-Amz-Checksum-CRC32: AAAA \r\n"), "OK"),
            ("line ended as minio-go does", edit(line, "x-amz-checksum-crc32:AAAA\n"), "OK"),
            ("value changed", edit("AAAA", "AAAB"), by_signature),
            ("left out", edit(line, ""), bad),
            ("twice", edit(line, &line.repeat(2)), bad),
            ("not announced", edit(line, &format!("{line}x-amz-acl:public-read\r\n")), bad),
            ("renamed", edit(name, "x-amz-checksum-sha1"), bad),
            ("no colon", edit(line, "x-amz-checksum-crc32\r\n"), bad),
            ("no name", edit(line, ":AAAA\r\n"), bad),
            ("too long", edit(line, &long), bad),
            ("no end", wire.trim_end().to_owned(), "IncompleteBody"),
            ("bytes after the end", format!("{wire}x"), "IncompleteBody"),
        ] {
            let code = read(verified.payload(), wire.as_bytes())
                .map_or_else(|refusal| refusal.code(), |_| "OK");
            assert_eq!(code, expected, "{row}, {hash:?}");
        }
        if signed {
            let at = wire.find("x-amz-trailer-signature").unwrap();
            let unsigned = format!("{}\r\n", wire.get(..at).unwrap());
            assert_eq!(
                read(verified.payload(), unsigned.as_bytes()).unwrap_err().code(),
                "IncompleteBody"
            );
            let unsigned = format!("{unsigned}\r\n");
            assert_eq!(read(verified.payload(), unsigned.as_bytes()).unwrap_err().code(), bad);
            let line_before = edit("x-amz-trailer-signature", "\r\nx-amz-trailer-signature");
            assert!(read(verified.payload(), line_before.as_bytes()).is_ok());
        } else {
            let signed =
                edit(line, &format!("{line}x-amz-trailer-signature:{}\r\n", "0".repeat(64)));
            assert_eq!(read(verified.payload(), signed.as_bytes()).unwrap_err().code(), bad);
        }
        let (_, trailers) = read(verified.payload(), wire.as_bytes()).unwrap();
        assert_eq!(trailers.get(&name.parse().unwrap()).unwrap(), "AAAA");
    }
}

#[test]
fn what_streamed_bodies_need_is_asked_before_the_body() {
    for (name, length, trailer, hash, expected) in [
        ("length", "11", None, PayloadHash::SignedChunks, "OK"),
        ("no length", "", None, PayloadHash::SignedChunks, "MissingContentLength"),
        ("negative", "-1", None, PayloadHash::SignedChunks, "InvalidArgument"),
        ("with a sign", "+11", None, PayloadHash::UnsignedChunksTrailer, "InvalidArgument"),
        (
            "beyond 64 bits",
            "18446744073709551616",
            None,
            PayloadHash::SignedChunks,
            "InvalidArgument",
        ),
        ("two lengths", "11, 11", None, PayloadHash::SignedChunks, "InvalidArgument"),
        (
            "trailers in a form without",
            "11",
            Some("x-amz-checksum-crc32"),
            PayloadHash::SignedChunks,
            "InvalidRequest",
        ),
    ] {
        let (sent, _) = streamed(hash, length, trailer, &[]);
        assert_eq!(sent.code(), expected, "{name}");
    }
    for (name, trailer, expected) in [
        ("two", "x-amz-checksum-crc32, x-amz-checksum-sha1", "OK"),
        ("one twice", "x-amz-checksum-crc32,X-Amz-Checksum-Crc32", "MalformedTrailerError"),
        ("the signature", "x-amz-trailer-signature", "MalformedTrailerError"),
        ("no name", "x-amz-checksum-crc32,", "MalformedTrailerError"),
        ("too many", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "MalformedTrailerError"),
    ] {
        let mut sent = base();
        sent.set("x-amz-decoded-content-length", "11");
        sent.set("x-amz-trailer", trailer);
        let (credentials, hash) = (credentials(), PayloadHash::UnsignedChunksTrailer);
        let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
        signer
            .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
            .unwrap();
        assert_eq!(sent.code(), expected, "{name}");
    }
}

#[test]
fn plain_bodies_are_refused_by_code() {
    for (name, payload, length, body, expected) in [
        ("signed", Payload::Sha256(hash(b"body")), Some(4), "body", "OK"),
        ("signed, length unknown", Payload::Sha256(hash(b"body")), None, "body", "OK"),
        ("changed", Payload::Sha256(hash(b"body")), Some(4), "bodY", "XAmzContentSHA256Mismatch"),
        ("cut", Payload::Sha256(hash(b"body")), Some(4), "bod", "IncompleteBody"),
        (
            "cut, length unknown",
            Payload::Sha256(hash(b"body")),
            None,
            "bod",
            "XAmzContentSHA256Mismatch",
        ),
        ("longer", Payload::Sha256(hash(b"body")), Some(4), "bodyy", "IncompleteBody"),
        (
            "body where none was signed",
            Payload::Sha256(hash(b"")),
            None,
            "body",
            "XAmzContentSHA256Mismatch",
        ),
        ("unsigned", Payload::Unsigned, Some(4), "bodY", "OK"),
        ("unsigned, cut", Payload::Unsigned, Some(4), "bod", "IncompleteBody"),
        ("unsigned, longer", Payload::Unsigned, Some(4), "bodyy", "IncompleteBody"),
    ] {
        let mut decoder = payload.decoder(length);
        let mut out = Vec::new();
        let code = decoder
            .push(Bytes::from(body), &mut out)
            .and_then(|()| decoder.finish())
            .map_or_else(|refusal| refusal.code(), |_| "OK");
        assert_eq!(code, expected, "{name}");
    }
}

fn hash(body: &[u8]) -> [u8; 32] {
    match PayloadHash::of(body) {
        PayloadHash::Sha256(hash) => hash,
        other => panic!("{other:?}"),
    }
}

#[test]
fn once_refused_a_body_stays_refused() {
    let mut decoder = Payload::Unsigned.decoder(Some(1));
    let mut out = Vec::new();
    assert!(decoder.push(Bytes::from_static(b"ab"), &mut out).is_err());
    assert!(decoder.push(Bytes::new(), &mut out).is_err());
    assert!(decoder.finish().is_err() && out.is_empty());
}

#[test]
fn an_anonymous_body_is_never_in_signed_chunks() {
    for (name, value, expected) in [
        ("none", None, "OK"),
        ("unsigned", Some("UNSIGNED-PAYLOAD"), "OK"),
        ("unsigned chunks", Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), "OK"),
        ("signed chunks", Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), "AccessDenied"),
        ("signed trailers", Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"), "AccessDenied"),
    ] {
        let mut sent = base();
        sent.set("x-amz-decoded-content-length", "1");
        if let Some(value) = value {
            sent.set("x-amz-content-sha256", value);
        }
        assert!(matches!(claim(&sent.request()), Ok(Claim::Anonymous)), "{name}");
        let code =
            anonymous_payload(&sent.request()).map_or_else(|refusal| refusal.code(), |_| "OK");
        assert_eq!(code, expected, "{name}");
    }
}
