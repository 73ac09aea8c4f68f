//! The audit record: one line for each request, chained, with nothing secret.

use coffer_signature::V2Signer;
use coffer_tests::server::{ACCESS_KEY, Server, program};
use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use crate::people::{allow, client_of, server_of, user};

/// The records of all requests so far, of which there are `count`.
async fn records(server: &Server, count: usize) -> Vec<Value> {
    for _ in 0..500 {
        let output = server.read_output();
        if output.lines().count() >= count {
            return output
                .lines()
                .map(|line| serde_json::from_str(line).expect("a record"))
                .collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{count} records don't come: {}", server.read_output());
}

#[tokio::test]
async fn each_request_leaves_a_record_that_names_its_signature() {
    let server = Server::start_with(&[("COFFER_AUDIT", "stdout"), ("COFFER_LOG", "trace")]).await;
    let client = server.client();
    assert_eq!(client.send("PUT", "/album", "", &[], "").await.status, 200);
    assert_eq!(client.send("PUT", "/album/cat", "", &[], "meow").await.status, 200);
    let mut headers = client.headers(&[]);
    let v2 = V2Signer { credentials: &client.credentials, host_bucket: None };
    v2.sign_headers(&Method::GET, "/album/cat", "", &mut headers, now()).unwrap();
    let got = client.send_as_is("GET", "/album/cat", "", headers, "").await.unwrap();
    assert_eq!(got.text(), "meow");
    let headers = client.headers(&[]);
    let nobody = client.send_as_is("GET", "/album/cat", "", headers, "").await.unwrap();
    assert_eq!(nobody.status, 403);
    for method in ["GET", "HEAD"] {
        assert_eq!(client.send(method, "/album/dog", "", &[], "").await.status, 404);
    }
    assert_eq!(client.send("GET", "/minio/v2/metrics/node", "", &[], "").await.status, 200);

    let records = records(&server, 7).await;
    let texts = |name: &str| {
        records
            .iter()
            .map(|record| record[name].as_str().unwrap_or("-").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts("operation"),
        [
            "CreateBucket",
            "PutObject",
            "GetObject",
            "GetObject",
            "GetObject",
            "HeadObject",
            "metrics"
        ]
    );
    assert_eq!(
        texts("signature"),
        ["V4Header", "V4Header", "V2Header", "Anonymous", "V4Header", "V4Header", "V4Header"]
    );
    assert_eq!(texts("code"), ["-", "-", "-", "AccessDenied", "NoSuchKey", "NoSuchKey", "-"]);
    assert_eq!(texts("key"), ["-", "cat", "cat", "cat", "dog", "dog", "-"]);
    let got_record = &records[2];
    assert_eq!(got_record["identity"]["kind"], "Account");
    assert_eq!(got_record["decision"]["outcome"], "Allow");
    assert_eq!(got_record["bytesSent"], 4);
    assert_eq!(got_record["tls"], "TLSv1_3");
    assert_eq!(got_record["requestId"], got.header("x-amz-request-id"));
    assert_eq!(records[3]["decision"]["outcome"], "DefaultDeny");
    assert_eq!(records[3]["requestId"], nobody.header("x-amz-request-id"));
    let output = server.read_output();
    assert!(!output.contains(&client.credentials.secret_key.expose().to_owned()), "a secret");
    assert!(!output.contains(ACCESS_KEY) && !output.contains("Signature="), "{output}");
    server.assert_discreet();

    let whole = server.folder().join("output");
    let verify = |file: &std::path::Path| {
        let mut command = std::process::Command::new(program("coffer-operator"));
        command.args(["audit", "verify"]).arg(file).output().expect("it runs").status.success()
    };
    assert!(verify(&whole), "the records are whole");
    let changed = server.folder().join("changed");
    std::fs::write(&changed, output.replacen("\"key\":\"cat\"", "\"key\":\"dog\"", 1)).unwrap();
    assert!(!verify(&changed), "a changed record isn't seen");
}

/// What an operation learns to ask while it is carried out, and which keys its document named, is told too.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_names_the_decision_that_denied_and_each_key_of_many() {
    let folder = tempfile::TempDir::new().unwrap();
    coffer_tests::identity::write(folder.path());
    crate::people::change_in(folder.path(), |draft| {
        let writes = r#"{"Effect":"Allow","Action":["s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::album/*"}"#;
        let kept = r#"{"Sid":"Kept","Effect":"Deny","Action":["s3:GetObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::album/kept*"}"#;
        user(draft, "alice", &format!("{writes},{kept}"))
    })
    .await;
    let server = Server::start_in(folder, &[("COFFER_AUDIT", "stdout")]).await;
    let root = server.client();
    for path in ["/album", "/album/kept", "/album/a"] {
        assert_eq!(root.send("PUT", path, "", &[], "").await.status, 200);
    }
    let alice = client_of(&server, "alice");
    let source = [("x-amz-copy-source", "/album/kept")];
    assert_eq!(alice.send("PUT", "/album/copy", "", &source, "").await.status, 403);
    let keys = ["kept", "a", "absent"];
    let objects = keys.map(|key| format!("<Object><Key>{key}</Key></Object>")).concat();
    let answer = crate::documents::delete_as(
        &alice,
        "album",
        &format!("<Delete>{objects}<Quiet>true</Quiet></Delete>"),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let records = records(&server, 5).await;
    let [copy, deletes] = &records[3..] else { panic!("{records:?}") };
    for (record, status) in [(copy, 403), (deletes, 200)] {
        assert_eq!(record["status"], status);
        assert_eq!(record["decision"]["outcome"], "Deny", "{record}");
        assert_eq!(record["decision"]["sid"], "Kept", "{record}");
    }
    let mut named: Vec<(&str, &str)> = deletes["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["key"].as_str().unwrap(), one["code"].as_str().unwrap_or("-")))
        .collect();
    named.sort_unstable();
    assert_eq!(named, [("a", "-"), ("absent", "-"), ("kept", "AccessDenied")]);
    assert!(copy.get("keys").is_none());
}

/// A token is made with a secret key: who guesses one guesses that.
#[tokio::test]
async fn guesses_at_the_token_of_metrics_are_counted() {
    let server = Server::start_with(&[("COFFER_FAILED_SIGNATURES_PER_MINUTE", "5")]).await;
    let client = server.client();
    let mut answers = Vec::new();
    for n in 0..8 {
        let token = format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb290In0.{n}");
        let headers = client.headers(&[("authorization", &format!("Bearer {token}"))]);
        let answer = client.send_as_is("GET", "/minio/v2/metrics/cluster", "", headers, "").await;
        answers.push(answer.unwrap().code());
    }
    assert_eq!(answers[0], "InvalidToken");
    assert_eq!(answers[7], "SlowDown", "{answers:?}");
}

#[expect(clippy::disallowed_methods, reason = "what a client does")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// CVE-2026-44477: who may read the figures may do nothing else by that.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_those_who_are_allowed_them() {
    let server = server_of(|draft| {
        user(draft, "scraper", &allow(&["admin:Prometheus"]))?;
        user(draft, "everything", &allow(&["s3:*"]))
    })
    .await;
    for (name, status) in [("scraper", 200), ("everything", 403)] {
        let client = client_of(&server, name);
        let answer = client.send("GET", "/minio/v2/metrics/cluster", "", &[], "").await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert_eq!(answer.text().contains("coffer_storage_usable 1"), status == 200, "{name}");
    }
    let scraper = client_of(&server, "scraper");
    for (method, path, query) in [
        ("GET", "/", ""),
        ("PUT", "/photos", ""),
        ("PUT", "/photos/k", ""),
        ("DELETE", "/photos/k", ""),
        ("GET", "/minio/admin/v3/list-users", ""),
        ("PUT", "/minio/admin/v3/add-user", "accessKey=x"),
    ] {
        let answer = scraper.send(method, path, query, &[], "").await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
}
