//! Each form of signature, by the clients that make it: `signatures_suite.py`.

use std::path::Path;

use coffer_tests::clients;
use coffer_tests::server::Server;

#[tokio::test]
async fn each_client_is_understood() {
    let server =
        Server::start_with(&[("COFFER_DOMAINS", "s3.localhost"), ("COFFER_LOG", "trace")]).await;
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/signatures_suite.py");
    let mut command = clients::command(&clients::python("python"), &server);
    let output = command.arg(&suite).output().expect("python");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{report}{complaint}");
    // A suite that ends early has not passed.
    let text = std::fs::read_to_string(&suite).expect("the suite");
    let cases = text.lines().filter(|line| line.starts_with("def case_")).count();
    let passed = report.lines().filter(|line| line.starts_with("passed ")).count();
    assert_eq!(passed, cases, "{report}{complaint}");
    server.assert_discreet();
}
