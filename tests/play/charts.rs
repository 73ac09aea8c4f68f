//! What the charts refuse by `values.schema.json`: each field has a bad value, and Helm names the field.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::documents::repository;

/// Chart, field, a bad value of it as `--set-json` has it, and what Helm says of it. A field that doesn't exist is bad with any value.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("coffer-crds", "/unknown", "true", "at '': additional properties 'unknown' not allowed"),
    ("coffer-crds", "/global", "3", "at '/global': got number, want object"),
    (
        "coffer-crds",
        "/annotations",
        r#""team=media""#,
        "at '/annotations': got string, want object",
    ),
    ("coffer-crds", "/annotations/a", "true", "at '/annotations/a': got boolean, want string"),
    ("coffer-operator", "/unknown", "true", "at '': additional properties 'unknown' not allowed"),
    ("coffer-operator", "/global", "3", "at '/global': got number, want object"),
    ("coffer-operator", "/image", r#""coffer:1""#, "at '/image': got string, want object"),
    (
        "coffer-operator",
        "/image/digest",
        r#""sha256:00""#,
        "at '/image': additional properties 'digest' not allowed",
    ),
    ("coffer-operator", "/image/repository", r#""""#, "at '/image/repository': minLength"),
    ("coffer-operator", "/image/repository", "null", "at '/image': missing property 'repository'"),
    ("coffer-operator", "/image/tag", "1.0", "at '/image/tag': got number, want string"),
    (
        "coffer-operator",
        "/image/pullPolicy",
        r#""Sometimes""#,
        "at '/image/pullPolicy': value must be one of",
    ),
    (
        "coffer-operator",
        "/imagePullSecrets",
        r#""mine""#,
        "at '/imagePullSecrets': got string, want array",
    ),
    (
        "coffer-operator",
        "/imagePullSecrets",
        r#"["mine"]"#,
        "at '/imagePullSecrets/0': got string, want object",
    ),
    (
        "coffer-operator",
        "/imagePullSecrets",
        "[{}]",
        "at '/imagePullSecrets/0': missing property 'name'",
    ),
    (
        "coffer-operator",
        "/imagePullSecrets",
        r#"[{"name": 1}]"#,
        "at '/imagePullSecrets/0/name': got number, want string",
    ),
    ("coffer-operator", "/replicas", "-1", "at '/replicas': minimum: got -1, want 0"),
    ("coffer-operator", "/replicas", "6", "at '/replicas': maximum: got 6, want 5"),
    ("coffer-operator", "/replicas", r#""1""#, "at '/replicas': got string, want integer"),
    ("coffer-operator", "/clusterDomain", r#""""#, "at '/clusterDomain': minLength"),
    ("coffer-operator", "/drainSeconds", "-1", "at '/drainSeconds': minimum: got -1, want 0"),
    (
        "coffer-operator",
        "/drainSeconds",
        "3601",
        "at '/drainSeconds': maximum: got 3,601, want 3,600",
    ),
    (
        "coffer-operator",
        "/secretNamespaces",
        r#""team""#,
        "at '/secretNamespaces': got string, want array",
    ),
    (
        "coffer-operator",
        "/secretNamespaces",
        r#"["Team"]"#,
        "at '/secretNamespaces/0': 'Team' does not match pattern",
    ),
    (
        "coffer-operator",
        "/secretNamespaces",
        r#"["a,b"]"#,
        "at '/secretNamespaces/0': 'a,b' does not match pattern",
    ),
    (
        "coffer-operator",
        "/secretNamespaces",
        r#"["*"]"#,
        "at '/secretNamespaces/0': '*' does not match pattern",
    ),
    (
        "coffer-operator",
        "/secretNamespaces",
        r#"["a", "a"]"#,
        "at '/secretNamespaces': items at 0 and 1 are equal",
    ),
    (
        "coffer-operator",
        "/secretPollMilliseconds",
        "199",
        "at '/secretPollMilliseconds': minimum: got 199, want 200",
    ),
    (
        "coffer-operator",
        "/secretPollMilliseconds",
        "3600001",
        "at '/secretPollMilliseconds': maximum: got 3.600001",
    ),
    ("coffer-operator", "/log", r#""""#, "at '/log': minLength"),
    ("coffer-operator", "/podAnnotations", "[]", "at '/podAnnotations': got array, want object"),
    (
        "coffer-operator",
        "/podAnnotations/a",
        "1",
        "at '/podAnnotations/a': got number, want string",
    ),
    ("coffer-operator", "/podLabels", "[]", "at '/podLabels': got array, want object"),
    ("coffer-operator", "/podLabels/a", "1", "at '/podLabels/a': got number, want string"),
    (
        "coffer-operator",
        "/priorityClassName",
        "1",
        "at '/priorityClassName': got number, want string",
    ),
    ("coffer-operator", "/resources", r#""few""#, "at '/resources': got string, want object"),
    ("coffer-operator", "/nodeSelector", "[]", "at '/nodeSelector': got array, want object"),
    (
        "coffer-operator",
        "/nodeSelector/a",
        "true",
        "at '/nodeSelector/a': got boolean, want string",
    ),
    ("coffer-operator", "/tolerations", "{}", "at '/tolerations': got object, want array"),
    (
        "coffer-operator",
        "/tolerations",
        r#"["storage"]"#,
        "at '/tolerations/0': got string, want object",
    ),
    ("coffer-operator", "/affinity", "[]", "at '/affinity': got array, want object"),
    ("coffer-tenant", "/unknown", "true", "at '': additional properties 'unknown' not allowed"),
    ("coffer-tenant", "/global", "3", "at '/global': got number, want object"),
    ("coffer-tenant", "/name", "1", "at '/name': got number, want string"),
    (
        "coffer-tenant",
        "/name",
        r#""a-name-of-forty-one-letters-is-one-too-long""#,
        "at '/name': maxLength",
    ),
    ("coffer-tenant", "/annotations", "[]", "at '/annotations': got array, want object"),
    ("coffer-tenant", "/annotations/a", "1", "at '/annotations/a': got number, want string"),
    ("coffer-tenant", "/labels", "[]", "at '/labels': got array, want object"),
    ("coffer-tenant", "/labels/a", "1", "at '/labels/a': got number, want string"),
    ("coffer-tenant", "/spec", "[]", "at '/spec': got array, want object"),
    ("coffer-tenant", "/spec", "null", "at '': missing property 'spec'"),
    ("coffer-tenant", "/spec/storage", "null", "at '/spec': missing property 'storage'"),
];

/// `helm template` with one value set: what it printed, or what it refused with.
fn template(chart: &str, value: Option<(&str, &str)>) -> Result<String, String> {
    let cluster = std::env::var_os("COFFER_TEST_CLUSTER").expect("run tests/run");
    let mut helm = Command::new(Path::new(&cluster).join("helm"));
    helm.current_dir(repository()).args(["template", "photos"]).arg(format!("charts/{chart}"));
    if let Some((field, value)) = value {
        let path = field.trim_start_matches('/').replace('/', ".");
        helm.args(["--set-json", &format!("{path}={value}")]);
    }
    let output = helm.output().expect("helm");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The fields of a schema, those of its objects too.
fn fields(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        found.insert(at.clone());
        fields(field, &at, found);
    }
}

#[test]
fn each_bad_value_is_refused_and_its_field_is_named() {
    for (chart, field, value, words) in REFUSED {
        let said = template(chart, Some((field, value)))
            .err()
            .unwrap_or_else(|| panic!("charts/{chart} takes {field}: {value}"));
        assert!(said.contains(words), "charts/{chart} {field}: {value}: {said}");
    }
}

#[test]
fn each_field_of_each_chart_has_a_value_that_is_refused_and_a_default_that_is_taken() {
    for chart in ["coffer-crds", "coffer-operator", "coffer-tenant"] {
        let file = repository().join("charts").join(chart).join("values.schema.json");
        let schema = std::fs::read_to_string(file).expect("a schema");
        let schema: Value = serde_json::from_str(&schema).expect("JSON");
        let mut known = BTreeSet::new();
        fields(&schema, "", &mut known);
        assert!(known.len() > 1, "charts/{chart}: {known:?}");
        for field in &known {
            let tried = REFUSED.iter().any(|(of, at, ..)| of == &chart && at == field);
            assert!(tried, "charts/{chart}: no bad value of {field} is tried");
        }
        // Of what the schema leaves to the API server, too, each value that the chart brings is a field of the schema.
        let values = repository().join("charts").join(chart).join("values.yaml");
        let values = std::fs::read_to_string(values).expect("values");
        let values: Value = serde_yaml::from_str(&values).expect("YAML");
        for name in values.as_object().expect("an object").keys() {
            assert!(known.contains(&format!("/{name}")), "charts/{chart}: {name} is in no schema");
        }
        template(chart, None).unwrap_or_else(|said| panic!("charts/{chart}: {said}"));
    }
}
