//! Whose each field is, as the API server keeps it for server-side apply.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value};

use crate::tenant::build::MANAGER;

/// The managed fields with ours of the POST made ours of an apply; none if they are so already.
///
/// Fields that a POST set belong to an `Update` for ever: an apply that drops one of them would not remove it.
pub(super) fn adopted(metadata: &ObjectMeta) -> Result<Option<Value>, serde_json::Error> {
    let mut fields = metadata.managed_fields.clone().unwrap_or_default();
    let mut found = false;
    for entry in &mut fields {
        if entry.manager.as_deref() == Some(MANAGER) && is(entry, "Update") {
            entry.operation = Some("Apply".to_owned());
            found = true;
        }
    }
    found.then(|| serde_json::to_value(&fields)).transpose()
}

/// The managed fields with all of `spec` made ours; none if it is so already.
pub(super) fn taken_over(metadata: &ObjectMeta) -> Result<Option<Value>, serde_json::Error> {
    let mut fields = metadata.managed_fields.clone().unwrap_or_default();
    let mut taken = Map::new();
    for entry in &mut fields {
        if entry.manager.as_deref() != Some(MANAGER)
            && entry.subresource.as_deref().unwrap_or_default().is_empty()
            && let Some(Value::Object(theirs)) =
                entry.fields_v1.as_mut().map(|fields| &mut fields.0)
            && let Some(spec) = theirs.remove("f:spec")
        {
            unite(taken.entry("f:spec").or_insert(Value::Object(Map::new())), &spec);
        }
    }
    if taken.is_empty() {
        return Ok(None);
    }
    let ours = fields
        .iter_mut()
        .find(|entry| entry.manager.as_deref() == Some(MANAGER) && is(entry, "Apply"));
    let Some(ours) = ours.and_then(|entry| entry.fields_v1.as_mut()) else { return Ok(None) };
    unite(&mut ours.0, &Value::Object(taken));
    serde_json::to_value(&fields).map(Some)
}

fn is(entry: &ManagedFieldsEntry, operation: &str) -> bool {
    entry.operation.as_deref() == Some(operation)
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

fn unite(target: &mut Value, more: &Value) {
    if let (Some(target), Some(more)) = (target.as_object_mut(), more.as_object()) {
        for (key, value) in more {
            unite(target.entry(key).or_insert_with(|| Value::Object(Map::new())), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(fields: &Value) -> ObjectMeta {
        serde_json::from_value(json!({"managedFields": fields})).unwrap()
    }

    #[test]
    fn what_a_post_set_becomes_what_an_apply_set() {
        let post = json!([
            {"manager": MANAGER, "operation": "Update", "fieldsV1": {"f:spec": {"f:a": {}}}},
            {"manager": MANAGER, "operation": "Update", "subresource": "status", "fieldsV1": {}},
            {"manager": "other", "operation": "Update", "fieldsV1": {}},
        ]);
        let adopted = adopted(&metadata(&post)).unwrap().unwrap();
        let operations: Vec<_> =
            adopted.as_array().unwrap().iter().map(|entry| entry["operation"].clone()).collect();
        assert_eq!(operations, ["Apply", "Update", "Update"]);
        assert_eq!(super::adopted(&metadata(&adopted)).unwrap(), None);
    }

    #[test]
    fn only_the_spec_of_others_is_taken_over() {
        let theirs = json!([
            {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:selector": {"f:a": {}}}}},
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {
                "f:metadata": {"f:annotations": {"f:x": {}}}, "f:spec": {"f:selector": {"f:b": {}}}}},
        ]);
        let taken = taken_over(&metadata(&theirs)).unwrap().unwrap();
        assert_eq!(taken[0]["fieldsV1"], json!({"f:spec": {"f:selector": {"f:a": {}, "f:b": {}}}}));
        assert_eq!(taken[1]["fieldsV1"], json!({"f:metadata": {"f:annotations": {"f:x": {}}}}));
        assert_eq!(taken_over(&metadata(&taken)).unwrap(), None);
    }
}
