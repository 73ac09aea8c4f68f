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
    let folder = tempfile::TempDir::new_in(cluster::repository()).unwrap();
    std::fs::write(
        folder.path().join("kustomization.yaml"),
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../charts/kustomize]\n\
         images: [{name: ghcr.io/coffer/coffer, newName: cluster.test/coffer, newTag: test}]\n\
         patches:\n- target: {kind: Deployment, name: coffer-operator}\n  patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    \
         metadata: {name: coffer-operator}\n    spec:\n      template:\n        spec:\n          containers:\n          - name: operator\n            \
         imagePullPolicy: Never\n            env: [{name: COFFER_IMAGE, value: 'cluster.test/coffer:test'}]\n",
    )
    .unwrap();
    kubectl(&[
        "apply",
        "--server-side",
        "--force-conflicts",
        "-k",
        &folder.path().display().to_string(),
    ]);
    cluster::operator_is_there();
    cluster::apply(&tenant("stay", "films", ""));
    wait_ready("stay", "films");
    wait_ready("stay", "photos");
    assert_eq!(photos.send("GET", "/album/a", "", &[], "").await.text(), "hello");
}
