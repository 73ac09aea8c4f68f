//! Stands in for `coffer-server`: TLS from its folder, 200 for whoever signs with its access key, and an end with its input.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use http::{Request, Response, header};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn setting(name: &str) -> String {
    std::env::var(name).expect(name)
}

fn answer(request: &Request<Incoming>) -> Response<Empty<Bytes>> {
    let access_key = std::fs::read_to_string(
        PathBuf::from(setting("COFFER_ROOT_CREDENTIALS")).join("accessKey"),
    )
    .unwrap();
    let signed = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let status = if signed.contains(&format!("Credential={access_key}/")) { 200 } else { 403 };
    Response::builder().status(status).body(Empty::new()).unwrap()
}

#[tokio::test]
#[ignore = "not a test: the server of the other tests"]
async fn serve() {
    let tls = PathBuf::from(setting("COFFER_TLS"));
    let chain = CertificateDer::pem_file_iter(tls.join("tls.crt"))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(tls.join("tls.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(
        config.with_no_client_auth().with_single_cert(chain, key).unwrap(),
    ));
    let id = PathBuf::from(setting("COFFER_DATA")).join("id");
    std::fs::write(id, std::process::id().to_string()).unwrap();
    assert_eq!(setting("COFFER_EXIT_WITH_STDIN"), "1");
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        std::process::exit(0);
    });
    let listener = TcpListener::bind(setting("COFFER_LISTEN")).await.unwrap();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Whoever only looks whether the port is open speaks no TLS.
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let service =
                service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(tls), service)
                    .await,
            );
        });
    }
}
