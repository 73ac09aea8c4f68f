//! The KMS API: what it answers, whom, and in which codes.

use coffer_tests::server::Server;
use coffer_tests::{identity, static_kms};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::claim::{assert_answer, send};
use crate::people::{allow, change_in, client_of, user};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// With the keys `photos`, which is the default, and `archive`.
async fn server() -> Server {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let on = |action: &str, resource: &str| {
        format!(r#"{{"Effect":"Allow","Action":"kms:{action}","Resource":"{resource}"}}"#)
    };
    change_in(folder.path(), |draft| {
        user(draft, "stranger", &allow(&["s3:*"]))?;
        user(draft, "all", &on("*", "*"))?;
        user(draft, "lister", &on("ListKeys", "*"))?;
        user(draft, "archivist", &on("KeyStatus", "arn:aws:kms:::archive"))?;
        user(draft, "maker", &on("CreateKey", "arn:aws:kms:::team-*"))
    })
    .await;
    let kms = static_kms::write(folder.path());
    let settings: Vec<(&str, &str)> =
        kms.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Server::start_in(folder, &settings).await
}

#[tokio::test]
async fn the_kms_is_told_and_tried() {
    let server = server().await;
    let client = server.client();
    for (line, expected) in [
        (
            "GET /minio/kms/v1/status",
            json!({"name": "static", "default-key-id": "photos", "endpoints": {"127.0.0.1": "online"}, "state": {}}),
        ),
        ("GET /minio/kms/v1/version", json!({"version": env!("CARGO_PKG_VERSION")})),
        ("GET /minio/kms/v1/key/status", json!({"key-id": "photos"})),
        ("GET /minio/kms/v1/key/status?key-id=archive", json!({"key-id": "archive"})),
        (
            "GET /minio/kms/v1/key/status?key-id=none",
            json!({
                "key-id": "none", "error-kind": "KeyUnusable",
                "encryption-error": "the KMS has no key `none`; create it, or name another",
            }),
        ),
        (
            "GET /minio/kms/v1/key/list?pattern=*",
            json!([
                {"name": "archive", "createdAt": "0001-01-01T00:00:00Z"},
                {"name": "photos", "createdAt": "0001-01-01T00:00:00Z"},
            ]),
        ),
        (
            "GET /minio/kms/v1/key/list?pattern=ph*",
            json!([{"name": "photos", "createdAt": "0001-01-01T00:00:00Z"}]),
        ),
    ] {
        let answer = send(client, line, &[], "").await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.text());
        assert_eq!(json_of(&answer.text()), expected, "{line}");
    }
    let apis = send(client, "GET /minio/kms/v1/apis", &[], "").await;
    for api in json_of(&apis.text()).as_array().unwrap() {
        let line = format!(
            "{} /minio/kms{}",
            api["Method"].as_str().unwrap(),
            api["Path"].as_str().unwrap()
        );
        let answer = send(client, &line, &[], "").await;
        assert_ne!(answer.status, 405, "{line}");
    }
}

#[tokio::test]
async fn what_is_wrong_has_a_code() {
    let server = server().await;
    for (line, status, code) in [
        ("POST /minio/kms/v1/key/create?key-id=new", 501, "kms:NotSupported"),
        ("POST /minio/kms/v1/key/create?key-id=photos", 409, "XMinioKMSKeyExists"),
        ("POST /minio/kms/v1/key/create?key-id=../sys", 400, "XMinioAdminInvalidArgument"),
        ("POST /minio/kms/v1/key/create", 426, "XMinioAdminVersionMismatch"),
        ("GET /minio/kms/v1/key/create?key-id=new", 405, "MethodNotAllowed"),
        ("GET /minio/kms/v1/key/status?key-id=a%2Fb", 400, "XMinioAdminInvalidArgument"),
        ("GET /minio/kms/v1/nothing", 426, "XMinioAdminVersionMismatch"),
        ("GET /minio/kms/v2/status", 426, "XMinioAdminVersionMismatch"),
    ] {
        let answer = send(server.client(), line, &[], "").await;
        let found = json_of(&answer.text())["Code"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status.as_u16(), found.as_str()), (status, code), "{line}");
    }
    let headers = server.client().headers(&[]);
    let unsigned =
        server.client().send_as_is("GET", "/minio/kms/v1/status", "", headers, "").await.unwrap();
    assert_eq!(unsigned.status, 403);

    let without = Server::start().await;
    for line in [
        "GET /minio/kms/v1/status",
        "GET /minio/kms/v1/version",
        "GET /minio/kms/v1/apis",
        "GET /minio/kms/v1/key/list",
        "GET /minio/kms/v1/key/status",
        "POST /minio/kms/v1/key/create?key-id=new",
    ] {
        let answer = send(without.client(), line, &[], "").await;
        assert_eq!(answer.status, 501, "{line}: {}", answer.text());
        assert_eq!(json_of(&answer.text())["Code"], "NotImplemented", "{line}");
    }
}

#[tokio::test]
async fn each_call_asks_for_its_own_action() {
    let server = server().await;
    let calls = [
        "GET /minio/kms/v1/status",
        "GET /minio/kms/v1/version",
        "GET /minio/kms/v1/apis",
        "GET /minio/kms/v1/key/list",
        "GET /minio/kms/v1/key/status",
        "GET /minio/kms/v1/key/status?key-id=archive",
        "POST /minio/kms/v1/key/create?key-id=new",
        "POST /minio/kms/v1/key/create?key-id=team-new",
    ];
    for (name, expected) in [
        ("stranger", [403; 8]),
        ("all", [200, 200, 200, 200, 200, 200, 501, 501]),
        ("lister", [403, 403, 403, 200, 403, 403, 403, 403]),
        ("archivist", [403, 403, 403, 403, 403, 200, 403, 403]),
        ("maker", [403, 403, 403, 403, 403, 403, 403, 501]),
    ] {
        let client = client_of(&server, name);
        for (line, status) in calls.iter().zip(expected) {
            let answer = send(&client, line, &[], "").await;
            assert_eq!(answer.status.as_u16(), status, "{name}: {line}: {}", answer.text());
        }
    }
}

/// What a Secret holds is read anew: a key that comes in it works, one that goes doesn't.
#[tokio::test]
async fn metrics_count_the_calls_and_the_kept_keys() {
    let server = server().await;
    let client = server.client();
    send(client, "PUT /photos", &[], "").await;
    let encrypted = [("x-amz-server-side-encryption", "AES256")];
    for key in ["a", "b", "c"] {
        let line = format!("PUT /photos/{key}");
        assert_eq!(send(client, &line, &encrypted, "x").await.status, 200);
    }
    std::fs::remove_file(server.folder().join("kms/archive")).unwrap();
    let status = send(client, "GET /minio/kms/v1/key/status?key-id=archive", &[], "").await;
    assert_eq!(json_of(&status.text())["error-kind"], "KeyUnusable");
    let metrics = send(client, "GET /minio/v2/metrics/cluster", &[], "").await.text();
    for line in [
        r#"coffer_kms_calls_total{call="GenerateDataKey",error="none"} 1"#,
        r#"coffer_kms_calls_total{call="GenerateDataKey",error="KeyUnusable"} 1"#,
        r#"coffer_kms_call_duration_seconds_count{call="GenerateDataKey"} 2"#,
        // One to seal by, and the same to open by.
        "coffer_kms_data_keys 2",
        "coffer_kms_working 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "no {line} in\n{metrics}");
    }
    assert_answer("an unknown key", &send(client, "GET /photos/a", &[], "").await, 200, "");
}
