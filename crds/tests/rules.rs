//! Every CEL rule: one object accepted, one refused with the rule's message. The same pairs run on a real API server
//! in `tests/cluster`; `kube`'s evaluator gives `play` the same answers.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

use coffer_crds::definition;
use kube::core::cel::Validator;
use serde_json::{Value, json};

struct Case {
    name: &'static str,
    accepted: Value,
    refused: Value,
    message: &'static str,
}

fn tenant(name: &str, patch: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"storage": {"embedded": {"size": "10Gi", "storageClassName": "fast"}}}
    });
    merge(&mut object["spec"], patch);
    object
}

fn merge(target: &mut Value, patch: &Value) {
    if let (Some(target), Some(patch)) = (target.as_object_mut(), patch.as_object()) {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
    } else {
        *target = patch.clone();
    }
}

fn messages(object: &Value, old: Option<&Value>) -> Vec<String> {
    let definition = definition::tenant().unwrap();
    match Validator::new().validate(definition.schema().unwrap(), object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.as_slice().iter().map(|error| error.message.clone()).collect(),
    }
}

#[test]
fn each_rule_accepts_one_and_refuses_one() {
    let t = |patch: Value| tenant("photos", &patch);
    let cases = [
        Case {
            name: "long name",
            accepted: tenant(&"a".repeat(40), &json!({})),
            refused: tenant(&"a".repeat(41), &json!({})),
            message: "metadata.name: at most 40 characters",
        },
        Case {
            name: "name of a Service",
            accepted: tenant("a-1", &json!({})),
            refused: tenant("1a.b", &json!({})),
            message: "metadata.name: only lower-case letters",
        },
        Case {
            name: "never pulled without an image",
            accepted: t(json!({"imagePullPolicy": "Never", "image": "coffer:1"})),
            refused: t(json!({"imagePullPolicy": "Never"})),
            message: "spec.imagePullPolicy: `Never` needs an image",
        },
        Case {
            name: "domain is an address",
            accepted: t(json!({"domains": ["s3.example.com"]})),
            refused: t(json!({"domains": ["192.0.2.1"]})),
            message: "spec.domains: an IP address",
        },
        Case {
            name: "small volume",
            accepted: t(json!({"storage": {"embedded": {"size": "64Mi"}}})),
            refused: t(json!({"storage": {"embedded": {"size": "63Mi"}}})),
            message: "spec.storage.embedded.size: at least 64Mi",
        },
        Case {
            name: "short certificate",
            accepted: t(json!({"tls": {"duration": "1m"}})),
            refused: t(json!({"tls": {"duration": "59s"}})),
            message: "spec.tls.duration: from 1m to 8760h",
        },
        Case {
            name: "long certificate",
            accepted: t(json!({"tls": {"duration": "8760h"}})),
            refused: t(json!({"tls": {"duration": "8760h1s"}})),
            message: "spec.tls.duration: from 1m to 8760h",
        },
        Case {
            name: "wildcard over everything",
            accepted: t(json!({"tls": {"additionalNames": ["*.example.com", "localhost"]}})),
            refused: t(json!({"tls": {"additionalNames": ["*.com"]}})),
            message: "spec.tls.additionalNames: a wildcard needs",
        },
        Case {
            name: "not an address",
            accepted: t(json!({"tls": {"additionalNames": ["192.0.2.255"]}})),
            refused: t(json!({"tls": {"additionalNames": ["192.0.2.256"]}})),
            message: "spec.tls.additionalNames: a name of digits and dots",
        },
        Case {
            name: "annotation of the Service is ours",
            accepted: t(json!({"exposure": {"annotations": {"example.com/a": "b"}}})),
            refused: t(json!({"exposure": {"annotations": {"coffer.dev/a": "b"}}})),
            message: "spec.exposure.annotations: keys below",
        },
        Case {
            name: "label of the pod is ours",
            accepted: t(json!({"podTemplate": {"labels": {"team": "a"}}})),
            refused: t(json!({"podTemplate": {"labels": {"app.kubernetes.io/instance": "a"}}})),
            message: "spec.podTemplate.labels: keys below",
        },
        Case {
            name: "annotation of the pod is ours",
            accepted: t(json!({"podTemplate": {"annotations": {"team": "a"}}})),
            refused: t(json!({"podTemplate": {"annotations": {"coffer.dev/tls": "a"}}})),
            message: "spec.podTemplate.annotations: keys below",
        },
    ];
    for case in cases {
        assert_eq!(messages(&case.accepted, None), Vec::<String>::new(), "{}: accepted", case.name);
        let refusal = messages(&case.refused, None);
        assert!(
            refusal.len() == 1 && refusal[0].starts_with(case.message),
            "{}: expected `{}`, got {refusal:?}",
            case.name,
            case.message
        );
    }
}

#[test]
fn each_transition_rule_accepts_one_and_refuses_one() {
    let old = tenant("photos", &json!({}));
    let size = |size| tenant("photos", &json!({"storage": {"embedded": {"size": size}}}));
    let class = |class: Value| {
        tenant("photos", &json!({"storage": {"embedded": {"storageClassName": class}}}))
    };
    for (name, accepted, refused, message) in [
        ("shrink", size("10240Mi"), size("9Gi"), "spec.storage.embedded.size: may not shrink"),
        (
            "other class",
            class(json!("fast")),
            class(json!("slow")),
            "spec.storage.embedded.storageClassName: can't",
        ),
        (
            "class dropped",
            class(json!("fast")),
            class(Value::Null),
            "spec.storage.embedded.storageClassName: can't",
        ),
    ] {
        assert_eq!(messages(&accepted, Some(&old)), Vec::<String>::new(), "{name}: accepted");
        let refusal = messages(&refused, Some(&old));
        assert!(refusal.len() == 1 && refusal[0].starts_with(message), "{name}: got {refusal:?}");
    }
}
