//! A folder as a team keeps it in Git: policies with tests, users, a key that is replaced under load, a bucket.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coffer_signature::{Credentials, SecretKey};
use coffer_tests::client::Client;
use coffer_tests::clients;
use coffer_tests::cluster::{self, client, eventually, get, kubectl, namespace, secret};
use coffer_tests::server::program;
use tempfile::TempDir;

const NAMESPACE: &str = "photos";
const KINDS: [&str; 6] =
    ["policies", "policytests", "users", "policybindings", "accesskeys", "buckets"];

/// How often the access key is replaced.
fn key_interval() -> Duration {
    let seconds = std::env::var("COFFER_TEST_KEY_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(20))
}

/// The example's folder with shorter times, without its namespace.
fn folder() -> TempDir {
    let seconds = key_interval().as_secs();
    let times = format!("interval: {seconds}s, overlap: {}s", seconds * 2 / 5);
    let folder = TempDir::new().unwrap();
    let example = cluster::repository().join("examples/gitops/photos");
    for name in ["tenant", "policies", "users", "access-key", "bucket"] {
        let text = std::fs::read_to_string(example.join(format!("{name}.yaml"))).unwrap();
        let text = text
            .replace("interval: 24h, overlap: 1h", &times)
            .replace("resyncInterval: 1m", "resyncInterval: 3s")
            .replace("size: 50Gi", "size: 1Gi")
            .replace("  storage:\n", "  deletionPolicy: Delete\n  storage:\n");
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    }
    folder
}

/// A client that signs by the keys in a Secret.
fn client_of(root: &Client, name: &str) -> Client {
    let access_key = secret(NAMESPACE, name, "accessKey");
    let mut client = root.clone();
    client.credentials = Credentials {
        access_key_id: access_key.parse().unwrap(),
        secret_key: SecretKey::new(secret(NAMESPACE, name, "secretKey")),
        session_token: None,
    };
    client
}

fn ready_all() {
    for kind in KINDS {
        cluster::wait_for(NAMESPACE, &[kind, "--all"]);
    }
}

fn stalled(kind: &str, name: &str) -> Option<(String, String)> {
    let object = get(kind, NAMESPACE, name);
    let conditions = object["status"]["conditions"].as_array()?.clone();
    let stalled = conditions.into_iter().find(|it| it["type"] == "Stalled")?;
    let text = |name: &str| stalled[name].as_str().unwrap_or_default().to_owned();
    (stalled["status"] == "True").then(|| (text("reason"), text("message")))
}

/// `mc` with root's key, as an administrator has it.
fn mc(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(clients::go("mc"));
    command
        .env("HOME", folder)
        .env("MC_CONFIG_DIR", folder.join("mc"))
        .args(["--json", "--no-color"])
        .args(arguments);
    String::from_utf8(clients::run(&mut command).stdout).unwrap()
}

/// Uses the key in the Secret importer-keys without a pause, reading the Secret anew as a program would.
struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
    keys: Arc<Mutex<Vec<String>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(root: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicU64::new(0));
        let failed = Arc::new(Mutex::new(Vec::new()));
        let first = client_of(root, "importer-keys");
        let keys = Arc::new(Mutex::new(vec![first.credentials.access_key_id.to_string()]));
        let current = Arc::new(Mutex::new(first));
        let mut tasks = Vec::new();
        {
            let (stop, current, keys, root) =
                (stop.clone(), current.clone(), keys.clone(), root.clone());
            tasks.push(tokio::task::spawn_blocking(move || {
                while !stop.load(Ordering::Relaxed) {
                    let next = client_of(&root, "importer-keys");
                    let key = next.credentials.access_key_id.to_string();
                    let mut keys = keys.lock().unwrap();
                    if keys.last() != Some(&key) {
                        keys.push(key);
                        *current.lock().unwrap() = next;
                    }
                    drop(keys);
                    std::thread::sleep(Duration::from_secs(1));
                }
            }));
        }
        for worker in 0..3 {
            let (stop, current, requests, failed) =
                (stop.clone(), current.clone(), requests.clone(), failed.clone());
            tasks.push(tokio::spawn(async move {
                let path = format!("/album/alice/{worker}");
                while !stop.load(Ordering::Relaxed) {
                    let client = current.lock().unwrap().clone();
                    for (method, body) in [("PUT", "hello"), ("GET", "")] {
                        let fault = match client.try_send(method, &path, "", &[], body).await {
                            Ok(answer) if answer.status == 200 => None,
                            Ok(answer) => {
                                Some(format!("{method}: {} {}", answer.status, answer.text()))
                            }
                            Err(error) => Some(format!("{method}: {error}")),
                        };
                        requests.fetch_add(1, Ordering::Relaxed);
                        failed.lock().unwrap().extend(fault);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }));
        }
        Self { stop, requests, failed, keys, tasks }
    }

    fn rotations(&self) -> usize {
        self.keys.lock().unwrap().len() - 1
    }

    async fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        (self.requests.load(Ordering::Relaxed), self.failed.lock().unwrap().clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_folder_of_manifests_is_a_tenant_with_all_that_is_in_it() {
    cluster::install();
    namespace(NAMESPACE);
    let folder = folder();
    let manifests = folder.path().to_str().unwrap();
    let start = std::time::Instant::now();
    kubectl(&["apply", "-f", manifests]);
    cluster::wait_ready(NAMESPACE, "photos");
    ready_all();
    println!("from apply to everything ready: {:?}", start.elapsed());
    let columns = kubectl(&["get", "buckets", "-n", NAMESPACE]);
    assert!(columns.contains("Read:Everyone"), "{columns}");
    let columns = kubectl(&["get", "ptest", "-n", NAMESPACE]);
    assert!(columns.contains("PASSED") && columns.contains("FAILED"), "{columns}");
    let root = client(NAMESPACE, "photos");

    decisions_are_explained();
    keys_are_replaced_under_load(&root).await;
    drift_by_mc_is_put_back(folder.path()).await;
    another_operator_goes_on().await;
    an_edit_that_fails_a_test_changes_nothing(&root).await;
    what_is_in_use_stays(&root).await;

    // As in Git, so in the cluster: nothing is left.
    kubectl(&["delete", "-f", manifests, "--timeout=60s"]);
    for kind in KINDS {
        assert_eq!(kubectl(&["get", kind, "-n", NAMESPACE, "-o", "name"]), "", "{kind}");
    }
    eventually("nothing is left", Duration::from_secs(90), async || {
        let kinds = "secrets,configmaps,pvc,statefulsets,services,pods,networkpolicies";
        let left = kubectl(&["get", kinds, "-n", NAMESPACE, "-o", "name"]);
        let ours = left.lines().filter(|name| !name.contains("kube-root-ca.crt")).count();
        (ours == 0).then_some(())
    })
    .await;
}

async fn keys_are_replaced_under_load(root: &Client) {
    let load = Load::start(root);
    eventually("a rotation", key_interval() * 3, async || (load.rotations() >= 1).then_some(()))
        .await;
    // Root's too.
    let before = secret(NAMESPACE, "photos-root", "accessKey");
    kubectl(&["delete", "secret", "photos-root", "-n", NAMESPACE]);
    eventually("another root key", Duration::from_secs(30), async || {
        let there = !get("secret", NAMESPACE, "photos-root").is_null();
        (there && secret(NAMESPACE, "photos-root", "accessKey") != before).then_some(())
    })
    .await;
    eventually("three rotations", key_interval() * 6, async || {
        (load.rotations() >= 3).then_some(())
    })
    .await;
    let keys = load.keys.lock().unwrap().clone();
    let (requests, failed) = load.end().await;
    assert!(
        failed.is_empty(),
        "{} of {requests} failed: {:#?}",
        failed.len(),
        &failed[..failed.len().min(5)]
    );
    println!(
        "{} rotations and one of root under load: {requests} requests, none failed",
        keys.len() - 1
    );
    // The first one is over.
    let mut old = root.clone();
    old.credentials.access_key_id = keys[0].parse().unwrap();
    assert_eq!(old.send("GET", "/", "", &[], "").await.code(), "InvalidAccessKeyId");
}

/// Of the running Tenant, found by the kubeconfig alone, and of the manifests: the same.
fn decisions_are_explained() {
    let example = cluster::repository().join("examples/gitops/photos").display().to_string();
    for (user, action, decision) in [
        ("alice", "s3:PutObject", "Allow: "),
        ("guest", "s3:GetObject", "Allow: "),
        ("guest", "s3:PutObject", "Deny: "),
    ] {
        let ask = |from: &[&str]| {
            let mut command = Command::new(program("coffer-operator"));
            command.args(["explain", user, action, "arn:aws:s3:::album/alice/a"]).args(from);
            String::from_utf8(clients::run(&mut command).stdout).unwrap()
        };
        let said = ask(&["--tenant", "photos/photos"]);
        assert!(said.starts_with(decision), "{user} {action}: {said}");
        assert_eq!(said, ask(&["-f", &example]), "{user} {action}");
    }
}

/// One that starts with many resources there takes up all of them, and those that came while there was none.
async fn another_operator_goes_on() {
    let without = cluster::WithoutOperator::begin().await;
    cluster::apply(&format!(
        "apiVersion: coffer.dev/v1alpha1\nkind: Policy\nmetadata: {{name: meanwhile, namespace: {NAMESPACE}}}\nspec: {{tenantRef: \
         {{name: photos}}, statements: [{{effect: Allow, actions: [\"s3:ListBucket\"], resources: [\"*\"]}}]}}"
    ));
    drop(without);
    ready_all();
    kubectl(&["delete", "policy.coffer.dev", "meanwhile", "-n", NAMESPACE, "--timeout=30s"]);
}

async fn drift_by_mc_is_put_back(folder: &Path) {
    let trusted = folder.join("mc/certs/CAs");
    std::fs::create_dir_all(&trusted).unwrap();
    let roots = secret(NAMESPACE, "alice-keys", "ca.crt");
    std::fs::write(trusted.join("coffer.crt"), roots).unwrap();
    let keys = ["accessKey", "secretKey"].map(|key| secret(NAMESPACE, "photos-root", key));
    let [access_key, secret_key] = &keys;
    mc(folder, &["alias", "set", "t", "https://photos.photos.svc", access_key, secret_key]);
    mc(folder, &["admin", "policy", "attach", "t", "consoleAdmin", "--user", "guest"]);
    mc(folder, &["admin", "user", "disable", "t", "robert"]);
    mc(folder, &["admin", "policy", "detach", "t", "upload", "--group", "authors"]);
    std::fs::write(folder.join("all.json"), r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#).unwrap();
    let file = folder.join("all.json").display().to_string();
    mc(folder, &["admin", "policy", "create", "t", "look", &file]);
    mc(folder, &["anonymous", "set", "public", "t/album"]);
    let (_, took) = eventually("drift is put back", Duration::from_secs(30), async || {
        let guest = mc(folder, &["admin", "user", "info", "t", "guest"]);
        let robert = mc(folder, &["admin", "user", "info", "t", "robert"]);
        let authors = mc(folder, &["admin", "group", "info", "t", "authors"]);
        let look = mc(folder, &["admin", "policy", "info", "t", "look"]);
        let public = mc(folder, &["anonymous", "get-json", "t/album"]);
        let fine = !guest.contains("consoleAdmin")
            && robert.contains("enabled")
            && authors.contains("upload")
            && look.contains("s3:ListBucket")
            && public.contains("Covers");
        fine.then_some(())
    })
    .await;
    println!("what mc changed was put back after {took:?}");
    std::fs::remove_dir_all(folder.join("mc")).unwrap();
    std::fs::remove_file(folder.join("all.json")).unwrap();
}

async fn an_edit_that_fails_a_test_changes_nothing(root: &Client) {
    let guest = client_of(root, "guest-keys");
    let edit = |action: &str| {
        let patch = format!(
            r#"{{"spec":{{"statements":[{{"sid":"Look","effect":"Allow","actions":["s3:GetObject","s3:ListBucket"{action}],"resources":["arn:aws:s3:::album","arn:aws:s3:::album/*"]}}]}}}}"#
        );
        kubectl(&[
            "patch",
            "policy.coffer.dev",
            "look",
            "-n",
            NAMESPACE,
            "--type=merge",
            "-p",
            &patch,
        ]);
    };
    edit(r#","s3:PutObject""#);
    let ((reason, message), _) =
        eventually("the edit is refused", Duration::from_secs(30), async || {
            stalled("policy.coffer.dev", "look").filter(|(reason, _)| reason == "TestFailed")
        })
        .await;
    assert_eq!(reason, "TestFailed");
    for part in [
        "PolicyTest `authors`",
        "case `nobody fills another's`",
        "1 more",
        "the policy in force stays",
    ] {
        assert!(message.contains(part), "{message}");
    }
    // The policy in force stays, also when drift is put back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(guest.send("PUT", "/album/guest/a", "", &[], "x").await.status, 403);
    assert_eq!(guest.send("GET", "/album", "", &[], "").await.status, 200);
    edit("");
    ready_all();
    // One that can't be read, too: line and reason are told.
    let bad = r#"{"spec":{"document":"{\n  \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:Nothing\", \"Resource\": \"*\"}]\n}"}}"#;
    kubectl(&["patch", "policy.coffer.dev", "upload", "-n", NAMESPACE, "--type=merge", "-p", bad]);
    let ((_, message), _) =
        eventually("the document is refused", Duration::from_secs(30), async || {
            stalled("policy.coffer.dev", "upload").filter(|(reason, _)| reason == "InvalidSpec")
        })
        .await;
    assert!(message.contains("line 2") && message.contains("s3:Nothing"), "{message}");
    let alice = client_of(root, "alice-keys");
    assert_eq!(alice.send("PUT", "/album/alice/b", "", &[], "x").await.status, 200);
}

async fn what_is_in_use_stays(root: &Client) {
    kubectl(&["delete", "policy.coffer.dev", "look", "-n", NAMESPACE, "--wait=false"]);
    let ((reason, message), _) = eventually("it is in use", Duration::from_secs(30), async || {
        stalled("policy.coffer.dev", "look").filter(|(reason, _)| reason == "InUse")
    })
    .await;
    assert!(
        message.contains("user `guest`") && message.contains("group `authors`"),
        "{reason}: {message}"
    );
    let guest = client_of(root, "guest-keys");
    assert_eq!(guest.send("GET", "/album", "", &[], "").await.status, 200);
}

#[tokio::test]
async fn g2_another_namespace_is_let_in_only_by_the_tenant() {
    cluster::install();
    namespace("owner");
    namespace("guest-a");
    namespace("guest-b");
    let allows = "iam: {resyncInterval: 3s, policyBoundary: readonly}\nallowedNamespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: guest-a}}}";
    cluster::apply(&cluster::tenant("owner", "photos", allows));
    cluster::wait_ready("owner", "photos");
    for (namespace, name) in [("guest-a", "anna"), ("guest-b", "bert")] {
        cluster::apply(&format!(
            "apiVersion: coffer.dev/v1alpha1\nkind: User\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{tenantRef: {{name: photos, namespace: owner}}, policies: [consoleAdmin]}}"
        ));
    }
    cluster::wait_for("guest-a", &["user.coffer.dev/anna"]);
    let (message, _) = eventually("bert is refused", Duration::from_secs(30), async || {
        let conditions = get("user.coffer.dev", "guest-b", "bert")["status"]["conditions"].clone();
        let conditions = conditions.as_array()?.clone();
        let stalled =
            conditions.into_iter().find(|it| it["type"] == "Stalled" && it["status"] == "True")?;
        (stalled["reason"] == "NotAllowed")
            .then(|| stalled["message"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    assert!(message.contains("spec.allowedNamespaces"), "{message}");
    // What it was let in for is held to the boundary.
    let mut anna = client("owner", "photos");
    anna.credentials = Credentials {
        access_key_id: secret("guest-a", "anna-keys", "accessKey").parse().unwrap(),
        secret_key: SecretKey::new(secret("guest-a", "anna-keys", "secretKey")),
        session_token: None,
    };
    assert_eq!(anna.send("GET", "/minio/admin/v3/list-users", "", &[], "").await.status, 403);
    assert_eq!(anna.send("PUT", "/mine", "", &[], "").await.status, 403);
    assert_eq!(anna.send("GET", "/", "", &[], "").await.code(), "AccessDenied");
    // What it made before it is shut out stays, and goes with its resource.
    cluster::apply(&cluster::tenant(
        "owner",
        "photos",
        "iam: {resyncInterval: 3s, policyBoundary: readonly}",
    ));
    eventually("anna is shut out", Duration::from_secs(30), async || {
        let conditions = get("user.coffer.dev", "guest-a", "anna")["status"]["conditions"].clone();
        let stalled = conditions.as_array()?.iter().find(|it| it["type"] == "Stalled")?.clone();
        (stalled["status"] == "True" && stalled["reason"] == "NotAllowed").then_some(())
    })
    .await;
    assert_eq!(anna.send("GET", "/", "", &[], "").await.code(), "AccessDenied");
    for (namespace, name) in [("guest-a", "anna"), ("guest-b", "bert")] {
        kubectl(&["delete", "user.coffer.dev", name, "-n", namespace, "--timeout=60s"]);
    }
    assert_eq!(anna.send("GET", "/", "", &[], "").await.code(), "InvalidAccessKeyId");
}
