//! `--check` for CI: an exit code, and messages that say file, field and remedy.

use std::path::Path;
use std::process::{Command, Output};

use coffer_tests::server::program;
use tempfile::TempDir;

use crate::stage::tenant;

/// Runs `play --check` on paths.
pub(crate) fn check(paths: &[&Path]) -> Output {
    let mut command = Command::new(program("coffer-operator"));
    command.args(["play", "--check"]).args(paths);
    // Validation needs no server, and leaves nothing where it runs.
    let folder = TempDir::new().expect("a folder");
    let output = command.current_dir(folder.path()).env("COFFER_SERVER", "/nowhere").output();
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "--check left something behind");
    output.expect("a command")
}

#[test]
fn each_verdict_has_its_exit_code_and_message() {
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {accessKey: '?'}\n";
    for (name, text, code, message) in [
        ("good", tenant("photos", ""), 0, "Tenant default/photos: valid"),
        (
            "another program's",
            tenant("photos", "") + "---\n{apiVersion: v1, kind: Service, metadata: {name: a}}\n",
            0,
            "Service default/a: not checked",
        ),
        (
            "a rule of the schema",
            tenant("photos", "").replace("1Gi", "1Mi"),
            1,
            "m.yaml: Tenant default/photos: spec.storage.embedded.size: at least 64Mi",
        ),
        (
            "an unknown field",
            tenant("photos", "  regoin: eu\n"),
            1,
            "m.yaml: Tenant default/photos: unknown field `spec.regoin`",
        ),
        (
            "a bad Secret",
            tenant("photos", "") + secret,
            1,
            "data.accessKey: not base64; encode it, or use stringData",
        ),
        ("no YAML", "a: [".to_owned(), 1, "m.yaml: isn't YAML of an object"),
        ("nothing", String::new(), 1, "no Tenant in the given files"),
    ] {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("m.yaml");
        std::fs::write(&file, text).expect("a file");
        // A folder's files are checked like a file that is named.
        for path in [folder.path(), &file] {
            let output = check(&[path]);
            let out = String::from_utf8_lossy(&output.stdout);
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{name}: {out}{err}");
            let told = if code == 0 { &out } else { &err };
            assert!(told.contains(message), "{name}: `{message}` isn't in {told}");
        }
    }
}

/// What the Tenant of the given files doesn't take is told before it is in a cluster.
#[test]
fn what_a_tenant_refuses_is_told() {
    let guests =
        "  allowedNamespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: guests}}}\n";
    let short = "  iam: {maxKeyLifetime: 1h}\n";
    let bound = "  iam: {policyBoundary: ceiling}\n";
    let zero = "  iam: {maxKeyLifetime: 0s}\n";
    let of = |kind: &str, namespace: &str, spec: &str| {
        format!(
            "---\napiVersion: coffer.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: ceiling, namespace: {namespace}}}\nspec:\n  \
             tenantRef: {{name: photos, namespace: default}}\n{spec}"
        )
    };
    let key = |spec: &str| of("AccessKey", "default", &format!("  user: anna\n{spec}"));
    let statements = "  statements: [{effect: Allow, actions: ['s3:*'], resources: ['*']}]\n";
    let case = "  cases: [{name: a, as: {user: anna}, action: 's3:GetObject', expect: Allow}]\n";
    for (claim, tenant_says, resource, problem) in [
        ("a key for ever", "", key(""), None),
        (
            "a key that lives too long",
            short,
            key(""),
            Some("AccessKey default/ceiling: the Tenant's spec.iam.maxKeyLifetime is 3600 s"),
        ),
        (
            "a key that is replaced in time",
            short,
            key("  rotation: {interval: 40m, overlap: 20m}\n"),
            None,
        ),
        (
            "a key that isn't",
            short,
            key("  rotation: {interval: 40m, overlap: 21m}\n"),
            Some("AccessKey default/ceiling: the Tenant's spec.iam.maxKeyLifetime is 3600 s"),
        ),
        (
            "a key that has ended",
            "",
            key("  expires: 2001-01-01T00:00:00Z\n"),
            Some("AccessKey default/ceiling: spec.expires is past"),
        ),
        (
            "a key's policy",
            "",
            key("  policy: '{}'\n"),
            Some("AccessKey default/ceiling: spec.policy: "),
        ),
        (
            "no life at all",
            zero,
            String::new(),
            Some("Tenant default/photos: spec.iam.maxKeyLifetime: at least 1s"),
        ),
        ("let in", guests, of("Bucket", "guests", ""), None),
        (
            "not let in",
            guests,
            of("Bucket", "shop", ""),
            Some(
                "Bucket shop/ceiling: spec.tenantRef: no Tenant `default/photos` lets in the namespace `shop`",
            ),
        ),
        (
            "a test that isn't let in, which doesn't run",
            "",
            of("PolicyTest", "shop", case),
            Some("PolicyTest shop/ceiling: spec.tenantRef: no Tenant `default/photos` lets in"),
        ),
        ("its boundary", bound, of("Policy", "default", statements), None),
        (
            "its boundary, by another namespace",
            &format!("{bound}{guests}"),
            of("Policy", "guests", statements),
            Some("Policy guests/ceiling: `ceiling` is the Tenant's policy boundary"),
        ),
        (
            "a bucket's quota",
            "",
            of("Bucket", "default", "  quota: 9999999999Gi\n"),
            Some("Bucket default/ceiling: spec.quota: "),
        ),
    ] {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("m.yaml");
        std::fs::write(&file, tenant("photos", tenant_says) + &resource).expect("a file");
        let output = check(&[&file]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(problem.is_some())), "{claim}: {err}");
        let problem = problem.unwrap_or_default();
        assert!(err.contains(problem), "{claim}: `{problem}` isn't in {err}");
        assert_eq!(err.lines().count(), usize::from(!problem.is_empty()), "{claim}: {err}");
    }
}

#[test]
fn a_path_that_is_not_there_is_told() {
    let output = check(&[Path::new("/nowhere/at/all.yaml")]);
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains("/nowhere/at/all.yaml: can't be read"), "{err}");
}
