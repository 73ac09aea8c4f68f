//! The definitions as they are installed: the derived ones with what can't be derived.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::{AccessKey, Bucket, KeyRotation, Policy, PolicyBinding, PolicyTest, Tenant, User};

/// Longest list where a field doesn't say less.
const MAX_ITEMS: u64 = 32;
/// Most entries of a map where a field doesn't say less.
const MAX_PROPERTIES: u64 = 64;
/// Longest string where a field doesn't say less, in characters.
const MAX_LENGTH: u64 = 1024;

/// With a definition goes every resource of its kind, in all namespaces. So no tool may remove it because a folder or an application is gone:
/// Flux doesn't prune it, Argo CD neither prunes it nor deletes it with its application. (The chart has Helm's own annotation.)
const KEEP: [(&str, &str); 2] = [
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
    ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
];

/// Why a definition couldn't be printed.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// A derived definition isn't what the patch expects.
    #[error(
        "definition of `{kind}`: `{pointer}` is missing; the derive macro changed, adapt the patch"
    )]
    Missing {
        /// The resource's kind.
        kind: String,
        /// JSON pointer to what isn't there.
        pointer: &'static str,
    },
    /// A definition isn't serializable.
    #[error("a definition can't be serialized")]
    Json(#[from] serde_json::Error),
    /// A definition isn't serializable as YAML.
    #[error("a definition can't be written as YAML")]
    Yaml(#[from] serde_yaml::Error),
}

/// One definition, with the name of the file that holds it.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The file's name below `crds/`.
    pub file: &'static str,
    /// The definition as JSON, with defaults and bounds patched in.
    pub json: Value,
}

impl Definition {
    /// The definition as YAML, as it lies in `crds/`.
    ///
    /// # Errors
    /// [`DefinitionError::Yaml`] when the JSON can't be written.
    pub fn yaml(&self) -> Result<String, DefinitionError> {
        Ok(serde_yaml::to_string(&self.json)?)
    }

    /// The `OpenAPI` schema of the served version.
    pub fn schema(&self) -> Option<&Value> {
        self.json.pointer("/spec/versions/0/schema/openAPIV3Schema")
    }
}

/// All definitions, in the order of installation.
///
/// # Errors
/// [`DefinitionError`] when the derived definitions don't have the expected shape.
pub fn all() -> Result<Vec<Definition>, DefinitionError> {
    Ok(vec![
        tenant()?,
        Definition { file: "policies.yaml", json: finish(&Policy::crd())? },
        Definition { file: "policytests.yaml", json: finish(&PolicyTest::crd())? },
        Definition { file: "users.yaml", json: finish(&User::crd())? },
        Definition { file: "accesskeys.yaml", json: finish(&AccessKey::crd())? },
        Definition { file: "policybindings.yaml", json: finish(&PolicyBinding::crd())? },
        Definition { file: "buckets.yaml", json: finish(&Bucket::crd())? },
        Definition { file: "keyrotations.yaml", json: finish(&KeyRotation::crd())? },
    ])
}

impl Definition {
    /// The kind that it defines.
    pub fn kind(&self) -> &str {
        self.json.pointer("/spec/names/kind").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The Tenant's definition.
///
/// # Errors
/// [`DefinitionError`] when the derived definition doesn't have the expected shape.
pub fn tenant() -> Result<Definition, DefinitionError> {
    Ok(Definition { file: "tenants.yaml", json: finish(&Tenant::crd())? })
}

fn finish(crd: &CustomResourceDefinition) -> Result<Value, DefinitionError> {
    let mut crd = crd.clone();
    let keep = KEEP.map(|(key, value)| (key.to_owned(), value.to_owned()));
    crd.metadata.annotations.get_or_insert_default().extend(keep);
    let mut json = serde_json::to_value(&crd)?;
    let kind = crd.spec.names.kind.clone();
    let missing = |pointer| DefinitionError::Missing { kind: kind.clone(), pointer };

    let schema = json
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .ok_or_else(|| missing("/spec/versions/0/schema/openAPIV3Schema"))?;
    // kstatus counts a resource without any status as healthy; this makes it wait from the first second.
    let status =
        schema.pointer_mut("/properties/status").ok_or_else(|| missing("/properties/status"))?;
    if let Some(status) = status.as_object_mut() {
        status.insert("default".to_owned(), json!({"observedGeneration": -1}));
    }
    for pointer in ["/properties/spec", "/properties/status"] {
        bound(schema.pointer_mut(pointer).ok_or_else(|| missing(pointer))?);
    }
    Ok(json)
}

/// Gives each list, map and string an upper limit, so that the API server's cost budget for CEL rules is met and no
/// resource grows beyond reason; then the fields below it.
fn bound(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        describe_quantity(object);
        return;
    }
    match object.get("type").and_then(Value::as_str) {
        Some("array") => or_insert(object, "maxItems", MAX_ITEMS),
        Some("string") if !object.contains_key("enum") && !object.contains_key("format") => {
            or_insert(object, "maxLength", MAX_LENGTH);
        }
        Some("object") if object.contains_key("additionalProperties") => {
            or_insert(object, "maxProperties", MAX_PROPERTIES);
        }
        _ => {}
    }
    for (key, value) in object.iter_mut() {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(bound),
            ("items" | "additionalProperties", nested) => bound(nested),
            _ => {}
        }
    }
}

fn or_insert(object: &mut Map<String, Value>, key: &str, limit: u64) {
    object.entry(key.to_owned()).or_insert_with(|| json!(limit));
}

/// The derived text of a quantity is an essay of 2 KB in each place.
fn describe_quantity(object: &mut Map<String, Value>) {
    if object
        .get("description")
        .and_then(Value::as_str)
        .is_some_and(|text| text.starts_with("Quantity"))
    {
        object.insert(
            "description".to_owned(),
            json!("A Kubernetes quantity: `500m`, `2`, `512Mi`, `1.5Gi`."),
        );
        object.insert("maxLength".to_owned(), json!(32));
    }
}
