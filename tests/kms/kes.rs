//! Keys behind the API of KES. No server of it can be had here: this one does what the API's documentation says, as strictly as it can.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_server::encrypt::attempts::Limits;
use coffer_server::encrypt::kes::{Kes, KesSettings};
use coffer_sse::kms::{Kms, KmsError};
use coffer_tests::identity;
use http::{Method, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::every_provider::{Service, Trust};
use crate::suite::{self, Creation, context, name};
use crate::tls_service::{Asked, Clients, TlsService};
use crate::unreachable::SHORT;

/// How many names an answer lists.
const PAGE: usize = 50;

pub(crate) struct KesApi {
    folder: TempDir,
    service: TlsService,
    state: Arc<Mutex<State>>,
}

struct State {
    keys: BTreeMap<String, [u8; 32]>,
    /// The public key of the one client that the policy lets in.
    client: Vec<u8>,
    allowed: bool,
}

fn public_key(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.tbs_certificate.subject_pki.raw.to_vec()
}

fn told(status: StatusCode, message: &str) -> (StatusCode, String) {
    (status, json!({ "message": message }).to_string())
}

impl State {
    fn answer(&mut self, asked: &Asked) -> (StatusCode, String) {
        let Asked { method, path, headers: _, body, client } = asked;
        let client = client.as_ref().map(public_key);
        if !self.allowed || client.as_ref() != Some(&self.client) {
            return told(StatusCode::FORBIDDEN, "not authorized: prohibited by policy");
        }
        let Some((operation, name)) =
            path.strip_prefix("/v1/key/").and_then(|rest| rest.split_once('/'))
        else {
            return told(StatusCode::NOT_FOUND, "not found");
        };
        match (method, operation) {
            (&Method::GET, "list") => return self.list(name),
            (&Method::POST, "create") => {
                assert!(body.is_empty(), "a creation has no body");
                if self.keys.contains_key(name) {
                    return told(StatusCode::BAD_REQUEST, "key already exists");
                }
                self.keys.insert(name.to_owned(), rand::random());
                return (StatusCode::OK, String::new());
            }
            _ => {}
        }
        let Some(key) = self.keys.get(name) else {
            return told(StatusCode::NOT_FOUND, "key does not exist");
        };
        let given: Value = serde_json::from_slice(body).unwrap_or_default();
        let bytes = |field: &str| STANDARD.decode(given[field].as_str().unwrap_or("?")).unwrap();
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
        match (method, operation) {
            (&Method::POST, "generate") => {
                let (plain, nonce): ([u8; 32], [u8; 12]) = (rand::random(), rand::random());
                let mut sealed = plain.to_vec();
                let associated = Aad::from(bytes("context"));
                let unique = Nonce::assume_unique_for_key(nonce);
                aead.seal_in_place_append_tag(unique, associated, &mut sealed).unwrap();
                let sealed = [&nonce[..], &sealed].concat();
                let (plaintext, ciphertext) = (STANDARD.encode(plain), STANDARD.encode(sealed));
                (StatusCode::OK, json!({"plaintext": plaintext, "ciphertext": ciphertext}).to_string())
            }
            (&Method::POST, "decrypt") => {
                let (sealed, associated) = (bytes("ciphertext"), Aad::from(bytes("context")));
                let opened = sealed.split_first_chunk::<12>().and_then(|(nonce, sealed)| {
                    let (nonce, mut sealed) = (Nonce::assume_unique_for_key(*nonce), sealed.to_vec());
                    let opened = aead.open_in_place(nonce, associated, &mut sealed).ok()?;
                    Some(STANDARD.encode(opened))
                });
                match opened {
                    Some(plaintext) => (StatusCode::OK, json!({"plaintext": plaintext}).to_string()),
                    None => told(StatusCode::BAD_REQUEST, "decryption failed: ciphertext is not authentic"),
                }
            }
            (&Method::GET, "describe") => (
                StatusCode::OK,
                json!({"name": name, "id": "1", "algorithm": "AES256", "created_at": "2024-01-01T00:00:00Z", "created_by": "x"})
                    .to_string(),
            ),
            _ => told(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
        }
    }

    /// Those with a prefix, or from a name on.
    fn list(&self, pattern: &str) -> (StatusCode, String) {
        let names: Vec<&String> = match pattern.strip_suffix('*') {
            Some(prefix) => self.keys.keys().filter(|name| name.starts_with(prefix)).collect(),
            None => self.keys.range(pattern.to_owned()..).map(|(name, _)| name).collect(),
        };
        let page: Vec<_> = names.iter().take(PAGE).collect();
        let next = names.get(PAGE).map(|name| name.as_str()).unwrap_or_default();
        let names = if page.is_empty() { Value::Null } else { json!(page) };
        (StatusCode::OK, json!({"names": names, "continue_at": next}).to_string())
    }
}

impl KesApi {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        identity::write(folder.path());
        identity::client(folder.path(), "client", "coffer");
        let client = CertificateDer::from_pem_file(folder.path().join("client/tls.crt")).unwrap();
        let client = public_key(&client);
        let state = State { keys: BTreeMap::new(), client, allowed: true };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let answer = move |asked: Asked| shared.lock().unwrap().answer(&asked);
        let service = TlsService::start(folder.path(), Clients::Certified, answer).await;
        Self { folder, service, state }
    }

    fn provider_of(&self, credentials: &Path, limits: Limits) -> Kes {
        Kes::new(KesSettings {
            address: format!("https://localhost:{}", self.service.port()),
            ca: self.folder.path().join("ca.crt"),
            credentials: credentials.to_owned(),
            limits,
        })
        .unwrap()
    }

    fn provider(&self, limits: Limits) -> Kes {
        self.provider_of(&self.folder.path().join("client"), limits)
    }
}

impl Service for KesApi {
    fn settings(&self, port: u16) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            ("COFFER_KMS_PROVIDER", "kes".to_owned()),
            ("COFFER_KMS_KES_ADDRESS", format!("https://localhost:{port}")),
            ("COFFER_KMS_CA", path("ca.crt")),
            ("COFFER_KMS_CREDENTIALS", path("client")),
        ]
    }

    fn port(&self) -> u16 {
        self.service.port()
    }

    fn stop(&mut self) {
        self.service.stop();
    }

    async fn start(&mut self) {
        self.service.resume().await;
    }
}

impl Trust for KesApi {
    fn withdraw(&mut self) {
        self.state.lock().unwrap().allowed = false;
    }

    fn give_back(&mut self) {
        self.state.lock().unwrap().allowed = true;
    }
}

#[tokio::test]
async fn passes_the_suite() {
    let service = KesApi::start().await;
    let open = || service.provider(Limits::default());
    suite::run(&open(), &open(), Creation::Works).await;
}

#[tokio::test]
async fn opens_after_both_sides_began_anew() {
    let mut service = KesApi::start().await;
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
async fn another_client_is_denied_and_the_next_certificate_taken_up() {
    let service = KesApi::start().await;
    let folder = service.folder.path();
    identity::client(folder, "other", "somebody");
    let kms = service.provider_of(&folder.join("other"), Limits::default());
    let created = kms.create_key(&name("photos")).await;
    assert!(matches!(created, Err(KmsError::Denied(_))), "{created:?}");
    for file in ["tls.crt", "tls.key"] {
        let new = folder.join("other").join("new");
        std::fs::copy(folder.join("client").join(file), &new).unwrap();
        std::fs::rename(new, folder.join("other").join(file)).unwrap();
    }
    kms.create_key(&name("photos")).await.unwrap();
    kms.generate_data_key(&name("photos"), &context("b")).await.unwrap();
}

#[tokio::test]
async fn lists_more_keys_than_an_answer_holds() {
    let service = KesApi::start().await;
    let kms = service.provider(Limits::default());
    assert_eq!(kms.list_keys().await.unwrap(), []);
    for n in 0..120 {
        kms.create_key(&name(&format!("key-{n:03}"))).await.unwrap();
    }
    let listed = kms.list_keys().await.unwrap();
    assert_eq!(listed.len(), 120, "{listed:?}");
}
