//! At rest the operator writes nothing, and puts back what drifts.

use std::time::Duration;

use coffer_tests::cluster::{
    self, OPERATOR, eventually, get, kubectl, namespace, recorded, tenant, wait_ready, writes_of,
};

#[tokio::test]
async fn e1_at_rest_nothing_is_written() {
    cluster::install();
    namespace("rest");
    cluster::apply(&tenant("rest", "photos", "iam: {resyncInterval: 5s}"));
    wait_ready("rest", "photos");
    // What is in it is looked at every few seconds, and written never.
    for (kind, spec) in [
        ("Policy", r#"statements: [{effect: Allow, actions: ["s3:GetObject"], resources: ["*"]}]"#),
        (
            "PolicyTest",
            r#"cases: [{name: reads, as: {user: resting}, action: "s3:GetObject", expect: Allow}]"#,
        ),
        ("User", "policies: [resting], groups: [team]"),
        ("AccessKey", "user: resting"),
        ("PolicyBinding", "policies: [readonly], subjects: [{kind: Group, name: team}]"),
        ("Bucket", "quota: 1Gi"),
    ] {
        let metadata = "{name: resting, namespace: rest}";
        let name =
            if kind == "AccessKey" { "{name: resting-key, namespace: rest}" } else { metadata };
        cluster::apply(&format!(
            "apiVersion: coffer.dev/v1alpha1\nkind: {kind}\nmetadata: {name}\nspec: {{tenantRef: {{name: photos}}, {spec}}}"
        ));
    }
    for kind in ["policies", "policytests", "users", "accesskeys", "policybindings", "buckets"] {
        cluster::wait_for("rest", &[kind, "--all"]);
    }
    // The objects of the other tests settle too.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let since = recorded();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let writes = writes_of(OPERATOR, since);
    // Every write counts, events too; leases alone are not in the record.
    assert!(writes.is_empty(), "{writes:#?}");
    println!("writes in a minute at rest: 0");
}

#[tokio::test]
async fn e2_drift_is_put_back() {
    cluster::install();
    namespace("drift");
    cluster::apply(&tenant("drift", "photos", ""));
    wait_ready("drift", "photos");
    kubectl(&["delete", "service", "photos", "-n", "drift"]);
    kubectl(&[
        "patch",
        "pdb",
        "photos",
        "-n",
        "drift",
        "--type=merge",
        "-p",
        r#"{"spec":{"maxUnavailable":0}}"#,
    ]);
    let ((), took) = eventually("both are back", Duration::from_secs(30), async || {
        let service = get("service", "drift", "photos");
        let budget = get("pdb", "drift", "photos");
        (!service.is_null() && budget["spec"]["maxUnavailable"] == 1).then_some(())
    })
    .await;
    println!("drift was put back after {took:?}");
    wait_ready("drift", "photos");
}
