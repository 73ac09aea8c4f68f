//! The clients that people bring, as `tests/run` has installed them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::server::{ACCESS_KEY, SECRET_KEY, Server};

/// What a variable of `tests/run` names.
pub fn of(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run tests/run"));
    PathBuf::from(folder)
}

/// A Go program: `mc`, `minio`, `minio-go-functional`.
pub fn go(name: &str) -> PathBuf {
    of("COFFER_TEST_CLIENTS").join(name)
}

/// A Python program: `python`, `aws`.
pub fn python(name: &str) -> PathBuf {
    of("COFFER_TEST_PYTHON").join(name)
}

/// A command whose environment leads AWS's clients to a server.
pub fn command(program: &Path, server: &Server) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("HTTPS_PROXY")
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_CA_BUNDLE", server.ca())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

/// Runs a command to its end and expects that it went well.
///
/// # Panics
/// With all that it said, when it didn't.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A command whose environment leads AWS's clients by these variables `AWS_…`, and by nothing of this machine's.
pub fn led_by(program: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(environment)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

/// Runs the cases of boto3 (`tests/conformance/boto3_suite.py`) but those that are named, by a command of Python's whose environment leads
/// to a server without buckets; how many they were.
///
/// # Panics
/// When a case fails, or isn't run.
pub fn boto3_suite(mut python: Command, without: &[&str]) -> usize {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/boto3_suite.py");
    let text = std::fs::read_to_string(&suite).expect("the suite");
    let claims = text.lines().filter_map(|line| line.strip_prefix("def case_")?.split('(').next());
    let (left_out, cases): (Vec<&str>, Vec<&str>) =
        claims.partition(|claim| without.contains(claim));
    assert_eq!(left_out.len(), without.len(), "there is no such case: {without:?}");
    let report = run(python.arg(&suite).args(&cases)).stdout;
    let report = String::from_utf8_lossy(&report);
    // A suite that ends early has not passed.
    let passed = report.lines().filter(|line| line.starts_with("passed ")).count();
    assert_eq!(passed, cases.len(), "{report}");
    passed
}
