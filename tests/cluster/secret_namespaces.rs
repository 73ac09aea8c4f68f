//! `secretNamespaces` of the operator's chart: there, and nowhere else, a change of a Secret is seen at once.

use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::cluster::{
    self, OPERATOR, SYSTEM, can, eventually, get, kubectl, namespace, recorded, secret,
    secrets_read_by, tenant, wait_ready,
};
use serde_json::{Value, json};

/// How soon a change is served where Secrets are watched.
const SERVED: Duration = Duration::from_secs(5);

fn credentials(namespace: &str, key: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine", "namespace": namespace},
        "stringData": {"accessKey": "mykey", "secretKey": key},
    })
    .to_string()
}

/// A client that trusts the Tenant's roots and signs by that secret.
fn signing(namespace: &str, key: &str) -> Client {
    let roots = get("configmap", namespace, "photos-ca")["data"]["ca.crt"].clone();
    Client::new(
        &format!("photos.{namespace}.svc"),
        443,
        roots.as_str().unwrap().as_bytes(),
        coffer_signature::Credentials {
            access_key_id: "mykey".parse().unwrap(),
            secret_key: coffer_signature::SecretKey::new(key.to_owned()),
            session_token: None,
        },
    )
}

/// The Roles named as the chart names them, with the namespace of each.
fn roles(kind: &str) -> Vec<String> {
    let all: Value = serde_json::from_str(&kubectl(&["get", kind, "-A", "-o", "json"])).unwrap();
    let items = all["items"].as_array().unwrap().iter();
    items
        .map(|item| &item["metadata"])
        .filter(|it| it["name"] == "coffer-operator-secrets")
        .map(|it| it["namespace"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn m1_secrets_are_watched_in_the_named_namespaces_alone() {
    cluster::install();
    namespace("watched");
    namespace("unwatched");
    assert_eq!(roles("roles"), Vec::<String>::new(), "nobody asked for one yet");
    let otherwise = cluster::Otherwise::begin();
    // Secrets that are read by name are read once an hour: what is seen sooner, the watch has seen.
    cluster::install_with(&["secretNamespaces={watched}", "secretPollMilliseconds=3600000"]);
    assert_eq!(roles("roles"), ["watched"]);
    assert_eq!(roles("rolebindings"), ["watched"]);
    assert_eq!(
        get("role", "watched", "coffer-operator-secrets")["rules"],
        json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}])
    );
    for verb in ["list", "watch"] {
        assert!(can(OPERATOR, verb, "secrets", "watched"), "{verb}");
        for elsewhere in ["unwatched", SYSTEM, "default", "kube-system", "-A"] {
            assert!(!can(OPERATOR, verb, "secrets", elsewhere), "{verb} in {elsewhere}");
        }
    }

    let since = recorded();
    for namespace in ["watched", "unwatched"] {
        cluster::apply(&credentials(namespace, "first-secret"));
        cluster::apply(&tenant(namespace, "photos", "rootCredentials: {secretRef: {name: mine}}"));
    }
    for namespace in ["watched", "unwatched"] {
        wait_ready(namespace, "photos");
        assert_eq!(
            signing(namespace, "first-secret").send("GET", "/", "", &[], "").await.status,
            200
        );
    }
    let pod = get("pod", "watched", "photos-0")["metadata"]["uid"].clone();
    let next = |number: u8| format!("next-secret-{number}");
    cluster::best_of_three("a changed Secret is served", SERVED, async |number| {
        let client = signing("watched", &next(number));
        let changed = Instant::now();
        cluster::apply(&credentials("watched", &next(number)));
        eventually("the new secret", Duration::from_secs(60), async || {
            (client.send("GET", "/", "", &[], "").await.status == 200).then_some(())
        })
        .await;
        changed.elapsed()
    })
    .await;
    // One that is ours, too: deleted, it is made again.
    let before = secret("watched", "photos-tls", "tls.crt");
    kubectl(&["delete", "secret", "photos-tls", "-n", "watched"]);
    let ((), took) = eventually("another certificate", Duration::from_secs(20), async || {
        let there = !get("secret", "watched", "photos-tls").is_null();
        (there && secret("watched", "photos-tls", "tls.crt") != before).then_some(())
    })
    .await;
    println!("a deleted Secret is made again after {took:?}");
    assert_eq!(get("pod", "watched", "photos-0")["metadata"]["uid"], pod, "it was restarted");

    // Elsewhere nobody has seen the change: it was the watch. (The kubelet brings it in the end, with a round of its own.)
    let changed = recorded();
    cluster::apply(&credentials("unwatched", "next-secret"));
    tokio::time::sleep(SERVED * 2).await;
    let read = |since| {
        let read = secrets_read_by(OPERATOR, since);
        read.into_iter().filter(|read| read.contains(" unwatched/")).collect::<Vec<_>>()
    };
    assert_eq!(read(changed), Vec::<String>::new());
    let lists: Vec<String> = secrets_read_by(OPERATOR, since)
        .into_iter()
        .filter(|read| !read.starts_with("get ") && !read.contains(" watched/"))
        .collect();
    assert_eq!(lists, Vec::<String>::new());

    // Taken back, the right is gone, and Secrets are read by name again.
    let back = recorded();
    drop(otherwise);
    assert_eq!(roles("roles"), Vec::<String>::new());
    assert!(!can(OPERATOR, "list", "secrets", "watched"));
    eventually("the change is read by name", Duration::from_secs(30), async || {
        read(back).iter().any(|read| read == "get unwatched/mine").then_some(())
    })
    .await;
    let unwatched = signing("unwatched", "next-secret");
    eventually("the change is served", Duration::from_secs(30), async || {
        (unwatched.send("GET", "/", "", &[], "").await.status == 200).then_some(())
    })
    .await;
}
