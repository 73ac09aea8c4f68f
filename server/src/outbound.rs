//! Connections that the server opens itself: TLS 1.2 or later, to whom a CA of the tenant's choice has certified.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// A pool of HTTPS connections.
pub(crate) type Connections = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why a CA's file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It can't be read.
    #[error("can't read `{0}`: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// It isn't PEM.
    #[error("`{0}` isn't PEM: {1}")]
    Pem(PathBuf, #[source] pem::Error),
    /// It has no certificate, or one that can't be a CA.
    #[error("`{0}` holds no CA certificate that can be used")]
    NoCertificate(PathBuf),
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[from] rustls::Error),
}

/// Connections to whom the CAs in this file have certified. `connect` bounds the time to connect, without TLS.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn connections(ca: &Path, connect: Duration) -> Result<Connections, TrustError> {
    let pem = std::fs::read(ca).map_err(|error| TrustError::Read(ca.to_owned(), error))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| TrustError::Pem(ca.to_owned(), error))?;
        roots.add(certificate).map_err(|_unusable| TrustError::NoCertificate(ca.to_owned()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::NoCertificate(ca.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_mins(1))
        .pool_max_idle_per_host(8)
        .build(connector))
}

/// What an error says, and what it comes from, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
