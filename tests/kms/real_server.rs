//! The whole server beside a real KMS that is stopped, slow, or refuses it: nothing is stored in the clear, what is kept goes on,
//! clients are told by codes that they know, and it gets well by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coffer_tests::client::{Answer, Client};
use coffer_tests::identity;
use coffer_tests::server::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::aws_kms::Moto;
use crate::gate::{Gate, Way};
use crate::vault::RealVault;

pub(crate) const CANARY: &str = "canary-Zq7wX2kLmN9pRtVb3-of-32-b";

/// A server whose KMS is this Vault, by way of `port`.
async fn beside(vault: &RealVault, port: u16, data_keys: &str, login: &[(&str, String)]) -> Server {
    let mut settings = vec![
        ("COFFER_KMS_PROVIDER", "vault".to_owned()),
        ("COFFER_KMS_VAULT_ADDRESS", format!("https://localhost:{port}")),
        ("COFFER_KMS_CA", vault.ca().display().to_string()),
        ("COFFER_KMS_DEFAULT_KEY", "photos".to_owned()),
        ("COFFER_KMS_DATA_KEYS", data_keys.to_owned()),
        ("COFFER_AUTO_ENCRYPT", "true".to_owned()),
    ];
    settings.extend(login.iter().cloned());
    started(&settings).await
}

/// A server with these settings.
pub(crate) async fn started(settings: &[(&str, String)]) -> Server {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start_in(folder, &settings).await
}

/// Vault with the key `photos`, and a folder with a token for it.
async fn vault() -> (RealVault, TempDir) {
    let vault = RealVault::start().await;
    vault.root("transit/keys/photos", json!({ "derived": true })).await;
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("token"), vault.token(600).await).unwrap();
    (vault, folder)
}

fn by_token(folder: &TempDir) -> [(&'static str, String); 1] {
    [("COFFER_KMS_CREDENTIALS", folder.path().display().to_string())]
}

async fn send(client: &Client, line: &str, body: &str) -> Answer {
    let (method, rest) = line.split_once(' ').unwrap();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    client.send(method, path, query, &[], body.to_owned()).await
}

pub(crate) async fn done(server: &Server, line: &str, body: &str) -> Answer {
    let answer = send(server.client(), line, body).await;
    assert!(answer.status.is_success(), "{line}: {} {}", answer.status, answer.text());
    answer
}

pub(crate) async fn key_status(server: &Server) -> Value {
    let answer = done(server, "GET /minio/kms/v1/key/status", "").await;
    serde_json::from_str(&answer.text()).unwrap()
}

pub(crate) async fn becomes_well(server: &Server, line: &str, within: Duration) {
    let begin = Instant::now();
    loop {
        let answer = send(server.client(), line, CANARY).await;
        if answer.status.is_success() {
            println!("{line} after {:?}", begin.elapsed());
            return;
        }
        assert!(begin.elapsed() < within, "{line}: {} {}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

pub(crate) fn assert_nothing_plain(server: &Server) {
    for file in files(server.folder()) {
        let held = std::fs::read(&file).unwrap_or_default();
        let found = held.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
        assert!(!found, "{}", file.display());
    }
}

/// Writes and reads objects of a bucket until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Load {
    pub(crate) fn on(server: &Server, bucket: &'static str) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = server.client().reconnecting();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&done));
        let task = tokio::spawn(async move {
            let mut failed = Vec::new();
            for number in 0.. {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let key = number % 50;
                for line in [format!("PUT /{bucket}/{key}"), format!("GET /{bucket}/{key}")] {
                    let answer = send(&client, &line, CANARY).await;
                    if answer.status != 200 {
                        failed.push(format!("{line}: {}", answer.status));
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            }
            failed
        });
        Self { stop, done, task }
    }

    /// Stops it; nothing may have failed.
    pub(crate) async fn end(self, why: &str) {
        self.stop.store(true, Ordering::SeqCst);
        let failed = self.task.await.unwrap();
        let done = self.done.load(Ordering::SeqCst);
        println!("{why}: {done} requests");
        assert!(done > 20, "{why}: only {done} requests");
        assert!(failed.is_empty(), "{why}: {failed:?}");
    }
}

pub(crate) async fn assert_told(server: &Server, line: &str, status: u16, code: &str) {
    let answer = send(server.client(), line, CANARY).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{line}");
}

#[tokio::test]
async fn a_kms_that_stops_and_starts_under_load() {
    let (mut vault, token) = vault().await;
    let mut server = beside(&vault, vault.port(), "Cached", &by_token(&token)).await;
    for bucket in ["known", "fresh"] {
        done(&server, &format!("PUT /{bucket}"), "").await;
    }
    done(&server, "PUT /known/0", CANARY).await;
    assert_eq!(key_status(&server).await, json!({"key-id": "photos"}));

    let load = Load::on(&server, "known");
    tokio::time::sleep(Duration::from_millis(300)).await;
    vault.stop();
    // SDKs take a 503 for a reason to try again.
    assert_told(&server, "PUT /fresh/x", 503, "ServiceUnavailable").await;
    assert_told(&server, "GET /fresh/x", 404, "NoSuchKey").await;
    let told = key_status(&server).await;
    assert_eq!(told["error-kind"], "Unreachable", "{told}");
    assert_eq!(done(&server, "GET /minio/health/ready", "").await.status, 200);
    // Sealed, it answers, but no keys.
    vault.start_sealed().await;
    assert_told(&server, "PUT /fresh/x", 503, "ServiceUnavailable").await;
    vault.unsealed().await;
    becomes_well(&server, "PUT /fresh/x", Duration::from_secs(20)).await;
    load.end("a bucket whose keys are kept, while the KMS was away").await;
    let metrics = done(&server, "GET /minio/v2/metrics/cluster", "").await.text();
    for part in [r#"error="Unreachable"} "#, "coffer_kms_data_keys ", "coffer_kms_working 1"] {
        assert!(metrics.contains(part), "no {part} in\n{metrics}");
    }

    // A KMS that is down holds up no start. Nothing is kept then.
    vault.stop();
    assert!(server.terminate());
    server.launch().await;
    assert_told(&server, "GET /known/0", 503, "ServiceUnavailable").await;
    assert_told(&server, "PUT /known/0", 503, "ServiceUnavailable").await;
    vault.start_sealed().await;
    vault.unsealed().await;
    becomes_well(&server, "GET /known/0", Duration::from_secs(20)).await;
    assert_eq!(done(&server, "GET /known/0", "").await.text(), CANARY);
    assert_eq!(done(&server, "GET /fresh/x", "").await.text(), CANARY);
    assert_nothing_plain(&server);
    server.assert_discreet();
}

#[tokio::test]
async fn a_slow_kms_is_waited_for_and_a_stuck_one_is_not() {
    let (vault, token) = vault().await;
    let gate = Gate::before(vault.port()).await;
    let server = beside(&vault, gate.port(), "EveryRequest", &by_token(&token)).await;
    done(&server, "PUT /photos", "").await;
    done(&server, "PUT /photos/x", CANARY).await;
    gate.set(Way::Slow);
    done(&server, "PUT /photos/x", CANARY).await;
    assert_eq!(done(&server, "GET /photos/x", "").await.text(), CANARY);
    gate.set(Way::Stuck);
    let begin = Instant::now();
    assert_told(&server, "PUT /photos/x", 503, "ServiceUnavailable").await;
    // 10 s are the provider's bound; more, for a machine that is busy.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(key_status(&server).await["error-kind"], "Unreachable");
    assert_eq!(done(&server, "GET /minio/health/ready", "").await.status, 200);
    gate.set(Way::Open);
    becomes_well(&server, "PUT /photos/x", Duration::from_secs(20)).await;
    assert_eq!(done(&server, "GET /photos/x", "").await.text(), CANARY);
    assert_nothing_plain(&server);
}

#[tokio::test]
async fn revoked_credentials_are_told_and_new_ones_are_taken_up() {
    let (vault, folder) = vault().await;
    let server = beside(&vault, vault.port(), "Cached", &by_token(&folder)).await;
    for bucket in ["known", "fresh"] {
        done(&server, &format!("PUT /{bucket}"), "").await;
    }
    done(&server, "PUT /known/x", CANARY).await;
    let file = folder.path().join("token");
    let token = std::fs::read_to_string(&file).unwrap();
    vault.root("auth/token/revoke", json!({ "token": token })).await;
    let told = key_status(&server).await;
    assert_eq!(told["error-kind"], "Denied", "{told}");
    assert!(!told.to_string().contains(&token), "{told}");
    assert_told(&server, "PUT /fresh/x", 500, "InternalError").await;
    assert_told(&server, "GET /fresh/x", 404, "NoSuchKey").await;
    done(&server, "PUT /known/y", CANARY).await;
    assert_eq!(done(&server, "GET /known/x", "").await.text(), CANARY);
    // As a kubelet swaps a Secret's files.
    std::fs::write(folder.path().join("new"), vault.token(600).await).unwrap();
    std::fs::rename(folder.path().join("new"), &file).unwrap();
    becomes_well(&server, "PUT /fresh/x", Duration::from_secs(20)).await;
    assert_eq!(key_status(&server).await, json!({"key-id": "photos"}));
    assert_nothing_plain(&server);
    assert!(!server.read_log().contains(&token), "the log holds a token");
}

#[tokio::test]
async fn a_server_logs_in_by_approle_and_creates_keys() {
    let (vault, _token) = vault().await;
    vault.root("sys/auth/roles", json!({ "type": "approle" })).await;
    let role = json!({ "token_policies": "coffer", "token_ttl": "60s" });
    vault.root("auth/roles/role/coffer", role).await;
    let role_id = vault.read("auth/roles/role/coffer/role-id").await;
    let secret_id = vault.root("auth/roles/role/coffer/secret-id", json!({})).await;
    let folder = TempDir::new().unwrap();
    for (name, value) in
        [("roleId", &role_id["data"]["role_id"]), ("secretId", &secret_id["data"]["secret_id"])]
    {
        std::fs::write(folder.path().join(name), value.as_str().unwrap()).unwrap();
    }
    let login = [
        ("COFFER_KMS_CREDENTIALS", folder.path().display().to_string()),
        ("COFFER_KMS_VAULT_AUTH", "approle".to_owned()),
        ("COFFER_KMS_VAULT_AUTH_MOUNT", "roles".to_owned()),
    ];
    let server = beside(&vault, vault.port(), "Cached", &login).await;
    keys_are_created_and_used(&server).await;
}

async fn keys_are_created_and_used(server: &Server) {
    done(server, "POST /minio/kms/v1/key/create?key-id=archive", "").await;
    let again = send(server.client(), "POST /minio/kms/v1/key/create?key-id=archive", "").await;
    assert_eq!(again.status, 409, "{}", again.text());
    let listed = done(server, "GET /minio/kms/v1/key/list?pattern=*", "").await.text();
    assert!(listed.contains(r#""name":"archive""#) && listed.contains(r#""name":"photos""#));
    let status = done(server, "GET /minio/kms/v1/key/status?key-id=archive", "").await.text();
    assert_eq!(status, r#"{"key-id":"archive"}"#);
    done(server, "PUT /photos", "").await;
    let headers = [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "archive"),
    ];
    let put = server.client().send("PUT", "/photos/x", "", &headers, CANARY.to_owned()).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(done(server, "GET /photos/x", "").await.text(), CANARY);
    assert_nothing_plain(server);
}

#[tokio::test]
async fn aws_kms_serves_a_server_denies_it_and_serves_it_again() {
    let moto = Moto::start().await;
    let mut settings = moto.settings(moto.port());
    settings.extend([
        ("COFFER_KMS_DEFAULT_KEY", "photos".to_owned()),
        ("COFFER_AUTO_ENCRYPT", "true".to_owned()),
    ]);
    let mut server = started(&settings).await;
    // The default key isn't there yet.
    assert_eq!(key_status(&server).await["error-kind"], "KeyUnusable");
    done(&server, "POST /minio/kms/v1/key/create?key-id=photos", "").await;
    keys_are_created_and_used(&server).await;
    done(&server, "PUT /fresh", "").await;
    moto.enforce("0").await;
    assert_eq!(key_status(&server).await["error-kind"], "Denied");
    assert_told(&server, "PUT /fresh/x", 500, "InternalError").await;
    assert_eq!(done(&server, "GET /photos/x", "").await.text(), CANARY);
    moto.enforce("1000000").await;
    becomes_well(&server, "PUT /fresh/x", Duration::from_secs(20)).await;
    assert!(server.terminate());
    server.launch().await;
    assert_eq!(done(&server, "GET /photos/x", "").await.text(), CANARY);
    assert_nothing_plain(&server);
}
