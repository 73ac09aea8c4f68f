//! `--check` for CI: an exit code, and messages that say file, field and remedy.

use std::path::Path;
use std::process::{Command, Output};

use coffer_tests::server::program;
use tempfile::TempDir;

use crate::stage::tenant;

/// Runs `play --check` on paths.
pub(crate) fn check(paths: &[&Path]) -> Output {
    let mut command = Command::new(program("coffer-operator"));
    command.args(["play", "--check"]).args(paths);
    // Validation needs no server, and leaves nothing where it runs.
    let folder = TempDir::new().expect("a folder");
    let output = command.current_dir(folder.path()).env("COFFER_SERVER", "/nowhere").output();
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "--check left something behind");
    output.expect("a command")
}

#[test]
fn each_verdict_has_its_exit_code_and_message() {
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {accessKey: '?'}\n";
    for (name, text, code, message) in [
        ("good", tenant("photos", ""), 0, "Tenant default/photos: valid"),
        (
            "another program's",
            tenant("photos", "") + "---\n{apiVersion: v1, kind: Service, metadata: {name: a}}\n",
            0,
            "Service default/a: not checked",
        ),
        (
            "a rule of the schema",
            tenant("photos", "").replace("1Gi", "1Mi"),
            1,
            "m.yaml: Tenant default/photos: spec.storage.embedded.size: at least 64Mi",
        ),
        (
            "an unknown field",
            tenant("photos", "  regoin: eu\n"),
            1,
            "m.yaml: Tenant default/photos: unknown field `spec.regoin`",
        ),
        (
            "a bad Secret",
            tenant("photos", "") + secret,
            1,
            "data.accessKey: not base64; encode it, or use stringData",
        ),
        ("no YAML", "a: [".to_owned(), 1, "m.yaml: isn't YAML of an object"),
        ("nothing", String::new(), 1, "no Tenant in the given files"),
    ] {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("m.yaml");
        std::fs::write(&file, text).expect("a file");
        // A folder's files are checked like a file that is named.
        for path in [folder.path(), &file] {
            let output = check(&[path]);
            let out = String::from_utf8_lossy(&output.stdout);
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{name}: {out}{err}");
            let told = if code == 0 { &out } else { &err };
            assert!(told.contains(message), "{name}: `{message}` isn't in {told}");
        }
    }
}

#[test]
fn a_path_that_is_not_there_is_told() {
    let output = check(&[Path::new("/nowhere/at/all.yaml")]);
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(err.contains("/nowhere/at/all.yaml: can't be read"), "{err}");
}
