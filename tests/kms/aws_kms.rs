//! Keys in AWS KMS, as moto speaks it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coffer_server::encrypt::attempts::Limits;
use coffer_server::encrypt::aws_kms::{AwsKms, AwsKmsSettings, AwsLogin};
use coffer_sse::kms::{KeyStatus, Kms, KmsError};
use coffer_tests::identity;
use http::{Method, StatusCode};
use tempfile::TempDir;

use crate::every_provider::Service;
use crate::gate::{Gate, Way};
use crate::https::Https;
use crate::suite::{self, Creation, context, name};

pub(crate) struct Moto {
    folder: TempDir,
    port: u16,
    process: Child,
    https: Https,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        identity::write(folder.path());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let python = std::env::var_os("COFFER_TEST_MOTO")
            .expect("COFFER_TEST_MOTO is not set: run tests/run");
        let process = Command::new(PathBuf::from(python).join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .args(["-c", "tls/tls.crt", "-k", "tls/tls.key"])
            // From this many calls on it looks at credentials: see `enforce`.
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "1000000")
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let https = Https::new(&format!("https://localhost:{port}"), &folder.path().join("ca.crt"));
        let moto = Self { folder, port, process, https };
        for _ in 0..300 {
            let data = moto.https.call(Method::GET, "/moto-api/data.json", "", "").await;
            if data.is_some_and(|(status, _)| status == StatusCode::OK) {
                return moto;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", std::fs::read_to_string(moto.folder.path().join("log")).unwrap());
    }

    /// After so many calls, credentials count.
    pub(crate) async fn enforce(&self, after: &str) {
        let answer =
            self.https.call(Method::POST, "/moto-api/reset-auth", "", after).await.unwrap();
        assert_eq!(answer.0, StatusCode::OK);
    }

    /// What a server is told to use it, by way of a port.
    pub(crate) fn settings(&self, port: u16) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            ("COFFER_KMS_PROVIDER", "aws-kms".to_owned()),
            ("COFFER_KMS_AWS_REGION", "eu-west-1".to_owned()),
            ("COFFER_KMS_AWS_ENDPOINT", format!("https://localhost:{port}")),
            ("COFFER_KMS_CA", path("ca.crt")),
            ("COFFER_KMS_CREDENTIALS", path("root")),
        ]
    }

    /// Its certificate is known by the CA in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its keys are in its memory: it is stopped by what lies before it.
    pub(crate) async fn behind_a_gate() -> GatedMoto {
        let moto = Self::start().await;
        let gate = Gate::before(moto.port).await;
        GatedMoto { moto, gate }
    }

    fn provider(&self) -> AwsKms {
        self.provider_by(AwsLogin::Files(self.folder.path().join("root")))
    }

    pub(crate) fn provider_by(&self, login: AwsLogin) -> AwsKms {
        AwsKms::new(AwsKmsSettings {
            region: "eu-west-1".to_owned(),
            endpoint: Some(format!("https://localhost:{}", self.port)),
            ca: self.folder.path().join("ca.crt"),
            login,
            limits: Limits::default(),
        })
        .unwrap()
    }
}

pub(crate) struct GatedMoto {
    moto: Moto,
    gate: Gate,
}

impl Service for GatedMoto {
    fn settings(&self, port: u16) -> Vec<(&'static str, String)> {
        self.moto.settings(port)
    }

    fn port(&self) -> u16 {
        self.gate.port()
    }

    fn stop(&mut self) {
        self.gate.set(Way::Shut);
    }

    async fn start(&mut self) {
        self.gate.set(Way::Open);
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[tokio::test]
async fn passes_the_suite() {
    let moto = Moto::start().await;
    suite::run(&moto.provider(), &moto.provider(), Creation::Works).await;
}

#[tokio::test]
async fn lists_more_keys_than_an_answer_holds() {
    let moto = Moto::start().await;
    let kms = moto.provider();
    for n in 0..120 {
        kms.create_key(&name(&format!("key-{n:03}"))).await.unwrap();
    }
    let listed = kms.list_keys().await.unwrap();
    let ours = listed.iter().filter(|key| key.as_str().starts_with("key-")).count();
    assert_eq!(ours, 120, "{listed:?}");
}

#[tokio::test]
async fn refused_credentials_are_told() {
    let moto = Moto::start().await;
    let kms = moto.provider();
    kms.create_key(&name("photos")).await.unwrap();
    moto.enforce("0").await;
    let made = kms.generate_data_key(&name("photos"), &context("b")).await;
    assert!(matches!(made, Err(KmsError::Denied(_))), "{made:?}");
    let listed = kms.list_keys().await;
    assert!(matches!(listed, Err(KmsError::Denied(_))), "{listed:?}");
    moto.enforce("1000000").await;
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
    assert_eq!(kms.key_status(&name("photos")).await.unwrap(), KeyStatus::Enabled);
}

#[tokio::test]
async fn a_name_that_no_alias_has_is_no_key() {
    let moto = Moto::start().await;
    let kms = moto.provider();
    let created = kms.create_key(&name("a.b")).await;
    assert!(matches!(created, Err(KmsError::Unsupported(_))), "{created:?}");
}
