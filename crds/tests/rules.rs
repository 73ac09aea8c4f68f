//! Every CEL rule, with the evaluator that `play` uses: `rules.yaml` has one object accepted and one refused for each.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;

use coffer_crds::definition::{self, Definition};
use kube::core::cel::{Validator, apply_defaults};
use serde_json::{Value, json};

fn kind(case: &Value) -> &str {
    case["kind"].as_str().unwrap_or("Tenant")
}

fn object(kind: &str, case: &Value) -> Value {
    let bases: Value = serde_yaml::from_str(include_str!("bases.yaml")).unwrap();
    let mut object = json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": kind, "metadata": {"name": "photos"},
        "spec": bases[kind]
    });
    if let Some(name) = case["name"].as_str() {
        object["metadata"]["name"] = json!(name);
    }
    merge(&mut object["spec"], &case["spec"]);
    // As the API server does before it asks the rules.
    apply_defaults(definition(kind).schema().unwrap(), &object)
}

fn definition(kind: &str) -> Definition {
    definition::all().unwrap().into_iter().find(|definition| definition.kind() == kind).unwrap()
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
    let definition = definition(object["kind"].as_str().unwrap());
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
        let plain = object(kind(&case), &json!({}));
        let old = case["changed"].as_bool().unwrap_or_default().then_some(&plain);
        let rule = &case["rule"];
        assert_eq!(
            messages(&object(kind(&case), &case["accepted"]), old),
            Vec::<String>::new(),
            "{rule}: accepted"
        );
        let refusal = messages(&object(kind(&case), &case["refused"]), old);
        let expected = case["message"].as_str().unwrap();
        assert!(
            refusal.len() == 1 && refusal[0].starts_with(expected),
            "{rule}: expected `{expected}`, got {refusal:?}"
        );
    }
}

#[test]
fn no_rule_is_untried() {
    let mut untried = Vec::new();
    for definition in definition::all().unwrap() {
        let of_kind = cases().into_iter().filter(|case| kind(case) == definition.kind());
        let tried: BTreeSet<String> =
            of_kind.map(|case| case["message"].as_str().unwrap().to_owned()).collect();
        collect(definition.schema().unwrap(), &mut |message| {
            if !tried.iter().any(|begin| message.starts_with(begin)) {
                untried.push(format!("{}: {message}", definition.kind()));
            }
        });
    }
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
