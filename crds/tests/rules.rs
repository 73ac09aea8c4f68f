//! Every CEL rule, with the evaluator that `play` uses: `rules.yaml` has one object accepted and one refused for each.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;

use coffer_crds::definition;
use kube::core::cel::Validator;
use serde_json::{Value, json};

fn tenant(case: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "photos"},
        "spec": {"storage": {"embedded": {"size": "10Gi", "storageClassName": "fast"}}}
    });
    if let Some(name) = case["name"].as_str() {
        object["metadata"]["name"] = json!(name);
    }
    merge(&mut object["spec"], &case["spec"]);
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
    } else if !patch.is_null() {
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

fn cases() -> Vec<Value> {
    serde_yaml::from_str(include_str!("rules.yaml")).unwrap()
}

#[test]
fn each_rule_accepts_one_and_refuses_one() {
    for case in cases() {
        let plain = tenant(&json!({}));
        let old = case["changed"].as_bool().unwrap_or_default().then_some(&plain);
        let rule = &case["rule"];
        assert_eq!(
            messages(&tenant(&case["accepted"]), old),
            Vec::<String>::new(),
            "{rule}: accepted"
        );
        let refusal = messages(&tenant(&case["refused"]), old);
        let expected = case["message"].as_str().unwrap();
        assert!(
            refusal.len() == 1 && refusal[0].starts_with(expected),
            "{rule}: expected `{expected}`, got {refusal:?}"
        );
    }
}

#[test]
fn no_rule_is_untried() {
    let tried: BTreeSet<String> =
        cases().iter().map(|case| case["message"].as_str().unwrap().to_owned()).collect();
    let mut untried = Vec::new();
    collect(definition::tenant().unwrap().schema().unwrap(), &mut |message| {
        if !tried.iter().any(|begin| message.starts_with(begin)) {
            untried.push(message.to_owned());
        }
    });
    assert_eq!(untried, Vec::<String>::new());
}

fn collect(schema: &Value, visit: &mut impl FnMut(&str)) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        visit(rule["message"].as_str().unwrap_or_default());
    }
    for field in schema["properties"].as_object().into_iter().flat_map(|fields| fields.values()) {
        collect(field, visit);
    }
    for nested in ["items", "additionalProperties"] {
        if schema[nested].is_object() {
            collect(&schema[nested], visit);
        }
    }
}
