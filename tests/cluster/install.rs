//! From charts to a signed request.

use std::time::{Duration, Instant};

use coffer_tests::cluster::{
    self, client, eventually, get, helm, kubectl, namespace, tenant, wait_ready,
};

/// How soon after its manifest a Tenant has answered a signed request, where another has warmed the node.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// A Tenant of everyone's first minute: applied, waited for, used over its Service's name.
#[tokio::test]
async fn a1_a_tenant_answers_within_seconds_of_its_manifest() {
    cluster::install();
    namespace("first");
    // The first one warms the node: its image is unpacked, its programs are read from the disk.
    cluster::apply(&tenant("first", "warm", ""));
    wait_ready("first", "warm");

    // Each try is another Tenant, from nothing: names `photos`, `photos-2`, `photos-3`.
    let name =
        |number: u8| if number == 1 { "photos".to_owned() } else { format!("photos-{number}") };
    cluster::best_of_three(
        "from apply to the first signed request",
        FIRST_ANSWER,
        async |number| {
            let start = Instant::now();
            cluster::apply(&tenant("first", &name(number), ""));
            wait_ready("first", &name(number));
            let answer = client("first", &name(number)).send("PUT", "/album", "", &[], "").await;
            let took = start.elapsed();
            assert_eq!(answer.status, 200, "{}", answer.text());
            took
        },
    )
    .await;
    let photos = client("first", "photos");

    let body = "a".repeat(200_000);
    assert_eq!(photos.send("PUT", "/album/a", "", &[], body.clone()).await.status, 200);
    assert_eq!(photos.send("GET", "/album/a", "", &[], "").await.text(), body);

    let status = &get("tenant", "first", "photos")["status"];
    assert_eq!(status["endpoint"], "https://photos.first.svc.cluster.local");
    assert!(status["certificate"]["notAfter"].is_string(), "{status}");
    let listed = kubectl(&["get", "tenants", "-A"]);
    assert!(listed.contains("https://photos.first.svc.cluster.local"), "{listed}");
}

/// What `kubectl explain` says of a field, for someone who never sees the source.
#[tokio::test]
async fn a2_fields_are_explained() {
    cluster::install();
    let explained = kubectl(&["explain", "tenant.spec.tls.duration"]);
    assert!(explained.contains("two thirds"), "{explained}");
}

/// A pod that goes takes nothing with it.
#[tokio::test]
async fn a3_data_outlives_the_pod() {
    cluster::install();
    namespace("outlive");
    cluster::apply(&tenant("outlive", "photos", ""));
    wait_ready("outlive", "photos");
    let photos = client("outlive", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    for size in [10, 100_000] {
        assert_eq!(
            photos.send("PUT", &format!("/album/{size}"), "", &[], "b".repeat(size)).await.status,
            200
        );
    }
    kubectl(&["delete", "pod", "photos-0", "-n", "outlive", "--grace-period=0", "--force"]);
    wait_ready("outlive", "photos");
    for size in [10, 100_000] {
        let got = eventually("the object", Duration::from_secs(30), async || {
            let answer =
                photos.try_send("GET", &format!("/album/{size}"), "", &[], "").await.ok()?;
            (answer.status == 200).then_some(answer)
        });
        assert_eq!(got.await.0.body.len(), size);
    }
}

/// Two Tenants of one namespace and one of another share nothing.
#[tokio::test]
async fn a4_tenants_are_apart() {
    cluster::install();
    namespace("apart-1");
    namespace("apart-2");
    let all = [("apart-1", "photos"), ("apart-1", "films"), ("apart-2", "photos")];
    for (namespace, name) in all {
        cluster::apply(&tenant(namespace, name, ""));
    }
    for (namespace, name) in all {
        wait_ready(namespace, name);
    }
    let clients = all.map(|(namespace, name)| client(namespace, name));
    for (index, client) in clients.iter().enumerate() {
        assert_eq!(client.send("PUT", &format!("/bucket-{index}"), "", &[], "").await.status, 200);
    }
    for (index, client) in clients.iter().enumerate() {
        let buckets = client.send("GET", "/", "", &[], "").await.text();
        assert_eq!(buckets.matches("<Name>").count(), 1, "{buckets}");
        assert!(buckets.contains(&format!("bucket-{index}")), "{buckets}");
    }
    // Another tenant's root key is nobody here.
    let mut stranger = clients[0].clone();
    stranger.credentials = clients[1].credentials.clone();
    assert_eq!(stranger.send("GET", "/", "", &[], "").await.code(), "InvalidAccessKeyId");
}

/// A Tenant by its chart. What the charts' schemas refuse is in `tests/play/charts.rs`.
#[tokio::test]
async fn a5_a_tenant_by_its_chart() {
    cluster::install();
    namespace("charted");
    helm(&[
        "install",
        "films",
        "charts/coffer-tenant",
        "-n",
        "charted",
        "--set",
        "spec.storage.embedded.size=1Gi",
    ]);
    wait_ready("charted", "films");
    helm(&["uninstall", "films", "-n", "charted"]);
    eventually("the pod's end", Duration::from_secs(60), async || {
        get("statefulset", "charted", "films").is_null().then_some(())
    })
    .await;
    assert!(!get("pvc", "charted", "films-data").is_null(), "the data is kept");
    // One of the same name takes it up.
    helm(&[
        "install",
        "films",
        "charts/coffer-tenant",
        "-n",
        "charted",
        "--set",
        "spec.storage.embedded.size=1Gi",
    ]);
    wait_ready("charted", "films");
}
