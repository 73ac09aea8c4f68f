//! `kubectl explain` has a sentence for every field, and every list, map and string has a limit.

use coffer_crds::definition;
use serde_json::Value;

#[test]
fn every_field_is_explained() {
    for definition in definition::all().unwrap() {
        let mut silent = Vec::new();
        walk(definition.schema().unwrap(), "", &mut |path, schema| {
            let text = schema["description"].as_str().unwrap_or_default();
            if text.len() < 10 {
                silent.push(path.to_owned());
            }
        });
        assert_eq!(
            silent,
            Vec::<String>::new(),
            "{}: fields without an explanation",
            definition.file
        );
    }
}

#[test]
fn everything_that_can_grow_is_bounded() {
    for definition in definition::all().unwrap() {
        let mut unbounded = Vec::new();
        for part in ["spec", "status"] {
            let schema = &definition.schema().unwrap()["properties"][part];
            everything(schema, part, &mut |path, schema| {
                let bounded = match schema["type"].as_str() {
                    Some("array") => schema["maxItems"].is_u64(),
                    Some("string") => {
                        schema["maxLength"].is_u64()
                            || schema["enum"].is_array()
                            || schema["format"].is_string()
                    }
                    Some("object") => {
                        schema["additionalProperties"].is_null() || schema["maxProperties"].is_u64()
                    }
                    _ => true,
                };
                if !bounded {
                    unbounded.push(path.to_owned());
                }
            });
        }
        assert_eq!(unbounded, Vec::<String>::new(), "{}: fields without a limit", definition.file);
    }
}

fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if path == ".metadata" {
            continue;
        }
        visit(&path, field);
        walk(field, &path, visit);
        walk(&field["items"], &format!("{path}[]"), visit);
    }
}

fn everything(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        everything(field, &format!("{path}.{name}"), visit);
    }
    for nested in ["items", "additionalProperties"] {
        if schema[nested].is_object() {
            everything(&schema[nested], &format!("{path}[]"), visit);
        }
    }
}
