//! The AWS SDK for Rust: `aws_sdk/src/main.rs`, built by `tests/run`.

use std::path::PathBuf;

use coffer_tests::clients;
use coffer_tests::server::Server;

/// Each line that the suite prints.
const CASES: usize = 8;

#[tokio::test]
async fn the_sdk_for_rust_works_unmodified() {
    let server = Server::start().await;
    let suite = std::env::var_os("COFFER_TEST_AWS_SDK")
        .map(PathBuf::from)
        .expect("COFFER_TEST_AWS_SDK is not set: run tests/run");
    let mut command = clients::command(&suite, &server);
    let output = clients::run(command.args([server.endpoint()]).arg(server.ca()).arg("sdk-bucket"));
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(report.lines().count(), CASES, "{report}");
    let url = report.lines().find_map(|line| line.strip_prefix("presigned: ")).expect("a URL");
    let mut curl = std::process::Command::new("curl");
    let fetched = clients::run(curl.args(["-sSf", "--cacert"]).arg(server.ca()).arg(url));
    assert_eq!(fetched.stdout, b"content");
    server.assert_discreet();
}
