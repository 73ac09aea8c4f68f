//! Condition keys end to end: some forty policies, each with a call of boto3 that it allows and one that it denies.

use std::fs;
use std::path::Path;
use std::process::Command;

use coffer_tests::clients;
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};
use tempfile::TempDir;

const KMS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":["arn:aws:kms:::*"]}]}"#;

/// Makes `alice`, who is in the group `staff` and may use keys, by `mc`.
fn make_alice(server: &Server) {
    let folder = TempDir::new().expect("a folder");
    let trusted = folder.path().join("config/certs/CAs");
    fs::create_dir_all(&trusted).expect("a folder");
    fs::copy(server.ca(), trusted.join("coffer.crt")).expect("a file");
    fs::write(folder.path().join("kms.json"), KMS).expect("a file");
    let endpoint = server.endpoint();
    for line in [
        &*format!("alias set root {endpoint} {ACCESS_KEY} {SECRET_KEY}"),
        "admin user add root alice alice-secret",
        "admin group add root staff alice",
        "admin policy create root kms kms.json",
        "admin policy attach root kms --user alice",
    ] {
        let mut command = Command::new(clients::go("mc"));
        command.current_dir(folder.path()).env_clear().env("HOME", folder.path());
        command.arg("--config-dir").arg(folder.path().join("config")).args(line.split(' '));
        clients::run(&mut command);
    }
}

#[tokio::test]
async fn each_condition_allows_one_call_and_denies_another() {
    let server = crate::encryption::server().await;
    make_alice(&server);
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/conditions_suite.py");
    let mut command = clients::command(&clients::python("python"), &server);
    let output = command.arg(&suite).output().expect("python");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{report}{complaint}");
    // A suite that ends early has not passed.
    let text = fs::read_to_string(&suite).expect("the suite");
    let rows = text.lines().filter(|line| line.starts_with("    Row(")).count();
    let passed = report.lines().filter(|line| line.starts_with("passed ")).count();
    assert_eq!(passed, rows, "{report}{complaint}");
    assert!(rows > 40, "{rows}");
    server.assert_discreet();
}
