//! What is refused is refused with field and remedy, and holds up nothing else.

use serde_json::json;

use super::*;

const GOOD: &str = "
apiVersion: coffer.dev/v1alpha1
kind: Tenant
metadata: {name: photos}
spec: {storage: {embedded: {size: 1Gi}}}
";

fn read(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    read_text(Path::new("a.yaml"), text, &|_, _| None, &mut manifests);
    manifests
}

fn with_spec(spec: &str) -> String {
    format!(
        "apiVersion: coffer.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: photos}}\nspec: {spec}\n"
    )
}

#[test]
fn defaults_are_those_of_the_schema() {
    let manifests = read(GOOD);
    assert_eq!(manifests.problems, vec![]);
    let tenant = manifests.tenants.values().next().unwrap();
    assert_eq!(tenant.spec.region, "us-east-1");
    assert_eq!(tenant.metadata.namespace.as_deref(), Some("default"));
    assert!(tenant.status.is_none());
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    let size = "storage: {embedded: {size: 1Gi}}";
    for (name, text, expected) in [
        ("no storage", with_spec("{}"), "spec.storage: Required value"),
        (
            "unknown field",
            with_spec(&format!("{{{size}, regoin: a}}")),
            "unknown field `spec.regoin`",
        ),
        (
            "unknown nested field",
            with_spec(&format!("{{{size}, tls: {{issuer: {{selfSigned: {{a: 1}}}}}}}}")),
            "spec.tls.issuer.selfSigned: unknown field below it",
        ),
        (
            "pattern",
            with_spec(&format!("{{{size}, region: EU}}")),
            "spec.region: Invalid value: \"EU\": should match",
        ),
        (
            "enum",
            with_spec(&format!("{{{size}, tls: {{minVersion: '1.1'}}}}")),
            "spec.tls.minVersion: Unsupported value: \"1.1\": supported values: \"1.2\", \"1.3\"",
        ),
        (
            "type",
            with_spec(&format!("{{{size}, domains: [1]}}")),
            "spec.domains[0]: Invalid value: 1 is not of type",
        ),
        (
            "rule",
            with_spec(&format!("{{{size}, domains: [192.0.2.1]}}")),
            "spec.domains: an IP address has no names",
        ),
        (
            "rule of the name",
            GOOD.replace("photos", &"a".repeat(41)),
            "metadata.name: at most 40 characters",
        ),
        ("path as name", GOOD.replace("photos", "../x"), "metadata: name or namespace"),
        (
            "path as namespace",
            GOOD.replace("name: photos", "name: photos, namespace: .."),
            "metadata: name or namespace",
        ),
        ("other kind of ours", GOOD.replace("kind: Tenant", "kind: Console"), "no kind `Console`"),
        ("no kind", "a: 1".to_owned(), "`apiVersion` or `kind` is missing"),
        (
            "doubled key",
            with_spec(&format!("{{{size}, {size}}}")),
            "isn't YAML of an object: spec: duplicate entry",
        ),
        ("doubled object", format!("{GOOD}---{GOOD}"), "there are two of this name"),
        ("no YAML", "{".to_owned(), "isn't YAML of an object"),
    ] {
        let problems = read(&text).problems;
        assert!(
            problems.len() == 1 && problems[0].text.starts_with(expected),
            "{name}: expected `{expected}`, got {problems:?}"
        );
    }
}

#[test]
fn a_bad_object_does_not_hide_a_good_one() {
    let manifests = read(&format!("{}---{GOOD}", with_spec("{}").replace("photos", "bad")));
    assert_eq!((manifests.tenants.len(), manifests.problems.len()), (1, 1));
}

#[test]
fn a_change_is_held_against_the_accepted_one() {
    let old = json!({"spec": {"storage": {"embedded": {"size": "2Gi"}}}});
    let mut manifests = Manifests::default();
    read_text(Path::new("a.yaml"), GOOD, &|_, _| Some(old.clone()), &mut manifests);
    assert!(
        manifests.problems[0].text.starts_with("spec.storage.embedded.size: may not shrink"),
        "{manifests:?}"
    );
}

#[test]
fn secrets_are_read_in_both_forms() {
    let manifests = read(
        "
apiVersion: v1
kind: Secret
metadata: {name: root}
data: {accessKey: YWJj}
stringData: {secretKey: secretsecret}
",
    );
    let data = manifests.secrets.values().next().unwrap();
    assert_eq!(data["accessKey"].0, b"abc");
    assert_eq!(data["secretKey"].0, b"secretsecret");
}

#[test]
fn other_programs_objects_are_left_to_them() {
    for (text, expected) in [
        ("{apiVersion: v1, kind: Namespace, metadata: {name: a}}", "Namespace default/a"),
        // As it lies beside the manifests in many a repository.
        (
            "{apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, resources: [a.yaml]}",
            "Kustomization",
        ),
    ] {
        let manifests = read(text);
        assert_eq!(
            (manifests.problems.len(), manifests.skipped),
            (0, vec![expected.to_owned()]),
            "{text}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let manifests = read(&text);
        assert!(manifests.tenants.is_empty());
    }
}
