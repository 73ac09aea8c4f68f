//! Heads that are too large.

use std::time::Duration;

use crate::claim::{assert_answer, send, server};
use crate::smuggling::head;

/// Section 10: header count and size.
#[tokio::test]
async fn section_10_a_head_that_is_too_large_is_answered_431() {
    let server = server().await;
    let client = server.client();
    let headers =
        client.signed("GET", "/photos/k", "", &[], &coffer_signature::PayloadHash::of(b""));
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
