//! A Tenant with an audit: what it names and isn't there is told, records come, and a new token counts without another server.

use coffer_tests::webhook::Webhook;
use http::StatusCode;

use crate::stage::{Stage, tenant};

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("    {line}\n")).collect();
    lines.concat()
}

fn token(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: hook\nstringData:\n  token: {value}\n"
    )
}

/// The records that a text has among its other lines, as their operations.
fn operations(text: &str) -> Vec<String> {
    let records = text.lines().filter_map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        record.get("audit")?;
        Some(record.get("operation")?.as_str()?.to_owned())
    });
    records.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_all_records_and_its_token_is_replaced_without_a_restart() {
    let folder = tempfile::TempDir::new().unwrap();
    coffer_tests::identity::write(folder.path());
    let webhook = Webhook::start(folder.path()).await;
    webhook.answers(StatusCode::OK);
    let spec = format!(
        "  audit:\n    stdout: true\n    webhook:\n      endpoint: {}\n      caSecretRef: {{name: hook-tls}}\n      \
         tokenSecretRef: {{name: hook}}\n      queueSize: 1Mi\n",
        webhook.url()
    );
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", &spec))]);
    let missing = "spec.audit.webhook.tokenSecretRef: Secret `hook` doesn't exist; create it";
    stage.until("the token is missed", || stage.err().contains(missing)).await;
    stage.write("hook.yaml", &token("first-token"));
    let missing = "spec.audit.webhook.caSecretRef: Secret `hook-tls` doesn't exist; create it";
    stage.until("the CA is missed", || stage.err().contains(missing)).await;
    let ca = indented(&std::fs::read_to_string(folder.path().join("ca.crt")).unwrap());
    let secret = |ca: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: hook-tls\nstringData:\n  ca.crt: |\n{ca}"
        )
    };
    stage.write("hook-tls.yaml", &secret("    no certificate\n"));
    let invalid = "spec.audit.webhook.caSecretRef: Secret `hook-tls` holds no certificates";
    stage.until("the CA is refused", || stage.err().contains(invalid)).await;
    assert!(stage.servers().is_empty());
    stage.write("hook-tls.yaml", &secret(&ca));

    let client = stage.client("env").await;
    let servers = stage.servers();
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, StatusCode::OK);
    let came = |name: &str| operations(&webhook.taken()).iter().any(|one| one == name);
    stage.until("the record comes", || came("CreateBucket")).await;
    assert_eq!(webhook.authorization().as_deref(), Some("Bearer first-token"));
    let log = stage.path("data/default/logs/photos.log");
    let logged = || operations(&std::fs::read_to_string(&log).unwrap_or_default());
    stage.until("it is logged too", || logged().contains(&"CreateBucket".to_owned())).await;

    stage.write("hook.yaml", &token("second-token"));
    let secrets = stage.path("data/default/secrets/hook/token");
    let written = || std::fs::read_to_string(&secrets).unwrap_or_default() == "second-token";
    stage.until("the token is delivered", written).await;
    // The server looks four times a second.
    let mut sent = 0;
    while webhook.authorization().as_deref() != Some("Bearer second-token") {
        sent += 1;
        assert!(sent < 300, "the token stays the old one");
        assert_eq!(client.send("HEAD", "/photos", "", &[], "").await.status, StatusCode::OK);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(stage.servers(), servers);

    // Without it no record is written any more.
    stage.write("photos.yaml", &tenant("photos", ""));
    stage
        .until("another server runs", || {
            let now = stage.servers();
            !now.is_empty() && now != servers
        })
        .await;
    let mut put = client.try_send("PUT", "/photos/a", "", &[], "x").await;
    for _ in 0..300 {
        if put.as_ref().is_ok_and(|answer| answer.status == StatusCode::OK) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        put = client.try_send("PUT", "/photos/a", "", &[], "x").await;
    }
    assert_eq!(put.unwrap().status, StatusCode::OK);
    assert!(!logged().contains(&"PutObject".to_owned()));
    assert!(!webhook.taken().contains("PutObject"));
    let told = format!("{}{}{}", stage.out(), stage.err(), std::fs::read_to_string(&log).unwrap());
    assert!(!told.contains("first-token") && !told.contains("second-token"), "{told}");
}
