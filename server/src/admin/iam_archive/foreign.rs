//! Policies of MinIO's archives: they are written differently, and taken as they are meant there.
//!
//! MinIO doesn't look at the Resource of a statement about the admin API, KMS or STS, and most have none or one of S3. Here such actions
//! need the Resource `*` (`coffer-policy`), so a statement with them becomes two that give and deny the same.

use coffer_policy::{Policy, built_in};
use serde_json::{Map, Value, json};

/// What MinIO's `readonly` allows; here it reads versions too, which there needs no action of its own.
const READONLY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject"],"Resource":["arn:aws:s3:::*"]}]}"#;

/// A document as it is meant in the archive. What can't be a document stays as it is, to be refused.
pub(super) fn as_meant(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(Value::Array(statements)) = document.get_mut("Statement") {
        *statements = std::mem::take(statements).into_iter().flat_map(split).collect();
    } else if let Some(statement @ Value::Object(_)) = document.get_mut("Statement") {
        *statement = Value::Array(split(statement.take()));
    }
    document
}

/// Whether this is what the policy of this name is anyway. MinIO writes its own into every archive.
pub(super) fn is_built_in(name: &str, policy: &Policy) -> bool {
    let given = unordered(policy.document());
    let is_it = |document: &str| given.is_some() && given == unordered(document);
    built_in::policy(name).is_some_and(|built_in| is_it(built_in.document()))
        || (name == "readonly" && is_it(READONLY))
}

/// A canonical document with the actions of each statement in one order: MinIO writes them in any.
fn unordered(document: &str) -> Option<Value> {
    let mut document: Value = serde_json::from_str(document).ok()?;
    for statement in document.get_mut("Statement")?.as_array_mut()? {
        let actions = statement.get_mut("Action").and_then(Value::as_array_mut)?;
        actions.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    Some(document)
}

/// A statement, in two where its Resource is said of some of its actions only.
fn split(statement: Value) -> Vec<Value> {
    let Value::Object(members) = statement else { return vec![statement] };
    if !members.get("Resource").is_none_or(is_of_s3) || members.contains_key("NotResource") {
        return vec![Value::Object(members)];
    }
    let actions = match members.get("Action") {
        Some(Value::Array(actions)) => actions.clone(),
        Some(one @ Value::String(_)) => vec![one.clone()],
        Some(_) | None => return vec![Value::Object(members)],
    };
    let (of_tenant, others): (Vec<Value>, Vec<Value>) = actions.into_iter().partition(is_of_tenant);
    if of_tenant.is_empty() {
        return vec![Value::Object(members)];
    }
    let mut first = with_actions(&members, of_tenant);
    first.insert("Resource".to_owned(), json!("*"));
    let mut parts = vec![Value::Object(first)];
    if !others.is_empty() {
        let mut second = with_actions(&members, others);
        // A Sid names one statement.
        second.remove("Sid");
        parts.push(Value::Object(second));
    }
    parts
}

fn with_actions(members: &Map<String, Value>, actions: Vec<Value>) -> Map<String, Value> {
    let mut members = members.clone();
    members.insert("Action".to_owned(), Value::Array(actions));
    members
}

/// Whether an action is about the tenant or its keys, not about buckets.
fn is_of_tenant(action: &Value) -> bool {
    let family =
        action.as_str().and_then(|action| action.split_once(':')).map(|(family, _)| family);
    family.is_some_and(|family| {
        ["admin", "kms", "sts"].iter().any(|known| known.eq_ignore_ascii_case(family))
    })
}

/// Whether a Resource names nothing but buckets and objects.
fn is_of_s3(resource: &Value) -> bool {
    let is_it = |one: &Value| one.as_str().is_some_and(|one| one.starts_with("arn:aws:s3:::"));
    match resource {
        Value::Array(resources) => resources.iter().all(is_it),
        one => is_it(one),
    }
}

#[cfg(test)]
mod tests {
    use coffer_policy::Kind;

    use super::*;

    fn meant(statement: &str) -> Value {
        as_meant(&serde_json::from_str(&format!(r#"{{"Statement":[{statement}]}}"#)).unwrap())
            ["Statement"]
            .clone()
    }

    #[test]
    fn what_is_said_of_the_tenant_is_said_without_buckets() {
        for (name, statement, expected) in [
            (
                "no resource",
                r#"{"Effect":"Allow","Action":["admin:*"]}"#,
                json!([{"Effect": "Allow", "Action": ["admin:*"], "Resource": "*"}]),
            ),
            (
                "a bucket's",
                r#"{"Effect":"Deny","Action":"kms:CreateKey","Resource":["arn:aws:s3:::*"]}"#,
                json!([{"Effect": "Deny", "Action": ["kms:CreateKey"], "Resource": "*"}]),
            ),
            (
                "both kinds",
                r#"{"Sid":"A","Effect":"Allow","Action":["s3:GetObject","ADMIN:ServerInfo"],"Resource":"arn:aws:s3:::a/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
                json!([
                    {"Sid": "A", "Effect": "Allow", "Action": ["ADMIN:ServerInfo"], "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
                    {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::a/*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
                ]),
            ),
        ] {
            assert_eq!(meant(statement), expected, "{name}");
        }
        for same in [
            r#"{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}"#,
            r#"{"Effect":"Allow","Action":["kms:Decrypt"],"Resource":["arn:aws:kms:::photos"]}"#,
            r#"{"Effect":"Allow","Action":["admin:*"],"Resource":["*"]}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::*"]}"#,
            r#"{"Effect":"Allow","NotAction":["admin:*"],"Resource":["arn:aws:s3:::*"]}"#,
            r#"{"Effect":"Allow","Action":["s3:GetObject"]}"#,
            r#"{"Effect":"Allow","Action":7}"#,
            r#""Statement""#,
        ] {
            let statement: Value = serde_json::from_str(same).unwrap();
            assert_eq!(meant(same), json!([statement]), "{same}");
        }
    }

    #[test]
    fn minios_own_policies_are_ours() {
        let observed = [
            (
                "consoleAdmin",
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:*"]},{"Effect":"Allow","Action":["kms:*"]},{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#,
            ),
            (
                "diagnostics",
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:ConsoleLog","admin:ServerInfo","admin:TopLocksInfo","admin:OBDInfo","admin:BandwidthMonitor","admin:Prometheus","admin:Profiling","admin:ServerTrace"],"Resource":["arn:aws:s3:::*"]}]}"#,
            ),
            (
                "readonly",
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:GetBucketLocation"],"Resource":["arn:aws:s3:::*"]}]}"#,
            ),
            (
                "readwrite",
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#,
            ),
            (
                "writeonly",
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject"],"Resource":["arn:aws:s3:::*"]}]}"#,
            ),
        ];
        for (name, document) in observed {
            let document = as_meant(&serde_json::from_str(document).unwrap()).to_string();
            let policy = Policy::parse(Kind::Identity, document.as_bytes()).unwrap();
            assert!(is_built_in(name, &policy), "{name}: {}", policy.document());
            assert!(!is_built_in("photos", &policy), "{name}");
        }
    }
}
