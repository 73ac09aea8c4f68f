//! A Tenant's certificate authority: a root, under it an intermediate that may sign only the Tenant's names, under that
//! the server's certificate. All ECDSA P-256.
//!
//! The constraints sit on the intermediate, because Java ignores those of a root. Subjects are distinct, key identifiers
//! and usages are set: without them OpenSSL and Python refuse the chain in strict mode.

pub mod control;
pub mod renewal;
pub mod rotation;
pub mod self_signed;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use x509_parser::prelude::{FromDer, Pem, X509Certificate};
use zeroize::Zeroizing;

/// The key of the leaf and intermediate certificates in the Secret that the pod mounts.
pub const TLS_CERTIFICATE: &str = "tls.crt";
/// The key of the leaf's private key in the Secret that the pod mounts.
pub const TLS_KEY: &str = "tls.key";
/// The key of the roots in the `ConfigMap` that clients use.
pub const CA_CERTIFICATES: &str = "ca.crt";

const ROOT_CERTIFICATE: &str = "root.crt";
const ROOT_KEY: &str = "root.key";
const INTERMEDIATE_CERTIFICATE: &str = "intermediate.crt";
const INTERMEDIATE_KEY: &str = "intermediate.key";
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const PREVIOUS_CERTIFICATES: &str = "previous.crt";

/// One name of a server certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectName {
    /// A DNS name, perhaps with a wildcard as its first label.
    Dns(String),
    /// An IP address.
    Address(IpAddr),
}

impl SubjectName {
    /// Reads a DNS name or an IP address.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address));
        }
        let labels = text.strip_prefix("*.").unwrap_or(text);
        let label_is_fine = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let fine = text.len() <= 253 && labels.split('.').all(label_is_fine);
        fine.then(|| Self::Dns(text.to_owned()))
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A private key as PEM text. It is shown nowhere.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<String>);

impl PrivateKey {
    /// Takes PEM text.
    pub fn from_pem(pem: String) -> Self {
        Self(Zeroizing::new(pem))
    }

    /// The PEM text, to write into a Secret or to sign with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// A certificate with its private key.
#[derive(Clone, Debug)]
pub struct KeyedCertificate {
    /// The certificate as PEM text.
    pub certificate: String,
    /// Its private key.
    pub key: PrivateKey,
}

/// A Tenant's root and intermediate with their keys, and the roots before and after.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Signs the intermediate and nothing else.
    pub root: KeyedCertificate,
    /// Signs server certificates of the Tenant's names.
    pub intermediate: KeyedCertificate,
    /// The root that takes over from `root`, once clients had time to take it. It signs nothing until then.
    pub next: Option<KeyedCertificate>,
    /// Roots that signed before, the newest first, as PEM text of one each. They are still trusted; their keys are gone.
    pub previous: Vec<String>,
}

/// A server certificate: the leaf, the intermediate after it, and the leaf's key.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// Leaf and intermediate as PEM text.
    pub chain: String,
    /// The leaf's key.
    pub key: PrivateKey,
}

/// What is wrong with the stored authority, or with making one.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A part isn't there.
    #[error("key `{0}` is missing or empty")]
    Missing(&'static str),
    /// A part isn't what it should be.
    #[error("key `{0}` isn't a PEM certificate or key of this authority")]
    Unreadable(&'static str),
    /// Making a key or a certificate failed.
    #[error("a certificate can't be made")]
    Issue(#[from] rcgen::Error),
    /// A time is outside what a certificate can hold.
    #[error("`{0}` is outside of what a certificate can hold")]
    Time(Timestamp),
}

impl Authority {
    /// Reads an authority from the data of its Secret.
    ///
    /// # Errors
    /// [`AuthorityError::Missing`] or [`AuthorityError::Unreadable`] with the key in the Secret.
    pub fn parse(data: &BTreeMap<String, ByteString>) -> Result<Self, AuthorityError> {
        let pair = |certificate: &'static str, key: &'static str| {
            let pair = KeyedCertificate {
                certificate: text(data, certificate)?,
                key: PrivateKey::from_pem(text(data, key)?),
            };
            let facts = CertificateFacts::parse(&pair.certificate)
                .ok_or(AuthorityError::Unreadable(certificate))?;
            if public_key(&pair.key) != Some(facts.public_key) {
                return Err(AuthorityError::Unreadable(key));
            }
            Ok(pair)
        };
        let has = |key| data.contains_key(key);
        let next = (has(NEXT_CERTIFICATE) || has(NEXT_KEY))
            .then(|| pair(NEXT_CERTIFICATE, NEXT_KEY))
            .transpose()?;
        let previous = if has(PREVIOUS_CERTIFICATES) {
            let unreadable = AuthorityError::Unreadable(PREVIOUS_CERTIFICATES);
            let text = text(data, PREVIOUS_CERTIFICATES)?;
            let previous: Option<Vec<String>> = certificates_of(&text).collect();
            previous.filter(|roots| !roots.is_empty()).ok_or(unreadable)?
        } else {
            Vec::new()
        };
        Ok(Self {
            root: pair(ROOT_CERTIFICATE, ROOT_KEY)?,
            intermediate: pair(INTERMEDIATE_CERTIFICATE, INTERMEDIATE_KEY)?,
            next,
            previous,
        })
    }

    /// The data of the authority's Secret.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        let Self { root, intermediate, next, previous } = self;
        let mut texts = vec![
            (ROOT_CERTIFICATE, root.certificate.as_str()),
            (ROOT_KEY, root.key.reveal()),
            (INTERMEDIATE_CERTIFICATE, intermediate.certificate.as_str()),
            (INTERMEDIATE_KEY, intermediate.key.reveal()),
        ];
        if let Some(next) = next {
            texts.push((NEXT_CERTIFICATE, next.certificate.as_str()));
            texts.push((NEXT_KEY, next.key.reveal()));
        }
        let previous = previous.concat();
        if !previous.is_empty() {
            texts.push((PREVIOUS_CERTIFICATES, previous.as_str()));
        }
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        texts.into_iter().map(|(key, text)| (key.to_owned(), bytes(text))).collect()
    }

    /// The certificates that clients trust, as PEM text: the root that signs, the next one, those before.
    pub fn roots(&self) -> String {
        let next = self.next.as_ref().map(|next| next.certificate.as_str()).unwrap_or_default();
        format!("{}{next}{}", self.root.certificate, self.previous.concat())
    }
}

impl ServerCertificate {
    /// Reads a server certificate from the data of its Secret; none where a part is missing.
    pub fn parse(data: &BTreeMap<String, ByteString>) -> Option<Self> {
        Some(Self {
            chain: text(data, TLS_CERTIFICATE).ok()?,
            key: PrivateKey::from_pem(text(data, TLS_KEY).ok()?),
        })
    }

    /// The data of the Secret that the pod mounts.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        [(TLS_CERTIFICATE, self.chain.as_str()), (TLS_KEY, self.key.reveal())]
            .map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())))
            .into()
    }
}

fn text(data: &BTreeMap<String, ByteString>, key: &'static str) -> Result<String, AuthorityError> {
    let bytes =
        &data.get(key).filter(|value| !value.0.is_empty()).ok_or(AuthorityError::Missing(key))?.0;
    String::from_utf8(bytes.clone()).map_err(|_not_text| AuthorityError::Unreadable(key))
}

/// Each certificate of a PEM text, as PEM text of its own; `None` in the place of what isn't one.
fn certificates_of(text: &str) -> impl Iterator<Item = Option<String>> {
    Pem::iter_from_buffer(text.as_bytes()).map(|pem| {
        let pem = pem.ok()?;
        X509Certificate::from_der(&pem.contents).ok()?;
        let base64 = STANDARD.encode(&pem.contents);
        let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for line in base64.as_bytes().chunks(64) {
            text.extend([&*String::from_utf8_lossy(line), "\n"]);
        }
        Some(text + "-----END CERTIFICATE-----\n")
    })
}

/// The raw public key of a private key.
fn public_key(key: &PrivateKey) -> Option<Vec<u8>> {
    let pair = rcgen::KeyPair::from_pem(key.reveal()).ok()?;
    Some(pair.public_key_raw().to_vec())
}

/// What is read from a certificate, never from what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The certificate's DER form.
    pub der: Vec<u8>,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// SHA-256 of its DER form in hexadecimal digits.
    pub fingerprint: String,
    /// Its raw public key.
    pub public_key: Vec<u8>,
    /// The names that it speaks for.
    pub names: BTreeSet<SubjectName>,
    /// The DNS names below which it may sign; only an authority has them.
    pub permitted: BTreeSet<SubjectName>,
}

impl CertificateFacts {
    /// Reads the first certificate of a PEM text.
    pub fn parse(pem: &str) -> Option<Self> {
        let pem = Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
        let (_, certificate) = X509Certificate::from_der(&pem.contents).ok()?;
        let validity = certificate.validity();
        Some(Self {
            not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
            serial: hex::encode(certificate.raw_serial()),
            fingerprint: hex::encode(aws_lc_rs::digest::digest(
                &aws_lc_rs::digest::SHA256,
                &pem.contents,
            )),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
            names: subject_names(&certificate)?,
            permitted: permitted_names(&certificate)?,
            der: pem.contents.clone(),
        })
    }
}

fn subject_names(certificate: &X509Certificate<'_>) -> Option<BTreeSet<SubjectName>> {
    let names = certificate.subject_alternative_name().ok()?.map(|extension| extension.value);
    Some(names.iter().flat_map(|names| &names.general_names).filter_map(subject_name).collect())
}

fn permitted_names(certificate: &X509Certificate<'_>) -> Option<BTreeSet<SubjectName>> {
    let constraints = certificate.name_constraints().ok()?.map(|extension| extension.value);
    let subtrees = constraints
        .and_then(|constraints| constraints.permitted_subtrees.clone())
        .unwrap_or_default();
    Some(subtrees.iter().filter_map(|subtree| subject_name(&subtree.base)).collect())
}

fn subject_name(name: &x509_parser::extensions::GeneralName<'_>) -> Option<SubjectName> {
    use x509_parser::extensions::GeneralName;
    match name {
        GeneralName::DNSName(name) => Some(SubjectName::Dns((*name).to_owned())),
        // A constraint holds an address and its mask; ours are always whole addresses.
        GeneralName::IPAddress(bytes) => {
            let v4 = bytes
                .first_chunk::<4>()
                .filter(|_| matches!(bytes.len(), 4 | 8))
                .map(|bytes| IpAddr::from(*bytes));
            let v6 = || {
                bytes
                    .first_chunk::<16>()
                    .filter(|_| matches!(bytes.len(), 16 | 32))
                    .map(|bytes| IpAddr::from(*bytes))
            };
            v4.or_else(v6).map(SubjectName::Address)
        }
        _ => None,
    }
}
