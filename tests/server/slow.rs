//! Clients that are slow, silent or many: limits close them, and what they held is free again.
//!
//! CVE-2022-31028, CVE-2020-1700, CVE-2019-3821.

use std::time::{Duration, Instant};

use coffer_signature::PayloadHash;
use coffer_tests::server::Server;
use coffer_tests::stored::Stored;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::claim::{send, server_with};
use crate::smuggling::head;

async fn impatient() -> Server {
    server_with(&[("COFFER_IDLE_SECONDS", "1")]).await
}

/// Waits until the server holds about as many descriptors as before.
async fn assert_free(server: &Server, base: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.descriptors() > base {
        assert!(Instant::now() < deadline, "{} descriptors, {base} before", server.descriptors());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn signed(server: &Server, line: &str, headers: &[(&str, &str)]) -> String {
    let (method, path, query) = crate::claim::parts(line);
    head(line, &server.client().signed(method, path, query, headers, &PayloadHash::Unsigned))
}

#[tokio::test]
async fn section_9_a_head_that_never_ends_is_given_up() {
    let server = impatient().await;
    let base = server.descriptors();
    let bytes = signed(&server, "GET /photos/k", &[]);
    let began = Instant::now();
    let slow = (0..20).map(|_| async {
        let mut stream = server.client().connect().await;
        // A byte now and then: no pause is long, and the head still never ends.
        for byte in bytes.as_bytes().iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            let mut answer = [0; 512];
            let read =
                tokio::time::timeout(Duration::from_millis(250), stream.read(&mut answer)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) {
                return;
            }
        }
    });
    join_all(slow).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_free(&server, base).await;
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
}

#[tokio::test]
async fn section_9_a_handshake_that_never_ends_is_given_up() {
    let server = impatient().await;
    let base = server.descriptors();
    let mut streams = Vec::new();
    for bytes in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
    ] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        streams.push(stream);
    }
    let ends = streams.iter_mut().map(|stream| async {
        let mut rest = Vec::new();
        let read =
            tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "it is still open");
    });
    join_all(ends).await;
    assert_free(&server, base).await;
}

#[tokio::test]
async fn section_9_a_body_that_stalls_is_given_up_and_nothing_of_it_stays() {
    let server = impatient().await;
    let base = server.descriptors();
    let before = Stored::of(&server).await;
    let bytes = signed(&server, "PUT /photos/new", &[("content-length", "3000000")]);
    let stalled = (0..5).map(|_| async {
        let mut stream = server.client().connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.write_all(&vec![1; 1_500_000]).await.unwrap();
        let mut answer = Vec::new();
        let read =
            tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "it is still open");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
    });
    join_all(stalled).await;
    assert_free(&server, base).await;
    before.assert_same(&server, "half a body was kept").await;
}

#[tokio::test]
async fn section_9_a_get_that_nobody_reads_is_given_up() {
    let server = impatient().await;
    let large = vec![7; 32 << 20];
    assert_eq!(send(server.client(), "PUT /photos/large", &[], large).await.status, 200);
    let (base, resident) = (server.descriptors(), server.resident());
    let bytes = signed(&server, "GET /photos/large", &[]);
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = server.client().connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        streams.push(stream);
    }
    assert_free(&server, base).await;
    assert!(
        server.resident() < resident + (64 << 10),
        "{} KiB, {resident} before",
        server.resident()
    );
    drop(streams);
}

#[tokio::test]
async fn section_9_500_idle_connections_disturb_nobody_and_are_closed() {
    let server = impatient().await;
    let base = server.descriptors();
    let streams = join_all((0..500).map(|_| TcpStream::connect(server.address()))).await;
    assert!(streams.iter().all(Result::is_ok));
    let began = Instant::now();
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_free(&server, base).await;
}

/// CVE-2025-27100 and its kin: a list of keys is read before it is known what of it its sender may do.
#[tokio::test]
async fn section_6_many_large_documents_at_once_take_little_memory() {
    let server = server_with(&[("COFFER_IDLE_SECONDS", "5")]).await;
    let resident = server.resident();
    let large = [("content-length", "8388608")];
    let bytes = signed(&server, "POST /photos?delete", &large);
    let key = "<Object><Key>k</Key></Object>".repeat(290_000);
    let part = &key.as_bytes()[..8_000_000];
    let mut held = Vec::new();
    let mut told = 0;
    for _ in 0..40 {
        let mut stream = server.client().connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        // Those that are told to come again may be closed meanwhile.
        let _sent = tokio::time::timeout(Duration::from_secs(2), stream.write_all(part)).await;
        let mut answer = [0; 4096];
        let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut answer)).await;
        if let Ok(Ok(length)) = read {
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            assert!(length == 0 || answer.contains("<Code>SlowDown</Code>"), "{answer}");
            told += 1;
        } else {
            held.push(stream);
        }
    }
    assert_eq!((held.len(), told), (4, 36), "a source may have 32 MiB");
    let grown = server.resident().saturating_sub(resident);
    assert!(grown < 96 << 10, "{grown} KiB more");
    // Who asks for little gets it meanwhile, and the rest is free again when they are gone.
    let small = "<Delete><Object><Key>absent</Key></Object></Delete>";
    assert_eq!(crate::documents::delete(&server, "photos", small).await.status, 200);
    drop(held);
    let list = format!("<Delete>{}</Delete>", &key[..29 * 1000]);
    for turn in 0.. {
        let long = format!("{list}{}", " ".repeat(4 << 20));
        let answer = crate::documents::delete(&server, "photos", &long).await;
        if answer.status == 200 {
            break;
        }
        assert!(turn < 50 && answer.code() == "SlowDown", "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// No pause is long, and the document still never ends.
#[tokio::test]
async fn section_9_a_document_that_drips_is_given_up() {
    let server = impatient().await;
    let bytes = signed(&server, "POST /photos?delete", &[("content-length", "60000")]);
    let mut stream = server.client().connect().await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut answer = [0; 4096];
    let length = loop {
        stream.write_all(b" ").await.unwrap();
        stream.flush().await.unwrap();
        let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut answer)).await;
        if let Ok(read) = read {
            break read.unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(8), "it is still read");
    };
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
}
