//! What the apiserver refuses by the definitions' own rules: for each, one object that it takes and one that it refuses.

use coffer_tests::cluster::{self, kubectl, kubectl_refused, namespace, tenant};

fn dry(manifest: &str) -> Result<(), String> {
    use std::io::Write;
    let mut child = std::process::Command::new("kubectl")
        .args(["apply", "--dry-run=server", "-f", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn a0_each_rule_takes_one_object_and_refuses_another() {
    cluster::install();
    namespace("admit");
    for (good, bad, message) in [
        ("tls: {duration: 24h}", "tls: {duration: 10s}", "from 1m to 8760h"),
        (
            "tls: {additionalNames: ['*.example.com']}",
            "tls: {additionalNames: ['*.com']}",
            "a wildcard needs at least two labels",
        ),
        (
            "tls: {additionalNames: ['192.0.2.1']}",
            "tls: {additionalNames: ['192.0.2.256']}",
            "must be an IPv4 address",
        ),
        ("tls: {minVersion: '1.3'}", "tls: {minVersion: '1.1'}", "Unsupported value"),
        (
            "domains: [s3.example.com]",
            "domains: ['192.0.2.1']",
            "an IP address has no names below it",
        ),
        (
            "image: a/b:c\nimagePullPolicy: Never",
            "imagePullPolicy: Never",
            "`Never` needs an image that lies on the node",
        ),
        (
            "exposure: {annotations: {a/b: c}}",
            "exposure: {annotations: {coffer.dev/b: c}}",
            "the operator's own",
        ),
        (
            "podTemplate: {labels: {a: b}}",
            "podTemplate: {labels: {coffer.dev/a: b}}",
            "the operator's own",
        ),
        (
            "podTemplate: {annotations: {a: b}}",
            "podTemplate: {annotations: {coffer.dev/a: b}}",
            "the operator's own",
        ),
        ("region: eu-west-1", "region: 'EU West'", "spec.region"),
        ("suspend: true", "unknown: true", "unknown field"),
    ] {
        assert_eq!(dry(&tenant("admit", "t", good)), Ok(()), "{good}");
        let refused = dry(&tenant("admit", "t", bad)).expect_err(bad);
        assert!(refused.contains(message), "{bad}: {refused}");
    }
    for (name, message) in
        [("a".repeat(41), "at most 40 characters"), ("1a".to_owned(), "beginning with a letter")]
    {
        let refused = dry(&tenant("admit", &name, "")).expect_err(&name);
        assert!(refused.contains(message), "{name}: {refused}");
    }
    let small = tenant("admit", "t", "").replace("1Gi", "1Mi");
    assert!(dry(&small).expect_err("too small").contains("at least 64Mi"));
}

/// Rules about a change need an object that is there.
#[tokio::test]
async fn a0_a_volume_neither_shrinks_nor_moves() {
    cluster::install();
    namespace("admit-change");
    // Suspended: it is about the object alone.
    cluster::apply(&tenant("admit-change", "t", "suspend: true"));
    let patch = |patch: &str| {
        ["patch", "tenant", "t", "-n", "admit-change", "--type=merge", "-p"]
            .iter()
            .map(|s| (*s).to_owned())
            .chain([patch.to_owned()])
            .collect::<Vec<_>>()
    };
    for (change, message) in [
        (r#"{"spec":{"storage":{"embedded":{"size":"512Mi"}}}}"#, "may not shrink"),
        (r#"{"spec":{"storage":{"embedded":{"storageClassName":"other"}}}}"#, "can't be changed"),
    ] {
        let arguments = patch(change);
        let refused =
            kubectl_refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
        assert!(refused.contains(message), "{change}: {refused}");
    }
    let grow = patch(r#"{"spec":{"storage":{"embedded":{"size":"2Gi"}}}}"#);
    kubectl(&grow.iter().map(String::as_str).collect::<Vec<_>>());
}
