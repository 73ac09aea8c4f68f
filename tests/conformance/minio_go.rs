//! minio-go's own functional tests, as its module ships them. What fails is listed in `minio_go/expected.json` with its
//! reason: a new failure and one that went away both fail this test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use coffer_tests::clients;
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY};
use serde_json::Value;

/// The status of each test that the list names. Each group of it has a reason.
fn expected() -> BTreeMap<String, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/minio_go/expected.json");
    let text = std::fs::read_to_string(file).expect("the list");
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let mut expected = BTreeMap::new();
    for status in ["FAIL", "NA"] {
        for group in list.get(status).and_then(Value::as_array).expect("a list") {
            let reason = group["reason"].as_str().expect("a reason");
            assert!(reason.len() > 20, "{group}: say why");
            for name in group["tests"].as_array().expect("a list") {
                let name = name.as_str().expect("a name").to_owned();
                let before = expected.insert(name.clone(), status.to_owned());
                assert_eq!(before, None, "{name} is listed twice");
            }
        }
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn all_but_the_listed_ones_pass() {
    let server = crate::encryption::server().await;
    let endpoint = server.endpoint();
    let output = Command::new(clients::go("minio-go-functional"))
        .current_dir(server.folder())
        .env_clear()
        .env("HOME", server.folder())
        .env("SERVER_ENDPOINT", endpoint.trim_start_matches("https://"))
        .env("ACCESS_KEY", ACCESS_KEY)
        .env("SECRET_KEY", SECRET_KEY)
        .env("ENABLE_HTTPS", "1")
        .env("SSL_CERT_FILE", server.ca())
        .env("MINT_MODE", "full")
        // Else the first failure ends them all.
        .env("RUN_ON_FAIL", "1")
        .output()
        .expect("minio-go's tests");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();

    let mut passed = 0;
    let mut others = BTreeMap::new();
    let mut errors = BTreeMap::new();
    for line in text.lines() {
        let Ok(report) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(name), Some(status)) = (report["name"].as_str(), report["status"].as_str())
        else {
            continue;
        };
        let name = name.trim_start_matches("minio-go: ").to_owned();
        if status == "PASS" {
            passed += 1;
        } else {
            // One of several reports of a test: what failed once has failed.
            if others.get(&name).is_none_or(|before| before == "NA") {
                let why = ["message", "error", "alert"].map(|field| report[field].to_string());
                errors.insert(name.clone(), why.join(" "));
                others.insert(name, status.to_owned());
            }
        }
    }
    assert!(passed > 30, "only {passed} passed: did they end early?");
    let expected = expected();
    let mut faults = Vec::new();
    for (name, status) in &others {
        if expected.get(name) != Some(status) {
            faults.push(format!("{name}: {status}: {}", errors[name]));
        }
    }
    for name in expected.keys().filter(|name| !others.contains_key(*name)) {
        faults.push(format!("{name}: listed, but passed or wasn't run: take it off the list"));
    }
    assert!(faults.is_empty(), "{passed} passed, but:\n{}", faults.join("\n"));
}
