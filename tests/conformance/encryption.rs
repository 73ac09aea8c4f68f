//! Encryption at rest by the clients that people bring: boto3, the AWS CLI, `mc`.

use std::fs;
use std::path::Path;
use std::process::Command;

use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};
use coffer_tests::{clients, identity, static_kms};
use tempfile::TempDir;

/// A server with the keys `photos`, its default, and `archive`.
pub(crate) async fn server() -> Server {
    let folder = TempDir::new().expect("a folder");
    identity::write(folder.path());
    let kms = static_kms::write(folder.path());
    let settings: Vec<(&str, &str)> =
        kms.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Server::start_in(folder, &settings).await
}

#[tokio::test]
async fn every_case_of_the_suite_passes() {
    let server = server().await;
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/encryption_suite.py");
    let mut command = clients::command(&clients::python("python"), &server);
    let output = command.arg(&suite).output().expect("python");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{report}{complaint}");
    // A suite that ends early has not passed.
    let text = fs::read_to_string(&suite).expect("the suite");
    let cases = text.lines().filter(|line| line.starts_with("def case_")).count();
    let passed = report.lines().filter(|line| line.starts_with("passed ")).count();
    assert_eq!(passed, cases, "{report}{complaint}");
    server.assert_discreet();
}

/// Bytes that are not the same everywhere.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| u8::try_from(number * 31 / 7 % 251).expect("small")).collect()
}

#[tokio::test]
async fn the_aws_cli_encrypts_in_every_form() {
    let server = server().await;
    let folder = TempDir::new().expect("a folder");
    let content = bytes(20 << 20);
    fs::write(folder.path().join("large"), &content).expect("a file");
    fs::write(folder.path().join("key"), [b'k'; 32]).expect("a file");
    let aws = |arguments: &[&str]| {
        let mut command = clients::command(&clients::python("aws"), &server);
        command.current_dir(folder.path()).args(arguments);
        String::from_utf8(clients::run(&mut command).stdout).expect("text")
    };
    aws(&["s3", "mb", "s3://files"]);
    let own = ["--sse-c", "AES256", "--sse-c-key", "fileb://key"];
    let copy_own = ["--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", "fileb://key"];
    let none: &[&str] = &[];
    for (name, writes, reads, copies, told) in [
        ("s3", &["--sse", "AES256"][..], none, none, "AES256"),
        ("kms", &["--sse", "aws:kms"], none, none, "aws:kms"),
        ("key", &["--sse", "aws:kms", "--sse-kms-key-id", "archive"], none, none, "archive"),
        ("own", &own, &own, &copy_own, "SSECustomerKeyMD5"),
    ] {
        let (there, copy) = (format!("s3://files/{name}"), format!("s3://files/{name}-copy"));
        aws(&[&["s3", "cp", "large", &there][..], writes].concat());
        aws(&[&["s3", "cp", &there, "back"][..], reads].concat());
        assert_eq!(fs::read(folder.path().join("back")).expect("a file"), content, "{name}");
        aws(&[&["s3", "cp", &there, &copy][..], writes, copies].concat());
        aws(&[&["s3", "cp", &copy, "back"][..], reads].concat());
        assert_eq!(fs::read(folder.path().join("back")).expect("a file"), content, "{name} copied");
        let own = ["--sse-customer-algorithm", "AES256", "--sse-customer-key", "fileb://key"];
        let own = if reads.is_empty() { none } else { &own[..] };
        let head =
            aws(&[&["s3api", "head-object", "--bucket", "files", "--key", name][..], own].concat());
        assert!(head.contains(told), "{name}: {head}");
    }
    let rule = r#"{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"archive"}}]}"#;
    aws(&[
        "s3api",
        "put-bucket-encryption",
        "--bucket",
        "files",
        "--server-side-encryption-configuration",
        rule,
    ]);
    aws(&["s3", "cp", "key", "s3://files/default"]);
    let head = aws(&["s3api", "head-object", "--bucket", "files", "--key", "default"]);
    assert!(head.contains("arn:aws:kms:::archive"), "{head}");
}

#[tokio::test]
async fn mc_encrypts_in_every_form() {
    let server = server().await;
    let folder = TempDir::new().expect("a folder");
    let trusted = folder.path().join("config/certs/CAs");
    fs::create_dir_all(&trusted).expect("a folder");
    fs::copy(server.ca(), trusted.join("coffer.crt")).expect("a file");
    let content = bytes(20 << 20);
    fs::write(folder.path().join("large"), &content).expect("a file");
    fs::write(folder.path().join("small"), b"hello").expect("a file");
    let mc = |arguments: &[&str]| {
        let mut command = Command::new(clients::go("mc"));
        command
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .args(["--config-dir", "config", "--json", "--no-color"])
            .args(arguments);
        clients::run(&mut command).stdout
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    mc(&["alias", "set", "coffer", &server.endpoint(), ACCESS_KEY, SECRET_KEY]);
    mc(&["mb", "coffer/files"]);
    // 32 bytes in base64, without its padding.
    let own = "coffer/files=a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s";
    for (name, flags, reads, told) in [
        ("s3", ["--enc-s3", "coffer/files"], &[][..], "AES256"),
        ("kms", ["--enc-kms", "coffer/files=archive"], &[], "aws:kms"),
        ("own", ["--enc-c", own], &["--enc-c", own], "Customer-Algorithm"),
    ] {
        for (file, content) in [("large", &content[..]), ("small", b"hello")] {
            let there = format!("coffer/files/{name}-{file}");
            mc(&[&["cp", file, &there][..], &flags].concat());
            assert_eq!(mc(&[&["cat", &there][..], reads].concat()), content, "{there}");
            let copy = format!("{there}-copy");
            mc(&[&["cp", &there, &copy][..], &flags].concat());
            assert_eq!(mc(&[&["cat", &copy][..], reads].concat()), content, "{copy}");
            let stat = text(mc(&[&["stat", &there][..], reads].concat()));
            assert!(stat.contains(told), "{there}: {stat}");
        }
    }
    mc(&["encrypt", "set", "sse-kms", "archive", "coffer/files"]);
    let shown = text(mc(&["encrypt", "info", "coffer/files"]));
    assert!(shown.contains("archive"), "{shown}");
    mc(&["cp", "small", "coffer/files/default"]);
    let stat = text(mc(&["stat", "coffer/files/default"]));
    assert!(stat.contains("archive"), "{stat}");
    mc(&["encrypt", "set", "sse-s3", "coffer/files"]);
    mc(&["encrypt", "clear", "coffer/files"]);
    assert_eq!(mc(&["cat", "coffer/files/default"]), b"hello");
}
