//! What a stranger may take: heads, chunks, connections and requests, for one source and in all.

use std::time::Duration;

use clap::Parser;
use coffer_crds::tenant;
use coffer_server::config::Config;
use coffer_signature::{PayloadHash, SecretKey};
use coffer_tests::client::{Answer, Client, now};
use coffer_tests::frames::{DATA, HEADERS, PING, frame, preface};
use coffer_tests::server::Server;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::claim::{assert_answer, send, server, server_with};
use crate::smuggling::head;

/// Another source on this machine.
const STRANGER: [u8; 4] = [127, 0, 0, 2];

/// Section 10: header count and size.
#[tokio::test]
async fn section_10_a_head_that_is_too_large_is_answered_431() {
    let server = server().await;
    let client = server.client();
    let headers = client.signed("GET", "/photos/k", "", &[], &PayloadHash::of(b""));
    let good = head("GET /photos/k", &headers);
    let with = |more: String| format!("{}{more}\r\n", good.strip_suffix("\r\n").unwrap());
    for (claim, bytes) in [
        ("300 headers", with((0..300).map(|n| format!("x-{n}: a\r\n")).collect())),
        ("a header of 1 MiB", with(format!("x-a: {}\r\n", "b".repeat(1 << 20)))),
        (
            "100 headers of 10 KiB",
            with((0..100).map(|n| format!("x-{n}: {}\r\n", "b".repeat(10 << 10))).collect()),
        ),
    ] {
        let answer = client.raw(bytes.as_bytes(), Duration::from_secs(5)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{claim}: {answer}");
    }
    for (claim, bytes) in [(
        "a target of 1 MiB",
        good.replace("/photos/k", &format!("/photos/{}", "k".repeat(1 << 20))),
    )] {
        let answer = client.raw(bytes.as_bytes(), Duration::from_secs(5)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with("HTTP/1.1 414 ") || answer.starts_with("HTTP/1.1 431 "),
            "{claim}: {answer}"
        );
    }
    // 8 KiB of headers are AWS's own limit, and 100 of them are no attack.
    let many: Vec<(String, String)> = (0..90).map(|n| (format!("x-{n}"), "b".repeat(80))).collect();
    let many: Vec<(&str, &str)> =
        many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(send(client, "GET /photos/k", &many, "").await.text(), "hello world");
    let large = "b".repeat(2049);
    let answer = send(client, "PUT /photos/new", &[("x-amz-meta-a", &large)], "x").await;
    assert_answer("2 KiB of metadata", &answer, 400, "MetadataTooLarge");
    // The same over HTTP/2, where the connection says what it takes.
    let over_2 = client.over_http2();
    let huge = "b".repeat(1 << 20);
    match over_2.try_send("GET", "/photos/k", "", &[("x-a", &huge)], "").await {
        Ok(answer) => assert_eq!(answer.status, 431),
        Err(_reset) => {}
    }
    assert_eq!(send(&over_2, "GET /photos/k", &[], "").await.text(), "hello world");
}

/// Section 10: control characters in what is logged.
#[tokio::test]
async fn section_10_a_log_line_stays_one_line() {
    let server = server().await;
    let evil = "a%0D%0A%1B%5B31m%7B%22level%22%3A%22ERROR%22%7D";
    for line in [
        format!("GET /photos/{evil}"),
        format!("GET /photos?prefix=a&{evil}=1"),
        format!("GET /photos/k?versionId={evil}"),
    ] {
        send(server.client(), &line, &[("x-amz-meta-a", "b")], "").await;
    }
    for line in server.read_log().lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test]
async fn section_10_a_head_is_as_large_as_its_limits_over_either_http() {
    let server = server_with(&[("COFFER_MAX_HEADERS", "40")]).await;
    for (version, client) in
        [("HTTP/1.1", server.client().clone()), ("HTTP/2", server.client().over_http2())]
    {
        let headers = |count: usize, length: usize| -> Vec<(String, String)> {
            (0..count).map(|n| (format!("x-{n}"), "b".repeat(length))).collect()
        };
        for (claim, count, length, status) in [
            ("headers within", 30, 10, 200),
            ("too many headers", 41, 10, 431),
            ("a head within", 10, 6_000, 200),
            // Beyond the limit, and within what the connection itself reads.
            ("a head that is too large", 10, 6_600, 431),
        ] {
            let headers = headers(count, length);
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let answer = send(&client, "GET /photos/k", &headers, "").await;
            assert_eq!(answer.status, status, "{claim}, {version}: {}", answer.text());
        }
        for (length, status) in [(10_000, 200), (16_500, 414)] {
            let line = format!("GET /photos?prefix={}", "a".repeat(length));
            let answer = send(&client, &line, &[], "").await;
            assert_eq!(answer.status, status, "{length}, {version}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_chunk_is_at_most_as_large_as_the_limit() {
    let server = server_with(&[("COFFER_MAX_CHUNK_BYTES", "65536")]).await;
    let client = server.client();
    for (size, status) in [(65_536, 200), (65_537, 400)] {
        let length = size.to_string();
        let mut headers = client.headers(&[("x-amz-decoded-content-length", &length)]);
        let mut encoder = client
            .signer()
            .sign_headers(
                &Method::PUT,
                "/photos/new",
                "",
                &mut headers,
                &PayloadHash::SignedChunks,
                now(),
            )
            .unwrap()
            .unwrap();
        let mut wire: Vec<bytes::Bytes> = Vec::new();
        encoder.chunk(vec![7; size].into(), &mut wire);
        encoder.finish(&[], &mut wire);
        let answer =
            client.send_as_is("PUT", "/photos/new", "", headers, wire.concat()).await.unwrap();
        assert_eq!(answer.status, status, "{size}: {}", answer.text());
    }
}

#[tokio::test]
async fn one_source_has_its_connections_and_no_more() {
    let server = server_with(&[("COFFER_MAX_CONNECTIONS_PER_SOURCE", "3")]).await;
    let stranger = server.client().from_address(STRANGER);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(stranger.try_connect(b"http/1.1").await.unwrap());
    }
    assert!(stranger.try_connect(b"http/1.1").await.is_err(), "a fourth");
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
    drop(open);
    let began = std::time::Instant::now();
    while stranger.try_connect(b"http/1.1").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(5), "its connections are still counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Begins an upload that is never finished, which holds a place for a request: it has it once the server asks for the body.
async fn hold(client: &Client) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let headers = client.signed(
        "PUT",
        "/photos/held",
        "",
        &[("content-length", "100000"), ("expect", "100-continue")],
        &PayloadHash::Unsigned,
    );
    let mut stream = client.connect().await;
    stream.write_all(head("PUT /photos/held", &headers).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    stream.write_all(b"some").await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// The answer once `holders` have reached the server.
async fn until(client: &Client, status: u16) -> Answer {
    let began = std::time::Instant::now();
    loop {
        let answer = send(client, "GET /photos/k", &[], "").await;
        if answer.status == status {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn requests_beyond_the_limit_are_told_to_slow_down() {
    let server =
        server_with(&[("COFFER_MAX_REQUESTS_PER_SOURCE", "2"), ("COFFER_MAX_REQUESTS", "3")]).await;
    let stranger = server.client().from_address(STRANGER);
    let held = [hold(&stranger).await, hold(&stranger).await];
    let answer = until(&stranger, 503).await;
    assert_answer("of one source", &answer, 503, "SlowDown");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
    // A probe is no request of a client: the kubelet must not take a busy server for a dead one.
    let headers = stranger.headers(&[]);
    let probe = stranger.send_as_is("GET", "/minio/health/live", "", headers, "").await.unwrap();
    assert_eq!(probe.status, 200);
    let third = hold(server.client()).await;
    let answer = until(server.client(), 503).await;
    assert_answer("in all", &answer, 503, "SlowDown");
    drop((held, third));
    until(&stranger, 200).await;
}

fn guessing(client: &Client) -> Client {
    let mut client = client.clone();
    client.credentials.secret_key = SecretKey::new("a-guessed-secret".to_owned());
    client
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_nobody_else_is() {
    let server = server_with(&[("COFFER_FAILED_SIGNATURES_PER_MINUTE", "5")]).await;
    let stranger = server.client().from_address(STRANGER);
    let guesser = guessing(&stranger);
    for n in 0..5 {
        let answer = send(&guesser, "GET /photos/k", &[], "").await;
        assert_answer(&format!("guess {n}"), &answer, 403, "SignatureDoesNotMatch");
    }
    for (claim, client) in [("one guess more", &guesser), ("even a right one", &stranger)] {
        let answer = send(client, "GET /photos/k", &[], "").await;
        assert_answer(claim, &answer, 503, "SlowDown");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=13).contains(&wait), "{wait}");
    }
    let url = stranger.signer().presign(
        &Method::GET,
        "/photos/k",
        "",
        &stranger.headers(&[]),
        Duration::from_mins(1),
        now(),
    );
    let presigned = stranger
        .send_as_is("GET", "/photos/k", &url.unwrap(), stranger.headers(&[]), "")
        .await
        .unwrap();
    assert_answer("in a URL", &presigned, 503, "SlowDown");
    let nobody =
        stranger.send_as_is("GET", "/photos/k", "", stranger.headers(&[]), "").await.unwrap();
    assert_answer("nobody guesses nothing", &nobody, 403, "AccessDenied");
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
    // Where a key was proven, only errors with that key count against it: this is one proxy with two clients behind it.
    let proxy = server.client().from_address([127, 0, 0, 3]);
    send(&proxy, "GET /photos/k", &[], "").await;
    let mut unknown = guessing(&proxy);
    unknown.credentials.access_key_id = "somebodyelse".parse().unwrap();
    for _ in 0..5 {
        let answer = send(&unknown, "GET /photos/k", &[], "").await;
        assert_answer("a neighbour", &answer, 403, "InvalidAccessKeyId");
    }
    assert_eq!(send(&unknown, "GET /photos/k", &[], "").await.code(), "SlowDown");
    assert_eq!(send(&proxy, "GET /photos/k", &[], "").await.text(), "hello world");
}

#[tokio::test]
async fn an_unused_connection_is_closed_over_either_http() {
    let server = server_with(&[("COFFER_IDLE_SECONDS", "1")]).await;
    for (claim, protocol, bytes) in [
        ("nothing said", &b"http/1.1"[..], &b""[..]),
        ("nothing said over HTTP/2", b"h2", b""),
        ("half a preface", b"h2", b"PRI * HTTP/2.0\r\n"),
        (
            "a preface and no request",
            b"h2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ),
    ] {
        let mut stream = server.client().try_connect(protocol).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{claim}: it is still open");
    }
}

/// CVE-2019-9512, CVE-2019-9518: a client that only ever sends what carries nothing.
#[tokio::test]
async fn connections_that_break_http_2_are_ended_and_their_source_is_held_off() {
    let server = server_with(&[("COFFER_FAULTY_CONNECTIONS_PER_MINUTE", "3")]).await;
    let stranger = server.client().from_address(STRANGER);
    for (claim, bytes) in [
        ("pings without end", frame(PING, 0, 0, &[7; 8]).repeat(2_000)),
        ("data for no stream", frame(DATA, 0, 1, b"hello")),
        ("a head that can't be read", frame(HEADERS, 5, 1, &[0xff; 20])),
    ] {
        let mut stream = stranger.try_connect(b"h2").await.expect(claim);
        // Broken off in its midst, maybe.
        drop(stream.write_all(&[preface(65_535), bytes].concat()).await);
        drop(stream.flush().await);
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{claim}: it is still open");
    }
    let began = std::time::Instant::now();
    while stranger.try_connect(b"http/1.1").await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(5), "{}", server.read_log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
    // Who breaks off, or sends a few pings, does no wrong.
    let other = server.client().from_address([127, 0, 0, 3]);
    for bytes in [Vec::new(), frame(PING, 0, 0, &[7; 8])] {
        for _ in 0..10 {
            let mut stream = other.try_connect(b"h2").await.unwrap();
            drop(stream.write_all(&[preface(65_535), bytes.clone()].concat()).await);
        }
    }
    assert_eq!(send(&other, "GET /photos/k", &[], "").await.text(), "hello world");
    // Nor who asks for more on one connection than may come of what carries nothing.
    let busy = other.over_http2();
    for _ in 0..1500 {
        assert_eq!(send(&busy, "GET /photos/k", &[], "").await.status, 200);
    }
}

/// The server's own defaults and the Tenant's are the same: an operator that says nothing changes nothing.
#[tokio::test]
async fn the_tenant_and_the_server_have_the_same_limits() {
    let arguments = ["coffer-server", "--data", "d", "--tls", "t", "--root-credentials", "r"];
    let server = Config::try_parse_from(arguments).unwrap().limits;
    let from = |setting: &str| match setting {
        "COFFER_MAX_CONNECTIONS" => server.connections,
        "COFFER_MAX_CONNECTIONS_PER_SOURCE" => server.connections_per_source,
        "COFFER_MAX_REQUESTS" => server.requests,
        "COFFER_MAX_REQUESTS_PER_SOURCE" => server.requests_per_source,
        "COFFER_IDLE_SECONDS" => server.idle_seconds.into(),
        "COFFER_MAX_HEADERS" => server.headers,
        "COFFER_MAX_HEAD_BYTES" => server.head_bytes,
        "COFFER_MAX_QUERY_BYTES" => server.query_bytes,
        "COFFER_MAX_CHUNK_BYTES" => server.chunk_bytes,
        "COFFER_HTTP2_MAX_STREAMS" => server.http2_streams,
        "COFFER_HTTP2_MAX_RESETS" => server.http2_resets.into(),
        "COFFER_FAILED_SIGNATURES_PER_MINUTE" => server.failed_signatures_per_minute,
        "COFFER_FAULTY_CONNECTIONS_PER_MINUTE" => server.faulty_connections_per_minute,
        other => panic!("{other}"),
    };
    let tenant = tenant::Limits::default().settings();
    for (setting, value) in tenant {
        assert_eq!(i64::from(value), i64::from(from(setting)), "{setting}");
    }
    // The server knows each of them.
    let settings = tenant.map(|(setting, value)| (setting, value.to_string()));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::start_with(&settings).await;
    assert_eq!(send(server.client(), "GET /", &[], "").await.status, 200);
}
