//! Behind nginx and haproxy: what is signed goes through, and no request is ever two.
//!
//! RUSTSEC-2020-0008, RUSTSEC-2021-0020, RUSTSEC-2021-0078, CVE-2025-22871, CVE-2026-71324.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_signature::PayloadHash;
use coffer_tests::client::{Client, now};
use coffer_tests::reverse_proxy::{Kind, ReverseProxy};
use coffer_tests::stored::Stored;
use http::Method;

use crate::claim::{assert_answer, send, server};
use crate::smuggling::{HIDDEN, ambiguous, signed};

const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Haproxy];

#[tokio::test]
async fn what_is_signed_goes_through_a_proxy() {
    let server = server().await;
    for kind in KINDS {
        let proxy = ReverseProxy::start(kind, &server).await;
        let client = proxy.client();
        let claim = |what: &str| format!("{kind:?}: {what}");
        let body = vec![7; 3 << 20];
        let put = send(client, "PUT /photos/a%20b%2Bc", &[("x-amz-meta-a", "1")], body.clone());
        assert_answer(&claim("put"), &put.await, 200, "");
        let got = send(client, "GET /photos/a%20b%2Bc", &[], "").await;
        assert!(got.body == body && got.header("x-amz-meta-a") == "1", "{}", claim("get"));
        let range = [("range", "bytes=1-3")];
        let got = send(client, "GET /photos/a%20b%2Bc", &range, "").await;
        assert_eq!((got.status.as_u16(), got.body.len()), (206, 3), "{}", claim("range"));
        let got = send(client, "GET /photos?list-type=2&prefix=a%20", &[], "").await;
        assert!(got.text().contains("<Key>a b+c</Key>"), "{}: {}", claim("list"), got.text());
        presigned(client, &claim("presigned")).await;
        for form in [
            PayloadHash::SignedChunks,
            PayloadHash::SignedChunksTrailer,
            PayloadHash::UnsignedChunksTrailer,
        ] {
            chunked(client, &form, &claim(&format!("{form:?}"))).await;
        }
        // HTTP/2 up to the proxy, where the host stands in `:authority` alone.
        let over_2 = client.over_http2();
        for (method, content) in [("PUT", "over HTTP/2"), ("GET", "")] {
            let payload = PayloadHash::of(content.as_bytes());
            let mut headers = over_2.signed(method, "/photos/h2", "", &[], &payload);
            headers.remove("host");
            let answer = over_2.send_as_is(method, "/photos/h2", "", headers, content).await;
            let answer = answer.unwrap();
            assert_answer(&claim("HTTP/2"), &answer, 200, "");
            assert!(method == "PUT" || answer.text() == "over HTTP/2", "{}", claim("HTTP/2"));
        }
        let mut stranger = client.clone();
        stranger.credentials.secret_key =
            coffer_signature::SecretKey::new("guessed-secret".to_owned());
        let refused = send(&stranger, "PUT /photos/new", &[], "x").await;
        assert_answer(&claim("a wrong one"), &refused, 403, "SignatureDoesNotMatch");
        let gone = send(client, "DELETE /photos/a%20b%2Bc", &[], "").await;
        assert_eq!(gone.status, 204, "{}", claim("delete"));
    }
}

async fn presigned(client: &Client, claim: &str) {
    let headers = client.headers(&[]);
    let life = Duration::from_mins(1);
    for (method, body) in [(Method::PUT, "by a URL"), (Method::GET, "")] {
        let url =
            client.signer().presign(&method, "/photos/url", "", &headers, life, now()).unwrap();
        let answer =
            client.send_as_is(method.as_str(), "/photos/url", &url, headers.clone(), body).await;
        let answer = answer.unwrap();
        assert_answer(claim, &answer, 200, "");
        assert!(method == Method::PUT || answer.text() == "by a URL", "{claim}");
    }
}

async fn chunked(client: &Client, form: &PayloadHash, claim: &str) {
    let content = vec![b'x'; 100_000];
    let mut headers = client.headers(&[("x-amz-decoded-content-length", "100000")]);
    let mut encoder = client
        .signer()
        .sign_headers(&Method::PUT, "/photos/chunks", "", &mut headers, form, now())
        .unwrap()
        .unwrap();
    let mut wire: Vec<Bytes> = Vec::new();
    for piece in content.chunks(65_536) {
        encoder.chunk(Bytes::copy_from_slice(piece), &mut wire);
    }
    encoder.finish(&[], &mut wire);
    let put = client.send_as_is("PUT", "/photos/chunks", "", headers, wire.concat()).await.unwrap();
    assert_answer(claim, &put, 200, "");
    assert_eq!(send(client, "GET /photos/chunks", &[], "").await.body, content, "{claim}");
}

/// An honest client beside the attack, who would get another's answer if one connection came out of step.
async fn honest(client: Client, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let line = format!("PUT /photos/honest-{n}");
        let content = format!("honest {n}");
        let put = send(&client, &line, &[], content.clone()).await;
        assert_eq!(put.status, 200, "{}", put.text());
        let got = send(&client, &line.replace("PUT", "GET"), &[], "").await;
        assert_eq!(got.text(), content, "another's answer");
        let gone = send(&client, &line.replace("PUT", "DELETE"), &[], "").await;
        assert_eq!(gone.status, 204, "{}", gone.text());
        answered.fetch_add(1, Ordering::Relaxed);
        n += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn section_9_no_second_request_comes_through_a_proxy() {
    let server = server().await;
    for kind in KINDS {
        let proxy = ReverseProxy::start(kind, &server).await;
        let client = proxy.client();
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let beside = tokio::spawn(honest(client.clone(), Arc::clone(&stop), Arc::clone(&answered)));
        let mut rows = ambiguous(client);
        let mut plain = 0;
        let hidden = signed(client, HIDDEN, "", b"");
        let length = hidden.len();
        for (claim, line, more, body) in [
            (
                "a request in a body",
                "PUT /photos/new",
                format!("content-length: {length}\r\n"),
                hidden.clone(),
            ),
            (
                "a body on GET",
                "GET /photos/k",
                format!("content-length: {length}\r\n"),
                hidden.clone(),
            ),
            (
                "a body on HEAD",
                "HEAD /photos/k",
                format!("content-length: {length}\r\n"),
                hidden.clone(),
            ),
            (
                "a body on DELETE",
                "DELETE /absent/k",
                format!("content-length: {length}\r\n"),
                hidden.clone(),
            ),
            (
                "a body in chunks on GET",
                "GET /photos/k",
                "transfer-encoding: chunked\r\n".to_owned(),
                format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
            ),
            (
                "a request in a trailer",
                "GET /photos/k",
                "transfer-encoding: chunked\r\n".to_owned(),
                format!("0\r\nx: y\r\n{}", hidden.replace("\r\n\r\n", "\r\n")),
            ),
            (
                "an upload refused by its head, with a request in its body",
                "PUT /photos/new",
                format!(
                    "expect: 100-continue\r\nx-amz-acl: public-read\r\ncontent-length: {length}\r\n"
                ),
                hidden.clone(),
            ),
        ] {
            rows.push((claim, format!("{}{body}", signed(client, line, &more, b""))));
        }
        for (claim, bytes) in &rows {
            let answer = client.raw(bytes.as_bytes(), Duration::from_millis(150)).await;
            let text = String::from_utf8_lossy(&answer);
            assert!(!text.contains("honest"), "{kind:?}, {claim}: another's answer: {text}");
            let there = send(server.client(), "GET /other/k", &[], "").await;
            if there.text() == "theirs" {
                continue;
            }
            // It ran. That is fair only where the proxy itself took it for the next request of this connection: haproxy joins
            // folded lines, for one, and then this request has no body.
            plain += 1;
            let deadline = Instant::now() + Duration::from_secs(3);
            while proxy.answered(HIDDEN) < plain {
                assert!(
                    Instant::now() < deadline,
                    "{kind:?}, {claim}: the proxy never saw it: {text}"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(send(server.client(), "PUT /other/k", &[], "theirs").await.status, 200);
        }
        assert!(plain < 8, "{plain} of {} weren't hidden from {kind:?}", rows.len());
        stop.store(true, Ordering::Relaxed);
        beside.await.unwrap();
        assert!(answered.load(Ordering::Relaxed) > 20, "{answered:?}");
        let stored = Stored::of(&server).await;
        stored.assert_same(&server, "what was sent still runs").await;
    }
    server.assert_discreet();
}
