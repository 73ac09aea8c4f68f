//! Someone whom audit records are posted to, over TLS with the certificate of a test's folder.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A running receiver; it ends with the runtime.
#[derive(Debug)]
pub struct Webhook {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    answers: StatusCode,
    posts: usize,
    broken_off: usize,
    taken: String,
    authorization: Option<String>,
}

impl Webhook {
    /// Starts one that answers `503` to all posts, with the certificate in `folder/tls`.
    pub async fn start(folder: &Path) -> Self {
        let read = |name| std::fs::read(folder.join("tls").join(name)).expect("a file");
        let chain = CertificateDer::pem_slice_iter(&read("tls.crt"))
            .map(|certificate| certificate.expect("a certificate"))
            .collect();
        let key = PrivateKeyDer::from_pem_slice(&read("tls.key")).expect("a key");
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate with its key");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            answers: StatusCode::SERVICE_UNAVAILABLE,
            posts: 0,
            broken_off: 0,
            taken: String::new(),
            authorization: None,
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        state.lock().unwrap_or_else(PoisonError::into_inner).broken_off += 1;
                        return;
                    };
                    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    drop(connection.await);
                });
            }
        });
        Self { address, state }
    }

    /// What a server is told of it.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/records", self.address.port())
    }

    /// From now on it answers this.
    pub fn answers(&self, status: StatusCode) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).answers = status;
    }

    /// How often it was posted to.
    pub fn posts(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).posts
    }

    /// How often a client broke the handshake off.
    pub fn broken_off(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).broken_off
    }

    /// All lines that it took.
    pub fn taken(&self) -> String {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).taken.clone()
    }

    /// `Authorization` of the last post.
    pub fn authorization(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).authorization.clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let authorization = request.headers().get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = request.into_body().collect().await;
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.posts += 1;
    state.authorization = authorization;
    let mut response = Response::new(Empty::new());
    match body {
        Ok(body) if state.answers.is_success() => {
            state.taken.push_str(&String::from_utf8_lossy(&body.to_bytes()));
        }
        Ok(_) | Err(_) => *response.status_mut() = state.answers,
    }
    Ok(response)
}
