//! A service of a test's own that answers over TLS, for what no real service can be had for.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What is asked.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The certificate by which the client has shown who it is.
    pub(crate) client: Option<CertificateDer<'static>>,
}

/// Whether a client must have a certificate. Whose it is, the service itself looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    Anyone,
    Certified,
}

type Answer = (StatusCode, String);
type Handler = Arc<dyn Fn(Asked) -> Answer + Send + Sync>;

pub(crate) struct TlsService {
    address: SocketAddr,
    tls: TlsAcceptor,
    handler: Handler,
    task: Option<JoinHandle<()>>,
}

impl TlsService {
    /// With the folder's certificate.
    pub(crate) async fn start(
        folder: &Path,
        clients: Clients,
        handler: impl Fn(Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_file_iter(folder.join("tls/tls.crt")).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("tls/tls.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            Clients::Anyone => config.with_no_client_auth(),
            Clients::Certified => config.with_client_cert_verifier(Arc::new(AnyClient(provider))),
        };
        let tls = Arc::new(config.with_single_cert(chain, key).unwrap()).into();
        let address = coffer_tests::server::free_address();
        let mut service = Self { address, tls, handler: Arc::new(handler), task: None };
        service.resume().await;
        service
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends it, and every connection.
    pub(crate) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// At the same address.
    pub(crate) async fn resume(&mut self) {
        let (address, tls, handler) = (self.address, self.tls.clone(), Arc::clone(&self.handler));
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_taken) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        };
        self.task = Some(tokio::spawn(async move {
            // Its end is theirs.
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(serve(tcp, tls.clone(), Arc::clone(&handler)));
            }
        }));
    }
}

impl Drop for TlsService {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn serve(tcp: tokio::net::TcpStream, tls: TlsAcceptor, handler: Handler) {
    let Ok(stream) = tls.accept(tcp).await else { return };
    let certificates = stream.get_ref().1.peer_certificates();
    let client =
        certificates.and_then(|chain| chain.first()).cloned().map(CertificateDer::into_owned);
    let service = service_fn(|request: Request<Incoming>| {
        let (handler, client) = (Arc::clone(&handler), client.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let path = head.uri.path().to_owned();
            let (method, headers) = (head.method, head.headers);
            let (status, text) = handler(Asked { method, path, headers, body, client });
            let mut answer = Response::new(Full::new(Bytes::from(text)));
            *answer.status_mut() = status;
            Ok::<_, hyper::Error>(answer)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    connection.serve_connection(TokioIo::new(stream), service).await.ok();
}

/// Takes every certificate whose key the client has.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
