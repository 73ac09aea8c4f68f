//! What the README says for a cluster, done in one as it is written: by Helm, by kustomize and kubectl, by Flux, by Argo CD. Each begins
//! where nothing of Coffer is installed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coffer_tests::client::Client;
use coffer_tests::clients;
use coffer_tests::cluster::{self, SYSTEM, get, kubectl, namespace, wait_for};
use coffer_tests::documents::{Block, blocks};
use serde_json::Value;
use tempfile::TempDir;

/// How the commands begin that these tests run.
const HELM: &str = "helm upgrade --install coffer-crds ";
const KUSTOMIZE: &str = "kubectl apply --server-side -k charts/kustomize";
const NEEDED: &str = "kubectl get -n photos tenant photos";
const INSIDE: &str = "kubectl get -n photos coffer";
/// Where what the README makes is.
const PHOTOS: &str = "photos";

/// The README's block for a cluster that begins so.
fn block(language: &str, begin: &str) -> String {
    let all = blocks(&cluster::repository().join("README.md"));
    let found = |block: &&Block| block.language == language && block.text.starts_with(begin);
    all.iter().find(found).unwrap_or_else(|| panic!("no `{begin}` in the README")).text.clone()
}

#[test]
fn n0_each_command_of_the_documents_for_a_cluster_is_run_by_a_test() {
    let readme = blocks(&cluster::repository().join("README.md"));
    let marked: Vec<&Block> = readme.iter().filter(|block| block.mark == "cluster").collect();
    let run = [HELM, KUSTOMIZE, NEEDED, INSIDE];
    for block in &marked {
        assert!(run.iter().any(|begin| block.text.starts_with(begin)), "{}", block.text);
    }
    assert_eq!(marked.len(), run.len());
    // What calls a cluster is marked.
    for block in readme.iter().filter(|block| block.language == "sh") {
        let calls = ["kubectl ", "helm "].iter().any(|program| block.text.contains(program));
        assert_eq!(calls, block.mark == "cluster", "{}", block.text);
    }
}

/// A cluster without anything of Coffer, until the value ends; and a folder as a clone of the repository would be.
struct Nothing {
    clone: TempDir,
    _otherwise: cluster::Otherwise,
}

impl Nothing {
    fn installed() -> Self {
        cluster::install();
        let nothing =
            Self { _otherwise: cluster::Otherwise::begin(), clone: TempDir::new().unwrap() };
        cluster::take_all_away(&[SYSTEM, PHOTOS]);
        assert_eq!(kubectl(&["get", "crd", "-o", "name"]).matches("coffer.dev").count(), 0);
        for part in ["charts", "crds", "examples"] {
            let (real, here) = (cluster::repository().join(part), nothing.path().join(part));
            std::os::unix::fs::symlink(real, here).unwrap();
        }
        nothing
    }

    fn path(&self) -> &Path {
        self.clone.path()
    }

    /// Runs lines of a shell in the clone; what they print.
    fn run(&self, text: &str) -> String {
        let mut shell = Command::new("bash");
        shell.current_dir(self.path()).args(["-euo", "pipefail", "-c", text]);
        String::from_utf8(clients::run(&mut shell).stdout).unwrap()
    }

    /// Gets what clients need as the README says it, and works with that alone.
    async fn is_used_as_the_readme_says(&self) {
        let said = self.run(&block("sh", NEEDED));
        let mut lines = said.lines();
        assert!(lines.next().unwrap().starts_with("NAME"), "{said}");
        assert!(lines.next().unwrap().starts_with("photos "), "{said}");
        let keys = lines.next().unwrap();
        let secret = |key| cluster::secret(PHOTOS, "photos-root", key);
        let (access_key, secret_key) = (secret("accessKey"), secret("secretKey"));
        assert_eq!(keys, format!("{access_key}{secret_key}"));
        let roots = std::fs::read(self.path().join("ca.crt")).unwrap();
        // The address that the README names.
        assert!(readme().contains("`https://photos.photos.svc`"));
        let credentials = coffer_signature::Credentials {
            access_key_id: access_key.parse().unwrap(),
            secret_key: coffer_signature::SecretKey::new(secret_key),
            session_token: None,
        };
        let client = Client::new("photos.photos.svc", 443, &roots, credentials);
        assert_eq!(client.send("PUT", "/mine", "", &[], "").await.status, 200);
        assert_eq!(client.send("PUT", "/mine/a", "", &[], "hello").await.status, 200);
        assert_eq!(client.send("GET", "/mine/a", "", &[], "").await.text(), "hello");
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        // What isn't Helm's it wouldn't take over. A test that has failed already says why.
        let away = || cluster::take_all_away(&[SYSTEM, PHOTOS]);
        if std::thread::panicking() {
            drop(std::panic::catch_unwind(away));
        } else {
            away();
        }
    }
}

fn readme() -> String {
    std::fs::read_to_string(cluster::repository().join("README.md")).unwrap()
}

#[tokio::test]
async fn n1_helm_as_the_readme_says() {
    let nothing = Nothing::installed();
    nothing.run(&block("sh", HELM));
    nothing.is_used_as_the_readme_says().await;
    // Again is an upgrade that changes nothing.
    let pod = |namespace: &str| {
        kubectl(&["get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].metadata.uid}"])
    };
    let before = [pod(SYSTEM), pod(PHOTOS)];
    nothing.run(&block("sh", HELM));
    assert_eq!([pod(SYSTEM), pod(PHOTOS)], before);
    // The notes that the charts leave are commands too.
    for (release, at, least) in [("coffer-operator", SYSTEM, 7), ("photos", PHOTOS, 3)] {
        let notes = nothing.run(&format!("helm get notes {release} -n {at}"));
        let commands: Vec<&str> =
            notes.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert!(commands.len() >= least, "{notes}");
        nothing.run(&commands.join("\n"));
    }
}

#[tokio::test]
async fn n2_kustomize_and_kubectl_as_the_readme_says() {
    let nothing = Nothing::installed();
    nothing.run(&block("sh", KUSTOMIZE));
    cluster::operator_is_there();
    namespace(PHOTOS);
    cluster::apply(&block("yaml", "apiVersion: coffer.dev/v1alpha1\nkind: Tenant"));
    wait_for(PHOTOS, &["tenant/photos"]);
    nothing.is_used_as_the_readme_says().await;
}

/// The definitions of the resources by which Flux and Argo CD are told what to do.
async fn define_the_delivery() {
    let definitions = std::env::var("COFFER_TEST_GITOPS").expect("run tests/run");
    // Argo CD's is longer than the annotation that `apply` would leave by itself.
    kubectl(&["apply", "--server-side", "-f", &definitions]);
    // `kubectl wait` takes a definition without any condition yet for an error.
    cluster::eventually("they are served", Duration::from_secs(30), async || {
        let listed = kubectl(&["get", "-f", &definitions, "-o", "json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        listed["items"].as_array().unwrap().iter().all(is_current).then_some(())
    })
    .await;
}

/// How long a program of GitOps waits for what it has applied.
const DELIVERED: Duration = Duration::from_mins(2);

/// Applies a folder's kustomization as this program does, server-side and in its name, and waits until all of it is there; the objects.
async fn deliver(nothing: &Nothing, program: &str, path: &str) -> Vec<Value> {
    let apply = format!(
        "kubectl apply --server-side --force-conflicts --field-manager={program} -k {path}"
    );
    nothing.run(&apply);
    let list = format!("kubectl get -k {path} -o json");
    let (objects, took) = cluster::eventually(path, DELIVERED, async || {
        let listed: Value = serde_json::from_str(&nothing.run(&list)).unwrap();
        let items = listed["items"].as_array().unwrap().clone();
        items.iter().all(is_current).then_some(items)
    })
    .await;
    println!("{program}: {} objects of {path} are there after {took:?}", objects.len());
    // Once there, nothing is left to do: it would be done again and again.
    let diff = apply.replace(" apply ", " diff ");
    let differs = nothing.run(&format!("{diff} || [ $? = 1 ]"));
    assert_eq!(differs, "", "{path} isn't in sync");
    objects
}

/// Whether an object is there by the rules of kstatus: what its controller has seen is the newest, and no condition says otherwise.
fn is_current(object: &Value) -> bool {
    let status = &object["status"];
    let seen = &status["observedGeneration"];
    let condition = |kind: &str| {
        let all = status["conditions"].as_array().into_iter().flatten();
        all.clone().find(|it| it["type"] == kind).and_then(|it| it["status"].as_str())
    };
    let stalled = condition("Stalled") == Some("True");
    assert!(!stalled, "{object}");
    let expected = match object["kind"].as_str().unwrap_or_default() {
        "CustomResourceDefinition" => Some("Established"),
        "Deployment" => Some("Available"),
        _ if object["apiVersion"] == "coffer.dev/v1alpha1" => Some("Ready"),
        _ => None,
    };
    (seen.is_null() || *seen == object["metadata"]["generation"])
        && condition("Reconciling") != Some("True")
        && expected.is_none_or(|kind| condition(kind) == Some("True"))
}

/// After a program of GitOps has brought all: what the README shows of it.
async fn all_is_there(nothing: &Nothing) {
    let said = nothing.run(&block("sh", INSIDE));
    for kind in ["accesskey", "bucket", "policy", "policybinding", "policytest", "tenant", "user"] {
        assert!(said.contains(&format!("{kind}.coffer.dev/")), "no {kind} in {said}");
    }
    let key = cluster::secret(PHOTOS, "importer-keys", "AWS_ACCESS_KEY_ID");
    assert!(!key.is_empty() && said.ends_with(&key), "{said}");
    nothing.is_used_as_the_readme_says().await;
}

#[tokio::test]
async fn n3_flux_brings_the_operator_and_then_a_tenant() {
    let nothing = Nothing::installed();
    define_the_delivery().await;
    namespace("flux-system");
    kubectl(&["apply", "-f", "examples/gitops/flux.yaml"]);
    // As the API server has it, defaults too.
    let listed =
        kubectl(&["get", "kustomizations.kustomize.toolkit.fluxcd.io", "-A", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let all = listed["items"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    let mut done = BTreeSet::new();
    while done.len() < all.len() {
        let before = done.len();
        for one in all {
            let name = one["metadata"]["name"].as_str().unwrap();
            let needs = one["spec"]["dependsOn"].as_array().into_iter().flatten();
            let ready = needs.clone().all(|it| done.contains(it["name"].as_str().unwrap()));
            if done.contains(name) || !ready {
                continue;
            }
            let source = &one["spec"]["sourceRef"];
            let repository =
                get("gitrepositories.source.toolkit.fluxcd.io", "flux-system", "platform");
            assert_eq!(source["name"], repository["metadata"]["name"]);
            assert_eq!((&one["spec"]["wait"], &one["spec"]["prune"]), (&true.into(), &true.into()));
            let path = one["spec"]["path"].as_str().unwrap();
            deliver(&nothing, "kustomize-controller", path).await;
            done.insert(name);
        }
        assert!(done.len() > before, "they wait for each other: {done:?}");
    }
    all_is_there(&nothing).await;
    kubectl(&["delete", "-f", "examples/gitops/flux.yaml"]);
}

#[tokio::test]
async fn n4_argo_cd_brings_the_operator_and_then_a_tenant() {
    let nothing = Nothing::installed();
    define_the_delivery().await;
    namespace("argocd");
    kubectl(&["apply", "-f", "examples/gitops/argo-cd.yaml"]);
    let listed = kubectl(&["get", "applications.argoproj.io", "-n", "argocd", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let mut all = listed["items"].as_array().unwrap().clone();
    let wave = |one: &Value| -> i64 {
        let annotation = &one["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"];
        annotation.as_str().unwrap().parse().unwrap()
    };
    all.sort_by_key(wave);
    assert_eq!(all.iter().map(wave).collect::<Vec<_>>(), [0, 1]);
    for one in &all {
        let spec = &one["spec"];
        let options = spec["syncPolicy"]["syncOptions"].as_array().unwrap();
        assert!(options.contains(&"ServerSideApply=true".into()), "{spec}");
        let path = spec["source"]["path"].as_str().unwrap();
        for object in deliver(&nothing, "argocd-controller", path).await {
            let namespace = &object["metadata"]["namespace"];
            let its = *namespace == spec["destination"]["namespace"];
            assert!(namespace.is_null() || its, "{path}: {object}");
        }
    }
    all_is_there(&nothing).await;
    kubectl(&["delete", "-f", "examples/gitops/argo-cd.yaml"]);
}
