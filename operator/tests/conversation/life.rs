//! What befalls a Tenant that runs: its certificates age, the API server falters, objects and the Tenant itself go.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_crds::Tenant;
use coffer_operator::reconcile::forget_gone;
use coffer_operator::watch::Seen;
use kube::core::DeserializeGuard;
use kube::runtime::{reflector, watcher};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::{run, tenant};

fn is(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

fn text(data: &Value) -> String {
    String::from_utf8(STANDARD.decode(data.as_str().unwrap()).unwrap()).unwrap()
}

/// The claim has its volume.
fn bind(cluster: &Cluster) {
    let mut claim = cluster.object("persistentvolumeclaims/photos-data").unwrap();
    claim["status"] = json!({"phase": "Bound"});
    claim["spec"]["volumeName"] = json!("pv-1");
    cluster.set("persistentvolumeclaims/photos-data", claim);
    cluster.fill_stores();
}

#[tokio::test]
async fn certificates_are_renewed_whatever_becomes_of_what_the_spec_names() {
    let kms = json!({"static": {"secretRef": {"name": "keys"}}, "defaultKey": "photos"});
    let audit = json!({"webhook": {
        "endpoint": "https://audit.example.com/records", "caConfigMapRef": {"name": "audit-ca"},
    }});
    let root = json!({"secretRef": {"name": "mine"}});
    for (field, value) in [("kms", kms), ("audit", audit), ("rootCredentials", root)] {
        let cluster = Cluster::start();
        run(&cluster, &tenant()).await;
        let ca = cluster.object("configmaps/photos-ca");
        cluster.remove("secrets/photos-tls");
        cluster.fill_stores();
        let mut names = tenant();
        names["spec"][field] = value;
        let requests = run(&cluster, &names).await;
        assert_eq!(cluster.condition("Stalled"), is("True", "ReferenceNotFound"), "{field}");
        assert!(requests.contains(&"POST secrets/photos-tls".to_owned()), "{field}: {requests:?}");
        assert_eq!(cluster.object("configmaps/photos-ca"), ca, "{field}");
        let serial = cluster.status()["certificate"]["serial"].clone();
        assert!(serial.is_string(), "{field}: what was renewed is told: {serial}");
        let shown = cluster.context().health.metrics.encode().unwrap();
        assert!(shown.contains("certificate_not_after_seconds{"), "{field}: {shown}");
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_where_the_reference_can_not_even_be_read() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    cluster.remove("secrets/photos-tls");
    cluster.fill_stores();
    cluster.refuse("GET secrets/photos-root", 403, "forbidden: User \"op\" cannot get");
    let requests = run(&cluster, &tenant()).await;
    assert_eq!(cluster.condition("Stalled"), is("True", "Forbidden"));
    assert!(requests.contains(&"POST secrets/photos-tls".to_owned()), "{requests:?}");
}

#[tokio::test]
async fn a_transient_error_changes_nothing_until_it_lasts() {
    for (request, code) in [
        ("APPLY services/photos", 500),
        ("APPLY services/photos", 409),
        ("GET secrets/photos-root", 503),
        ("GET secrets/photos-authority", 429),
    ] {
        let cluster = Cluster::start();
        run(&cluster, &tenant()).await;
        // Its Service was changed by another hand, so that there is something to do.
        let mut service = cluster.object("services/photos").unwrap();
        service["spec"]["ports"] = json!([]);
        cluster.set("services/photos", service);
        cluster.fill_stores();
        let mut seen = tenant();
        seen["status"] = json!({"observedGeneration": 3, "conditions": [{
            "type": "Ready", "status": "True", "reason": "Answering", "message": "it answers",
            "lastTransitionTime": "2026-11-24T12:00:00Z",
        }]});
        cluster.refuse(request, code, "later");
        for _ in 0..3 {
            let requests = run(&cluster, &seen).await;
            assert!(requests.contains(&request.to_owned()), "{request}: {requests:?}");
            let told = requests.iter().any(|request| request.contains("tenants/photos/status"));
            assert!(!told, "{request}, {code}: {requests:?}");
        }
        cluster.loses_patience();
        run(&cluster, &seen).await;
        assert_eq!(cluster.condition("Reconciling"), is("True", "ApiUnavailable"), "{request}");
        assert!(cluster.message().contains("later"), "{request}: {}", cluster.message());
        cluster.heal();
        cluster.fill_stores();
        run(&cluster, &seen).await;
        assert_eq!(cluster.condition("Reconciling"), is("True", "Starting"), "{request}");
    }
}

#[tokio::test]
async fn a_lost_authority_leaves_the_old_root_trusted_and_the_certificate_in_use() {
    for (claim, is_seen) in [("seen by the watch", true), ("read by its name", false)] {
        let cluster = Cluster::start();
        run(&cluster, &tenant()).await;
        let old = cluster.object("configmaps/photos-ca").unwrap()["data"]["ca.crt"].clone();
        let served = cluster.object("secrets/photos-tls").unwrap()["data"].clone();
        cluster.remove("secrets/photos-authority");
        if is_seen {
            cluster.fill_stores();
        }
        run(&cluster, &tenant()).await;
        let authority = cluster.object("secrets/photos-authority").unwrap();
        let new = text(&authority["data"]["root.crt"]);
        let published = cluster.object("configmaps/photos-ca").unwrap()["data"]["ca.crt"].clone();
        assert_eq!(published, format!("{new}{}", old.as_str().unwrap()), "{claim}");
        assert_eq!(cluster.object("secrets/photos-tls").unwrap()["data"], served, "{claim}");
        let notes = cluster.bodies("POST events/photos");
        let told = notes.iter().any(|note| note["note"].as_str().unwrap().contains("must load"));
        assert!(told, "{claim}: {notes:?}");
        let status = cluster.status();
        assert!(status["certificate"]["caNotAfter"].is_string(), "{claim}: {status}");
    }
}

#[tokio::test]
async fn no_certificate_comes_before_the_roots_that_clients_need() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    cluster.remove("secrets/photos-authority");
    cluster.remove("secrets/photos-tls");
    cluster.fill_stores();
    for request in ["MERGE configmaps/photos-ca", "APPLY configmaps/photos-ca"] {
        cluster.refuse(request, 500, "later");
    }
    run(&cluster, &tenant()).await;
    assert!(cluster.object("secrets/photos-authority").is_some());
    assert!(cluster.object("secrets/photos-tls").is_none(), "clients don't know its root yet");
    cluster.heal();
    cluster.fill_stores();
    run(&cluster, &tenant()).await;
    let authority = cluster.object("secrets/photos-authority").unwrap();
    let published = cluster.object("configmaps/photos-ca").unwrap()["data"]["ca.crt"].clone();
    let root = text(&authority["data"]["root.crt"]);
    assert!(published.as_str().unwrap().starts_with(&root), "{published}");
    assert!(cluster.object("secrets/photos-tls").is_some());
}

#[tokio::test]
async fn what_an_earlier_tenant_left_is_waited_for() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    cluster.fill_stores();
    let mut again = tenant();
    again["metadata"]["uid"] = json!("u-2");
    let requests = run(&cluster, &again).await;
    assert_eq!(cluster.condition("Reconciling"), is("True", "WaitingForDeletion"));
    assert_eq!(cluster.condition("Stalled").0, "False");
    let wrote = |request: &&String| {
        !request.starts_with("GET") && !request.contains("status") && !request.contains("events")
    };
    assert_eq!(requests.iter().find(wrote), None);
    for name in [
        "secrets/photos-authority",
        "secrets/photos-tls",
        "secrets/photos-control-ca",
        "secrets/photos-root",
        "configmaps/photos-ca",
        "configmaps/photos-control",
        "serviceaccounts/photos",
        "services/photos",
        "services/photos-pods",
        "networkpolicies/photos",
        "poddisruptionbudgets/photos",
        "statefulsets/photos",
    ] {
        cluster.remove(name);
    }
    cluster.fill_stores();
    run(&cluster, &again).await;
    assert_eq!(cluster.condition("Reconciling"), is("True", "Starting"));
    let kept = cluster.object("secrets/photos-iam");
    assert!(kept.is_some(), "what is kept is taken up");
}

#[tokio::test]
async fn a_claim_that_goes_is_told_and_nothing_is_rolled() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    bind(&cluster);
    run(&cluster, &tenant()).await;
    assert_eq!(cluster.status()["volumeClaim"]["volume"], "pv-1");
    let mut claim = cluster.object("persistentvolumeclaims/photos-data").unwrap();
    claim["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    cluster.set("persistentvolumeclaims/photos-data", claim);
    cluster.fill_stores();
    let mut changed = cluster.tenant_with_status(&tenant());
    changed["spec"]["image"] = json!("coffer:2");
    let requests = run(&cluster, &changed).await;
    assert_eq!(cluster.condition("Stalled"), is("True", "VolumeBeingDeleted"));
    assert!(!requests.iter().any(|request| request.contains("statefulsets")), "{requests:?}");
}

#[tokio::test]
async fn no_empty_volume_takes_the_place_of_a_lost_one() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    bind(&cluster);
    run(&cluster, &tenant()).await;
    let seen = cluster.tenant_with_status(&tenant());
    let uid = seen["status"]["volumeClaim"]["uid"].clone();
    cluster.remove("persistentvolumeclaims/photos-data");
    cluster.fill_stores();
    run(&cluster, &seen).await;
    assert_eq!(cluster.condition("Stalled"), is("True", "VolumeLost"));
    assert!(cluster.object("persistentvolumeclaims/photos-data").is_none());
    assert!(cluster.message().contains(uid.as_str().unwrap()), "{}", cluster.message());
    // It is still known after it was told.
    let seen = cluster.tenant_with_status(&seen);
    assert_eq!(seen["status"]["volumeClaim"]["uid"], uid);
    run(&cluster, &seen).await;
    assert!(cluster.object("persistentvolumeclaims/photos-data").is_none());

    let mut given_up = seen;
    given_up["metadata"]["annotations"] = json!({"coffer.dev/abandoned-claim": uid});
    run(&cluster, &given_up).await;
    assert!(cluster.object("persistentvolumeclaims/photos-data").is_some());
    assert_eq!(cluster.status().get("volumeClaim"), None);
}

#[tokio::test]
async fn the_version_is_what_the_pod_runs() {
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    assert_eq!(cluster.status().get("version"), None, "nothing runs yet");
    let pod = |image: &str, running: &str, ended: &str, state: &str| {
        json!({
            "metadata": {"labels": {"coffer.dev/tenant": "photos"}, "annotations": {"coffer.dev/ended-container": ended}},
            "spec": {"containers": [{"name": "listener", "image": "other"}, {"name": "server", "image": image}]},
            "status": {"containerStatuses": [{
                "name": "server", "image": running, "imageID": "i", "containerID": "1",
                "ready": true, "restartCount": 0, "state": {state: {}},
            }]},
        })
    };
    for (claim, pod, expected) in [
        ("it runs", pod("coffer:1", "docker.io/coffer:1", "", "running"), json!("coffer:1")),
        ("it ends", pod("coffer:2", "coffer:1", "1", "running"), json!("coffer:1")),
        ("it isn't there", pod("coffer:2", "coffer:2", "", "waiting"), Value::Null),
    ] {
        cluster.put("pods/photos-0", pod);
        cluster.fill_stores();
        run(&cluster, &tenant()).await;
        assert_eq!(cluster.status()["version"], expected, "{claim}");
    }
}

#[tokio::test]
async fn a_tenant_that_is_gone_is_forgotten() {
    let seen = |tenants: &[Value]| -> Seen<DeserializeGuard<Tenant>> {
        let (store, mut writer) = reflector::store();
        for tenant in tenants {
            let tenant = serde_json::from_value(tenant.clone()).unwrap();
            writer.apply_watcher_event(&watcher::Event::Apply(tenant));
        }
        Seen::already(store)
    };
    let cluster = Cluster::start();
    run(&cluster, &tenant()).await;
    let context: Arc<_> = cluster.context();
    let shown = || context.health.metrics.encode().unwrap().contains("name=\"photos\"");
    let mut heard = context.tenants.changes();
    heard.mark_unchanged();
    forget_gone(&seen(&[tenant()]), &context);
    assert!(shown() && !heard.has_changed().unwrap(), "it is there");

    // Another one of its name: what it shows is its own.
    let mut again = tenant();
    again["metadata"]["uid"] = json!("u-2");
    forget_gone(&seen(&[again]), &context);
    assert!(shown() && heard.has_changed().unwrap(), "who waits is woken");
    assert!(context.memory.met().is_empty());

    run(&cluster, &tenant()).await;
    heard.mark_unchanged();
    forget_gone(&seen(&[]), &context);
    assert!(!shown() && heard.has_changed().unwrap());
    assert!(context.memory.met().is_empty());
}
