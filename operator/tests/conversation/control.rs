//! Stands in for a Tenant's server: it answers the control identity's calls, and knows whoever signs.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use coffer_crds::Tenant;
use coffer_operator::control::Target;
use coffer_operator::iam::Tenants;
use coffer_operator::settings::Settings;
use coffer_operator::tenant::dereference::{certificates, material};
use coffer_operator::tenant::found::Found;
use coffer_operator::tenant::validate::validate;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::cluster::Cluster;

type Answers = Arc<Mutex<BTreeMap<String, VecDeque<(u16, Value)>>>>;

/// The server.
pub(crate) struct Server {
    answers: Answers,
    bodies: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    /// Starts it for the Tenant, which answers from now on. Each call is noted among the cluster's requests.
    pub(crate) async fn start(cluster: &Cluster, tenant: &Value, ready: &Tenants) -> Self {
        let tenant: Tenant = serde_json::from_value(tenant.clone()).unwrap();
        let settings = Settings::example();
        let valid = validate(&tenant, &settings).unwrap();
        let (found, rng) = (Found::default(), &mut rand::rng());
        let certified = certificates(&valid, &found, now(), rng).unwrap();
        let (chain, key) = (certified.server.chain.clone(), certified.server.key.clone());
        let material = material(&valid, &found, certified, rng).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target {
            address: listener.local_addr().unwrap(),
            host: valid.service_host(&settings),
            port: 443,
            roots: material.authority.roots(),
            region: valid.region.clone(),
        };
        let endpoint = format!("https://{}", target.host);
        ready.publish(&valid, &material, target, endpoint, "run", now()).unwrap();
        let server = Self { answers: Answers::default(), bodies: Arc::default() };
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (answers, bodies) = (server.answers.clone(), server.bodies.clone());
        let note = Arc::new(Mutex::new(cluster.notes()));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (answers, bodies, note) = (answers.clone(), bodies.clone(), note.clone());
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(|request: Request<Incoming>| {
                        let (answers, bodies, note) =
                            (answers.clone(), bodies.clone(), note.clone());
                        async move {
                            let path = request.uri().path().to_owned();
                            let read = request.into_body().collect().await.unwrap().to_bytes();
                            let body = serde_json::from_slice(&read).unwrap_or(Value::Null);
                            let call = path.trim_start_matches("/minio/admin/v3/coffer/");
                            note.lock().unwrap()(format!("CALL {call}"));
                            bodies.lock().unwrap().push((call.to_owned(), body.clone()));
                            Ok::<_, Infallible>(answer(&answers, call, &body))
                        }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    drop(http.serve_connection(TokioIo::new(tls), service).await);
                });
            }
        });
        server
    }

    /// The next calls of this name are answered so, one after the other.
    pub(crate) fn answers(&self, call: &str, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.answers.lock().unwrap().entry(call.to_owned()).or_default().extend(answers);
    }

    /// All calls, each with what it said.
    pub(crate) fn all(&self) -> Vec<(String, Value)> {
        self.bodies.lock().unwrap().clone()
    }

    /// What the calls of this name said.
    pub(crate) fn bodies(&self, call: &str) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().filter(|(of, _)| of == call).map(|(_, body)| body.clone()).collect()
    }
}

fn answer(answers: &Answers, call: &str, body: &Value) -> Response<Full<Bytes>> {
    let told = answers.lock().unwrap().get_mut(call).and_then(VecDeque::pop_front);
    let (code, json) = told.unwrap_or_else(|| match call {
        // It is in force as it was put.
        "policy" => (200, json!({"document": body["document"]})),
        _ => (200, json!({})),
    });
    Response::builder().status(code).body(Full::from(json.to_string())).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "certificates are verified at the time that it is")]
fn now() -> Timestamp {
    Timestamp::now()
}
