//! Bodies that aren't what was announced: nothing of them is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coffer_signature::PayloadHash;
use coffer_tests::client::{Answer, Client, now};
use coffer_tests::stored::Stored;
use http::{HeaderName, HeaderValue, Method};

use crate::claim::{assert_answer, send, server};

const CONTENT: &str = "hello world";
/// Algorithm's header, value for `hello world`, and a value for something else.
const CHECKSUMS: [(&str, &str, &str); 5] = [
    ("x-amz-checksum-crc32", "DUoRhQ==", "DUoRhA=="),
    ("x-amz-checksum-crc32c", "yZRlqg==", "yZRlqw=="),
    ("x-amz-checksum-crc64nvme", "jSnVw/bqjr4=", "jSnVw/bqjr8="),
    ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "Kq5sNclPz7QV2+lfQIuc6R7oRu4="),
    (
        "x-amz-checksum-sha256",
        "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
        "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzeg=",
    ),
];

/// Puts `pieces` as a chunked stream, which `change` may spoil on its way.
async fn stream(
    client: &Client,
    form: &PayloadHash,
    length: usize,
    pieces: &[&[u8]],
    trailer: Option<(&str, &str)>,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Answer {
    let length = length.to_string();
    let mut pairs = vec![
        ("x-amz-decoded-content-length", length.as_str()),
        ("content-encoding", "aws-chunked"),
    ];
    if let Some((name, _)) = trailer {
        pairs.push(("x-amz-trailer", name));
    }
    let mut headers = client.headers(&pairs);
    let mut encoder = client
        .signer()
        .sign_headers(&Method::PUT, "/photos/new", "", &mut headers, form, now())
        .unwrap()
        .unwrap();
    let mut out: Vec<Bytes> = Vec::new();
    for piece in pieces {
        encoder.chunk(Bytes::copy_from_slice(piece), &mut out);
    }
    let trailers: Vec<(HeaderName, HeaderValue)> = trailer
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    encoder.finish(&trailers, &mut out);
    client.send_as_is("PUT", "/photos/new", "", headers, change(out.concat())).await.unwrap()
}

fn same(wire: Vec<u8>) -> Vec<u8> {
    wire
}

fn replace(from: &'static str, to: &'static str) -> impl Fn(Vec<u8>) -> Vec<u8> {
    move |wire| {
        let text = String::from_utf8(wire).unwrap();
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1).into_bytes()
    }
}

fn cut(bytes: usize) -> impl Fn(Vec<u8>) -> Vec<u8> {
    move |mut wire| {
        wire.truncate(wire.len() - bytes);
        wire
    }
}

#[tokio::test]
async fn a_chunked_stream_that_is_not_whole_is_refused() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    // Large enough to be a blob, and cut in its midst: the file must go again.
    let large = vec![b'x'; 300_000];
    for form in [
        PayloadHash::SignedChunks,
        PayloadHash::SignedChunksTrailer,
        PayloadHash::UnsignedChunksTrailer,
    ] {
        let trailer = (!matches!(form, PayloadHash::SignedChunks))
            .then_some((CHECKSUMS[0].0, CHECKSUMS[0].1));
        let signed = !matches!(form, PayloadHash::UnsignedChunksTrailer);
        let name = format!("{form:?}");
        let name = |claim: &str| format!("{claim}, {name}");
        let hello: &[&[u8]] = &[b"hello ", b"world"];
        let row = async |claim: &str,
                         length,
                         pieces: &[&[u8]],
                         change: &dyn Fn(Vec<u8>) -> Vec<u8>,
                         status,
                         code| {
            let answer = stream(client, &form, length, pieces, trailer, change).await;
            assert_answer(&name(claim), &answer, status, code);
        };
        row("the last byte is missing", 11, hello, &cut(1), 400, "IncompleteBody").await;
        row(
            "only the first 10 bytes",
            11,
            hello,
            &|mut wire| {
                wire.truncate(10);
                wire
            },
            400,
            "IncompleteBody",
        )
        .await;
        row("no body", 11, hello, &|_| Vec::new(), 400, "IncompleteBody").await;
        row("less than announced", 12, hello, &same, 400, "IncompleteBody").await;
        row("more than announced", 10, hello, &same, 400, "IncompleteBody").await;
        row(
            "bytes after the end",
            11,
            hello,
            &|wire| [wire, b"GET / HTTP/1.1\r\n".to_vec()].concat(),
            400,
            "IncompleteBody",
        )
        .await;
        row("a size that is none", 11, hello, &replace("6", "+6"), 400, "InvalidRequest").await;
        row(
            "a blob, cut",
            300_000,
            &[&large[..200_000], &large[200_000..]],
            &cut(50_000),
            400,
            "IncompleteBody",
        )
        .await;
        if signed {
            row(
                "a changed byte",
                11,
                hello,
                &replace("world", "worlt"),
                403,
                "SignatureDoesNotMatch",
            )
            .await;
            row(
                "no chunk signature",
                11,
                hello,
                &replace(";chunk-signature=", ";chunk="),
                400,
                "InvalidRequest",
            )
            .await;
        } else {
            row("a changed byte", 11, hello, &replace("world", "worlt"), 400, "BadDigest").await;
            row("an extension", 11, hello, &replace("6\r\n", "6;a=b\r\n"), 400, "InvalidRequest")
                .await;
        }
        if trailer.is_some() {
            row(
                "a changed trailer",
                11,
                hello,
                &replace("DUoRhQ==", "DUoRhA=="),
                if signed { 403 } else { 400 },
                if signed { "SignatureDoesNotMatch" } else { "BadDigest" },
            )
            .await;
            row(
                "no trailer",
                11,
                hello,
                &replace("x-amz-checksum-crc32:DUoRhQ==\r\n", ""),
                400,
                "MalformedTrailerError",
            )
            .await;
        }
    }
    before.assert_same(&server, "half a stream was kept").await;
    for form in [
        PayloadHash::SignedChunks,
        PayloadHash::SignedChunksTrailer,
        PayloadHash::UnsignedChunksTrailer,
    ] {
        let trailer = (!matches!(form, PayloadHash::SignedChunks))
            .then_some((CHECKSUMS[0].0, CHECKSUMS[0].1));
        let answer = stream(client, &form, 11, &[b"hello ", b"world"], trailer, same).await;
        assert_answer("whole", &answer, 200, "");
        let got = send(client, "GET /photos/new", &[], "").await;
        assert_eq!(
            (got.text().as_str(), got.header("content-encoding").as_str()),
            (CONTENT, ""),
            "{form:?}"
        );
    }
    server.assert_discreet();
}

#[tokio::test]
async fn a_checksum_of_something_else_is_refused() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let md5 = "XrY7u+Ae7tCTyyK7j1rNww==";
    for (header, _, wrong) in CHECKSUMS {
        let answer = send(client, "PUT /photos/new", &[(header, wrong)], CONTENT).await;
        assert_answer(header, &answer, 400, "BadDigest");
        for form in [PayloadHash::SignedChunksTrailer, PayloadHash::UnsignedChunksTrailer] {
            let answer =
                stream(client, &form, 11, &[CONTENT.as_bytes()], Some((header, wrong)), same).await;
            assert_answer(header, &answer, 400, "BadDigest");
        }
    }
    for (claim, headers, code) in [
        (
            "Content-MD5 of something else",
            vec![("content-md5", "XrY7u+Ae7tCTyyK7j1rNwA==")],
            "BadDigest",
        ),
        ("Content-MD5 that is none", vec![("content-md5", "XrY7")], "InvalidDigest"),
        ("a checksum that is none", vec![("x-amz-checksum-crc32", "!!!")], "InvalidRequest"),
        ("a checksum of another length", vec![("x-amz-checksum-crc32", "AAAA")], "InvalidRequest"),
        ("an unknown algorithm", vec![("x-amz-checksum-xxhash", "AAAA")], "InvalidRequest"),
        ("MD5 as a flexible checksum", vec![("x-amz-checksum-md5", md5)], "InvalidRequest"),
        ("an unknown name", vec![("x-amz-sdk-checksum-algorithm", "CRC16")], "InvalidRequest"),
        (
            "two checksums",
            vec![CHECKSUMS[0], CHECKSUMS[1]]
                .into_iter()
                .map(|(name, value, _)| (name, value))
                .collect(),
            "InvalidRequest",
        ),
        (
            "a right MD5 and a wrong checksum",
            vec![("content-md5", md5), (CHECKSUMS[0].0, CHECKSUMS[0].2)],
            "BadDigest",
        ),
    ] {
        let answer = send(client, "PUT /photos/new", &headers, CONTENT).await;
        assert_answer(claim, &answer, 400, code);
    }
    before.assert_same(&server, "content with a wrong checksum was kept").await;

    for (header, right, _) in CHECKSUMS {
        let put =
            send(client, "PUT /photos/new", &[(header, right), ("content-md5", md5)], CONTENT)
                .await;
        assert_answer(header, &put, 200, "");
        assert_eq!(put.header(header), right);
        let got = send(client, "HEAD /photos/new", &[("x-amz-checksum-mode", "ENABLED")], "").await;
        assert_eq!(
            (got.header(header).as_str(), got.header("x-amz-checksum-type").as_str()),
            (right, "FULL_OBJECT")
        );
        for form in [PayloadHash::SignedChunksTrailer, PayloadHash::UnsignedChunksTrailer] {
            let put =
                stream(client, &form, 11, &[CONTENT.as_bytes()], Some((header, right)), same).await;
            assert_answer(header, &put, 200, "");
            assert_eq!(put.header(header), right);
        }
    }
    server.assert_discreet();
}

#[tokio::test]
async fn section_10_a_compressed_body_is_kept_as_it_is() {
    let server = server().await;
    // The first bytes of a gzip stream; inflating them would fail, or worse.
    let body = STANDARD.decode("H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==").unwrap();
    let put =
        send(server.client(), "PUT /photos/z", &[("content-encoding", "gzip")], body.clone()).await;
    assert_answer("gzip", &put, 200, "");
    let got = send(server.client(), "GET /photos/z", &[("accept-encoding", "identity")], "").await;
    assert_eq!(
        (got.body.as_ref(), got.header("content-encoding").as_str()),
        (body.as_slice(), "gzip")
    );
}
