//! The resources in Tenants: when they are held and let go, and what other namespaces have no say in.

use std::sync::Arc;
use std::time::Duration;

use coffer_crds::{AccessKey, Bucket, Policy, User};
use coffer_operator::iam::{Managed, Tenants};
use coffer_operator::reconcile::StatusError;
use coffer_operator::reconcile::managed::{Work, reconcile};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::control::Server;
use super::tenant;

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::album/*"}]}"#;

/// A resource of the namespace `shop` in its Tenant `photos`.
fn resource(kind: &str, name: &str, spec: Value) -> Value {
    let mut resource = json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": "u-9", "generation": 1, "resourceVersion": "7"},
    });
    resource["spec"] = spec;
    let spec = resource["spec"].as_object_mut().unwrap();
    spec.entry("tenantRef").or_insert(json!({"name": "photos"}));
    resource
}

fn user() -> Value {
    resource("User", "anna", json!({}))
}

fn leaving(mut resource: Value) -> Value {
    resource["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    resource["metadata"]["finalizers"] = json!(["other.dev/kept", "coffer.dev/owned"]);
    resource
}

async fn turn<K: Managed>(work: &Arc<Work>, resource: &Value) -> Result<Action, StatusError> {
    let watched: DeserializeGuard<K> = serde_json::from_value(resource.clone()).unwrap();
    reconcile(Arc::new(watched), work.clone()).await
}

/// A cluster with the Tenant, whose server answers.
async fn answering(tenant: &Value) -> (Cluster, Arc<Tenants>, Server) {
    let cluster = Cluster::start();
    cluster.set("tenants/photos", tenant.clone());
    let ready = Arc::new(Tenants::default());
    let server = Server::start(&cluster, tenant, &ready).await;
    (cluster, ready, server)
}

#[tokio::test]
async fn a_resource_is_held_just_before_what_it_makes() {
    let (cluster, ready, _server) = answering(&tenant()).await;
    cluster.set("users/anna", user());
    let work = cluster.work(ready, Arc::default());
    turn::<User>(&work, &user()).await.unwrap();
    let expected = [
        "GET secrets/anna-keys",
        "MERGE users/anna",
        "CALL user",
        "CALL /",
        "POST secrets/anna-keys",
        "APPLY users/anna/status",
        "POST events/anna",
    ];
    assert_eq!(cluster.take_requests(), expected);
    let held = cluster.object("users/anna").unwrap();
    assert_eq!(held["metadata"]["finalizers"], json!(["coffer.dev/owned"]));
    assert_eq!(cluster.condition_of("users/anna", "Ready").0, "True");
    turn::<User>(&work, &held).await.unwrap();
    let again = cluster.take_requests();
    assert!(!again.contains(&"MERGE users/anna".to_owned()), "{again:?}");
}

#[tokio::test]
async fn what_makes_nothing_is_not_held() {
    let elsewhere = json!({"name": "photos", "namespace": "vault"});
    let mut vault = tenant();
    vault["metadata"]["namespace"] = json!("vault");
    for (claim, tenants, spec, reason) in [
        ("no Tenant", vec![], json!({}), "ReferenceNotFound"),
        ("one that doesn't answer", vec![tenant()], json!({}), "TenantNotReady"),
        ("one that lets nobody in", vec![vault], json!({"tenantRef": elsewhere}), "NotAllowed"),
        ("none that would", vec![], json!({"tenantRef": elsewhere}), "NotAllowed"),
    ] {
        let cluster = Cluster::start();
        for (number, tenant) in tenants.into_iter().enumerate() {
            cluster.set(&format!("tenants/{number}"), tenant);
        }
        let anna = resource("User", "anna", spec);
        cluster.set("users/anna", anna.clone());
        let work = cluster.work(Arc::default(), Arc::default());
        turn::<User>(&work, &anna).await.unwrap();
        let requests = cluster.take_requests();
        assert_eq!(requests, ["APPLY users/anna/status", "POST events/anna"], "{claim}");
        assert_eq!(cluster.condition_of("users/anna", "Ready").1, reason, "{claim}");
    }
    // Of a Tenant that answers, what isn't put.
    let (cluster, ready, _server) = answering(&tenant()).await;
    let expired = json!({"user": "anna", "expires": "2001-01-01T00:00:00Z"});
    let key = resource("AccessKey", "old", expired);
    cluster.set("accesskeys/old", key.clone());
    let work = cluster.work(ready, Arc::default());
    turn::<AccessKey>(&work, &key).await.unwrap();
    assert_eq!(cluster.take_requests(), ["APPLY accesskeys/old/status", "POST events/old"]);
}

#[tokio::test]
async fn one_that_went_meanwhile_makes_nothing_and_says_nothing() {
    for (claim, code, message) in [
        ("gone", 404, "users \"anna\" not found"),
        ("another of its name", 409, "Precondition failed: UID in precondition: u-9"),
    ] {
        let (cluster, ready, server) = answering(&tenant()).await;
        cluster.refuse("MERGE users/anna", code, message);
        let work = cluster.work(ready, Arc::default());
        let action = turn::<User>(&work, &user()).await.unwrap();
        assert_eq!(action, Action::await_change(), "{claim}");
        assert_eq!(cluster.take_requests(), ["GET secrets/anna-keys", "MERGE users/anna"]);
        assert_eq!(server.bodies("user"), Vec::<Value>::new(), "{claim}");
    }
}

#[tokio::test]
async fn what_cannot_be_held_makes_nothing() {
    for (code, message, is_conflict) in
        [(409, "the object has been modified", true), (500, "etcd is away", false)]
    {
        let (cluster, ready, server) = answering(&tenant()).await;
        cluster.refuse("MERGE users/anna", code, message);
        let work = cluster.work(ready, Arc::default());
        let cause = turn::<User>(&work, &user()).await.unwrap_err();
        assert_eq!(cause.is_conflict(), is_conflict, "{code}");
        assert_eq!(cause.to_string(), "the finalizers of User `shop/anna` can't be written");
        assert_eq!(server.bodies("user"), Vec::<Value>::new(), "{code}");
    }
}

#[tokio::test]
async fn a_status_that_cannot_be_written_names_its_kind() {
    let cluster = Cluster::start();
    cluster.refuse("APPLY users/anna/status", 500, "etcd is away");
    let work = cluster.work(Arc::default(), Arc::default());
    let cause = turn::<User>(&work, &user()).await.unwrap_err();
    assert_eq!(cause.to_string(), "the status of User `shop/anna` can't be written");
}

#[tokio::test]
async fn a_bucket_goes_part_by_part_without_a_pause() {
    let (cluster, ready, server) = answering(&tenant()).await;
    let spec = json!({"deletionPolicy": "Delete", "bucketName": "album-of-anna"});
    let bucket = leaving(resource("Bucket", "album", spec));
    cluster.set("buckets/album", bucket.clone());
    let work = cluster.work(ready, Arc::default());
    let part = |deleted: u64| (200, json!({"remaining": true, "deleted": deleted}));
    server.answers("release", [part(1000), part(1), part(0), (200, json!({"remaining": false}))]);
    for deleted in [1000, 1] {
        let action = turn::<Bucket>(&work, &bucket).await.unwrap();
        assert_eq!(action, Action::requeue(Duration::ZERO), "{deleted} were deleted");
        assert_eq!(cluster.condition_of("buckets/album", "Reconciling").1, "Deleting");
    }
    // Where nothing goes, as others hold it, it isn't asked without end.
    let action = turn::<Bucket>(&work, &bucket).await.unwrap();
    assert_ne!(action, Action::requeue(Duration::ZERO));
    assert_ne!(action, Action::await_change());
    let before = cluster.object("buckets/album").unwrap();
    assert_eq!(before["metadata"]["finalizers"], bucket["metadata"]["finalizers"]);
    let action = turn::<Bucket>(&work, &bucket).await.unwrap();
    assert_eq!(action, Action::await_change());
    let after = cluster.object("buckets/album").unwrap();
    assert_eq!(after["metadata"]["finalizers"], json!(["other.dev/kept"]));
    for body in server.bodies("release") {
        assert_eq!(body["bucket"], "album-of-anna");
        assert_eq!(body["owner"], json!({"resource": "Bucket/shop/album", "uid": "u-9"}));
    }
}

#[tokio::test]
async fn one_that_cannot_be_read_can_be_deleted() {
    let here = json!({"name": "photos"});
    for (claim, reference, released, finalizers) in [
        ("of a Tenant that answers", here.clone(), 1, json!(["other.dev/kept"])),
        ("of none", json!({"name": "videos"}), 0, json!(["other.dev/kept"])),
        ("of none that could be read", json!(7), 0, json!(["other.dev/kept"])),
    ] {
        let (cluster, ready, server) = answering(&tenant()).await;
        let spec = json!({"tenantRef": reference, "deletionPolicy": "Delete", "quota": [1]});
        let bucket = leaving(resource("Bucket", "album", spec));
        cluster.set("buckets/album", bucket.clone());
        let work = cluster.work(ready, Arc::default());
        let action = turn::<Bucket>(&work, &bucket).await.unwrap();
        assert_eq!(action, Action::await_change(), "{claim}");
        let after = cluster.object("buckets/album").unwrap();
        assert_eq!(after["metadata"]["finalizers"], finalizers, "{claim}");
        let bodies = server.bodies("release");
        assert_eq!(bodies.len(), released, "{claim}");
        // What it says of its data can't be trusted.
        assert!(bodies.iter().all(|body| body["bucket"].is_null()), "{claim}: {bodies:?}");
    }
    // What it has made waits for a Tenant that is there.
    let cluster = Cluster::start();
    cluster.set("tenants/photos", tenant());
    let bucket = leaving(resource("Bucket", "album", json!({"quota": [1]})));
    cluster.set("buckets/album", bucket.clone());
    let work = cluster.work(Arc::default(), Arc::default());
    let action = turn::<Bucket>(&work, &bucket).await.unwrap();
    assert_ne!(action, Action::await_change());
    assert_eq!(cluster.condition_of("buckets/album", "Reconciling").1, "TenantNotReady");
    assert_eq!(cluster.object("buckets/album").unwrap(), bucket);
}

#[tokio::test]
async fn one_that_cannot_be_read_says_so() {
    let cluster = Cluster::start();
    let bucket = resource("Bucket", "album", json!({"quota": [1]}));
    cluster.set("buckets/album", bucket.clone());
    let work = cluster.work(Arc::default(), Arc::default());
    let action = turn::<Bucket>(&work, &bucket).await.unwrap();
    assert_eq!(action, Action::await_change());
    assert_eq!(cluster.condition_of("buckets/album", "Stalled").1, "InvalidSpec");
    // Its own write wakes it: then there is nothing to say.
    let mut told = bucket.clone();
    told["status"] = cluster.last_body("APPLY buckets/album/status")["status"].clone();
    cluster.set("buckets/album", told);
    cluster.take_requests();
    turn::<Bucket>(&work, &bucket).await.unwrap();
    assert_eq!(cluster.take_requests(), ["GET buckets/album"]);
}

/// A namespace that isn't let in has no say in which policies come into force.
#[tokio::test]
async fn only_who_is_let_in_holds_up_a_policy() {
    let guest = json!({"name": "photos", "namespace": "shop"});
    let case = json!({
        "name": "nothing is read", "as": {"user": "anna"}, "action": "s3:GetObject",
        "resource": "arn:aws:s3:::album/a", "expect": "Deny",
    });
    let name = "kubernetes.io/metadata.name";
    for (claim, allowed, reason) in [
        ("not let in", Value::Null, "InForce"),
        ("another is", json!({"selector": {"matchLabels": {name: "other"}}}), "InForce"),
        ("let in", json!({"selector": {"matchLabels": {name: "guest"}}}), "TestFailed"),
    ] {
        let mut tenant = tenant();
        tenant["spec"]["allowedNamespaces"] = allowed;
        let (cluster, ready, _server) = answering(&tenant).await;
        let look = resource("Policy", "look", json!({"document": DOCUMENT}));
        let anna = resource("User", "anna", json!({"policies": ["look"]}));
        let mut test = resource("PolicyTest", "theirs", json!({"cases": [case]}));
        test["metadata"]["namespace"] = json!("guest");
        test["spec"]["tenantRef"] = guest.clone();
        cluster.set("policies/look", look.clone());
        cluster.set("users/anna", anna);
        cluster.set("policytests/theirs", test);
        let work = cluster.work(ready, Arc::default());
        turn::<Policy>(&work, &look).await.unwrap();
        assert_eq!(cluster.condition_of("policies/look", "Ready").1, reason, "{claim}");
        let status = cluster.last_body("APPLY policies/look/status")["status"].clone();
        let message = status["conditions"][0]["message"].as_str().unwrap();
        let is_named = message.contains("PolicyTest `guest/theirs`, case `nothing is read`");
        assert_eq!(is_named, reason == "TestFailed", "{claim}: {message}");
    }
}

/// What other hands made is for the Tenant's own namespace to take over.
#[tokio::test]
async fn a_namespace_that_is_let_in_asks_for_its_own_alone() {
    for (namespace, adopt, reclaim) in
        [("shop", json!(true), Value::Null), ("guest", Value::Null, json!(true))]
    {
        let mut tenant = tenant();
        tenant["spec"]["allowedNamespaces"] = json!({"selector": {}});
        let (cluster, ready, server) = answering(&tenant).await;
        let reference = json!({"name": "photos", "namespace": "shop"});
        let spec = json!({"document": DOCUMENT, "adopt": true, "tenantRef": reference});
        let mut look = resource("Policy", "look", spec);
        look["metadata"]["namespace"] = json!(namespace);
        look["metadata"]["finalizers"] = json!(["coffer.dev/owned"]);
        let work = cluster.work(ready, Arc::default());
        turn::<Policy>(&work, &look).await.unwrap();
        let bodies = server.bodies("policy");
        assert_eq!(bodies.len(), 1, "{namespace}");
        assert_eq!(bodies[0].get("adopt").cloned().unwrap_or_default(), adopt, "{namespace}");
        assert_eq!(bodies[0].get("reclaim").cloned().unwrap_or_default(), reclaim, "{namespace}");
    }
}
