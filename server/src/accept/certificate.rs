//! The server's certificate: reloaded while it serves, with no connection dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsVersion;

/// Why a certificate can't be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is missing or isn't PEM.
    #[error("can't read `{file}`; it has to hold PEM")]
    Unreadable {
        /// The file's path.
        file: String,
        /// Why.
        #[source]
        cause: rustls_pki_types::pem::Error,
    },
    /// `tls.crt` holds no certificate.
    #[error("`tls.crt` holds no certificate; put the server's first, then its intermediates")]
    Empty,
    /// The authority of client certificates can't be used.
    #[error(
        "the authority of client certificates can't be used; put one certificate into `ca.crt`"
    )]
    Authority(#[source] VerifierBuilderError),
    /// One of its certificates can't be used.
    #[error("a certificate in `ca.crt` can't be used")]
    AuthorityCertificate(#[source] rustls::Error),
    /// The cryptographic provider lacks a version of TLS; it doesn't.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
    /// The key can't be used, or isn't the certificate's.
    #[error("`tls.key` doesn't fit `tls.crt`; write both from the same issue")]
    Key(#[source] rustls::Error),
}

/// The files that hold a certificate, within a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    vec![folder.join("tls.crt"), folder.join("tls.key")]
}

/// Reads `tls.crt` and `tls.key` in `folder` and checks that they belong together.
///
/// # Errors
/// [`CertificateError`] names the file and the fault.
pub fn read(folder: &Path) -> Result<CertifiedKey, CertificateError> {
    let unreadable = |file: &Path| {
        let file = file.display().to_string();
        move |cause| CertificateError::Unreadable { file, cause }
    };
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&certificate)
        .map_err(unreadable(&certificate))?
        .collect::<Result<_, _>>()
        .map_err(unreadable(&certificate))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty);
    }
    let key = PrivateKeyDer::from_pem_file(&key).map_err(unreadable(&key))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(CertificateError::Key)
}

fn read_authority(folder: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for file in authority_files(folder) {
        let unreadable = |cause| {
            let file = file.display().to_string();
            CertificateError::Unreadable { file, cause }
        };
        for certificate in CertificateDer::pem_file_iter(&file).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            roots.add(certificate).map_err(CertificateError::AuthorityCertificate)?;
        }
    }
    Ok(roots)
}

/// Hands every new connection the certificate of that moment.
#[derive(Debug)]
struct Current(Arc<ArcSwap<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The file that holds the authority of client certificates, within a folder.
pub fn authority_files(folder: &Path) -> Vec<PathBuf> {
    vec![folder.join("ca.crt")]
}

/// The TLS side of the listener: HTTP/2 and HTTP/1.1, the certificate as it is at each handshake. With the folder of an
/// authority, clients are asked for a certificate of it, and served without one as before.
///
/// # Errors
/// [`CertificateError`] if the authority can't be used.
pub fn tls(
    certificate: Arc<ArcSwap<CertifiedKey>>,
    oldest: TlsVersion,
    authority: Option<&Path>,
) -> Result<ServerConfig, CertificateError> {
    let versions: &[_] = match oldest {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(CertificateError::Tls)?;
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(folder) => {
            let roots = Arc::new(read_authority(folder)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated()
                .build()
                .map_err(CertificateError::Authority)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(Current(certificate)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
