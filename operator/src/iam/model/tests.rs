use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::iam::Doors;

const READS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::album/*"}]}"#;
const OPEN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::album/*"}]}"#;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn tenant() -> Key {
    Key { namespace: "team".to_owned(), name: "photos".to_owned() }
}

fn resource<K: DeserializeOwned>(kind: &str, namespace: &str, name: &str, spec: Value) -> K {
    let mut resource = json!({
        "apiVersion": "coffer.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
    });
    resource["spec"] = spec;
    resource["spec"]["tenantRef"] = json!({"name": "photos", "namespace": "team"});
    serde_json::from_value(resource).unwrap()
}

fn guests() -> LabelSelector {
    serde_json::from_value(json!({"matchLabels": {"kubernetes.io/metadata.name": "guest"}}))
        .unwrap()
}

/// Whether `anna`, who may read, is allowed something in the Tenant of these.
fn allows(resources: &Resources, doors: Doors<'_>, action: &str, resource: &str) -> bool {
    let inhabitants = Inhabitants::of(&tenant(), doors, resources.clone());
    let model = Model::new(&inhabitants, &Map::new(), true);
    let told = model.decide(&Asking::User("anna"), action, resource, &BTreeMap::new(), now());
    matches!(told, Ok((Outcome::Allow, _)))
}

fn own() -> Resources {
    Resources {
        policies: vec![resource("Policy", "team", "look", json!({"document": READS}))],
        users: vec![resource("User", "team", "anna", json!({"policies": ["look"]}))],
        ..Resources::default()
    }
}

#[test]
fn what_a_namespace_says_counts_once_it_is_let_in() {
    let guests = guests();
    let all = READS.replace("s3:GetObject", "s3:*");
    let cases: [(&str, Resources); 4] = [
        (
            "a user of the same name",
            Resources {
                users: vec![resource("User", "guest", "anna", json!({"policies": ["readwrite"]}))],
                ..Resources::default()
            },
        ),
        (
            "a policy of the same name",
            Resources {
                policies: vec![resource("Policy", "guest", "look", json!({"document": all}))],
                ..Resources::default()
            },
        ),
        (
            "a binding",
            Resources {
                bindings: vec![resource(
                    "PolicyBinding",
                    "guest",
                    "anna",
                    json!({"policies": ["readwrite"], "subjects": [{"kind": "User", "name": "anna"}]}),
                )],
                ..Resources::default()
            },
        ),
        (
            "a bucket's policy",
            Resources {
                buckets: vec![resource("Bucket", "guest", "album", json!({"policy": OPEN}))],
                ..Resources::default()
            },
        ),
    ];
    for (claim, theirs) in cases {
        let Resources { policies, tests: _, users, bindings, buckets } = theirs;
        let mut resources = own();
        resources.policies.extend(policies);
        resources.users.extend(users);
        resources.bindings.extend(bindings);
        resources.buckets.extend(buckets);
        for (doors, expected) in [(Doors::Known(None), false), (Doors::Known(Some(&guests)), true)]
        {
            let object = "arn:aws:s3:::album/a";
            assert!(allows(&resources, doors, "s3:GetObject", object), "{claim}, {doors:?}");
            let may = allows(&resources, doors, "s3:PutObject", object);
            assert_eq!(may, expected, "{claim}, {doors:?}");
        }
    }
}

#[test]
fn a_test_of_another_namespace_is_told_with_it() {
    let guests = guests();
    let case = json!({
        "name": "nothing is read", "as": {"user": "anna"}, "action": "s3:GetObject",
        "resource": "arn:aws:s3:::album/a", "expect": "Deny",
    });
    let mut resources = own();
    resources.tests = vec![resource("PolicyTest", "guest", "theirs", json!({"cases": [case]}))];
    let failed = |doors| {
        let inhabitants = Inhabitants::of(&tenant(), doors, resources.clone());
        let model = Model::new(&inhabitants, &Map::new(), true);
        failing(&model, &inhabitants, now())
    };
    assert_eq!(failed(Doors::Known(None)), Vec::new());
    let found = failed(Doors::Known(Some(&guests)));
    let [failed] = found.as_slice() else { panic!("{found:?}") };
    for (namespace, expected) in [
        ("team", "PolicyTest `guest/theirs`, case `nothing is read`: Deny is expected"),
        ("guest", "PolicyTest `theirs`, case `nothing is read`: Deny is expected"),
    ] {
        let told = failed.told(namespace);
        assert!(told.starts_with(expected), "{namespace}: {told}");
    }
}
