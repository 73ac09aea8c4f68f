//! Validates an object by the definition's own schema, in the API server's words.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use coffer_crds::definition::{self, Definition};
use jsonschema::error::ValidationErrorKind;
use kube::core::cel::{ValidationErrors, Validator as CelValidator, apply_defaults};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The schema in the two forms that are validated with.
struct Schema {
    /// As the API server has it.
    open_api: Value,
    /// As a JSON schema validator needs it.
    validator: jsonschema::Validator,
}

/// A valid object of this kind from its manifest; `old` is the one before, for rules about changes.
pub(super) fn valid<K: DeserializeOwned>(
    kind: &str,
    manifest: &Value,
    old: Option<&Value>,
) -> Result<Box<K>, Vec<String>> {
    static SCHEMAS: OnceLock<BTreeMap<String, Schema>> = OnceLock::new();
    let internal = || vec!["the schema of this version can't be read; this is a defect".to_owned()];
    let schema = SCHEMAS.get_or_init(load).get(kind).ok_or_else(internal)?;

    let mut manifest = manifest.clone();
    if let Some(object) = manifest.as_object_mut() {
        object.remove("status");
    }
    let manifest = apply_defaults(&schema.open_api, &manifest);
    let mut problems: Vec<String> =
        schema.validator.iter_errors(&manifest).flat_map(|error| explain(&error)).collect();
    if problems.is_empty() {
        let rules = CelValidator::new().validate(&schema.open_api, &manifest, old);
        problems = rules
            .err()
            .iter()
            .flat_map(ValidationErrors::as_slice)
            .map(|error| error.message.clone())
            .collect();
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(manifest).map(Box::new).map_err(|cause| vec![cause.to_string()])
}

fn load() -> BTreeMap<String, Schema> {
    let definitions = definition::all().unwrap_or_default();
    let schema = |definition: &Definition| Some((definition.kind().to_owned(), one(definition)?));
    definitions.iter().filter_map(schema).collect()
}

fn one(definition: &Definition) -> Option<Schema> {
    let mut open_api = definition.schema()?.clone();
    // A manifest has no status; its default would be a status that nobody saw.
    open_api.pointer_mut("/properties")?.as_object_mut()?.remove("status");
    let mut json = open_api.clone();
    to_json_schema(&mut json);
    // The top level has fields that the definition doesn't list.
    let top = json.as_object_mut()?;
    let properties = top.get_mut("properties")?.as_object_mut()?;
    for field in ["apiVersion", "kind", "metadata", "status"] {
        properties.insert(field.to_owned(), json!({}));
    }
    let validator =
        jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&json).ok()?;
    Some(Schema { open_api, validator })
}

/// `OpenAPI`'s ways of saying "or null" and "number or string", and the API server's refusal of unknown fields.
fn to_json_schema(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.remove("nullable") == Some(Value::Bool(true))
        && let Some(Value::String(name)) = object.get("type")
    {
        let both = json!([name, "null"]);
        object.insert("type".to_owned(), both);
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    if object.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        object.insert("type".to_owned(), json!(["integer", "number", "string"]));
    }
    if object.contains_key("properties") || is_empty_object(object) {
        object.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    for (key, value) in object.iter_mut() {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(to_json_schema);
            }
            ("items" | "additionalProperties", nested) => to_json_schema(nested),
            _ => {}
        }
    }
}

fn is_empty_object(object: &Map<String, Value>) -> bool {
    let is_object = object
        .get("type")
        .is_some_and(|name| name == "object" || name == &json!(["object", "null"]));
    is_object && !object.contains_key("additionalProperties")
}

/// An error in the words of the API server, each with the field's path.
fn explain(error: &jsonschema::ValidationError<'_>) -> Vec<String> {
    let path = dotted(&error.instance_path().to_string());
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| {
                format!("unknown field `{}`; remove it or correct its name", below(&path, name))
            })
            .collect(),
        ValidationErrorKind::Required { property } => {
            vec![format!("{}: Required value", below(&path, property.as_str().unwrap_or_default()))]
        }
        ValidationErrorKind::Enum { options } => {
            let options =
                options.as_array().into_iter().flatten().filter(|option| !option.is_null());
            let options = options.map(ToString::to_string).collect::<Vec<_>>().join(", ");
            vec![format!("{path}: Unsupported value: {value}: supported values: {options}")]
        }
        ValidationErrorKind::Pattern { pattern } => {
            vec![format!("{path}: Invalid value: {value}: should match '{pattern}'")]
        }
        ValidationErrorKind::MaxLength { limit } => {
            vec![format!("{path}: Too long: may not be more than {limit} characters")]
        }
        ValidationErrorKind::MaxItems { limit } => {
            vec![format!("{path}: Too many: must have at most {limit} items")]
        }
        ValidationErrorKind::FalseSchema => {
            vec![format!("{path}: unknown field below it; remove it")]
        }
        _ => vec![format!("{path}: Invalid value: {error}")],
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `/spec/domains/0` as `spec.domains[0]`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            path = format!("{path}[{part}]");
        } else {
            path = below(&path, &part.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}
