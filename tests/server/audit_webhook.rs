//! Audit records for a webhook: none is lost while it is away, and all are accounted for when too many would wait.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coffer_tests::identity;
use coffer_tests::server::{ACCESS_KEY, Server, program};
use coffer_tests::webhook::Webhook;
use http::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

/// A webhook that takes nothing yet, and a server that posts to it.
async fn both(settings: &[(&str, &str)]) -> (Webhook, Server) {
    let folder = TempDir::new().expect("a folder");
    identity::write(folder.path());
    let webhook = Webhook::start(folder.path()).await;
    let server = posting(folder, &webhook, settings).await;
    (webhook, server)
}

/// A server that posts to it.
async fn posting(folder: TempDir, webhook: &Webhook, settings: &[(&str, &str)]) -> Server {
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("token"), "first-token\n").expect("a file");
    let (url, ca, token) = (webhook.url(), at("ca.crt"), at("token"));
    let mut all = vec![
        ("COFFER_AUDIT_WEBHOOK", url.as_str()),
        ("COFFER_AUDIT_WEBHOOK_CA", &ca),
        ("COFFER_AUDIT_WEBHOOK_TOKEN", &token),
    ];
    all.extend(settings);
    Server::start_in(folder, &all).await
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}");
}

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

fn verify(file: &Path) -> bool {
    let mut command = Command::new(program("coffer-operator"));
    command.args(["audit", "verify"]).arg(file).output().expect("it runs").status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_while_it_is_away_and_over_kills_of_the_server() {
    let (webhook, mut server) = both(&[("COFFER_LOG", "trace")]).await;
    for number in 0..2 {
        let bucket = format!("/bucket-{number}");
        assert_eq!(server.client().send("PUT", &bucket, "", &[], "").await.status, 200);
    }
    assert_eq!(
        server.client().send("GET", "/minio/admin/v3/list-users", "", &[], "").await.status,
        200
    );
    eventually("it is posted to", || webhook.posts() > 1).await;
    assert_eq!(webhook.authorization().as_deref(), Some("Bearer first-token"));
    assert_eq!(webhook.taken(), "");
    // Another token is used as soon as it is there.
    let token = server.folder().join("token");
    std::fs::write(&token, "second-token").expect("a file");
    eventually("the new token is used", || {
        webhook.authorization().as_deref() == Some("Bearer second-token")
    })
    .await;
    server.kill();
    server.launch().await;
    assert_eq!(server.client().send("GET", "/bucket-1/none", "", &[], "").await.status, 404);
    webhook.answers(StatusCode::OK);
    eventually("all records come", || webhook.taken().lines().count() >= 4).await;

    let text = webhook.taken();
    let asked: Vec<(String, String)> = records(&text)
        .iter()
        .map(|record| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&record["operation"]), text(&record["decision"]["outcome"]))
        })
        .collect();
    let allowed = |operation: &str| (operation.to_owned(), "Allow".to_owned());
    assert_eq!(
        asked,
        [
            allowed("CreateBucket"),
            allowed("CreateBucket"),
            allowed("list-users"),
            allowed("GetObject")
        ]
    );
    let file = server.folder().join("taken");
    std::fs::write(&file, &text).expect("a file");
    assert!(verify(&file), "{text}");
    assert!(!text.contains(ACCESS_KEY) && !text.contains("Signature="), "{text}");
    assert!(!server.read_log().contains("second-token"), "a token in the log");
    server.assert_discreet();
    // Nothing is left to post.
    let metrics = server.client().send("GET", "/minio/v2/metrics/node", "", &[], "").await.text();
    assert!(metrics.contains("coffer_audit_webhook_waiting_bytes"), "{metrics}");
}

/// CVE-2022-31105, CVE-2025-67601: neither records nor the token go to somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn section_9_a_webhook_is_believed_only_by_its_certificate() {
    for (wrong, issue) in identity::UNBELIEVABLE {
        let folder = TempDir::new().expect("a folder");
        identity::write(folder.path());
        issue(folder.path());
        let webhook = Webhook::start(folder.path()).await;
        webhook.answers(StatusCode::OK);
        identity::issue(folder.path(), 9);
        let server = posting(folder, &webhook, &[]).await;
        assert_eq!(server.client().send("PUT", "/bucket", "", &[], "").await.status, 200);
        eventually(wrong, || webhook.broken_off() > 0).await;
        assert_eq!((webhook.posts(), webhook.authorization()), (0, None), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_is_counted_in_the_next_record() {
    let (webhook, server) = both(&[("COFFER_AUDIT_QUEUE_BYTES", "1048576")]).await;
    let headers = server.client().headers(&[]);
    let mut asked = 0;
    let lost = async || {
        let metrics =
            server.client().send("GET", "/minio/v2/metrics/node", "", &[], "").await.text();
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("coffer_audit_records_lost_total "));
        line.expect("the metric").parse::<u64>().expect("a number")
    };
    while lost().await < 10 {
        for _ in 0..100 {
            let sent = server.client().send_as_is("GET", "/none/at-all", "", headers.clone(), "");
            assert_eq!(sent.await.expect("an answer").status, 403);
        }
        asked += 101;
        assert!(asked < 20_000, "the queue is never full");
    }
    webhook.answers(StatusCode::NO_CONTENT);
    // The queue has room again: what comes now says how many are missing.
    let told = || records(&webhook.taken()).iter().find_map(|record| record["lostBefore"].as_u64());
    for _ in 0..500 {
        if told().is_some() {
            break;
        }
        let sent = server.client().send_as_is("GET", "/none/at-all", "", headers.clone(), "");
        assert_eq!(sent.await.expect("an answer").status, 403);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let missing = told().expect("a record that tells");
    assert!(missing >= 10, "{missing}");
    let file = server.folder().join("taken");
    std::fs::write(&file, webhook.taken()).expect("a file");
    assert!(verify(&file), "the chain goes on over what is missing");
}

#[tokio::test]
async fn settings_that_can_not_work_end_the_start() {
    let folder = TempDir::new().expect("a folder");
    identity::write(folder.path());
    let server = Server::start_in(folder, &[]).await;
    let at = |name: &str| server.folder().join(name).display().to_string();
    let (ca, missing, key) = (at("ca.crt"), at("missing"), at("iam/key"));
    for (url, ca, token, told) in [
        ("http://localhost/", &ca, None, "is no address of a webhook"),
        ("https://user:secret@localhost/", &ca, None, "is no address of a webhook"),
        ("https://localhost/", &missing, None, "can't read"),
        ("https://localhost/", &key, None, "holds no CA certificate"),
        ("https://localhost/", &ca, Some(&missing), "has no token"),
    ] {
        let mut command = Command::new(program("coffer-server"));
        // Another data folder: the first is in use.
        let arguments = server.arguments();
        command.args(arguments.iter().map(|text| text.replace(&at("data"), &at("other"))));
        command.args(["--audit-webhook", url, "--audit-webhook-ca", ca]);
        command.args(token.iter().flat_map(|token| ["--audit-webhook-token", token.as_str()]));
        let output = command.env("COFFER_LOG", "info").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(told), "{url}: {said}");
    }
}
