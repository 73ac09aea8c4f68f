//! A proxy between the operator and the apiserver: it numbers the operator's writes and tells when one has gone through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpListener;

/// A running proxy; it ends with the runtime.
#[derive(Debug, Clone)]
pub struct Proxy {
    address: SocketAddr,
    writes: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts one before the apiserver at `server` (`https://…`), whose certificate is of `roots_pem`.
    ///
    /// `written` is called after each write was carried out, with its number from 1, before the operator hears of it.
    pub async fn start(
        server: &str,
        roots_pem: &[u8],
        written: impl Fn(u64) + Send + Sync + 'static,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(roots_pem) {
            roots.add(certificate.expect("a certificate")).expect("a root");
        }
        let tls = ClientConfig::builder_with_provider(
            rustls::crypto::aws_lc_rs::default_provider().into(),
        )
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        let client: Client<HttpsConnector<HttpConnector>, Incoming> =
            Client::builder(TokioExecutor::new()).build(connector);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let writes = Arc::new(AtomicU64::new(0));
        let server: Uri = server.parse().expect("a URL");
        let (counter, written) = (Arc::clone(&writes), Arc::new(written));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, server, counter, written) =
                    (client.clone(), server.clone(), Arc::clone(&counter), Arc::clone(&written));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (client, server, counter, written) = (
                            client.clone(),
                            server.clone(),
                            Arc::clone(&counter),
                            Arc::clone(&written),
                        );
                        async move {
                            Ok::<_, std::convert::Infallible>(
                                forward(request, &client, &server, &counter, &*written).await,
                            )
                        }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    // The operator was killed in mid-request: that is what this is for.
                    drop(connection.await);
                });
            }
        });
        Self { address, writes }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes so far; beginning anew.
    pub fn reset(&self) -> u64 {
        self.writes.swap(0, Ordering::SeqCst)
    }
}

async fn forward(
    mut request: Request<Incoming>,
    client: &Client<HttpsConnector<HttpConnector>, Incoming>,
    server: &Uri,
    writes: &AtomicU64,
    written: &(impl Fn(u64) + ?Sized),
) -> Response<BoxBody<Bytes, hyper::Error>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    // Leases and events are not what a Tenant is made of.
    let counts =
        request.method() != Method::GET && !path.contains("/leases") && !path.contains("/events");
    *request.uri_mut() =
        format!("https://{}{path}", server.authority().expect("a host")).parse().expect("a URL");
    request.headers_mut().remove(header::HOST);
    let answer = match client.request(request).await {
        Ok(answer) => answer.map(BodyExt::boxed),
        Err(error) => {
            let body =
                Full::new(Bytes::from(error.to_string())).map_err(|never| match never {}).boxed();
            let mut answer = Response::new(body);
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
    };
    if counts && answer.status().is_success() {
        written(writes.fetch_add(1, Ordering::SeqCst).saturating_add(1));
    }
    answer
}
