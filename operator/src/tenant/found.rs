//! What a Tenant names and what the operator keeps for it, as found: Secrets and ConfigMaps by name.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The data of a Secret.
pub type SecretData = BTreeMap<String, ByteString>;

/// The Secrets of a Tenant as found; none where one doesn't exist.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "it holds keys")]
pub struct Found {
    /// The authority's keys.
    pub authority: Option<SecretData>,
    /// The `ConfigMap` of roots that clients were given to trust.
    pub ca: Option<SecretData>,
    /// The server certificate.
    pub tls: Option<SecretData>,
    /// Root credentials, brought or generated.
    pub root: Option<SecretData>,
    /// The key that identities and policies are sealed by.
    pub iam: Option<SecretData>,
    /// Keys of the KMS, or credentials for it.
    pub kms: Option<SecretData>,
    /// The `ConfigMap` of certificates by which the KMS is known.
    pub kms_ca: Option<SecretData>,
    /// The token for the audit webhook.
    pub audit_token: Option<SecretData>,
    /// The Secret or `ConfigMap` of certificates by which the audit webhook is known.
    pub audit_ca: Option<SecretData>,
    /// The control authority.
    pub control: Option<SecretData>,
}

/// A value of an object; nothing where there is none.
pub(super) fn value<'a>(data: &'a SecretData, key: &str) -> &'a [u8] {
    data.get(key).map(|value| value.0.as_slice()).unwrap_or_default()
}

/// Whether this is certificates as PEM text, one at least.
pub(super) fn are_certificates(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    let is_one = |der: CertificateDer<'_>| X509Certificate::from_der(&der).is_ok();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok_and(is_one))
}
