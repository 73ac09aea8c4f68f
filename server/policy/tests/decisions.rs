//! Tables of decisions: `decisions/operators.yaml` for conditions alone, the other files for whole documents.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use coffer_policy::{
    Action, Context, ContextKey, Kind, Named, Parent, Policies, Policy, Principal, PrincipalKind,
    Request, Resource, decide,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// A condition, and values of its key with the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    operator: String,
    key: String,
    values: Value,
    /// What else is in the context.
    #[serde(default)]
    context: BTreeMap<String, Value>,
    /// The key's value, or several, or null if it is absent; and whether the condition holds.
    rows: Vec<(Value, bool)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    identity: BTreeMap<String, Value>,
    #[serde(default)]
    groups: BTreeMap<String, Value>,
    session: Option<BTreeMap<String, Value>>,
    boundary: Option<Value>,
    #[serde(default)]
    limits: BTreeMap<String, Value>,
    bucket: Option<Value>,
    asks: Vec<Ask>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    #[serde(default)]
    by: Who,
    action: String,
    on: String,
    #[serde(default)]
    context: BTreeMap<String, Value>,
    expect: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Who {
    #[default]
    Alice,
    Bob,
    /// A session of the role `deploy`.
    Role,
    /// A session on behalf of the user alice.
    AliceSession,
    Root,
    Anonymous,
}

impl Who {
    fn principal(&self) -> Principal<'static> {
        let (kind, name, arn, parent) = match self {
            Self::Alice => (PrincipalKind::User, "alice", "arn:aws:iam:::user/alice", None),
            Self::Bob => (PrincipalKind::User, "bob", "arn:aws:iam:::user/bob", None),
            Self::Role => {
                (PrincipalKind::AssumedRole, "ci", "arn:aws:sts:::assumed-role/deploy/ci", None)
            }
            Self::AliceSession => (
                PrincipalKind::AssumedRole,
                "s1",
                "arn:aws:sts:::assumed-role/self/s1",
                Some(Parent { name: "alice", arn: "arn:aws:iam:::user/alice" }),
            ),
            Self::Root => (PrincipalKind::Account, "root", "arn:aws:iam:::root", None),
            Self::Anonymous => return Principal::ANONYMOUS,
        };
        Principal { kind, name, arn, parent }
    }
}

fn folder(name: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn parse(kind: Kind<'_>, document: &Value, name: &str) -> Policy {
    let mut document = document.clone();
    if document.get("Version").is_none() {
        document["Version"] = json!("2012-10-17");
    }
    Policy::parse(kind, document.to_string().as_bytes())
        .unwrap_or_else(|errors| panic!("{name}: {errors}"))
}

#[test]
fn operators_answer_as_their_tables_say() {
    let file =
        folder("decisions").into_iter().find(|file| file.ends_with("operators.yaml")).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let tables: Vec<Table> = serde_yaml::from_str(&text).unwrap();
    let mut rows = 0;
    for table in &tables {
        let condition = json!({&table.operator: {&table.key: &table.values}});
        let document = |effect: &str| {
            json!({"Statement": [
                {"Effect": effect, "Action": "s3:GetObject", "Resource": "*", "Condition": condition},
            ]})
        };
        let allow = parse(Kind::Identity, &document("Allow"), &condition.to_string());
        let deny = parse(Kind::Identity, &document("Deny"), &condition.to_string());
        for (value, holds) in &table.rows {
            let (own, others) =
                (texts(value), table.context.iter().map(|(key, value)| (key, texts(value))));
            let others: Vec<_> = others.collect();
            let mut context = Context::new();
            context.set_all(ContextKey::parse(&table.key).unwrap(), own.iter().map(String::as_str));
            for (key, values) in &others {
                context.set_all(ContextKey::parse(key).unwrap(), values.iter().map(String::as_str));
            }
            let request = Request {
                principal: &Who::Alice.principal(),
                action: Action::S3GetObject,
                resource: Resource::S3("b/k"),
                context: &context,
            };
            for (policy, outcome) in [(&allow, "Allow"), (&deny, "Deny")] {
                let identity = [Named { name: "p", policy }];
                let policies = Policies { identity: &identity, ..Policies::default() };
                let expected = if *holds { outcome } else { "DefaultDeny" };
                assert_eq!(
                    decide(&policies, &request).outcome.name(),
                    expected,
                    "{condition} {value}"
                );
            }
            rows += 1;
        }
    }
    assert!(rows > 200, "{rows} rows");
}

#[test]
fn documents_decide_as_their_cases_say() {
    let mut asks = 0;
    for file in folder("decisions") {
        if file.ends_with("operators.yaml") {
            continue;
        }
        let cases: Vec<Case> = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in &cases {
            asks += ask(case);
        }
    }
    assert!(asks > 100, "{asks} asks");
}

fn ask(case: &Case) -> usize {
    let all = |documents: &BTreeMap<String, Value>| -> Vec<(String, Policy)> {
        let parse = |(name, document): (&String, &Value)| {
            (name.clone(), parse(Kind::Identity, document, &case.name))
        };
        documents.iter().map(parse).collect()
    };
    let (identity, groups, limits) = (all(&case.identity), all(&case.groups), all(&case.limits));
    let session = case.session.as_ref().map(all);
    let boundary =
        case.boundary.as_ref().map(|document| parse(Kind::Identity, document, &case.name));
    let bucket = case.bucket.as_ref().map(|document| parse(Kind::Resource, document, &case.name));
    let session: Option<Vec<_>> = session.as_ref().map(|session| named(session));
    let policies = Policies {
        identity: &named(&identity),
        groups: &named(&groups),
        session: session.as_deref(),
        boundary: boundary.as_ref().map(|policy| Named { name: "boundary", policy }),
        limits: &named(&limits),
        bucket: bucket.as_ref().map(|policy| Named { name: "bucket", policy }),
    };
    for ask in &case.asks {
        let values: Vec<_> = ask.context.iter().map(|(key, value)| (key, texts(value))).collect();
        let mut context = Context::new();
        for (key, values) in &values {
            context.set_all(ContextKey::parse(key).unwrap(), values.iter().map(String::as_str));
        }
        let request = Request {
            principal: &ask.by.principal(),
            action: Action::parse(&ask.action)
                .unwrap_or_else(|| panic!("{}: {}", case.name, ask.action)),
            resource: Resource::parse(&ask.on)
                .unwrap_or_else(|| panic!("{}: {}", case.name, ask.on)),
            context: &context,
        };
        let decision = decide(&policies, &request);
        let by = decision.by.map(|by| {
            format!(
                " by {}[{}]",
                by.policy,
                by.sid.map_or_else(|| by.statement.to_string(), ToOwned::to_owned)
            )
        });
        let lacking = decision.lacking.map(|layer| format!(" for lack of a {}", layer.name()));
        let found = format!(
            "{}{}{}",
            decision.outcome.name(),
            by.unwrap_or_default(),
            lacking.unwrap_or_default()
        );
        // What a case leaves unsaid it doesn't check.
        assert!(
            found == ask.expect || decision.outcome.name() == ask.expect,
            "{}: {} {}: {found}, not {}",
            case.name,
            ask.action,
            ask.on,
            ask.expect
        );
    }
    case.asks.len()
}

fn named(policies: &[(String, Policy)]) -> Vec<Named<'_>> {
    policies.iter().map(|(name, policy)| Named { name, policy }).collect()
}
