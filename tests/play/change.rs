//! Changes of the manifests are followed, and what is wrong with one holds up no other.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use http::StatusCode;

use crate::stage::{Stage, tenant};

/// What is answered at `host`, a name that leads to this machine, or nothing while there is no answer under that name.
fn fetch(stage: &Stage, environment: &BTreeMap<String, String>, host: &str, path: &str) -> String {
    let port = stage.port();
    let user = |name: &str| environment[name].as_str();
    let output = Command::new("curl")
        .args(["-sS", "--fail", "--noproxy", "*", "--cacert", user("AWS_CA_BUNDLE")])
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
        .args([
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
            "-H",
            "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        ])
        .args([
            "--user",
            &format!("{}:{}", user("AWS_ACCESS_KEY_ID"), user("AWS_SECRET_ACCESS_KEY")),
        ])
        .arg(format!("https://{host}:{port}{path}"))
        .output()
        .expect("curl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_new_name_is_in_the_certificate_without_a_restart() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let environment = stage.environment("env").await;
    let usual = stage.client("env").await;
    let server = stage.servers();
    assert_eq!(fetch(&stage, &environment, "photos.example.com", "/"), "", "not a name of it yet");

    let names = "  tls: {additionalNames: [photos.example.com]}\n";
    stage.write("photos.yaml", &tenant("photos", names));
    let mut answer = String::new();
    for _ in 0..200 {
        // Whoever knows the old name is answered at every moment.
        assert_eq!(usual.send("GET", "/", "", &[], "").await.status, StatusCode::OK);
        answer = fetch(&stage, &environment, "photos.example.com", "/");
        if !answer.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        answer.contains("ListAllMyBucketsResult"),
        "{answer}\n{}\n{}",
        stage.out(),
        stage.err()
    );
    assert_eq!(stage.servers(), server, "the same process");
}

#[tokio::test]
async fn a_new_domain_gives_each_bucket_a_name() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let environment = stage.environment("env").await;
    let usual = stage.client("env").await;
    assert_eq!(usual.send("PUT", "/pictures", "", &[], "").await.status, StatusCode::OK);
    assert_eq!(usual.send("PUT", "/pictures/a", "", &[], "a cat").await.status, StatusCode::OK);

    stage.write("photos.yaml", &tenant("photos", "  domains: [s3.example.com]\n"));
    stage
        .until("the bucket answers by its name", || {
            fetch(&stage, &environment, "pictures.s3.example.com", "/a") == "a cat"
        })
        .await;
}

#[tokio::test]
async fn a_suspended_tenant_is_stopped_and_keeps_its_data() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let client = stage.client("env").await;
    assert_eq!(client.send("PUT", "/pictures", "", &[], "").await.status, StatusCode::OK);
    assert_eq!(stage.servers().len(), 1);

    stage.write("photos.yaml", &tenant("photos", "  suspend: true\n"));
    stage.until("no server runs", || stage.servers().is_empty()).await;
    stage.until("it says so", || stage.out().contains("the data is kept")).await;
    assert!(client.try_send("GET", "/", "", &[], "").await.is_err());

    stage.write("photos.yaml", &tenant("photos", ""));
    stage.until("it is ready again", || stage.out().matches(": ready:").count() == 2).await;
    assert_eq!(client.send("HEAD", "/pictures", "", &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_broken_manifest_is_told_and_holds_up_no_other() {
    let size = "size: 1Gi";
    let stage = Stage::played(&[
        ("good.yaml", &tenant("good", "")),
        ("bad.yaml", &tenant("bad", "").replace(size, "size: 1Mi")),
    ]);
    let client = stage.client("env").await;
    let err = stage.err();
    for part in ["bad.yaml", "Tenant default/bad", "spec.storage.embedded.size", "ask for more"] {
        assert!(err.contains(part), "{part} isn't in\n{err}");
    }
    // One that breaks while it is played stays as it was.
    stage.write("good.yaml", &tenant("good", "  regoin: eu\n"));
    stage.until("it is told", || stage.err().contains("unknown field `spec.regoin`")).await;
    assert_eq!(client.send("PUT", "/pictures", "", &[], "").await.status, StatusCode::OK);
    // And once the other is mended, it is there too.
    stage.write("bad.yaml", &tenant("bad", ""));
    let other = stage.client("env.bad").await;
    assert_eq!(other.send("GET", "/", "", &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_removed_manifest_stops_its_tenant_and_a_new_one_adopts_the_data() {
    let stage = Stage::played(&[("a.yaml", &tenant("a", "")), ("b.yaml", &tenant("b", ""))]);
    let kept = stage.client("env.b").await;
    assert_eq!(kept.send("PUT", "/pictures", "", &[], "").await.status, StatusCode::OK);
    std::fs::remove_file(stage.path("manifests/b.yaml")).expect("it was there");
    stage.until("it is gone", || stage.out().contains("b: removed; its data is kept")).await;
    assert!(!stage.path("env.b").exists());
    assert_eq!(stage.servers().len(), 1);

    stage.write("b.yaml", &tenant("b", ""));
    let again = stage.client("env.b").await;
    assert_eq!(again.send("HEAD", "/pictures", "", &[], "").await.status, StatusCode::OK);
}
