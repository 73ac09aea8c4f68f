//! A real Vault beside the cluster: over TLS, at the node's address, with its method of logging in by ServiceAccounts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coffer_tests::clients;
use coffer_tests::cluster::{self, kubectl};
use coffer_tests::documents::blocks;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where pods reach the node, and Vault on it: see `with-cluster`.
const NODE: &str = "192.0.2.10";
const PORT: u16 = 8200;
const PATIENCE: Duration = Duration::from_mins(1);
const PLUGIN: &str = "vault-plugin-auth-kubernetes";
/// The document that says what Vault must know.
const DOCUMENT: &str = "docs/encryption.md";

/// Its block for a cluster in this language.
fn documented(language: &str) -> String {
    let all = blocks(&cluster::repository().join(DOCUMENT));
    let found = all.into_iter().find(|it| it.language == language && it.mark == "cluster");
    found.unwrap_or_else(|| panic!("{DOCUMENT} has no {language} for a cluster")).text
}

pub(crate) struct Vault {
    folder: TempDir,
    process: Child,
    unseal: String,
    root: String,
}

fn programs() -> PathBuf {
    std::env::var_os("COFFER_TEST_VAULT").map(PathBuf::from).expect("run tests/run")
}

fn run(folder: &Path, line: &str) {
    let status = Command::new("bash")
        .current_dir(folder)
        .args(["-euo", "pipefail", "-c", line])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{line}");
}

fn launch(folder: &Path) -> Child {
    Command::new(programs().join("vault"))
        .args(["server", "-config", "config.hcl"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

impl Vault {
    /// Starts it, with an engine of keys, and what the document says for the Tenant `photos` of a namespace: the policy `coffer`, logins
    /// by this cluster's ServiceAccounts, a key.
    pub(crate) fn start(namespace: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (plugins, path) = (programs().join("plugins"), folder.path());
        assert!(plugins.join(PLUGIN).exists(), "no {PLUGIN}: run tests/run");
        run(
            path,
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3 -subj /CN=vault-ca",
        );
        run(
            path,
            "openssl req -newkey rsa:2048 -nodes -keyout tls.key -out tls.csr -subj /CN=vault",
        );
        run(
            path,
            &format!(
                "openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3 -out tls.crt \
                 -extfile <(echo subjectAltName=IP:{NODE})"
            ),
        );
        fs::create_dir(path.join("data")).unwrap();
        let config = format!(
            r#"
storage "raft" {{
  path = "{data}"
  node_id = "one"
}}
listener "tcp" {{
  address = "{NODE}:{PORT}"
  tls_cert_file = "tls.crt"
  tls_key_file = "tls.key"
}}
api_addr = "https://{NODE}:{PORT}"
cluster_addr = "https://{NODE}:{peers}"
plugin_directory = "{plugins}"
disable_mlock = true
"#,
            data = path.join("data").display(),
            peers = PORT + 1,
            plugins = fs::canonicalize(&plugins).unwrap().display(),
        );
        fs::write(path.join("config.hcl"), config).unwrap();
        let process = launch(path);
        let mut vault = Self { folder, process, unseal: String::new(), root: String::new() };
        vault.until_listening();
        let made = vault.call("sys/init", &json!({"secret_shares": 1, "secret_threshold": 1}));
        let made = made.unwrap();
        vault.unseal = made["keys"][0].as_str().unwrap().to_owned();
        vault.root = made["root_token"].as_str().unwrap().to_owned();
        vault.unseal();
        vault.must("sys/mounts/transit", &json!({"type": "transit"}));
        vault.must("sys/policies/acl/coffer", &json!({"policy": documented("hcl")}));
        vault.trust_the_cluster(&plugins, namespace);
        vault
    }

    fn trust_the_cluster(&self, plugins: &Path, namespace: &str) {
        let sum = Command::new("sha256sum").arg(plugins.join(PLUGIN)).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        let sum = sum.split(' ').next().unwrap();
        // A Vault that people install has it built in.
        self.must(
            "sys/plugins/catalog/auth/kubernetes",
            &json!({"sha256": sum, "command": PLUGIN}),
        );
        kubectl(&["create", "serviceaccount", "reviewer", "-n", "default"]);
        kubectl(&[
            "create",
            "clusterrolebinding",
            "reviewer",
            "--clusterrole=system:auth-delegator",
            "--serviceaccount=default:reviewer",
        ]);
        let view = |path: &str| {
            kubectl(&["config", "view", "--raw", "-o", &format!("jsonpath={{{path}}}")])
        };
        let reviewer = kubectl(&["create", "token", "reviewer", "-n", "default"]);
        let commands = documented("sh");
        assert_eq!(commands.matches('…').count(), 2, "{commands}");
        let commands = commands
            .replace(
                "kubernetes_host=https://…",
                &format!("kubernetes_host={}", view(".clusters[0].cluster.server")),
            )
            .replace("token_reviewer_jwt=…", &format!("token_reviewer_jwt={}", reviewer.trim()))
            .replace("@ca.crt", &format!("@{}", view(".clusters[0].cluster.certificate-authority")))
            .replace("_namespaces=photos", &format!("_namespaces={namespace}"));
        let mut shell = Command::new("bash");
        shell
            .current_dir(self.folder.path())
            .args([
                "-euo",
                "pipefail",
                "-c",
                &format!("vault() {{ \"$VAULT\" \"$@\"; }}\n{commands}"),
            ])
            .env("VAULT", fs::canonicalize(programs()).unwrap().join("vault"))
            .env("VAULT_ADDR", Self::address())
            .env("VAULT_CACERT", "ca.crt")
            .env("VAULT_TOKEN", &self.root);
        clients::run(&mut shell);
    }

    /// `https://host:port`.
    pub(crate) fn address() -> String {
        format!("https://{NODE}:{PORT}")
    }

    /// The certificate by which it is known, as PEM text.
    pub(crate) fn ca(&self) -> String {
        fs::read_to_string(self.folder.path().join("ca.crt")).unwrap()
    }

    /// A call of the root's, which must go well.
    pub(crate) fn must(&self, path: &str, body: &Value) -> Value {
        let answer = self.call(path, body).unwrap_or_else(|| panic!("{path}: no answer"));
        assert!(answer.get("errors").is_none(), "{path}: {answer}");
        answer
    }

    /// Removes something, which must be there.
    pub(crate) fn delete(&self, path: &str) {
        let answer = self.send("DELETE", path, &json!({}));
        assert_eq!(answer, Some(Value::Null), "{path}");
    }

    fn call(&self, path: &str, body: &Value) -> Option<Value> {
        self.send("POST", path, body)
    }

    /// What is answered, `null` for nothing; none if there is no answer.
    fn send(&self, method: &str, path: &str, body: &Value) -> Option<Value> {
        let output = Command::new("curl")
            .current_dir(self.folder.path())
            .args(["-sS", "-m", "20", "--cacert", "ca.crt", "-X", method])
            .args(["-H", &format!("X-Vault-Token: {}", self.root)])
            .args(["-d", &body.to_string(), &format!("{}/v1/{path}", Self::address())])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then(|| serde_json::from_str(&text).unwrap_or_default())
    }

    fn get(&self, path: &str) -> Option<Value> {
        let output = Command::new("curl")
            .current_dir(self.folder.path())
            .args(["-sS", "-m", "5", "--cacert", "ca.crt"])
            .arg(format!("{}/v1/{path}", Self::address()))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    fn until_listening(&self) {
        let begin = Instant::now();
        while self.get("sys/seal-status").is_none() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begin.elapsed() < PATIENCE, "Vault doesn't listen: {}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn unseal(&self) {
        self.must("sys/unseal", &json!({"key": self.unseal}));
        let begin = Instant::now();
        while self.get("sys/health").is_none_or(|health| health["standby"] != false) {
            assert!(begin.elapsed() < PATIENCE, "Vault stays sealed");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same keys.
    pub(crate) fn start_again(&mut self) {
        self.process = launch(self.folder.path());
        self.until_listening();
        self.unseal();
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
