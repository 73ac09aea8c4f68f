//! Whom the client trusts, and what it sends where.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rand::{SeedableRng, rngs::StdRng};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::authority::self_signed::{new_authority, new_server_certificate};
use crate::authority::{Authority, PrivateKey, ServerCertificate, SubjectName};

const HOST: &str = "photos.shop.svc.cluster.local";
const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

#[test]
fn a_kms_works_when_nothing_complains() {
    for (body, expected) in [
        (r#"{"key-id": "photos"}"#, None),
        (r#"{"endpoints": {"https://vault:8200": "online"}}"#, None),
        (
            r#"{"encryption-error": "down\u001b", "error-kind": "Unreachable"}"#,
            Some(("Unreachable", "down ")),
        ),
        (r#"{"decryption-error": "changed"}"#, Some(("Failing", "changed"))),
        (r#"{"error": "403", "error-kind": "Denied"}"#, Some(("Denied", "403"))),
    ] {
        let found = problem(body.as_bytes());
        let found = found.as_ref().map(|it| (it.kind.as_str(), it.text.as_str()));
        assert_eq!(found, expected, "{body}");
    }
    assert_eq!(problem(b"<html>").map(|problem| problem.kind), Some("Failing".to_owned()));
}

#[test]
fn only_a_plain_code_is_repeated() {
    for (xml, expected) in [
        ("<Error><Code>AccessDenied</Code></Error>", Some("AccessDenied".to_owned())),
        ("<Error><Code>Access\u{1b}[31mDenied</Code></Error>", None),
        ("<Error></Error>", None),
        ("not found", None),
    ] {
        assert_eq!(error_code(xml), expected, "{xml}");
    }
}

#[expect(clippy::disallowed_methods, reason = "TLS reads the machine's clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn names(name: &str) -> BTreeSet<SubjectName> {
    BTreeSet::from([SubjectName::parse(name).unwrap()])
}

/// An authority whose names are these, as of so many days ago.
fn authority(name: &str, seed: u64) -> Authority {
    let begin = now().checked_sub(Duration::from_hours(24 * 30)).unwrap();
    new_authority("photos", &names(name), begin, &mut StdRng::seed_from_u64(seed)).unwrap()
}

fn issue(authority: &Authority, name: &str, at: Timestamp) -> ServerCertificate {
    let (life, mut rng) = (Duration::from_hours(24), StdRng::seed_from_u64(3));
    new_server_certificate("photos", authority, &names(name), life, at, &mut rng).unwrap()
}

fn self_signed(name: &str) -> ServerCertificate {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKey::from_pem(made.signing_key.serialize_pem());
    ServerCertificate { chain: made.cert.pem(), key }
}

/// A server that answers each request so, and the requests that it got.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(certificate: &ServerCertificate, answer: String) -> Self {
        let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificate.key.reveal().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                // Whoever refuses the certificate breaks off here.
                let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
                let mut bytes = vec![0; 64 * 1024];
                let Ok(read @ 1..) = tls.read(&mut bytes).await else { continue };
                let request = String::from_utf8_lossy(&bytes[..read]).into_owned();
                seen.lock().unwrap().push(request);
                tls.write_all(answer.as_bytes()).await.unwrap();
                drop(tls.shutdown().await);
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn target(&self, authority: &Authority) -> Target {
        Target {
            address: self.address,
            host: HOST.to_owned(),
            port: 443,
            roots: authority.roots(),
            region: "us-east-1".to_owned(),
        }
    }
}

fn root() -> RootCredentials {
    RootCredentials::generate(&mut StdRng::seed_from_u64(9)).unwrap()
}

fn identity() -> KeyedCertificate {
    use crate::authority::control;
    let mut rng = StdRng::seed_from_u64(5);
    let authority = control::new("photos", now(), &mut rng).unwrap();
    let uri = control::name("shop", "photos");
    control::client_certificate(&authority, &uri, now(), &mut rng).unwrap()
}

/// CVE-2022-31105, CVE-2025-67601: a client that takes a certificate which it should refuse.
#[tokio::test]
async fn no_other_certificate_is_taken_and_nothing_is_sent_to_its_server() {
    let ours = authority(HOST, 1);
    let ago = |days: i64| now().checked_sub(jiff::SignedDuration::from_hours(24 * days)).unwrap();
    let chained = |leaf: &ServerCertificate, issuer: &Authority| {
        let (leaf, _) = leaf.chain.split_at(leaf.chain.find("-----END").unwrap() + 26);
        format!("{leaf}{}", issuer.intermediate.certificate)
    };
    let mut under_ours = issue(&authority(HOST, 2), HOST, now());
    under_ours.chain = chained(&under_ours, &ours);
    for (claim, certificate, is_taken) in [
        ("its own", issue(&ours, HOST, now()), true),
        (
            "a wrong name",
            issue(
                &authority("videos.shop.svc.cluster.local", 1),
                "videos.shop.svc.cluster.local",
                now(),
            ),
            false,
        ),
        (
            "a wrong name of the right root",
            issue(&ours, "videos.shop.svc.cluster.local", now()),
            false,
        ),
        ("one that has ended", issue(&ours, HOST, ago(2)), false),
        ("one that is yet to begin", issue(&ours, HOST, ago(-2)), false),
        ("self-signed", self_signed(HOST), false),
        ("another root of the same name", issue(&authority(HOST, 2), HOST, now()), false),
        ("another's leaf below our intermediate", under_ours, false),
    ] {
        let server = Server::start(&certificate, FINE.to_owned()).await;
        let target = server.target(&ours);
        let proven = prove(&target, &root(), RootS3Access::Enabled, now()).await;
        let (us, nothing) = (identity(), serde_json::Value::Null);
        let called = call(&target, &us, Method::GET, "status", &nothing).await;
        if is_taken {
            assert!(proven.is_ok() && called.is_ok(), "{claim}: {proven:?}, {called:?}");
            assert_eq!(server.requests().len(), 2, "{claim}");
        } else {
            assert!(matches!(proven, Err(ProbeError::Tls(_))), "{claim}: {proven:?}");
            let refused = matches!(called, Err(CallError::Probe(ProbeError::Tls(_))));
            assert!(refused, "{claim}: {called:?}");
            assert_eq!(server.requests(), Vec::<String>::new(), "{claim}");
        }
    }
}

/// CVE-2026-40161, CVE-2026-41323, CVE-2026-40868: the operator's token sent to where another says.
#[tokio::test]
async fn no_redirect_is_followed_and_no_token_is_sent() {
    let ours = authority(HOST, 1);
    let certificate = issue(&ours, HOST, now());
    let elsewhere = Server::start(&certificate, FINE.to_owned()).await;
    for status in [301, 302, 303, 307, 308] {
        let place = format!("https://{}/?x", elsewhere.address);
        let answer =
            format!("HTTP/1.1 {status} Moved\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n");
        let server = Server::start(&certificate, answer).await;
        let target = server.target(&ours);
        let proven = prove(&target, &root(), RootS3Access::Disabled, now()).await;
        let told = matches!(proven, Err(ProbeError::Answer { status: found, code: None }) if found == status);
        assert!(told, "{status}: {proven:?}");
        let (us, body) = (identity(), serde_json::json!({}));
        let called = call(&target, &us, Method::POST, "user", &body).await;
        let told =
            matches!(called, Err(CallError::Refused { status: found, .. }) if found == status);
        assert!(told, "{status}: {called:?}");
        let [signed, plain] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
        assert!(signed.contains("authorization: AWS4-HMAC-SHA256 "), "{signed}");
        assert!(!plain.to_lowercase().contains("authorization"), "{plain}");
        for request in [signed, plain] {
            assert!(!request.to_lowercase().contains("bearer"), "{request}");
        }
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}
