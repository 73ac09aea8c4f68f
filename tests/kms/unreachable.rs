//! A service that is away, for the providers that have one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coffer_server::encrypt::attempts::Limits;
use coffer_server::encrypt::aws_kms::{AwsKms, AwsKmsSettings, AwsLogin};
use coffer_server::encrypt::kes::{Kes, KesSettings};
use coffer_server::encrypt::kmip::{Kmip, KmipSettings};
use coffer_server::encrypt::vault::{Vault, VaultAuth, VaultSettings};
use coffer_sse::kms::{Kms, KmsError};
use coffer_tests::identity;
use http::StatusCode;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::suite::{context, name};
use crate::tls_service::{Clients, TlsService};

/// So that a test needn't wait long.
pub(crate) const SHORT: Limits = Limits {
    connect: Duration::from_millis(500),
    attempt: Duration::from_millis(500),
    total: Duration::from_millis(1500),
    attempts: 3,
    pause: Duration::from_millis(20),
};

fn providers(folder: &Path, address: &str) -> [Box<dyn Kms>; 5] {
    let ca: PathBuf = folder.join("ca.crt");
    let token = folder.join("token");
    std::fs::write(&token, "a-token-0000").unwrap();
    let vault = Vault::new(VaultSettings {
        address: address.to_owned(),
        ca: ca.clone(),
        mount: "transit".to_owned(),
        namespace: None,
        auth: VaultAuth::Token { file: token },
        limits: SHORT,
    });
    let aws = AwsKms::new(AwsKmsSettings {
        region: "eu-west-1".to_owned(),
        endpoint: Some(address.to_owned()),
        ca: ca.clone(),
        login: AwsLogin::Files(folder.join("root")),
        limits: SHORT,
    });
    let sts = AwsKms::new(AwsKmsSettings {
        region: "eu-west-1".to_owned(),
        endpoint: None,
        ca: ca.clone(),
        login: AwsLogin::WebIdentity {
            role_arn: "arn:aws:iam::123456789012:role/photos".to_owned(),
            token: folder.join("token"),
            endpoint: Some(address.to_owned()),
        },
        limits: SHORT,
    });
    let kmip = Kmip::new(KmipSettings {
        address: address.trim_start_matches("https://").to_owned(),
        ca: ca.clone(),
        credentials: folder.join("tls"),
        limits: SHORT,
    });
    let kes = Kes::new(KesSettings {
        address: address.to_owned(),
        ca,
        credentials: folder.join("tls"),
        limits: SHORT,
    });
    [
        Box::new(vault.unwrap()),
        Box::new(aws.unwrap()),
        Box::new(sts.unwrap()),
        Box::new(kmip.unwrap()),
        Box::new(kes.unwrap()),
    ]
}

async fn is_away(kms: &dyn Kms, case: &str) {
    let start = Instant::now();
    let made = kms.generate_data_key(&name("photos"), &context("b")).await;
    let Err(error @ KmsError::Unreachable(_)) = made else { panic!("{case}: {made:?}") };
    assert!(error.is_retryable());
    // Ten times what the limits say, for a machine that is busy.
    assert!(start.elapsed() < SHORT.total * 10, "{case}: {:?}", start.elapsed());
    let shown = format!("{error} {error:?} {kms:?}");
    for secret in ["a-token-0000", coffer_tests::server::SECRET_KEY] {
        assert!(!shown.contains(secret), "{case}: {shown}");
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_told_in_bounded_time() {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    for kms in providers(folder.path(), &format!("https://localhost:{}", address.port())) {
        is_away(&*kms, "nobody listens").await;
    }

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for kms in providers(folder.path(), &format!("https://localhost:{port}")) {
        is_away(&*kms, "nobody answers").await;
    }

    for kms in providers(folder.path(), "https://nowhere.invalid") {
        is_away(&*kms, "no such host").await;
    }
}

/// CVE-2022-31105, CVE-2025-67601.
#[tokio::test]
async fn section_9_a_service_is_believed_only_by_its_certificate() {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    for (wrong, issue) in identity::UNBELIEVABLE {
        issue(folder.path());
        let heard = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&heard);
        let service = TlsService::start(folder.path(), Clients::Anyone, move |_asked| {
            counted.fetch_add(1, Ordering::Relaxed);
            (StatusCode::OK, "{}".to_owned())
        })
        .await;
        // What the providers show of themselves is sound.
        identity::issue(folder.path(), 9);
        for kms in providers(folder.path(), &format!("https://localhost:{}", service.port())) {
            let made = kms.generate_data_key(&name("photos"), &context("b")).await;
            let Err(KmsError::Unreachable(why)) = made else { panic!("{wrong}: {made:?}") };
            assert!(why.contains("certificate"), "{wrong}: {why}");
        }
        assert_eq!(heard.load(Ordering::Relaxed), 0, "{wrong}");
    }
}
