//! What the README and the examples show is valid, is there, and does what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use coffer_tests::documents::{self, Block};
use coffer_tests::{clients, server};
use tempfile::TempDir;

use crate::check::check;
use crate::stage::three_free_ports;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

fn blocks(document: &str) -> Vec<Block> {
    documents::blocks(&repository().join(document))
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(manifests(&path));
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_example_is_valid() {
    let mut tenants = 0;
    for file in manifests(&repository().join("examples")) {
        let text = fs::read_to_string(&file).expect("an example");
        let output = check(&[&file]);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        if text.contains("kind: Tenant") {
            assert!(output.status.success(), "{}: {err}", file.display());
            tenants += 1;
        } else if text.contains("coffer.dev/v1alpha1") {
            // What is in a Tenant is checked with it.
            let output = check(&[file.parent().expect("a folder")]);
            let err = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {err}", file.display());
        } else {
            // Another program's, but YAML of objects.
            assert_eq!(err, "error: no Tenant in the given files\n", "{}", file.display());
        }
    }
    assert!(tenants >= 3, "only {tenants} examples have a Tenant");
}

#[test]
fn examples_name_what_is_there() {
    let mut named = 0;
    for file in manifests(&repository().join("examples")) {
        let text = fs::read_to_string(&file).expect("an example");
        for line in text.lines().map(str::trim) {
            if let Some(path) = line.strip_prefix("path: ") {
                let folder = repository().join(path);
                let kustomization = folder.join("kustomization.yaml");
                assert!(kustomization.exists(), "{}: no `{path}`", file.display());
                let resources = fs::read_to_string(kustomization).expect("a kustomization");
                let list = resources.lines().find_map(|line| line.strip_prefix("resources: ["));
                let list = list.expect("resources").trim_end_matches(']');
                for resource in list.split(", ") {
                    assert!(folder.join(resource).exists(), "{path}: no `{resource}`");
                }
                named += 1;
            }
        }
    }
    assert!(named >= 4, "only {named} paths were found");
}

#[test]
fn manifests_in_the_readme_are_valid() {
    let folder = TempDir::new().expect("a folder");
    let mut seen = 0;
    let all = ["README.md", "docs/encryption.md", "docs/audit.md"].map(blocks);
    for block in all.iter().flatten().filter(|block| block.language == "yaml") {
        if !block.text.contains("kind: Tenant") {
            continue;
        }
        let file = folder.path().join(format!("{seen}.yaml"));
        fs::write(&file, &block.text).expect("a file");
        let output = check(&[&file]);
        assert!(output.status.success(), "{}\n{output:?}", block.text);
        seen += 1;
    }
    assert!(seen > 2, "no Tenant in the README, docs/encryption.md or docs/audit.md");
}

#[test]
fn commands_in_the_documents_name_what_is_there() {
    for (document, paths) in [
        ("README.md", true),
        ("CONTRIBUTING.md", true),
        ("docs/encryption.md", false),
        ("docs/audit.md", false),
        ("docs/certificates.md", false),
        ("docs/gitops.md", false),
    ] {
        let mut seen = 0;
        for block in blocks(document).iter().filter(|block| block.language == "sh") {
            assert!(
                matches!(block.mark.as_str(), "run" | "cluster" | "build" | "tests"),
                "{document}: say by a comment who runs this:\n{}",
                block.text
            );
            for word in block.text.split_whitespace() {
                let ours = ["charts/", "crds/", "examples/", "tests/", "./"];
                if ours.iter().any(|folder| word.starts_with(folder)) {
                    let path = word.trim_end_matches([';', '&', ')']);
                    assert!(repository().join(path).exists(), "{document}: no `{path}`");
                    seen += 1;
                }
            }
        }
        assert_eq!(seen > 0, paths, "{document}: {seen} paths were found");
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    for document in
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
    {
        let text = fs::read_to_string(repository().join(document)).expect("the document");
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().expect("a link");
            if let Some(anchor) = link.strip_prefix('#') {
                let heading = |line: &&str| {
                    line.starts_with('#')
                        && line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-")
                            == anchor
                };
                assert!(text.lines().any(|line| heading(&line)), "{document}: no `{link}`");
            } else if !link.starts_with("https://") {
                assert!(repository().join(link).exists(), "{document}: no `{link}`");
            }
        }
    }
}

#[test]
fn files_that_the_documents_name_are_there() {
    let mut seen = 0;
    let read = |name| fs::read_to_string(repository().join(name)).expect("the document");
    let text = ["ARCHITECTURE.md", "docs/minio-differences.md"].map(read).join("\n");
    for name in text.split('`').skip(1).step_by(2) {
        let end = Path::new(name).extension();
        let is_file =
            end.is_some_and(|end| end == "rs" || end == "yaml" || end == "json" || end == "py");
        let is_path = name.contains('/')
            && (is_file || name.ends_with('/'))
            && !name.contains([' ', '<', '{', '*', ':']);
        if is_path && !name.starts_with('/') {
            assert!(repository().join(name).exists(), "no `{name}`");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} paths were found");
}

#[test]
fn the_readme_names_each_operation_that_is_built() {
    let readme = fs::read_to_string(repository().join("README.md")).expect("the README");
    let source = fs::read_to_string(repository().join("server/src/operation.rs")).expect("a file");
    let built = source.lines().filter_map(|line| line.trim().strip_suffix(" => Built,"));
    let mut seen = 0;
    for operation in built {
        assert!(readme.contains(&format!("`{operation}`")), "no {operation}");
        seen += 1;
    }
    assert!(seen > 20, "only {seen} operations were found");
}

#[test]
fn the_kustomize_base_is_what_the_chart_makes() {
    let cluster = std::env::var_os("COFFER_TEST_CLUSTER").expect("run tests/run");
    let output = clients::run(
        Command::new(Path::new(&cluster).join("helm"))
            .current_dir(repository())
            .args(["template", "coffer-operator", "charts/coffer-operator"])
            .args(["-n", "coffer-system", "--kube-version", "1.36.0"]),
    );
    let made = String::from_utf8(output.stdout).expect("text");
    let kept = fs::read_to_string(repository().join("charts/kustomize/operator.yaml"));
    let kept = kept.expect("charts/kustomize/operator.yaml");
    let lines = |text: &str| -> Vec<String> {
        let helm = "app.kubernetes.io/managed-by: Helm";
        text.lines()
            .filter(|line| !line.contains(helm) && !line.starts_with("# Written by helm"))
            .map(ToOwned::to_owned)
            .collect()
    };
    assert_eq!(lines(&kept), lines(&made), "write it anew, as CONTRIBUTING.md says");
}

#[test]
fn the_chart_of_definitions_has_every_tool_keep_them() {
    let cluster = std::env::var_os("COFFER_TEST_CLUSTER").expect("run tests/run");
    let output = clients::run(
        Command::new(Path::new(&cluster).join("helm")).current_dir(repository()).args([
            "template",
            "coffer-crds",
            "charts/coffer-crds",
            "--set",
            "annotations.a=b",
        ]),
    );
    let made = String::from_utf8(output.stdout).expect("text");
    let definitions = made.matches("kind: CustomResourceDefinition").count();
    assert!(definitions > 1, "{definitions} definitions");
    for annotation in [
        "helm.sh/resource-policy: keep",
        "kustomize.toolkit.fluxcd.io/prune: disabled",
        "argocd.argoproj.io/sync-options: Prune=false,Delete=false",
        "a: b",
    ] {
        let line = format!("    {annotation}\n");
        assert_eq!(made.matches(&line).count(), definitions, "{annotation}");
    }
}

#[tokio::test]
async fn the_commands_of_the_readme_do_what_they_say() {
    let folder = TempDir::new().expect("a folder");
    std::os::unix::fs::symlink(repository().join("examples"), folder.path().join("examples"))
        .expect("a link");
    let programs = server::program("coffer-operator");
    let programs = programs.parent().expect("a folder");
    let python = clients::python("aws");
    let python = python.parent().expect("a folder");
    let path = std::env::var("PATH").expect("PATH");
    let path = format!("{}:{}:{path}", programs.display(), python.display());
    let shell = |text: &str| {
        let mut command = Command::new("bash");
        command
            .current_dir(folder.path())
            .args(["-euo", "pipefail", "-c", text])
            .env("PATH", &path)
            .env("COFFER_DATA", folder.path().join(".coffer"))
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::null());
        command
    };
    let marked = blocks("README.md");
    let marked: Vec<&Block> = marked.iter().filter(|block| block.mark == "run").collect();
    let (first, others) = marked.split_first().expect("a block that is marked");
    assert_eq!(first.text, "examples/quickstart/run");

    // The first command, as it stands but for the port. It builds, which takes no time where `tests/run` has built.
    let port = three_free_ports();
    let log = fs::File::create(folder.path().join("log")).expect("a file");
    let mut play = shell(&format!("exec {} --listen 127.0.0.1:{port}", first.text))
        .stderr(log.try_clone().expect("a file"))
        .stdout(log)
        .spawn()
        .expect("bash");
    let begin = Instant::now();
    while !folder.path().join(".coffer/env").exists() {
        let ended = play.try_wait().expect("a child");
        let told = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(ended.is_none(), "it ended: {}", told());
        assert!(begin.elapsed() < Duration::from_mins(20), "no environment: {}", told());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for block in others {
        let text = block.text.replace("127.0.0.1:9443", &format!("127.0.0.1:{}", port + 1));
        let output = shell(&text).output().expect("bash");
        assert!(
            output.status.success(),
            "{}\n{}\n{}",
            block.text,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    crate::stage::send("TERM", play.id());
    assert!(play.wait().expect("it is gone").success());
    assert!(!others.is_empty());
}
