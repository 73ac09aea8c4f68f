//! CVE-2026-65834, CVE-2024-12401, CVE-2026-25518, CVE-2023-27483: one bad object that stalls the operator.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::{run, tenant};

/// The largest Secret that an API server takes.
const LARGEST: usize = 1024 * 1024;
/// No object takes longer to be refused, though all of them come at once.
const SOON: Duration = Duration::from_secs(2);

fn bombs(certificate: &str) -> Vec<(&'static str, String)> {
    let fill = |text: &str| text.repeat(LARGEST / text.len());
    vec![
        ("letters", fill("A")),
        ("begins", fill("-----BEGIN CERTIFICATE-----\n")),
        ("begins and ends", fill("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")),
        ("one that never ends", format!("-----BEGIN CERTIFICATE-----\n{}", fill("AAAA\n"))),
        ("dashes", fill("-----")),
        ("lines", fill("\n")),
        ("certificates", fill(certificate)),
        ("keys", fill("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
        ("brackets", fill("[")),
        ("zeros", fill("\0")),
    ]
}

async fn soon(cluster: &Cluster, tenant: &Value, claim: &str) -> (String, String) {
    let begin = Instant::now();
    run(cluster, tenant).await;
    assert!(begin.elapsed() < SOON, "{claim}: {:?}", begin.elapsed());
    cluster.condition("Stalled")
}

#[tokio::test]
async fn what_a_user_brings_stalls_its_tenant_alone_and_soon() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    let ca = cluster.object("configmaps/photos-ca").unwrap()["data"]["ca.crt"].clone();
    let mut with_all = tenant();
    with_all["metadata"]["name"] = json!("bomb");
    with_all["metadata"]["uid"] = json!("u-2");
    for (claim, text) in bombs(ca.as_str().unwrap()) {
        let data = STANDARD.encode(&text);
        for (place, field, value) in [
            ("secrets/mine", "rootCredentials", json!({"secretRef": {"name": "mine"}})),
            ("secrets/keys", "kms", json!({"static": {"secretRef": {"name": "keys"}}})),
            (
                "configmaps/ca",
                "audit",
                json!({"webhook": {"endpoint": "https://audit.example.com", "caConfigMapRef": {"name": "ca"}}}),
            ),
            (
                "secrets/ca",
                "audit",
                json!({"webhook": {"endpoint": "https://audit.example.com", "caSecretRef": {"name": "ca"}}}),
            ),
        ] {
            let is_map = place.starts_with("configmaps");
            let value_of = if is_map { json!(text) } else { json!(data) };
            let keys = ["accessKey", "secretKey", "key", "ca.crt"];
            let content = keys.map(|key| (key.to_owned(), value_of.clone()));
            cluster.put(place, json!({"data": serde_json::Map::from_iter(content)}));
            let mut brought = with_all.clone();
            brought["spec"][field] = value;
            let begin = Instant::now();
            run(&cluster, &brought).await;
            assert!(begin.elapsed() < SOON, "{claim} in {place}: {:?}", begin.elapsed());
            let status = cluster.last_body("APPLY tenants/bomb/status")["status"].clone();
            let message = status["conditions"][0]["message"].as_str().unwrap().to_owned();
            assert!(message.len() < 2000, "{claim} in {place}: {message}");
            // Certificates that are many are certificates.
            if claim != "certificates" || !place.ends_with("/ca") {
                assert_eq!(
                    status["conditions"][2]["status"], "True",
                    "{claim} in {place}: {status}"
                );
            }
        }
        // The neighbour is as it was.
        run(&cluster, &tenant()).await;
        assert_eq!(cluster.condition("Stalled").0, "False", "{claim}");
    }
}

#[tokio::test]
async fn what_is_done_to_our_own_objects_stalls_their_tenant_alone_and_soon() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    let ca = cluster.object("configmaps/photos-ca").unwrap()["data"]["ca.crt"].clone();
    for (claim, text) in bombs(ca.as_str().unwrap()) {
        let data = STANDARD.encode(&text);
        for (name, key, stalls) in [
            ("secrets/photos-tls", "tls.crt", false),
            ("secrets/photos-tls", "tls.key", false),
            ("secrets/photos-control-ca", "ca.crt", false),
            ("secrets/photos-authority", "root.crt", true),
            ("secrets/photos-authority", "root.key", true),
            ("secrets/photos-authority", "previous.crt", true),
            ("secrets/photos-iam", "key", true),
            ("configmaps/photos-ca", "ca.crt", false),
        ] {
            let whole = cluster.object(name).unwrap();
            let mut object = whole.clone();
            let is_map = name.starts_with("configmaps");
            object["data"][key] = if is_map { json!(text) } else { json!(data) };
            cluster.set(name, object);
            let lost = cluster.object("secrets/photos-authority");
            if is_map {
                // Then it is asked for the roots that clients trust.
                cluster.remove("secrets/photos-authority");
            }
            cluster.fill_stores();
            let (stalled, reason) =
                soon(&cluster, &tenant(), &format!("{claim} in {name} {key}")).await;
            // Certificates that are many are certificates.
            if claim != "certificates" {
                assert_eq!(stalled == "True", stalls, "{claim} in {name} {key}: {reason}");
            }
            if is_map {
                cluster.set("secrets/photos-authority", lost.unwrap());
            }
            if stalls || is_map {
                cluster.set(name, whole);
            }
            cluster.fill_stores();
        }
    }
}
