//! What the apiserver refuses by the definitions' own rules: for each of `crds/tests/rules.yaml`, one object that it takes and one
//! that it refuses, with its message.

use std::io::Write;
use std::process::{Command, Stdio};

use coffer_tests::cluster::{self, namespace};
use serde_json::{Value, json};

/// `over` lies over `base`; `null` takes a field away.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                if value.is_null() {
                    base.remove(name);
                } else {
                    merge(base.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

fn object(name: &str, kind: &Value, case: &Value) -> Value {
    let bases = cluster::repository().join("crds/tests/bases.yaml");
    let bases: Value = serde_yaml::from_str(&std::fs::read_to_string(bases).unwrap()).unwrap();
    let kind = kind.as_str().unwrap_or("Tenant");
    let mut spec = bases[kind].clone();
    if let Some(over) = case.get("spec") {
        merge(&mut spec, over);
    }
    let name = case["name"].as_str().unwrap_or(name);
    json!({"apiVersion": "coffer.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "admit"}, "spec": spec})
}

fn apply(object: &Value, arguments: &[&str]) -> Result<(), String> {
    let mut child = Command::new("kubectl")
        .arg("apply")
        .args(arguments)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn a0_each_rule_takes_one_object_and_refuses_another() {
    cluster::install();
    namespace("admit");
    let rules =
        std::fs::read_to_string(cluster::repository().join("crds/tests/rules.yaml")).unwrap();
    let rules: Vec<Value> = serde_yaml::from_str(&rules).unwrap();
    for (index, rule) in rules.iter().enumerate() {
        let title = rule["rule"].as_str().unwrap();
        // A rule about a change needs an object that is there.
        let (name, there) = if rule["changed"] == true {
            (format!("changed-{index}"), true)
        } else {
            ("photos".to_owned(), false)
        };
        if there {
            let suspended = json!({"spec": {"suspend": true}});
            let over = if rule["kind"].is_null() { &suspended } else { &Value::Null };
            apply(&object(&name, &rule["kind"], over), &[]).unwrap();
        }
        assert_eq!(
            apply(&object(&name, &rule["kind"], &rule["accepted"]), &["--dry-run=server"]),
            Ok(()),
            "{title}"
        );
        let refused = apply(&object(&name, &rule["kind"], &rule["refused"]), &["--dry-run=server"])
            .expect_err(title);
        assert!(refused.contains(rule["message"].as_str().unwrap()), "{title}: {refused}");
    }
    println!("{} rules tried", rules.len());
    for (title, spec, words) in [
        ("an unknown field", json!({"unknown": true}), "unknown field"),
        ("an unknown TLS version", json!({"tls": {"minVersion": "1.1"}}), "Unsupported value"),
        ("no region", json!({"region": "EU West"}), "spec.region"),
    ] {
        let refused =
            apply(&object("photos", &Value::Null, &json!({"spec": spec})), &["--dry-run=server"])
                .expect_err(title);
        assert!(refused.contains(words), "{title}: {refused}");
    }
}
