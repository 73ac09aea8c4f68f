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
