//! A real Kubernetes, through the programs that people use: `kubectl` and `helm`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use coffer_signature::{Credentials, SecretKey};
use serde_json::Value;

use crate::client::Client;

/// Who the operator is for the API server.
pub const OPERATOR: &str = "system:serviceaccount:coffer-system:coffer-operator";

/// The namespace that the operator lives in.
pub const SYSTEM: &str = "coffer-system";

/// The repository's root.
pub fn repository() -> PathBuf {
    std::env::var_os("COFFER_TEST_REPOSITORY").map(PathBuf::from).expect("run tests/cluster/run")
}

fn output(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("its input");
    child.wait_with_output().expect("its output")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `kubectl` and expects that it goes well; what it printed.
pub fn kubectl(arguments: &[&str]) -> String {
    let output = output("kubectl", arguments, "");
    assert!(output.status.success(), "kubectl {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs `kubectl` and expects that it is refused; what it said.
pub fn kubectl_refused(arguments: &[&str], input: &str) -> String {
    let output = output("kubectl", arguments, input);
    assert!(!output.status.success(), "kubectl {arguments:?} went well: {}", text(&output.stdout));
    text(&output.stderr)
}

/// Runs `helm` and expects that it goes well.
pub fn helm(arguments: &[&str]) -> String {
    let output = output("helm", arguments, "");
    assert!(output.status.success(), "helm {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// `kubectl apply -f -`.
pub fn apply(manifest: &str) {
    let output = output("kubectl", &["apply", "-f", "-"], manifest);
    assert!(output.status.success(), "{manifest}\n{}", text(&output.stderr));
}

/// An object as JSON; `null` when there is none.
pub fn get(kind: &str, namespace: &str, name: &str) -> Value {
    let text = kubectl(&["get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found"]);
    if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
}

/// Waits until `probe` gives something, and how long that took.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        // A connection to a pod that is gone may hang until it is given up.
        let found = tokio::time::timeout(Duration::from_secs(5), probe()).await;
        if let Ok(Some(found)) = found {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < within, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The fastest of up to three tries; it ends with the first that is below `asked`.
///
/// A machine that has other work too may be slow once. What has become slow for good is so each time.
///
/// # Panics
/// When no try was fast enough.
pub async fn best_of_three(
    what: &str,
    asked: Duration,
    mut try_it: impl AsyncFnMut(u8) -> Duration,
) -> Duration {
    let mut tries = Vec::new();
    for number in 1..=3 {
        let took = try_it(number).await;
        eprintln!("{what}, try {number}: {took:?} (asked: less than {asked:?})");
        if took < asked {
            return took;
        }
        tries.push(took);
    }
    panic!("{what}: less than {asked:?} is asked, but it took {tries:?}");
}

/// Makes a namespace that enforces the restricted Pod Security profile. The Tenants of the tests before go: a node has room for some
/// twenty.
pub fn namespace(name: &str) {
    // Before the definitions are there, there is none to delete.
    output("kubectl", &["delete", "tenants", "--all", "-A", "--wait=false"], "");
    restricted(name);
}

fn restricted(name: &str) {
    apply(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{pod-security.kubernetes.io/enforce: restricted}}\n"
    ));
}

/// Installs definitions and operator by their charts, unless that was done.
pub fn install() {
    static DONE: std::sync::Once = std::sync::Once::new();
    DONE.call_once(|| install_with(&[]));
}

/// The same, also where it was done, with further values (`--set`) of the operator's chart.
pub fn install_with(values: &[&str]) {
    restricted(SYSTEM);
    helm(&["upgrade", "--install", "coffer-crds", "charts/coffer-crds", "-n", SYSTEM]);
    let operator = [
        "upgrade",
        "--install",
        "coffer-operator",
        "charts/coffer-operator",
        "-n",
        SYSTEM,
        "--set",
        "image.repository=cluster.test/coffer,image.tag=test,image.pullPolicy=Never",
        "--wait",
        "--timeout",
        "60s",
    ];
    let values = values.iter().flat_map(|value| ["--set", value]);
    helm(&operator.into_iter().chain(values).collect::<Vec<_>>());
}

/// The time in which what is installed is otherwise than [`install`] has it: with the end of this value it is as it was.
#[derive(Debug)]
pub struct Otherwise(());

impl Otherwise {
    /// Begins it; nothing is changed yet.
    pub fn begin() -> Self {
        Self(())
    }
}

impl Drop for Otherwise {
    fn drop(&mut self) {
        // A test that has failed already says why; the next ones need the operator all the same.
        if std::thread::panicking() {
            drop(std::panic::catch_unwind(|| install_with(&[])));
        } else {
            install_with(&[]);
        }
    }
}

/// Takes everything of Coffer away, as if it had never been installed: resources, releases, definitions, and these namespaces.
pub fn take_all_away(namespaces: &[&str]) {
    // Those that are in Tenants first: their finalizers need the operator.
    let kinds = kubectl(&["get", "crd", "-o", "name"]);
    let kinds: Vec<&str> = kinds
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .filter(|name| name.ends_with(".coffer.dev"))
        .collect();
    let (tenants, others): (Vec<&str>, Vec<&str>) =
        kinds.iter().partition(|name| name.starts_with("tenants."));
    // All are told before any is waited for: a Policy in use stays as long as who uses it.
    for kind in &others {
        kubectl(&["delete", kind, "--all", "-A", "--wait=false"]);
    }
    for kind in others.iter().chain(&tenants) {
        kubectl(&["delete", kind, "--all", "-A", "--timeout=90s"]);
    }
    for release in ["coffer-operator", "coffer-crds"] {
        output("helm", &["uninstall", release, "-n", SYSTEM, "--wait", "--ignore-not-found"], "");
    }
    for kind in &kinds {
        kubectl(&["delete", "crd", kind, "--timeout=60s"]);
    }
    for kind in ["clusterrole", "clusterrolebinding"] {
        kubectl(&["delete", kind, "coffer-system-coffer-operator", "--ignore-not-found"]);
    }
    for namespace in namespaces {
        kubectl(&["delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s"]);
    }
}

/// Whether the API server allows `user` to do `verb` on a resource, or on `resource/subresource`, in a namespace, or in all by `-A`.
pub fn can(user: &str, verb: &str, what: &str, namespace: &str) -> bool {
    let within = if namespace == "-A" { vec!["-A"] } else { vec!["-n", namespace] };
    // `kubectl` takes what follows a slash for an object's name.
    let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
    let options = [format!("--as={user}"), format!("--subresource={subresource}")];
    let question = ["auth", "can-i", verb, resource, &options[0], &options[1]];
    let answer = output("kubectl", &[&question[..], &within].concat(), "");
    match text(&answer.stdout).trim() {
        "yes" => true,
        "no" => false,
        other => panic!("can-i {verb} {what}: {other} {}", text(&answer.stderr)),
    }
}

/// The time without the installed operator: it comes back with the end of this value, whatever the test came to.
#[derive(Debug)]
pub struct WithoutOperator(());

impl WithoutOperator {
    /// Ends the operator, and waits until it is gone.
    pub async fn begin() -> Self {
        let without = Self(());
        kubectl(&["scale", "deployment", "coffer-operator", "-n", SYSTEM, "--replicas=0"]);
        eventually("no operator", Duration::from_mins(1), async || {
            kubectl(&["get", "pods", "-n", SYSTEM, "-o", "name"]).trim().is_empty().then_some(())
        })
        .await;
        without
    }
}

impl Drop for WithoutOperator {
    fn drop(&mut self) {
        let scale = ["scale", "deployment", "coffer-operator", "-n", SYSTEM, "--replicas=1"];
        let status =
            ["rollout", "status", "deployment/coffer-operator", "-n", SYSTEM, "--timeout=60s"];
        for arguments in [&scale[..], &status[..]] {
            // A test that has failed already says why.
            output("kubectl", arguments, "");
        }
    }
}

/// Waits until the operator is there.
pub fn operator_is_there() {
    kubectl(&["rollout", "status", "deployment/coffer-operator", "-n", SYSTEM, "--timeout=60s"]);
}

/// The manifest of a Tenant with 1 GiB, and further lines of its spec.
pub fn tenant(namespace: &str, name: &str, spec: &str) -> String {
    let spec: Vec<String> = spec.lines().map(|line| format!("  {line}")).collect();
    let spec = spec.join("\n");
    format!(
        "apiVersion: coffer.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  storage: \
         {{embedded: {{size: 1Gi}}}}\n{spec}"
    )
}

/// Waits until a Tenant is Ready, as a user would.
pub fn wait_ready(namespace: &str, name: &str) {
    wait_for(namespace, &[&format!("tenant/{name}")]);
}

/// `kubectl wait --for=condition=Ready`; when it isn't to be, what the objects and the operator say.
pub fn wait_for(namespace: &str, what: &[&str]) {
    let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "-n", namespace];
    let waited = output("kubectl", &[&wait[..], what].concat(), "");
    if waited.status.success() {
        return;
    }
    let said = |arguments: &[&str]| text(&output("kubectl", arguments, "").stdout);
    let objects: Vec<&str> = what.iter().copied().filter(|word| *word != "--all").collect();
    let status = "jsonpath={range .items[*]}{.metadata.name}: {.status}{\"\\n\"}{end}{.metadata.name}: {.status}";
    let get = ["get", "-n", namespace, "-o", status];
    panic!(
        "{what:?} in {namespace}: {}\n== they say\n{}\n== the operator's pods\n{}\n== the operator\n{}",
        text(&waited.stderr),
        said(&[&get[..], &objects].concat()),
        said(&["get", "pods", "-n", SYSTEM, "-o", "wide"]),
        said(&["logs", "deployment/coffer-operator", "-n", SYSTEM, "--tail=60"]),
    );
}

/// A condition of a Tenant: status, reason, message.
pub fn condition(namespace: &str, name: &str, kind: &str) -> (String, String, String) {
    let tenant = get("tenant", namespace, name);
    let conditions = tenant["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found =
        conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (field("status"), field("reason"), field("message"))
}

/// A value of a Secret.
pub fn secret(namespace: &str, name: &str, key: &str) -> String {
    let path = format!("jsonpath={{.data.{}}}", key.replace('.', "\\."));
    let encoded = kubectl(&["get", "secret", name, "-n", namespace, "-o", &path]);
    text(&output("base64", &["-d"], &encoded).stdout)
}

/// A client of a Tenant over its Service's name, trusting the roots that it publishes.
pub fn client(namespace: &str, name: &str) -> Client {
    let roots = kubectl(&[
        "get",
        "configmap",
        &format!("{name}-ca"),
        "-n",
        namespace,
        "-o",
        "jsonpath={.data.ca\\.crt}",
    ]);
    let root = format!("{name}-root");
    let credentials = Credentials {
        access_key_id: secret(namespace, &root, "accessKey").parse().expect("a key"),
        secret_key: SecretKey::new(secret(namespace, &root, "secretKey")),
        session_token: None,
    };
    Client::new(&format!("{name}.{namespace}.svc"), 443, roots.as_bytes(), credentials)
}

/// What `user` has asked since `start`, from the apiserver's own record: what reads, or what writes.
fn asked_by(user: &str, since: usize, reads: bool) -> Vec<Value> {
    let record = std::fs::read_to_string(std::env::var("COFFER_TEST_AUDIT").expect("the record"))
        .unwrap_or_default();
    let events =
        record.lines().skip(since).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["user"]["username"].as_str() == Some(user))
        .filter(|event| matches!(event["verb"].as_str(), Some("get" | "list" | "watch")) == reads)
        .collect()
}

/// What `user` has written since `start`, as `verb resource namespace/name`.
pub fn writes_of(user: &str, since: usize) -> Vec<String> {
    asked_by(user, since, false)
        .iter()
        .map(|event| {
            let object = &event["objectRef"];
            let field = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
            let verb = event["verb"].as_str().unwrap_or_default();
            format!(
                "{verb} {} {} {}/{}",
                field("resource"),
                field("subresource"),
                field("namespace"),
                field("name")
            )
        })
        .collect()
}

/// The Secrets that `user` has read since `start`, as `verb namespace/name`; the name of one that lists or watches is empty.
pub fn secrets_read_by(user: &str, since: usize) -> Vec<String> {
    asked_by(user, since, true)
        .iter()
        .filter(|event| event["objectRef"]["resource"] == "secrets")
        .map(|event| {
            let object = &event["objectRef"];
            let field = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
            let verb = event["verb"].as_str().unwrap_or_default();
            format!("{verb} {}/{}", field("namespace"), field("name"))
        })
        .collect()
}

/// How many lines the record has.
pub fn recorded() -> usize {
    let record = std::env::var("COFFER_TEST_AUDIT").expect("the record");
    std::fs::read_to_string(record).unwrap_or_default().lines().count()
}
