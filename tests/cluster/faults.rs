//! The operator is killed, and the tenant's objects come all the same.

use std::time::Duration;

use coffer_tests::cluster::{self, eventually, get, kubectl, namespace, tenant, wait_ready};

/// Killed again and again while it makes a Tenant.
#[tokio::test]
async fn f1_an_operator_that_is_killed_goes_on_where_it_was() {
    cluster::install();
    namespace("killed");
    for round in 0..4 {
        let name = format!("photos-{round}");
        cluster::apply(&tenant("killed", &name, ""));
        tokio::time::sleep(Duration::from_millis(100 * round)).await;
        kubectl(&[
            "delete",
            "pod",
            "-n",
            cluster::SYSTEM,
            "-l",
            "app.kubernetes.io/name=coffer-operator",
            "--grace-period=0",
            "--force",
        ]);
        wait_ready("killed", &name);
        // The volumes of this cluster are few.
        kubectl(&["delete", "tenant", &name, "-n", "killed"]);
        kubectl(&["delete", "pvc", &format!("{name}-data"), "-n", "killed"]);
    }
    eventually("no pods", Duration::from_secs(60), async || {
        let left = kubectl(&["get", "pods", "-n", "killed", "-o", "name"]);
        left.trim().is_empty().then_some(())
    })
    .await;
}

/// Without the operator a tenant goes on serving.
#[tokio::test]
async fn f2_data_does_not_need_the_operator() {
    cluster::install();
    namespace("alone");
    cluster::apply(&tenant("alone", "photos", ""));
    wait_ready("alone", "photos");
    let photos = cluster::client("alone", "photos");
    kubectl(&["scale", "deployment", "coffer-operator", "-n", cluster::SYSTEM, "--replicas=0"]);
    eventually("no operator", Duration::from_secs(60), async || {
        let left = kubectl(&["get", "pods", "-n", cluster::SYSTEM, "-o", "name"]);
        left.trim().is_empty().then_some(())
    })
    .await;
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    kubectl(&["scale", "deployment", "coffer-operator", "-n", cluster::SYSTEM, "--replicas=1"]);
    kubectl(&[
        "rollout",
        "status",
        "deployment/coffer-operator",
        "-n",
        cluster::SYSTEM,
        "--timeout=60s",
    ]);
    assert!(!get("statefulset", "alone", "photos").is_null());
}
