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
use rustls::AlertDescription;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

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
    /// The client's certificate and key can't be used together.
    #[error(
        "`{certificate}` and `{key}` can't be used together; put the key of that certificate there"
    )]
    Client {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[from] rustls::Error),
}

/// By what the server shows who it is: PEM files of a certificate, with those that lead to its CA, and of its key.
#[derive(Clone, Debug)]
pub(crate) struct ClientFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl ClientFiles {
    /// Those of a folder that is a mounted Secret of type `kubernetes.io/tls`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { certificate: folder.join("tls.crt"), key: folder.join("tls.key") }
    }
}

/// The files whose change is a change of [`tls`].
pub(crate) fn files<'a>(ca: &'a Path, client: Option<&'a ClientFiles>) -> Vec<&'a Path> {
    let client =
        client.map(|ClientFiles { certificate, key }| [certificate.as_path(), key.as_path()]);
    std::iter::once(ca).chain(client.into_iter().flatten()).collect()
}

/// TLS with whom the CAs in this file have certified.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn tls(
    ca: &Path,
    client: Option<&ClientFiles>,
) -> Result<rustls::ClientConfig, TrustError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|_unusable| TrustError::NoCertificate(ca.to_owned()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::NoCertificate(ca.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some(ClientFiles { certificate, key }) = client else {
        return Ok(tls.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let pem = Zeroizing::new(read(key)?);
    let private =
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| TrustError::Pem(key.clone(), error))?;
    tls.with_client_auth_cert(chain, private).map_err(|cause| TrustError::Client {
        certificate: certificate.clone(),
        key: key.clone(),
        cause,
    })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    CertificateDer::pem_slice_iter(&read(file)?)
        .map(|certificate| certificate.map_err(|error| TrustError::Pem(file.to_owned(), error)))
        .collect()
}

fn read(file: &Path) -> Result<Vec<u8>, TrustError> {
    std::fs::read(file).map_err(|error| TrustError::Read(file.to_owned(), error))
}

/// Connections by this TLS. `connect` bounds the time to connect, without TLS.
pub(crate) fn pool(tls: rustls::ClientConfig, connect: Duration) -> Connections {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_mins(1))
        .pool_max_idle_per_host(8)
        .build(connector)
}

/// Connections to whom the CAs in this file have certified. `connect` bounds the time to connect, without TLS.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn connections(ca: &Path, connect: Duration) -> Result<Connections, TrustError> {
    Ok(pool(tls(ca, None)?, connect))
}

/// Whether the other side has ended TLS because of who this server is.
pub(crate) fn refuses_client(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::AlertReceived(alert)) = error.downcast_ref::<rustls::Error>() {
            return matches!(
                alert,
                AlertDescription::BadCertificate
                    | AlertDescription::UnsupportedCertificate
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::UnknownCA
                    | AlertDescription::AccessDenied
                    | AlertDescription::CertificateRequired
            );
        }
        // An IO error's source is that of what it holds.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
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
