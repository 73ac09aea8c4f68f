//! A real Vault, over TLS, with its storage in a folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coffer_server::encrypt::attempts::Limits;
use coffer_server::encrypt::vault::{Vault, VaultAuth, VaultSettings};
use coffer_tests::identity;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::https::Https;

/// What Coffer needs: to make and open data keys, and to create, show and list keys.
const POLICY: &str = r#"
path "transit/datakey/plaintext/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["create", "read", "update"] }
path "transit/keys" { capabilities = ["list"] }
"#;

pub(crate) struct RealVault {
    folder: TempDir,
    port: u16,
    process: Child,
    https: Https,
    unseal: String,
    pub(crate) root: String,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn launch(folder: &Path) -> Child {
    let programs =
        std::env::var_os("COFFER_TEST_VAULT").expect("COFFER_TEST_VAULT is not set: run tests/run");
    Command::new(PathBuf::from(programs).join("vault"))
        .args(["server", "-config", "config.hcl"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

impl RealVault {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        identity::write(folder.path());
        let (port, peers) = (free_port(), free_port());
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let config = format!(
            r#"
storage "raft" {{
  path = "{}"
  node_id = "one"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_cert_file = "tls/tls.crt"
  tls_key_file = "tls/tls.key"
}}
api_addr = "https://localhost:{port}"
cluster_addr = "https://127.0.0.1:{peers}"
disable_mlock = true
"#,
            data.display()
        );
        std::fs::write(folder.path().join("config.hcl"), config).unwrap();
        let process = launch(folder.path());
        let https = Https::new(&format!("https://localhost:{port}"), &folder.path().join("ca.crt"));
        let mut vault =
            Self { folder, port, process, https, unseal: String::new(), root: String::new() };
        vault.listens().await;
        let (_, keys) = vault
            .https
            .call(Method::POST, "/v1/sys/init", "", r#"{"secret_shares":1,"secret_threshold":1}"#)
            .await
            .unwrap();
        vault.unseal = keys["keys"][0].as_str().unwrap().to_owned();
        vault.root = keys["root_token"].as_str().unwrap().to_owned();
        vault.unsealed().await;
        vault.root("sys/mounts/transit", json!({ "type": "transit" })).await;
        vault.root("sys/policies/acl/coffer", json!({ "policy": POLICY })).await;
        vault
    }

    /// Waits for the listener.
    async fn listens(&self) {
        for _ in 0..300 {
            let status = self.https.call(Method::GET, "/v1/sys/seal-status", "", "").await;
            if status.is_some_and(|(status, _)| status == StatusCode::OK) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap());
    }

    pub(crate) async fn unsealed(&self) {
        let body = json!({ "key": self.unseal }).to_string();
        self.https.call(Method::POST, "/v1/sys/unseal", "", &body).await.unwrap();
        for _ in 0..300 {
            let health = self.https.call(Method::GET, "/v1/sys/health", "", "").await;
            if health.is_some_and(|(status, _)| status == StatusCode::OK) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it stays sealed");
    }

    /// A call of the root's, which must go well.
    pub(crate) async fn root(&self, path: &str, body: Value) -> Value {
        let path = format!("/v1/{path}");
        let body = body.to_string();
        let answer = self.https.call(Method::POST, &path, &self.root, &body).await.unwrap();
        assert!(answer.0.is_success(), "{path}: {answer:?}");
        answer.1
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let path = format!("/v1/{path}");
        self.https.call(Method::GET, &path, &self.root, "").await.unwrap().1
    }

    /// A token with the policy.
    pub(crate) async fn token(&self, seconds: u64) -> String {
        let body =
            json!({ "policies": ["coffer"], "ttl": format!("{seconds}s"), "no_parent": true });
        let made = self.root("auth/token/create", body).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The certificate by which it is known.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    pub(crate) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, sealed.
    pub(crate) async fn start_sealed(&mut self) {
        self.process = launch(self.folder.path());
        self.listens().await;
    }

    /// A file beside it.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        let new = file.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &file).unwrap();
        file
    }

    pub(crate) fn provider(&self, auth: VaultAuth, limits: Limits) -> Vault {
        Vault::new(VaultSettings {
            address: format!("https://localhost:{}", self.port),
            ca: self.folder.path().join("ca.crt"),
            mount: "transit".to_owned(),
            namespace: None,
            auth,
            limits,
        })
        .unwrap()
    }
}

impl Drop for RealVault {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
