//! A Tenant whose keys are in a Vault beside the cluster, in which its pod logs in by its ServiceAccount.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::cluster::{
    self, client, condition, eventually, get, kubectl, namespace, tenant, wait_ready,
};
use serde_json::json;

use crate::vault::Vault;

async fn put(client: &Client, path: &str) -> (u16, String) {
    // A bucket has no content.
    let content = if path.matches('/').count() > 1 { "x" } else { "" };
    let answer = client.reconnecting().send("PUT", path, "", &[], content).await;
    (answer.status.as_u16(), answer.header("x-amz-server-side-encryption"))
}

/// Waits for a status and reason of `KmsReachable`; its message.
async fn reachable(status: &str, reason: &str) -> String {
    let (message, took) = eventually(reason, Duration::from_mins(1), async || {
        let (is, because, message) = condition("kms", "photos", "KmsReachable");
        (is == status && because == reason).then_some(message)
    })
    .await;
    println!("KmsReachable {status} {reason} after {took:?}: {message}");
    message
}

#[tokio::test]
async fn k1_a_tenant_with_vault_encrypts_and_survives_its_restart() {
    cluster::install();
    namespace("kms");
    let mut vault = Vault::start("kms");
    let spec = |default: &str| {
        format!(
            "kms:\n  vault:\n    address: {}\n    caConfigMapRef: {{name: vault-ca}}\n    auth: {{kubernetes: {{role: photos}}}}\n  \
             defaultKey: {default}\n  autoEncrypt: true",
            Vault::address()
        )
    };
    cluster::apply(&tenant("kms", "photos", &spec("photos")));
    // What isn't there is told by its field, and no pod waits for it.
    eventually("the CA is missed", Duration::from_secs(30), async || {
        let (status, reason, message) = condition("kms", "photos", "Stalled");
        let told = message.starts_with("spec.kms.vault.caConfigMapRef: ConfigMap `vault-ca`");
        (status == "True" && reason == "ReferenceNotFound" && told).then_some(())
    })
    .await;
    assert!(get("statefulset", "kms", "photos").is_null());
    let ca = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "vault-ca", "namespace": "kms"}, "data": {"ca.crt": vault.ca()},
    });
    cluster::apply(&ca.to_string());
    eventually("the pod", Duration::from_secs(30), async || {
        (!get("pod", "kms", "photos-0").is_null()).then_some(())
    })
    .await;
    wait_ready("kms", "photos");
    let message = reachable("True", "KmsAnswering").await;
    assert_eq!(message, "a data key was made and opened under `photos`");
    let status = get("tenant", "kms", "photos")["status"]["kms"].clone();
    assert_eq!(status, json!({"provider": "vault", "reachable": true}));

    // No token is stored: the pod has one that is good for Vault alone, and its account still has no rights.
    let pod = get("pod", "kms", "photos-0");
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let projected: Vec<_> =
        volumes.iter().filter(|volume| volume.get("projected").is_some()).collect();
    assert_eq!(projected.len(), 1, "{volumes:?}");
    let source = &projected[0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(source["audience"], "vault");
    let kept =
        kubectl(&["get", "secrets", "-n", "kms", "-o", "jsonpath={.items[*].metadata.name}"]);
    assert_eq!(kept, "photos-authority photos-control-ca photos-iam photos-root photos-tls");

    let client = client("kms", "photos");
    for bucket in ["/known", "/fresh"] {
        assert_eq!(put(&client, bucket).await.0, 200, "{bucket}");
    }
    let encrypted = (200, "AES256".to_owned());
    assert_eq!(put(&client, "/known/a").await, encrypted);
    assert_eq!(client.send("GET", "/known/a", "", &[], "").await.text(), "x");

    // Vault goes away: what is kept goes on, what isn't is told, and the Tenant stays as ready as it was.
    let ready = get("tenant", "kms", "photos")["status"]["conditions"][0].clone();
    vault.stop();
    reachable("False", "KmsUnreachable").await;
    assert_eq!(put(&client, "/known/b").await, encrypted);
    assert_eq!(put(&client, "/fresh/a").await.0, 503);
    let (is, reason, _) = condition("kms", "photos", "Ready");
    assert_eq!((is.as_str(), reason.as_str()), ("True", "Answering"));
    assert_eq!(get("tenant", "kms", "photos")["status"]["conditions"][0], ready);
    assert_eq!(get("tenant", "kms", "photos")["status"]["kms"]["reachable"], false);
    let begin = Instant::now();
    vault.start_again();
    println!("Vault is back after {:?}", begin.elapsed());
    reachable("True", "KmsAnswering").await;
    assert_eq!(put(&client, "/fresh/a").await, encrypted);
    for key in ["/known/a", "/known/b", "/fresh/a"] {
        assert_eq!(client.send("GET", key, "", &[], "").await.text(), "x", "{key}");
    }
    // Nothing was restarted on the way.
    let after = get("pod", "kms", "photos-0");
    assert_eq!(after["metadata"]["uid"], pod["metadata"]["uid"]);
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0);

    // What logs in elsewhere, or isn't allowed, is told so too.
    let other = json!({
        "bound_service_account_names": "another", "bound_service_account_namespaces": "kms",
        "audience": "vault", "token_policies": "coffer",
    });
    vault.must("auth/kubernetes/role/photos", &other);
    vault.must("sys/leases/revoke-prefix/auth/kubernetes", &json!({}));
    reachable("False", "KmsDenied").await;
    // From here on logins end so soon that they are renewed, and begin anew.
    let role = json!({
        "bound_service_account_names": "photos", "bound_service_account_namespaces": "kms",
        "audience": "vault", "token_policies": "coffer", "token_ttl": "60s",
    });
    vault.must("auth/kubernetes/role/photos", &role);
    reachable("True", "KmsAnswering").await;

    assert_eq!(put(&client, "/album").await.0, 200);
    for number in 0..OBJECTS {
        assert_eq!(put(&client, &format!("/album/{number}")).await, encrypted);
    }
    vault.must("transit/keys/archive", &json!({"derived": true}));
    rotated_under_load("kms", &tenant("kms", "photos", &spec("archive"))).await;
    vault.must("transit/keys/photos/config", &json!({"deletion_allowed": true}));
    vault.delete("transit/keys/photos");
    all_opens_in_another_pod("kms").await;
}

/// Keys in a Secret: the status says what they are for, another key in it needs no restart, and another provider does.
#[tokio::test]
async fn k2_keys_in_a_secret_are_followed() {
    cluster::install();
    namespace("static");
    let keys = |more: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys, namespace: static}}\nstringData:\n  \
             photos: MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\n{more}"
        )
    };
    cluster::apply(&keys(""));
    let spec = "kms: {static: {secretRef: {name: keys}}, defaultKey: photos}";
    cluster::apply(&tenant("static", "photos", spec));
    eventually("the pod", Duration::from_secs(30), async || {
        (!get("pod", "static", "photos-0").is_null()).then_some(())
    })
    .await;
    wait_ready("static", "photos");
    eventually("the note", Duration::from_secs(30), async || {
        let (status, _, message) = condition("static", "photos", "KmsReachable");
        (status == "True" && message.contains("for trying out")).then_some(())
    })
    .await;
    let uid = get("pod", "static", "photos-0")["metadata"]["uid"].clone();
    let client = client("static", "photos");
    assert_eq!(put(&client, "/photos").await.0, 200);
    let headers = [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "archive"),
    ];
    let answer = client.send("PUT", "/photos/a", "", &headers, "x").await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (400, "KMS.NotFoundException"));
    cluster::apply(&keys("  archive: MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTM=\n"));
    let ((), took) = eventually("another key", Duration::from_secs(30), async || {
        let answer = client.reconnecting().send("PUT", "/photos/a", "", &headers, "x").await;
        (answer.status == 200).then_some(())
    })
    .await;
    println!("another key after {took:?}");
    assert_eq!(get("pod", "static", "photos-0")["metadata"]["uid"], uid);
    // Settings of another kind replace the pod.
    let other = spec.replace("defaultKey: photos", "defaultKey: archive");
    another_pod("static", || cluster::apply(&tenant("static", "photos", &other))).await;
    assert_eq!(client.reconnecting().send("GET", "/photos/a", "", &[], "").await.text(), "x");
}

/// Reads and writes until told to stop: how many requests, and which failed.
async fn load(client: Client, worker: usize, stop: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut requests, mut failed) = (0, Vec::new());
    let mut number = worker;
    while !stop.load(Ordering::Relaxed) {
        number = (number + 7) % OBJECTS;
        let written = format!("/album/load/{worker}");
        for (method, path, body) in [
            ("PUT", &written, "x"),
            ("GET", &written, ""),
            ("GET", &format!("/album/{number}"), ""),
        ] {
            requests += 1;
            match client.try_send(method, path, "", &[], body).await {
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) => {
                    failed.push(format!("{method} {path}: {} {}", answer.status, answer.text()))
                }
                Err(error) => failed.push(format!("{method} {path}: {error}")),
            }
        }
    }
    (requests, failed)
}

const OBJECTS: usize = 1500;

/// Does what replaces the Tenant's pod, and waits for the next one.
async fn another_pod(namespace: &str, replace: impl FnOnce()) {
    let uid = get("pod", namespace, "photos-0")["metadata"]["uid"].clone();
    replace();
    eventually("another pod", Duration::from_mins(1), async || {
        let pod = get("pod", namespace, "photos-0");
        (pod["metadata"]["uid"].is_string() && pod["metadata"]["uid"] != uid).then_some(())
    })
    .await;
    wait_ready(namespace, "photos");
}

/// All that is under the key `photos` is put under `archive`, the new default, while the objects of `album` are read and others
/// written.
async fn rotated_under_load(namespace: &str, with_new_default: &str) {
    another_pod(namespace, || cluster::apply(with_new_default)).await;
    let client = client(namespace, "photos");
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..3)
        .map(|worker| tokio::spawn(load(client.clone(), worker, Arc::clone(&stop))))
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    cluster::apply(&format!(
        "apiVersion: coffer.dev/v1alpha1\nkind: KeyRotation\nmetadata: {{name: away, namespace: {namespace}}}\n\
         spec: {{tenantRef: {{name: photos}}, from: photos}}"
    ));
    // The operator is gone in its midst; the next one goes on.
    kubectl(&[
        "delete",
        "pods",
        "-n",
        "coffer-system",
        "-l",
        "app.kubernetes.io/name=coffer-operator",
        "--wait=false",
    ]);
    cluster::wait_for(namespace, &["keyrotation.coffer.dev/away"]);
    println!("rotated after {:?}", begin.elapsed());
    let (status, took) = eventually("the old key is unused", Duration::from_mins(1), async || {
        let status = get("keyrotation.coffer.dev", namespace, "away")["status"].clone();
        (status["oldKeyUnused"] == true).then_some(status)
    })
    .await;
    println!("known to be unused {took:?} later: {status}");
    stop.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for worker in workers {
        let (made, failed) = worker.await.unwrap();
        requests += made;
        assert!(
            failed.is_empty(),
            "{} of {made}: {:#?}",
            failed.len(),
            &failed[..failed.len().min(5)]
        );
    }
    println!("{requests} requests meanwhile, none failed");
    let number = |name: &str| status[name].as_u64().unwrap_or_default();
    assert_eq!(
        (status["to"].as_str(), status["phase"].as_str()),
        (Some("archive"), Some("Finished"))
    );
    assert_eq!((number("remaining"), status.get("defaultOf")), (0, None), "{status}");
    assert!(number("resealed") > 0, "{status}");
    let columns = kubectl(&["get", "krot", "-n", namespace]);
    assert!(columns.contains("OLD KEY UNUSED") && columns.contains("100%"), "{columns}");
}

/// Without the old key, all objects of `album` open in a server that has never seen it.
async fn all_opens_in_another_pod(namespace: &str) {
    another_pod(namespace, || {
        kubectl(&["delete", "pod", "photos-0", "-n", namespace]);
    })
    .await;
    let client = client(namespace, "photos");
    for number in 0..OBJECTS {
        assert_eq!(client.send("GET", &format!("/album/{number}"), "", &[], "").await.text(), "x");
    }
}

/// The old key's whole way out, by resources alone: a new default, a rotation under load, and the key is removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k3_a_key_is_replaced_by_resources_under_load() {
    cluster::install();
    namespace("rotated");
    let key = |last: char| format!("MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMT{last}=");
    cluster::apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys, namespace: rotated}}\nstringData:\n  photos: {}\n  archive: {}\n",
        key('I'),
        key('M')
    ));
    let spec = |default: &str| {
        format!(
            "kms: {{static: {{secretRef: {{name: keys}}}}, defaultKey: {default}}}\niam: {{resyncInterval: 2s}}"
        )
    };
    cluster::apply(&tenant("rotated", "photos", &spec("photos")));
    wait_ready("rotated", "photos");
    cluster::apply(
        "apiVersion: coffer.dev/v1alpha1\nkind: Bucket\nmetadata: {name: album, namespace: rotated}\n\
         spec: {tenantRef: {name: photos}, encryption: {type: SSE-S3}, requireEncryption: true}",
    );
    cluster::wait_for("rotated", &["bucket.coffer.dev/album"]);
    let root = client("rotated", "photos");
    for number in 0..OBJECTS {
        assert_eq!(put(&root, &format!("/album/{number}")).await, (200, "AES256".to_owned()));
    }
    // By another hand: put back.
    assert_eq!(root.send("DELETE", "/album", "encryption=", &[], "").await.status, 204);
    let ((), took) = eventually("the default is put back", Duration::from_secs(30), async || {
        (put(&root, "/album/0").await == (200, "AES256".to_owned())).then_some(())
    })
    .await;
    println!("a default encryption was put back after {took:?}");

    rotated_under_load("rotated", &tenant("rotated", "photos", &spec("archive"))).await;
    let patch = r#"[{"op": "remove", "path": "/data/photos"}]"#;
    kubectl(&["patch", "secret", "keys", "-n", "rotated", "--type=json", "-p", patch]);
    all_opens_in_another_pod("rotated").await;
    // What it has found out is told of the bucket too.
    eventually("the bucket is all encrypted", Duration::from_mins(1), async || {
        let status = get("bucket.coffer.dev", "rotated", "album")["status"].clone();
        let keys = &status["coverage"]["keys"];
        (status["encrypted"] == "100%" && keys[0]["name"] == "archive" && keys[1].is_null())
            .then_some(())
    })
    .await;
    kubectl(&["delete", "keyrotation.coffer.dev", "away", "-n", "rotated", "--timeout=60s"]);
    assert!(get("keyrotation.coffer.dev", "rotated", "away").is_null());
    // One that can't be says why.
    cluster::apply(
        "apiVersion: coffer.dev/v1alpha1\nkind: KeyRotation\nmetadata: {name: nowhere, namespace: rotated}\n\
         spec: {tenantRef: {name: photos}, to: nobody}",
    );
    eventually("the key is missed", Duration::from_secs(30), async || {
        let status = get("keyrotation.coffer.dev", "rotated", "nowhere")["status"].clone();
        let conditions = status["conditions"].as_array()?.clone();
        let stalled = conditions.into_iter().find(|it| it["type"] == "Stalled")?;
        (stalled["status"] == "True" && stalled["reason"] == "KmsKeyUnusable").then_some(())
    })
    .await;
    kubectl(&["delete", "keyrotation.coffer.dev", "nowhere", "-n", "rotated", "--timeout=60s"]);
}
