//! Streams of HTTP/2 that are reset while they are answered: what was begun is carried out and told, or never was.

use std::collections::BTreeSet;
use std::time::Duration;

use coffer_signature::PayloadHash;
use coffer_tests::client::Client;
use coffer_tests::frames::{
    END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS, block, frame, preface,
};
use coffer_tests::identity;
use coffer_tests::server::Server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::claim::send;
use crate::people::{allow, change_in, client_of, user};

/// How often it is tried, with a longer pause each time.
const TRIES: u32 = 24;

/// Sends a request without a body, and resets its stream so long after.
async fn reset(client: &Client, method: &str, path: &str, query: &str, after: Duration) {
    let headers = client.signed(method, path, query, &[], &PayloadHash::of(b""));
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let block = block(method, &target, &client.host(), &headers);
    let mut stream = client.try_connect(b"h2").await.unwrap();
    let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
    let settled = frame(SETTINGS, 1, 0, &[]);
    stream.write_all(&[preface(65_535), settled, head].concat()).await.unwrap();
    stream.flush().await.unwrap();
    tokio::time::sleep(after).await;
    stream.write_all(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await.unwrap();
    stream.flush().await.unwrap();
    // Answers to other frames, and then nothing: the server has seen the reset.
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Pauses from none at all to more than a commit takes.
fn pause(n: u32) -> Duration {
    Duration::from_micros(150) * n
}

async fn audited() -> Server {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    change_in(folder.path(), |draft| {
        (0..TRIES).try_for_each(|n| user(draft, &format!("user-{n:02}"), &allow(&["s3:*"])))
    })
    .await;
    Server::start_in(folder, &[("COFFER_AUDIT", "stdout")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reset_request_changed_has_a_record() {
    let server = audited().await;
    let client = server.client();
    assert_eq!(send(client, "PUT /photos", &[], "").await.status, 200);
    let names: Vec<String> = (0..TRIES).map(|n| format!("k{n:02}")).collect();
    for name in &names {
        assert_eq!(send(client, &format!("PUT /photos/{name}"), &[], "x").await.status, 200);
    }
    for (n, name) in (0..).zip(&names) {
        reset(client, "DELETE", &format!("/photos/{name}"), "", pause(n)).await;
    }
    let listing = send(client, "GET /photos?list-type=2", &[], "").await.text();
    let gone: BTreeSet<String> = names
        .iter()
        .filter(|name| !listing.contains(&format!("<Key>{name}</Key>")))
        .cloned()
        .collect();
    assert!(!gone.is_empty(), "every reset came before its request was read");
    let recorded = || -> BTreeSet<String> {
        let output = server.read_output();
        let records = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records
            .filter(|record| record["operation"] == "DeleteObject" && record["status"] == 204)
            .filter_map(|record| record["key"].as_str().map(str::to_owned))
            .collect()
    };
    for _ in 0..200 {
        if gone.is_subset(&recorded()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("deleted without a record: {:?}", gone.difference(&recorded()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_a_reset_request_removed_is_out_at_once() {
    let mut server = audited().await;
    for n in 0..TRIES {
        let query = format!("accessKey=user-{n:02}");
        let path = "/minio/admin/v3/remove-user";
        reset(server.client(), "DELETE", path, &query, pause(n)).await;
    }
    let still = async |server: &Server| {
        let mut still = BTreeSet::new();
        for n in 0..TRIES {
            let answer = send(&client_of(server, &format!("user-{n:02}")), "GET /", &[], "").await;
            if answer.status == 200 {
                still.insert(n);
            }
        }
        still
    };
    let before = still(&server).await;
    assert!(before.len() < usize::try_from(TRIES).unwrap(), "none was removed");
    // What is in force is what is kept.
    assert!(server.terminate());
    server.launch().await;
    assert_eq!(before, still(&server).await);
}
