//! The same signed requests, whole and bent, to this server and to the `minio` program: `differential_suite.py`.

use std::collections::BTreeMap;
use std::path::Path;

use coffer_tests::clients;
use coffer_tests::minio::Minio;
use coffer_tests::server::Server;
use serde_json::Value;

/// `ours | theirs` and the request, for each difference that `differences.json` explains.
fn explained() -> BTreeMap<String, String> {
    let list: Vec<Value> =
        serde_json::from_str(include_str!("differences.json")).expect("a list of differences");
    let mut explained = BTreeMap::new();
    for group in list {
        let text =
            |name: &str| group.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert!(text("reason").len() > 20, "{group}: say why");
        for request in group.get("requests").and_then(Value::as_array).expect("requests") {
            let request = request.as_str().expect("a name");
            let key = format!("{} | {}: {request}", text("coffer"), text("minio"));
            assert_eq!(explained.insert(key, text("reason")), None, "{request} is listed twice");
        }
    }
    explained
}

#[tokio::test(flavor = "multi_thread")]
async fn bent_requests_are_refused_here_and_with_minios_code() {
    let server = Server::start_with(&[("COFFER_LOG", "trace")]).await;
    let minio = Minio::start(&server);
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/differential_suite.py");
    let mut command = clients::command(&clients::python("python"), &server);
    command
        .env_remove("AWS_ENDPOINT_URL")
        .env("COFFER", server.endpoint().trim_start_matches("https://"))
        .env("CERTIFICATE", server.folder().join("tls/tls.crt"))
        .env("CERTIFICATE_KEY", server.folder().join("tls/tls.key"))
        .env("MC", clients::go("mc"))
        .env("STEADY", clients::go("minio-go-steady"))
        .env("AWS_SDK", clients::of("COFFER_TEST_AWS_SDK"))
        .env("NODE_PATH", clients::of("COFFER_TEST_NODE"))
        .env("MINIO", minio.host());
    let output = clients::run(command.arg(&suite));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let mut faults: Vec<String> = report["faults"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|fault| fault.as_str().unwrap_or_default().to_owned())
        .collect();
    let mut explained = explained();
    let listed = explained.len();
    for (pair, requests) in report["differences"].as_object().expect("differences") {
        for request in requests.as_array().expect("requests") {
            let key = format!("{pair}: {}", request.as_str().unwrap_or_default());
            if explained.remove(&key).is_none() {
                faults.push(format!("new: {key}"));
            }
        }
    }
    faults.extend(explained.keys().map(|key| format!("vanished: {key}")));
    let counts = &report["counts"];
    if let Ok(file) = std::env::var("COFFER_TEST_DIFFERENCES") {
        std::fs::write(file, report["differences"].to_string()).expect("a file");
    }
    eprintln!("{counts}; {listed} explained differences");
    assert!(counts["bent"].as_u64().is_some_and(|bent| bent > 1800), "{counts}: did it end early?");
    assert!(faults.is_empty(), "{} wrong, {counts}:\n{}", faults.len(), faults.join("\n"));
    server.assert_discreet();
}
