//! Requests whose length or target can be read in two ways. Sent as bytes, because no library would send them.
//!
//! RUSTSEC-2020-0008, RUSTSEC-2021-0020, RUSTSEC-2021-0078, CVE-2025-22871, CVE-2026-71324.

use std::fmt::Write;
use std::time::Duration;

use coffer_signature::PayloadHash;
use coffer_tests::client::Client;
use coffer_tests::stored::Stored;
use http::HeaderMap;

use crate::claim::{parts, send, server};

/// A request's head as it goes over the wire.
pub(crate) fn head(line: &str, headers: &HeaderMap) -> String {
    let mut head = format!("{line} HTTP/1.1\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    head.push_str("\r\n");
    head
}

/// A signed head, with `more` header lines that the signature doesn't cover.
pub(crate) fn signed(client: &Client, line: &str, more: &str, payload: &[u8]) -> String {
    let (method, path, query) = parts(line);
    let headers = client.signed(method, path, query, &[], &PayloadHash::of(payload));
    let head = head(line, &headers);
    format!("{}{more}\r\n", head.strip_suffix("\r\n").unwrap())
}

/// What an attacker hides: it would be seen if it ran.
pub(crate) const HIDDEN: &str = "DELETE /other/k";

/// Requests of which a part can be taken for another request, signed by `client`.
pub(crate) fn ambiguous(client: &Client) -> Vec<(&'static str, String)> {
    let hidden = signed(client, HIDDEN, "", b"");
    let chunked = format!("0\r\n\r\n{hidden}");
    let put =
        |more: &str, body: &str| format!("{}{body}", signed(client, "PUT /photos/new", more, b""));
    let length = hidden.len();
    let mut rows: Vec<(&'static str, String)> = vec![
        (
            "CL and TE",
            put(
                &format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunked.len()),
                &chunked,
            ),
        ),
        (
            "TE and CL",
            put(
                &format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", chunked.len()),
                &chunked,
            ),
        ),
        (
            "two lengths",
            put(&format!("content-length: 0\r\ncontent-length: {length}\r\n"), &hidden),
        ),
        ("two lengths in one", put(&format!("content-length: 0, {length}\r\n"), &hidden)),
        ("a signed length", put("content-length: +5\r\n", &hidden)),
        ("a negative length", put("content-length: -1\r\n", &hidden)),
        ("a length in hex", put("content-length: 0x5\r\n", &hidden)),
        ("a length of two words", put("content-length: 0 5\r\n", &hidden)),
        ("an endless length", put("content-length: 18446744073709551616\r\n", &hidden)),
        ("space before the colon", put(&format!("content-length : {length}\r\n"), &hidden)),
        ("a folded line", put("x-a: b\r\n content-length: 5\r\n", &hidden)),
        ("a line without a colon", put("content-length\r\n", &hidden)),
        ("a nameless line", put(": 5\r\n", &hidden)),
        ("NUL in a name", put("content-\0length: 5\r\n", &hidden)),
        ("CR in a value", put("x-a: b\rcontent-length: 5\r\n", &hidden)),
        ("an unknown coding", put("transfer-encoding: identity\r\n", &chunked)),
        ("a coding after chunked", put("transfer-encoding: chunked, gzip\r\n", &chunked)),
        (
            "a chunk's size with a sign",
            put("transfer-encoding: chunked\r\n", &format!("+5\r\nhello\r\n{chunked}")),
        ),
        (
            "a chunk's size that is none",
            put("transfer-encoding: chunked\r\n", &format!("xyz\r\nhello\r\n{chunked}")),
        ),
        (
            "an endless chunk's size",
            put(
                "transfer-encoding: chunked\r\n",
                &format!("fffffffffffffffff\r\nhello\r\n{chunked}"),
            ),
        ),
        (
            "bare LF in a chunk's extension",
            put("transfer-encoding: chunked\r\n", &format!("5;a\nb\r\nhello\r\n{chunked}")),
        ),
        ("two hosts", put("host: elsewhere.example\r\ncontent-length: 0\r\n", &hidden)),
        (
            "another host in the target",
            format!(
                "GET https://elsewhere.example/photos/k HTTP/1.1\r\nhost: {}\r\n\r\n{hidden}",
                client.host()
            ),
        ),
        ("no host", format!("GET /photos/k HTTP/1.1\r\n\r\n{hidden}")),
        ("a version that nobody speaks", format!("GET /photos/k HTTP/3.0\r\n\r\n{hidden}")),
        ("no version", format!("GET /photos/k\r\n\r\n{hidden}")),
        ("a target with a space", format!("GET /photos/a b HTTP/1.1\r\nhost: x\r\n\r\n{hidden}")),
    ];
    // Names that one side takes for a coding, and another doesn't.
    for (claim, coding) in [
        ("a coding that is nearly chunked", "transfer-encoding: xchunked"),
        ("a coding with a parameter", "transfer-encoding: chunked;a=b"),
        ("a coding in quotes", "transfer-encoding: \"chunked\""),
        ("a coding after a comma", "transfer-encoding: ,chunked"),
        ("chunked twice", "transfer-encoding: chunked, chunked"),
        ("two lines of coding", "transfer-encoding: chunked\r\ntransfer-encoding: identity"),
        ("a coding of a vertical tab", "transfer-encoding: \u{b}chunked"),
        ("space before the coding's colon", "transfer-encoding : chunked"),
        ("a folded coding", "transfer-encoding:\r\n chunked"),
        ("a coding hidden behind CR", "x-a: b\rtransfer-encoding: chunked"),
    ] {
        let more = format!("content-length: {}\r\n{coding}\r\n", chunked.len());
        rows.push((claim, put(&more, &chunked)));
    }
    rows
}

#[tokio::test]
async fn section_9_a_request_that_can_be_read_in_two_ways_is_the_last_of_its_connection() {
    let server = server().await;
    let before = Stored::of(&server).await;
    for (claim, bytes) in &ambiguous(server.client()) {
        let answer = server.client().raw(bytes.as_bytes(), Duration::from_millis(300)).await;
        let text = String::from_utf8_lossy(&answer);
        // Refused, or closed without a word; where it is answered at all, it is answered once.
        let statuses: Vec<&str> =
            text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]).collect();
        assert!(
            statuses.iter().all(|status| status.starts_with('4') || *status == "501"),
            "{claim}: {text}"
        );
        assert!(!statuses.contains(&"204"), "{claim}: the hidden request ran: {text}");
        before.assert_same(&server, claim).await;
    }
    assert_eq!(send(server.client(), "GET /other/k", &[], "").await.text(), "theirs");
    server.assert_discreet();
}

/// What is hidden in the body of a request that has none stays a body.
#[tokio::test]
async fn section_9_a_body_on_get_is_never_a_request() {
    let server = server().await;
    let before = Stored::of(&server).await;
    let hidden = signed(server.client(), "DELETE /other/k", "", b"");
    for (claim, line, more, body) in [
        (
            "GET with a length",
            "GET /photos/k",
            format!("content-length: {}\r\n", hidden.len()),
            hidden.clone(),
        ),
        (
            "HEAD with a length",
            "HEAD /photos/k",
            format!("content-length: {}\r\n", hidden.len()),
            hidden.clone(),
        ),
        (
            "GET in chunks",
            "GET /photos/k",
            "transfer-encoding: chunked\r\n".to_owned(),
            format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()),
        ),
    ] {
        let bytes = format!("{}{body}", signed(server.client(), line, &more, b""));
        server.client().raw(bytes.as_bytes(), Duration::from_millis(300)).await;
        before.assert_same(&server, claim).await;
    }
    // Two honest requests on one connection are two.
    let two = format!(
        "{}{}",
        signed(server.client(), "GET /photos/k", "", b""),
        signed(server.client(), "GET /other/k", "", b"")
    );
    let answer = server.client().raw(two.as_bytes(), Duration::from_millis(500)).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("hello world") && text.contains("theirs"), "{text}");
}
