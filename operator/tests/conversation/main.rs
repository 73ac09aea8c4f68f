//! What the operator says to an API server, and in which order.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod bombs;
mod cluster;
mod life;

use std::sync::Arc;

use coffer_crds::Tenant;
use kube::core::DeserializeGuard;
use serde_json::{Value, json};

use cluster::Cluster;
use coffer_operator::lease::{Candidate, LeaseError};
use coffer_operator::reconcile::reconcile;

fn tenant() -> Value {
    json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": "Tenant",
        "metadata": {"name": "photos", "namespace": "shop", "uid": "u-1", "generation": 3, "resourceVersion": "1"},
        "spec": {"storage": {"embedded": {"size": "1Gi"}}},
    })
}

async fn run(cluster: &Cluster, tenant: &Value) -> Vec<String> {
    let tenant: DeserializeGuard<Tenant> = serde_json::from_value(tenant.clone()).unwrap();
    reconcile(Arc::new(tenant), cluster.context()).await.unwrap();
    cluster.take_requests()
}

#[tokio::test]
async fn what_the_pod_needs_is_there_before_it() {
    let cluster = Cluster::start();
    let requests = run(&cluster, &tenant()).await;
    let writes: Vec<&str> =
        requests.iter().map(String::as_str).filter(|request| !request.starts_with("GET")).collect();
    assert_eq!(
        writes,
        [
            "POST secrets/photos-authority",
            "POST configmaps/photos-ca",
            "POST secrets/photos-control-ca",
            "POST configmaps/photos-control",
            "POST secrets/photos-tls",
            "POST events/photos",
            "POST serviceaccounts/photos",
            "POST persistentvolumeclaims/photos-data",
            "POST secrets/photos-iam",
            "POST secrets/photos-root",
            "POST services/photos",
            "POST services/photos-pods",
            "POST networkpolicies/photos",
            "POST poddisruptionbudgets/photos",
            "POST statefulsets/photos",
            "POST events/photos",
            "APPLY tenants/photos/status",
            "POST events/photos",
        ]
    );
    assert_eq!(cluster.condition("Reconciling"), ("True".to_owned(), "Starting".to_owned()));
}

#[tokio::test]
async fn nothing_is_written_at_rest() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    cluster.fill_stores();
    let seen = cluster.tenant_with_status(&tenant());
    for _ in 0..3 {
        let requests = run(&cluster, &seen).await;
        assert_eq!(requests.len(), 5, "only the Secrets are read: {requests:?}");
        assert!(requests.iter().all(|request| request.starts_with("GET secrets/")), "{requests:?}");
    }
}

#[tokio::test]
async fn an_operator_killed_at_any_write_is_followed_by_one_that_finishes() {
    for writes in 0..14 {
        let cluster = Cluster::start();
        cluster.fail_after(writes);
        run(&cluster, &tenant()).await;
        let first = cluster.object("secrets/photos-authority");
        let key = cluster.object("secrets/photos-iam");
        cluster.heal();
        // A new process: it remembers nothing, its stores are filled anew.
        cluster.fill_stores();
        run(&cluster, &tenant()).await;
        assert!(cluster.object("statefulsets/photos").is_some(), "killed after {writes} writes");
        if key.is_some() {
            assert_eq!(cluster.object("secrets/photos-iam"), key, "after {writes} writes");
        }
        if first.is_some() {
            assert_eq!(
                cluster.object("secrets/photos-authority"),
                first,
                "the authority is kept, after {writes} writes"
            );
        }
    }
}

#[tokio::test]
async fn an_object_of_another_is_left_alone() {
    for foreign in [
        "serviceaccounts/photos",
        "persistentvolumeclaims/photos-data",
        "secrets/photos-authority",
        "secrets/photos-tls",
        "secrets/photos-root",
        "secrets/photos-iam",
        "secrets/photos-control-ca",
        "configmaps/photos-control",
        "configmaps/photos-ca",
        "services/photos",
        "statefulsets/photos",
    ] {
        let cluster = Cluster::start();
        cluster
            .put(foreign, json!({"data": {"accessKey": "YWJj", "secretKey": "c2VjcmV0c2VjcmV0"}}));
        let before = cluster.object(foreign);
        run(&cluster, &tenant()).await;
        assert_eq!(cluster.object(foreign), before, "{foreign}");
        assert_eq!(
            cluster.condition("Stalled"),
            ("True".to_owned(), "NotOwned".to_owned()),
            "{foreign}"
        );
        assert_eq!(
            cluster.object("statefulsets/photos").is_some(),
            foreign == "statefulsets/photos",
            "{foreign}"
        );
    }
}

#[tokio::test]
async fn a_kept_claim_of_the_same_name_is_adopted() {
    let cluster = Cluster::start();
    let labels =
        json!({"coffer.dev/tenant": "photos", "app.kubernetes.io/managed-by": "coffer-operator"});
    cluster.put("persistentvolumeclaims/photos-data", json!({
        "metadata": {"labels": labels},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    }));
    run(&cluster, &tenant()).await;
    assert_eq!(cluster.condition("Reconciling").0, "True");
    assert!(cluster.object("statefulsets/photos").is_some());
}

#[tokio::test]
async fn a_kept_key_of_identities_is_taken_up_and_never_overwritten() {
    let cluster = Cluster::start();
    let marks =
        json!({"coffer.dev/tenant": "photos", "app.kubernetes.io/managed-by": "coffer-operator"});
    // 32 letters in base64, in base64.
    let key = "UVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRT0=";
    for (name, data, kind, reason) in [
        ("a key", json!({"key": key, "note": "YQ=="}), "Reconciling", "Starting"),
        // What holds no key is told, never replaced.
        ("no key", json!({"note": "YQ=="}), "Stalled", "ReferenceInvalid"),
    ] {
        cluster.put("secrets/photos-iam", json!({"metadata": {"labels": marks}, "data": data}));
        let before = cluster.object("secrets/photos-iam");
        let requests = run(&cluster, &tenant()).await;
        assert_eq!(cluster.object("secrets/photos-iam"), before, "{name}");
        let writes =
            |request: &&String| request.ends_with("/photos-iam") && !request.starts_with("GET");
        assert_eq!(requests.iter().find(writes), None, "{name}");
        assert_eq!(cluster.condition(kind), ("True".to_owned(), reason.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn the_key_of_identities_follows_the_deletion_policy() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    let data = cluster.object("secrets/photos-iam").unwrap()["data"].clone();
    for (policy, owners) in [("Delete", 1), ("Retain", 0)] {
        let mut changed = tenant();
        changed["spec"]["deletionPolicy"] = json!(policy);
        cluster.fill_stores();
        run(&cluster, &changed).await;
        let secret = cluster.object("secrets/photos-iam").unwrap();
        let found = secret["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len);
        assert_eq!(found, owners, "{policy}");
        assert_eq!(secret["data"], data, "{policy}");
        let body = cluster.last_body("MERGE secrets/photos-iam");
        assert!(body.get("data").is_none(), "{policy}: only the owner is written");
    }
}

#[tokio::test]
async fn what_a_kms_names_must_be_there() {
    let cluster = Cluster::start();
    let mut with_kms = tenant();
    with_kms["spec"]["kms"] =
        json!({"static": {"secretRef": {"name": "keys"}}, "defaultKey": "photos"});
    run(&cluster, &with_kms).await;
    let missing = ("True".to_owned(), "ReferenceNotFound".to_owned());
    assert_eq!(cluster.condition("Stalled"), missing);
    assert!(cluster.object("statefulsets/photos").is_none(), "no pod waits for a Secret");
    // 32 letters in base64, in base64.
    let key = "UVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRT0=";
    for (name, data, kind, reason) in [
        ("another key", json!({"archive": key}), "Stalled", "ReferenceInvalid"),
        ("no key", json!({"photos": "YQ=="}), "Stalled", "ReferenceInvalid"),
        ("a key", json!({"photos": key}), "Reconciling", "Starting"),
    ] {
        cluster.put("secrets/keys", json!({"data": data}));
        run(&cluster, &with_kms).await;
        assert_eq!(cluster.condition(kind), ("True".to_owned(), reason.to_owned()), "{name}");
    }
    let (status, reason) = cluster.condition("KmsReachable");
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "KmsUntried"));
    let written = cluster.object("secrets/keys").unwrap();
    assert!(written["metadata"].get("ownerReferences").is_none(), "it isn't ours");
    let workload = cluster.object("statefulsets/photos").unwrap();
    let environment = &workload["spec"]["template"]["spec"]["containers"][0]["env"];
    let is_there = |name: &str, value: &str| {
        environment.as_array().unwrap().contains(&json!({"name": name, "value": value}))
    };
    assert!(is_there("COFFER_KMS_PROVIDER", "static"), "{environment}");
    assert!(is_there("COFFER_KMS_DEFAULT_KEY", "photos"), "{environment}");
}

#[tokio::test]
async fn a_volume_that_cannot_grow_holds_up_nothing_else() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    let mut claim = cluster.object("persistentvolumeclaims/photos-data").unwrap();
    claim["status"] = json!({"phase": "Bound"});
    cluster.set("persistentvolumeclaims/photos-data", claim);
    cluster.fill_stores();
    cluster.refuse(
        "APPLY persistentvolumeclaims/photos-data",
        403,
        "only dynamically provisioned pvc can be resized",
    );
    let mut changed = tenant();
    changed["spec"]["storage"]["embedded"]["size"] = json!("2Gi");
    changed["spec"]["image"] = json!("coffer:2");
    let requests = run(&cluster, &changed).await;
    assert!(requests.contains(&"APPLY statefulsets/photos".to_owned()), "{requests:?}");
    assert_eq!(cluster.condition("Reconciling"), ("True".to_owned(), "Starting".to_owned()));
    assert_eq!(cluster.condition("Stalled"), ("True".to_owned(), "VolumeNotGrown".to_owned()));
}

#[tokio::test]
async fn an_upgraded_operator_rolls_tenants_one_by_one() {
    let cluster = Cluster::start();
    let mut other = tenant();
    other["metadata"]["name"] = json!("videos");
    other["metadata"]["uid"] = json!("u-2");
    run(&cluster, &tenant()).await;
    run(&cluster, &other).await;
    cluster.fill_stores_for("coffer:next");
    let seen = |mut tenant: Value| {
        tenant["status"] = json!({"observedGeneration": 3});
        tenant
    };
    let first = run(&cluster, &seen(tenant())).await;
    let second = run(&cluster, &seen(other.clone())).await;
    assert!(first.contains(&"APPLY statefulsets/photos".to_owned()), "{first:?}");
    assert!(!second.contains(&"APPLY statefulsets/videos".to_owned()), "{second:?}");
    // A change that a person asks for doesn't wait.
    other["metadata"]["generation"] = json!(4);
    let asked = run(&cluster, &seen(other)).await;
    assert!(asked.contains(&"APPLY statefulsets/videos".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_change_is_applied_with_the_known_uid() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    cluster.fill_stores();
    let mut changed = tenant();
    changed["spec"]["image"] = json!("coffer:2");
    let requests = run(&cluster, &changed).await;
    let writes: Vec<&String> =
        requests.iter().filter(|request| request.contains("statefulsets")).collect();
    assert_eq!(writes, ["MERGE statefulsets/photos", "APPLY statefulsets/photos"]);
    let body = cluster.last_body("APPLY statefulsets/photos");
    assert_eq!(
        body["metadata"]["uid"],
        cluster.object("statefulsets/photos").unwrap()["metadata"]["uid"]
    );
    let note = cluster.last_body("POST events/photos");
    let notes = cluster.bodies("POST events/photos");
    assert!(
        notes.iter().any(|event| event["note"].as_str().unwrap().contains("to `coffer:2`")),
        "{note}"
    );
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    for (code, message, expected) in [
        (422, "spec.x: Invalid value", ("Stalled", "Refused", "spec.x: Invalid value")),
        (
            403,
            "forbidden: User \"op\" cannot create",
            ("Stalled", "Forbidden", "give the operator this right"),
        ),
        (503, "etcd is away", ("Reconciling", "ApiUnavailable", "etcd is away")),
    ] {
        let cluster = Cluster::start();
        cluster.refuse("POST services/photos", code, message);
        run(&cluster, &tenant()).await;
        assert_eq!(
            cluster.condition(expected.0),
            ("True".to_owned(), expected.1.to_owned()),
            "{code}"
        );
        assert!(cluster.message().contains(expected.2), "{code}: {}", cluster.message());
        assert!(cluster.message().contains("Service `photos`"), "{code}: {}", cluster.message());
    }
}

#[tokio::test]
async fn a_tenant_that_cannot_be_read_says_so_alone() {
    let cluster = Cluster::start();
    let mut broken = tenant();
    broken["spec"]["topologySpreadConstraints"] = json!([{"maxSkew": 99_999_999_999_u64}]);
    let requests = run(&cluster, &broken).await;
    assert_eq!(requests, ["APPLY tenants/photos/status"]);
    assert_eq!(cluster.condition("Stalled"), ("True".to_owned(), "InvalidSpec".to_owned()));
}

#[tokio::test]
async fn a_tenant_being_deleted_is_left_to_the_cluster() {
    let cluster = Cluster::start();
    let mut leaving = tenant();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    assert_eq!(run(&cluster, &leaving).await, Vec::<String>::new());
}

/// CVE-2025-23216, CVE-2026-42880, CVE-2023-2878: Secret data in status, diff, events.
#[tokio::test]
async fn no_secret_leaves_its_secret() {
    let cluster = Cluster::start();
    let mut with_root = tenant();
    with_root["spec"]["rootCredentials"] = json!({"secretRef": {"name": "mine"}});
    cluster.put(
        "secrets/mine",
        json!({"data": {"accessKey": "Y2FuYXJ5a2V5", "secretKey": "Y2FuYXJ5c2VjcmV0"}}),
    );
    run(&cluster, &with_root).await;
    cluster.put(
        "secrets/mine",
        json!({"data": {"accessKey": "Y2FuYXJ5a2V5", "secretKey": "Y2FuYXJ5c2VjcmV0Cg=="}}),
    );
    run(&cluster, &with_root).await;
    assert_eq!(cluster.condition("Stalled").1, "ReferenceInvalid");
    let authority = cluster.object("secrets/photos-authority").unwrap();
    let key = authority["data"]["root.key"].as_str().unwrap();
    for (request, body) in cluster.all_bodies() {
        let text = body.to_string();
        assert!(!text.contains("canarysecret") && !text.contains("Y2FuYXJ5c2VjcmV0"), "{request}");
        assert!(request.contains("secrets/photos-authority") || !text.contains(key), "{request}");
        assert!(request.contains("secrets/") || !text.contains("PRIVATE KEY"), "{request}");
    }
}

/// CVE-2026-22822 and others: a reference never leaves the Tenant's namespace.
#[tokio::test]
async fn every_request_is_in_the_tenants_namespace() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    for path in cluster.take_paths() {
        assert!(path.contains("/namespaces/shop/"), "{path}");
    }
}

#[tokio::test]
async fn a_lease_of_another_is_not_taken_and_a_lost_one_ends_the_work() {
    let cluster = Cluster::start();
    let ours = Candidate::new(&cluster.client(), "shop", "coffer-operator", "a");
    ours.acquire().await;
    let theirs = Candidate::new(&cluster.client(), "shop", "coffer-operator", "b");
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(3), theirs.acquire()).await;
    assert!(waiting.is_err(), "the second one must wait");
    ours.release().await.unwrap();
    theirs.acquire().await;
    let lost = ours.keep().await;
    assert!(matches!(lost, LeaseError::Lost { cause: None, .. }), "{lost:?}");
}
