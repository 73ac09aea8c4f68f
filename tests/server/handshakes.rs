//! Handshakes that are cut up, broken off, or weighed down: they are carried on or closed, at no cost, and others don't notice.

use std::sync::Arc;
use std::time::Duration;

use coffer_tests::server::Server;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::claim::{send, server};
use crate::control;

const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;
/// A client that won't say more.
const CLOSE_NOTIFY: [u8; 7] = [ALERT, 3, 3, 0, 2, 1, 0];

/// The ClientHello of an honest client, without the head of its record.
fn hello() -> Vec<u8> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client =
        ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut record = Vec::new();
    client.write_tls(&mut record).unwrap();
    assert_eq!(record[0], HANDSHAKE);
    record.split_off(5)
}

/// Records of so many bytes each.
fn records(message: &[u8], each: usize) -> Vec<u8> {
    let record = |piece: &[u8]| {
        let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
        [&[HANDSHAKE, 3, 1, length[0], length[1]], piece].concat()
    };
    message.chunks(each).flat_map(record).collect()
}

/// Sends this, in writes of so many bytes, and says no more; what comes back until the server closes.
async fn answer(server: &Server, bytes: &[u8], each: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in bytes.chunks(each) {
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    // The server may have closed it already.
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    drop(read.expect("the server closes what its client has given up"));
    answer
}

/// RUSTSEC-2024-0336, RUSTSEC-2024-0399.
#[tokio::test]
async fn section_9_a_cut_up_or_broken_off_handshake_is_closed_and_costs_nothing() {
    let server = server().await;
    let descriptors = server.descriptors();
    let hello = hello();
    let half = &hello[..hello.len() / 2];
    let empty = [HANDSHAKE, 3, 1, 0, 0];
    for (claim, bytes, each, expected) in [
        ("whole", records(&hello, 4096), 4096, HANDSHAKE),
        ("in two records", records(&hello, 100), 4096, HANDSHAKE),
        ("in two writes", records(&hello, 4096), 100, HANDSHAKE),
        ("each byte a write", records(&hello, 4096), 1, HANDSHAKE),
        ("each byte a record", records(&hello, 1), 4096, HANDSHAKE),
        ("half", records(half, 4096), 4096, 0),
        ("ended", [&records(&hello, 4096)[..], &CLOSE_NOTIFY].concat(), 4096, HANDSHAKE),
        ("half, ended", [&records(half, 64)[..], &CLOSE_NOTIFY].concat(), 4096, 0),
        ("ended before it began", CLOSE_NOTIFY.to_vec(), 4096, 0),
        ("of empty records", empty.repeat(10_000), 4096, ALERT),
        ("of two messages", records(&[&hello[..], &hello].concat(), 4096), 4096, ALERT),
    ] {
        let before = server.processor_time();
        let said = answer(&server, &bytes, each).await;
        let first = said.first().copied().unwrap_or_default();
        assert_eq!(first, expected, "{claim}: {said:?}");
        let spent = server.processor_time().saturating_sub(before);
        assert!(spent < Duration::from_millis(100), "{claim}: {spent:?}");
        assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
    }
    assert!(server.descriptors() <= descriptors + 1, "{} now", server.descriptors());
}

/// RUSTSEC-2023-0053.
#[tokio::test(flavor = "multi_thread")]
async fn section_9_a_chain_of_a_hundred_certificates_is_refused_and_costs_nothing() {
    let (server, authority) = control::server().await;
    // All of one name, so that each may have issued each.
    for (claim, names) in [("of a line", 100), ("of one name", 1)] {
        let (certificate, key) = authority.chain(100, names);
        let client = server.client().with_certificate(&certificate, &key);
        let before = server.processor_time();
        let (status, said) = control::ask(&client, "GET", "policies", &Value::Null).await;
        assert_eq!(status, 0, "{claim}: {said}");
        let spent = server.processor_time().saturating_sub(before);
        // Each way through a hundred would take hours.
        assert!(spent < Duration::from_millis(500), "{claim}: {spent:?}");
    }
    let (certificate, key) = authority.chain(1, 1);
    let client = server.client().with_certificate(&certificate, &key);
    assert_eq!(control::ask(&client, "GET", "policies", &Value::Null).await.0, 200, "a short one");
}
