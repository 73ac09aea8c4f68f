//! Keys behind KMIP, as PyKMIP's server has them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coffer_server::encrypt::attempts::Limits;
use coffer_server::encrypt::kmip::{Kmip, KmipSettings};
use coffer_sse::kms::{KeyStatus, Kms, KmsError};
use coffer_tests::identity;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::every_provider::{Service, Trust};
use crate::suite::{self, Creation, context, name};
use crate::unreachable::SHORT;

/// PyKMIP's server, which knows its clients by their certificates.
pub(crate) struct PyKmip {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

fn programs() -> PathBuf {
    std::env::var_os("COFFER_TEST_KMIP")
        .map(|python| PathBuf::from(python).join("bin"))
        .expect("COFFER_TEST_KMIP is not set: run tests/run")
}

impl PyKmip {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        identity::write(folder.path());
        identity::client(folder.path(), "client", "coffer");
        std::fs::create_dir(folder.path().join("policy")).unwrap();
        let port = coffer_tests::server::free_address().port();
        let at = folder.path().display();
        // It can't do TLS 1.3.
        let config = format!(
            "[server]\nhostname=127.0.0.1\nport={port}\ncertificate_path={at}/tls/tls.crt\nkey_path={at}/tls/tls.key\n\
             ca_path={at}/ca.crt\nauth_suite=TLS1.2\npolicy_path={at}/policy\nenable_tls_client_auth=True\n\
             tls_cipher_suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\nlogging_level=INFO\ndatabase_path={at}/keys.db\n"
        );
        std::fs::write(folder.path().join("server.conf"), config).unwrap();
        let mut kmip = Self { folder, port, process: None };
        kmip.start().await;
        kmip
    }

    /// What an administrator does, by another client.
    fn administer(&self, what: &str, name: &str) -> String {
        let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("parts/kmip/client.py");
        let done = Command::new(programs().join("python"))
            .arg(client)
            .arg(self.folder.path())
            .args([&self.port.to_string(), what, name])
            .output()
            .unwrap();
        assert!(done.status.success(), "{what}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Another certificate for the same place, as a kubelet swaps a Secret's files.
    fn put(&self, from: &Path, file: &str) {
        let to = self.folder.path().join("client").join(file);
        let new = to.with_extension("new");
        std::fs::copy(from.join(file), &new).unwrap();
        std::fs::rename(new, to).unwrap();
    }

    fn provider_at(&self, port: u16, credentials: &Path, limits: Limits) -> Kmip {
        Kmip::new(KmipSettings {
            address: format!("localhost:{port}"),
            ca: self.folder.path().join("ca.crt"),
            credentials: credentials.to_owned(),
            limits,
        })
        .unwrap()
    }

    fn provider(&self, limits: Limits) -> Kmip {
        self.provider_at(self.port, &self.folder.path().join("client"), limits)
    }
}

impl Service for PyKmip {
    fn settings(&self, port: u16) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            ("COFFER_KMS_PROVIDER", "kmip".to_owned()),
            ("COFFER_KMS_KMIP_ADDRESS", format!("localhost:{port}")),
            ("COFFER_KMS_CA", path("ca.crt")),
            ("COFFER_KMS_CREDENTIALS", path("client")),
        ]
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // It has a process beside it.
        let group = Pid::from_child(&process);
        kill_process_group(group, Signal::KILL).ok();
        process.wait().ok();
    }

    async fn start(&mut self) {
        use std::os::unix::process::CommandExt as _;
        let log = self.folder.path().join("log");
        std::fs::remove_file(&log).ok();
        let output = std::fs::File::create(self.folder.path().join("output")).unwrap();
        let process = Command::new(programs().join("pykmip-server"))
            .args(["-f", "server.conf", "-l"])
            .arg(&log)
            .current_dir(self.folder.path())
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .unwrap();
        let process = self.process.insert(process);
        for _ in 0..300 {
            if std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Starting connection")) {
                return;
            }
            if process.try_wait().unwrap().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let output = std::fs::read_to_string(self.folder.path().join("output"));
        panic!("{output:?}");
    }
}

impl Trust for PyKmip {
    fn withdraw(&mut self) {
        let other = TempDir::new().unwrap();
        identity::write(other.path());
        identity::client(other.path(), "client", "coffer");
        let own = self.folder.path().join("client");
        let kept = self.folder.path().join("kept");
        std::fs::create_dir_all(&kept).unwrap();
        for file in ["tls.key", "tls.crt"] {
            std::fs::copy(own.join(file), kept.join(file)).unwrap();
            self.put(&other.path().join("client"), file);
        }
    }

    fn give_back(&mut self) {
        let kept = self.folder.path().join("kept");
        for file in ["tls.key", "tls.crt"] {
            self.put(&kept, file);
        }
    }
}

impl Drop for PyKmip {
    fn drop(&mut self) {
        self.stop();
    }
}

#[tokio::test]
async fn passes_the_suite() {
    let service = PyKmip::start().await;
    let open = || service.provider(Limits::default());
    suite::run(&open(), &open(), Creation::Works).await;
    let shown = service.administer("SHOW", "photos");
    assert!(shown.contains("AES") && shown.contains("256") && shown.contains("ACTIVE"), "{shown}");
}

#[tokio::test]
async fn opens_after_both_sides_began_anew() {
    let mut service = PyKmip::start().await;
    let kms = service.provider(SHORT);
    kms.create_key(&name("photos")).await.unwrap();
    let key = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    service.stop();
    let away = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await;
    assert!(matches!(away, Err(KmsError::Unreachable(_))), "{away:?}");
    service.start().await;
    for kms in [kms, service.provider(SHORT)] {
        let opened = kms.open_data_key(&name("photos"), &key.sealed, &context("b")).await.unwrap();
        assert_eq!(opened.expose(), key.plain.expose());
    }
}

#[tokio::test]
async fn a_connection_that_ended_unnoticed_costs_no_call() {
    let mut service = PyKmip::start().await;
    // One attempt: what was kept is tried beside it.
    let kms = service.provider(Limits { attempts: 1, ..Limits::default() });
    kms.create_key(&name("photos")).await.unwrap();
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    service.stop();
    service.start().await;
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    service.stop();
    service.start().await;
    kms.create_key(&name("archive")).await.unwrap();
}

#[tokio::test]
async fn another_authoritys_certificate_is_denied_and_the_next_one_taken_up() {
    let mut service = PyKmip::start().await;
    let kms = service.provider(SHORT);
    kms.create_key(&name("photos")).await.unwrap();
    service.withdraw();
    let made = kms.generate_data_key(&name("photos"), &context("b")).await;
    assert!(matches!(made, Err(KmsError::Denied(_))), "{made:?}");
    let created = kms.create_key(&name("archive")).await;
    assert!(matches!(created, Err(KmsError::Denied(_))), "{created:?}");
    service.give_back();
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    // Half of a Secret: the certificate is another's, the key isn't there yet.
    identity::client(service.folder.path(), "next", "coffer");
    service.put(&service.folder.path().join("next"), "tls.crt");
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    service.put(&service.folder.path().join("next"), "tls.key");
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    assert_eq!(kms.list_keys().await.unwrap(), [name("photos")]);
}

#[tokio::test]
async fn another_client_has_other_keys() {
    let service = PyKmip::start().await;
    let kms = service.provider(Limits::default());
    kms.create_key(&name("photos")).await.unwrap();
    let key = kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    identity::client(service.folder.path(), "other", "somebody");
    let other = service.folder.path().join("other");
    let other = service.provider_at(service.port, &other, Limits::default());
    let opened = other.open_data_key(&name("photos"), &key.sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::NoSuchKey(_))), "{opened:?}");
    assert_eq!(other.list_keys().await.unwrap(), []);
    // Its key of the same name is another.
    other.create_key(&name("photos")).await.unwrap();
    let opened = other.open_data_key(&name("photos"), &key.sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::Invalid(_))), "{opened:?}");
}

#[tokio::test]
async fn a_key_is_told_that_isnt_active_or_gone_or_there_twice() {
    let service = PyKmip::start().await;
    let kms = service.provider(Limits::default());
    let photos = name("photos");
    kms.create_key(&photos).await.unwrap();
    let key = kms.generate_data_key(&photos, &context("b")).await.unwrap();

    service.administer("REVOKE", "photos");
    assert_eq!(kms.key_status(&photos).await.unwrap(), KeyStatus::Disabled);
    let made = kms.generate_data_key(&photos, &context("b")).await;
    assert!(matches!(made, Err(KmsError::Disabled(_))), "{made:?}");
    let opened = kms.open_data_key(&photos, &key.sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::Disabled(_))), "{opened:?}");

    service.administer("DESTROY", "photos");
    let opened = kms.open_data_key(&photos, &key.sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::NoSuchKey(_))), "{opened:?}");
    // The name of a key that is gone may be given anew.
    kms.create_key(&photos).await.unwrap();
    kms.generate_data_key(&photos, &context("b")).await.unwrap();
    let opened = kms.open_data_key(&photos, &key.sealed, &context("b")).await;
    assert!(matches!(opened, Err(KmsError::Invalid(_))), "{opened:?}");

    service.administer("CREATE", "pending");
    assert_eq!(kms.key_status(&name("pending")).await.unwrap(), KeyStatus::Disabled);
    let created = kms.create_key(&name("pending")).await;
    assert!(matches!(created, Err(KmsError::Exists(_))), "{created:?}");
    let made = kms.generate_data_key(&name("pending"), &context("b")).await;
    assert!(matches!(made, Err(KmsError::Disabled(_))), "{made:?}");

    service.administer("CREATE", "photos");
    // Where the name was found before, nobody asks again; a new server does.
    let fresh = service.provider(Limits::default());
    let made = fresh.generate_data_key(&photos, &context("b")).await;
    let Err(KmsError::Settings(why)) = made else { panic!("{made:?}") };
    assert!(why.contains("more than one key"), "{why}");
}

#[tokio::test]
async fn lists_more_keys_than_a_message_asks_for() {
    let service = PyKmip::start().await;
    let kms = service.provider(Limits::default());
    for n in 0..60 {
        kms.create_key(&name(&format!("key-{n:03}"))).await.unwrap();
    }
    service.administer("CREATE", "no name of ours");
    let listed = kms.list_keys().await.unwrap();
    assert_eq!(listed.len(), 60, "{listed:?}");
    assert!(listed.is_sorted(), "{listed:?}");
}
