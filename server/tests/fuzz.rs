//! What reads the heads of requests, and a KMIP service's bytes, fed with broken examples.

#![expect(clippy::indexing_slicing, reason = "a test fails by panic")]

use coffer_fuzzing::fuzz;
use coffer_server::encrypt::kmip::ttlv::{Item, LONGEST, Tag, TtlvError, Value, whole};
use coffer_server::route::{Domains, Route, route};
use coffer_server::s3::encryption::asked;
use coffer_server::s3::{attributes, checksum, conditions, range, supported};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::percent_decode_str;
use rustls::ProtocolVersion;

/// Requests of many kinds: `METHOD path?query`, then a header a line.
const REQUESTS: [&str; 12] = [
    "GET /photos/a%2fb%20c?versionId=null&response-content-type=a%2Fb\nhost: localhost:9000\nrange: bytes=0-9\nif-match: \"a\", W/\"b\"",
    "PUT /a?partNumber=1&uploadId=00112233445566778899aabbccddeeff\nhost: photos.s3.example.com\ncontent-md5: XUFAKrxLKna5cZ2REBfFkg==",
    "PUT /photos/a\nx-amz-copy-source: /photos/b%20c?versionId=null\nx-amz-copy-source-if-match: e\nx-amz-copy-source-if-unmodified-since: Thu, 01 Jan 2037 00:00:00 GMT\nx-amz-metadata-directive: REPLACE",
    "PUT /photos/a\nx-amz-server-side-encryption: aws:kms\nx-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:k1\nx-amz-server-side-encryption-context: eyJhIjoiYiJ9",
    "PUT /photos/a\nx-amz-server-side-encryption: AES256\nx-amz-checksum-crc32: NhCmhg==\nx-amz-meta-a: ü\ncontent-encoding: aws-chunked,gzip\nx-amz-storage-class: STANDARD",
    "GET /photos/a\nx-amz-server-side-encryption-customer-algorithm: AES256\nx-amz-server-side-encryption-customer-key: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\nx-amz-server-side-encryption-customer-key-md5: hRasmdxgYDKV3nvbahU1MA==",
    "POST /photos?delete\ncontent-type: application/xml\nx-amz-trailer: x-amz-checksum-sha256\nx-amz-sdk-checksum-algorithm: SHA256",
    "GET /photos?list-type=2&prefix=a%2F&delimiter=%2F&max-keys=2&continuation-token=x\nhost: localhost",
    "DELETE /photos/a?uploadId=00112233445566778899aabbccddeeff\nif-none-match: *",
    "GET /minio/admin/v3/list-users\nhost: localhost",
    "POST /minio/kms/v1/key/create?key-id=k\nhost: localhost",
    "HEAD /minio/health/live\nhost: [::1]:9000",
];

/// Bytes that mean something in a request's head.
const OF_REQUESTS: &[u8] = b"\n:/?&=%+-,;*.\" 0Aa\x00\xc3\xff";

/// Bytes that mean something to KMIP.
const OF_KMIP: &[u8] = b"\x42\x54\x00\x01\x02\x07\x08\x0b\x10\x7f\xff";

/// As far as HTTP lets it through.
fn request(text: &[u8]) -> Option<(Method, String, String, HeaderMap)> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = line.split_once(' ')?;
    let uri: http::Uri = target.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?);
    }
    let query = uri.query().unwrap_or_default().to_owned();
    Some((method.parse().ok()?, uri.path().to_owned(), query, headers))
}

/// Bucket and key are what the path says to any other reader; what is taken from the headers isn't there for a later one to read
/// otherwise; what is left of a range is one.
#[test]
fn heads_of_requests() {
    let domains = Domains::new(["s3.example.com".to_owned()]);
    fuzz!(REQUESTS.map(|text| text.as_bytes().to_vec()), OF_REQUESTS, |text: &[u8]| {
        let Some((method, path, query, mut headers)) = request(text) else { return };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let Ok(route) = route(&method, &path, &query, &headers, host, &domains) else { return };
        let Route::S3(target) = route else {
            assert!(path.starts_with("/minio/"), "{path}");
            return;
        };
        let decoded = percent_decode_str(&target.path).decode_utf8().unwrap();
        let named = match (&target.bucket, &target.key) {
            (Some(bucket), Some(key)) => format!("/{}/{}", bucket.as_str(), key.as_str()),
            (Some(bucket), None) => format!("/{}", bucket.as_str()),
            (None, key) => {
                key.as_ref().map_or_else(|| "/".to_owned(), |key| key.as_str().to_owned())
            }
        };
        assert_eq!(decoded.trim_end_matches('/'), named.trim_end_matches('/'));
        assert!(target.host_bucket(&path).is_none() || host.is_some());
        drop(supported::check(&headers, &target));
        drop(asked::only_in_headers(&query));
        if let Ok(wanted) = checksum::wanted(&headers) {
            assert!(wanted.algorithms().len() <= 1);
        }
        if let Some(md5) = headers.get("content-md5") {
            drop(checksum::md5_of(md5.as_bytes()));
        }
        range::tidy(&mut headers);
        assert!(headers.get_all(header::RANGE).iter().count() <= 1);
        if let Some(range) = headers.get(header::RANGE) {
            assert!(s3s::dto::Range::parse(range.to_str().unwrap()).is_ok(), "{range:?}");
        }
        let tls = Some(ProtocolVersion::TLSv1_3);
        if asked::take(&mut headers, target.operation, tls).is_ok() {
            let is_encryption = |name: &HeaderName| {
                name.as_str().starts_with("x-amz-server-side-encryption")
                    || name.as_str().starts_with("x-amz-copy-source-server-side-encryption")
            };
            assert!(!headers.keys().any(is_encryption), "{headers:?}");
        }
        if conditions::take(&mut headers).is_ok() {
            let taken = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
            let source = taken.map(|name| format!("x-amz-copy-source-{name}"));
            assert!(!taken.iter().any(|name| headers.contains_key(*name)), "{headers:?}");
            assert!(!source.iter().any(|name| headers.contains_key(name)), "{headers:?}");
        }
        if let Ok(stored) = attributes::take(&mut headers) {
            assert!(
                stored.user.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
                    <= 2048
            );
            assert!(!headers.keys().any(|name| name.as_str().starts_with("x-amz-meta-")));
        }
    });
}

#[test]
fn a_message_that_is_read_is_written_alike() {
    let tag = Tag::of(0x7b);
    let item = |value| Item { tag: Tag::of(0x0b), value };
    let examples: Vec<Vec<u8>> = [
        Item::structure(
            tag,
            vec![
                Item::structure(
                    Tag::of(0x7a),
                    vec![Item::integer(Tag::of(0x6a), 1), Item::integer(Tag::of(0x0d), 1)],
                ),
                Item::structure(
                    Tag::of(0x0f),
                    vec![
                        Item::enumeration(Tag::of(0x5c), 0x1f),
                        Item::text(Tag::of(0x94), "a key's id"),
                        Item::bytes(Tag::of(0xc2), &[7; 32]),
                    ],
                ),
            ],
        ),
        Item::structure(
            tag,
            vec![
                item(Value::LongInteger(-1)),
                item(Value::BigInteger(vec![0xff; 16])),
                item(Value::Boolean(true)),
                item(Value::DateTime(1)),
                item(Value::Interval(2)),
                item(Value::Structure(Vec::new())),
            ],
        ),
    ]
    .map(|item| item.encode().unwrap().to_vec())
    .to_vec();
    fuzz!(examples, OF_KMIP, |bytes: &[u8]| {
        let length = bytes.first_chunk::<8>().and_then(|head| whole(*head, tag));
        assert!(length.is_none_or(|length| length <= LONGEST));
        match Item::decode(bytes) {
            Ok(item) => {
                assert_eq!(*item.encode().unwrap(), bytes);
                // What is read in one piece is told to be as long.
                if item.tag == tag && matches!(item.value, Value::Structure(_)) {
                    assert_eq!(length, Some(bytes.len()));
                }
            }
            Err(error) => assert_ne!(error, TtlvError::Long),
        }
    });
}
