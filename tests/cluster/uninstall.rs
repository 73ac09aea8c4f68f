//! Uninstalled, everything that people made stays. Runs last: its name sorts after all others.

use coffer_tests::cluster::{self, client, get, helm, kubectl, namespace, tenant, wait_ready};

#[tokio::test]
async fn z_definitions_and_data_stay() {
    cluster::install();
    namespace("stay");
    cluster::apply(&tenant("stay", "photos", ""));
    wait_ready("stay", "photos");
    let photos = client("stay", "photos");
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    assert_eq!(photos.send("PUT", "/album/a", "", &[], "hello").await.status, 200);
    helm(&["uninstall", "coffer-operator", "-n", cluster::SYSTEM, "--wait"]);
    helm(&["uninstall", "coffer-crds", "-n", cluster::SYSTEM]);
    assert!(
        kubectl(&["get", "crd", "tenants.coffer.dev", "-o", "name"]).contains("tenants.coffer.dev")
    );
    assert!(!get("tenant", "stay", "photos").is_null());
    assert!(!get("pvc", "stay", "photos-data").is_null());
    assert_eq!(photos.send("GET", "/album/a", "", &[], "").await.text(), "hello");

    // By kustomize it comes again, and takes up what is there.
    kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "crds/tenants.yaml"]);
}
