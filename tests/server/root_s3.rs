//! `COFFER_ROOT_S3=off`: root's keys are for the admin API alone, and nobody else's are held by it.

use coffer_server::iam::entity::Parent;
use coffer_server::iam::name::Name;
use coffer_tests::client::Client;
use coffer_tests::identity;
use coffer_tests::server::Server;
use http::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::people::{access_key, allow, change_in, client_of, user};

const TOLD: &str = "root's keys are for the admin API alone";

async fn server() -> Server {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    change_in(folder.path(), |draft| {
        user(draft, "alice", &allow(&["s3:*"]))?;
        access_key(draft, "alicekey", Parent::User(Name::user("alice")?), "")?;
        access_key(draft, "rootkey", Parent::Root, "")?;
        access_key(draft, "limitedrootkey", Parent::Root, &allow(&["s3:*", "admin:ServerInfo"]))
    })
    .await;
    Server::start_in(folder, &[("COFFER_ROOT_S3", "off"), ("COFFER_AUDIT", "stdout")]).await
}

/// Some operations on the service, a bucket, an object and several of them.
const REQUESTS: [(&str, &str, &str, &str); 8] = [
    ("GET", "/", "", ""),
    ("PUT", "/roots-bucket", "", ""),
    ("GET", "/photos", "list-type=2", ""),
    ("GET", "/photos", "policy", ""),
    ("PUT", "/photos/b", "", "x"),
    ("GET", "/photos/a", "", ""),
    ("DELETE", "/photos/a", "", ""),
    ("POST", "/photos", "delete", "<Delete><Object><Key>a</Key></Object></Delete>"),
];

async fn assert_shut_out(client: &Client, name: &str) {
    for (method, path, query, body) in REQUESTS {
        let answer = client.send(method, path, query, &[], body).await;
        let what = format!("{name}: {method} {path}?{query}: {}", answer.text());
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
        assert_eq!(answer.code(), "AccessDenied", "{what}");
        assert!(answer.text().contains(TOLD), "{what}");
    }
}

#[tokio::test]
async fn roots_keys_are_shut_out_of_s3_and_nobody_elses() {
    let server = server().await;
    let alice = client_of(&server, "alice");
    assert_eq!(alice.send("PUT", "/photos", "", &[], "").await.status, 200);
    assert_eq!(alice.send("PUT", "/photos/a", "", &[], "cat").await.status, 200);
    let public = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}"#;
    let put = alice.send("PUT", "/photos", "policy", &[], public).await;
    assert_eq!(put.status, 204, "{}", put.text());

    let root = server.client();
    assert_shut_out(root, "root").await;
    for name in ["rootkey", "limitedrootkey"] {
        assert_shut_out(&client_of(&server, name), name).await;
    }
    // Its signature alone is what holds it back: whoever gives none is a stranger as everybody.
    let headers = root.headers(&[]);
    let stranger = root.send_as_is("GET", "/photos/a", "", headers, "").await.unwrap();
    assert_eq!(stranger.text(), "cat");
    for name in ["alice", "alicekey"] {
        let got = client_of(&server, name).send("GET", "/photos/a", "", &[], "").await;
        assert_eq!(got.text(), "cat", "{name}");
    }
    assert_eq!(alice.send("GET", "/roots-bucket", "location", &[], "").await.status, 404);
    server.assert_discreet();
}

#[tokio::test]
async fn the_admin_api_is_roots_and_tells_why() {
    let server = server().await;
    let alice = client_of(&server, "alice");
    assert_eq!(alice.send("PUT", "/photos", "", &[], "").await.status, 200);
    let root = server.client();
    for path in ["info", "list-users", "list-canned-policies", "export-iam"] {
        let answer = root.send("GET", &format!("/minio/admin/v3/{path}"), "", &[], "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    let limited = client_of(&server, "limitedrootkey");
    assert_eq!(limited.send("GET", "/minio/admin/v3/info", "", &[], "").await.status, 200);
    assert_eq!(limited.send("GET", "/minio/admin/v3/list-users", "", &[], "").await.status, 403);
    assert_eq!(root.send("GET", "/minio/v2/metrics/cluster", "", &[], "").await.status, 200);

    // What it says that root may is what root may.
    let account = root.send("GET", "/minio/admin/v3/accountinfo", "", &[], "").await;
    let account: Value = serde_json::from_str(&account.text()).unwrap();
    assert_eq!(account["Buckets"], serde_json::json!([]));
    for (name, action, decision) in [
        ("rootkey", "s3:GetObject", "Deny"),
        ("limitedrootkey", "s3:GetObject", "Deny"),
        ("limitedrootkey", "admin:ServerInfo", "Allow"),
        ("alice", "s3:GetObject", "Allow"),
    ] {
        let resource = if action.starts_with("s3") { "arn:aws:s3:::photos/a" } else { "*" };
        let query = format!(
            "accessKey={name}&action={}&resource={}",
            crate::keys::encoded(action),
            crate::keys::encoded(resource)
        );
        let answer = root.send("GET", "/minio/admin/v3/explain", &query, &[], "").await;
        let told: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(told["decision"], decision, "{name} {action}: {told}");
        let because = told["reasons"][0].as_str().unwrap();
        assert_eq!(because.contains(TOLD), decision == "Deny", "{name} {action}: {told}");
    }
}

#[tokio::test]
async fn a_denial_of_roots_keys_is_in_the_audit() {
    let server = server().await;
    assert_eq!(server.client().send("GET", "/", "", &[], "").await.status, 403);
    let body = "<Delete><Object><Key>a</Key></Object></Delete>";
    assert_eq!(server.client().send("POST", "/photos", "delete", &[], body).await.status, 403);
    let records = || {
        let output = server.read_output();
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    for _ in 0..500 {
        if records().len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let records = records();
    assert_eq!(records.len(), 2);
    for (record, operation) in records.iter().zip(["ListBuckets", "DeleteObjects"]) {
        assert_eq!(record["operation"], operation);
        assert_eq!((&record["status"], &record["code"]), (&403.into(), &"AccessDenied".into()));
        assert_eq!(record["identity"]["name"], "root");
        // By no statement: nothing else denies so.
        assert_eq!(record["decision"]["outcome"], "Deny", "{record}");
        assert_eq!(record["decision"]["policy"], Value::Null, "{record}");
    }
}
