//! Speaks with a Tenant's server, over TLS that trusts the Tenant's own root and nothing else.
//!
//! [`prove`] is what `Ready` means: a signed request that the server answered. [`ask_kms`] is the proof behind
//! `KmsReachable`: a data key that the server had made and opened.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_crds::tenant::RootS3Access;
use coffer_signature::{Credentials, PayloadHash, SignError, Signer};
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::authority::KeyedCertificate;
use crate::root_credentials::RootCredentials;

/// How long one request may take, with connecting.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the question about the KMS may take: a server that waits for its KMS gives up earlier, twice in a row.
const KMS_PATIENCE: Duration = Duration::from_secs(25);
/// No answer that is read here is longer.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Where a server is and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The name that the certificate must have, and the request's `Host`.
    pub host: String,
    /// The port in the request's `Host`, where it isn't 443.
    pub port: u16,
    /// The only roots that are trusted, as PEM text.
    pub roots: String,
    /// The region to sign for.
    pub region: String,
}

/// Why the proof failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection.
    #[error("can't connect to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The server isn't who it should be, or speaks no TLS.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The roots or the name can't be used.
    #[error("the tenant's roots or name can't be used for TLS")]
    Setup(#[from] rustls::Error),
    /// A certificate isn't readable.
    #[error("the tenant's roots aren't PEM certificates")]
    Roots(#[from] rustls::pki_types::pem::Error),
    /// The name isn't a DNS name or address.
    #[error("`{0}` isn't a server name")]
    Name(String),
    /// The request can't be made.
    #[error("the request can't be made")]
    Request(#[from] http::Error),
    /// The request can't be signed.
    #[error("the request can't be signed")]
    Sign(#[from] SignError),
    /// The connection broke.
    #[error("the connection broke")]
    Http(#[from] hyper::Error),
    /// The server answered something else.
    #[error("the server answered {status}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Answer {
        /// The HTTP status.
        status: StatusCode,
        /// The S3 error code, where the answer has one.
        code: Option<String>,
    },
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// Whether the server knows who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It does, whether or not it allows anything.
    Known,
    /// It doesn't; the code of its error.
    Unknown(String),
}

/// Why a call of the control identity failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no answer.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The server says no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The code of its error.
        code: String,
        /// What it says.
        message: String,
    },
}

/// Asks for what root may see, the list of buckets or what the server says of itself, signed by the root credentials, and is content with
/// 200 alone.
///
/// # Errors
/// [`ProbeError`] says how far it came.
pub async fn prove(
    target: &Target,
    root: &RootCredentials,
    access: RootS3Access,
    now: Timestamp,
) -> Result<(), ProbeError> {
    let path = match access {
        RootS3Access::Enabled => "/",
        RootS3Access::Disabled => "/minio/admin/v3/info",
    };
    let (status, body) = signed(target, root.credentials(), path, PATIENCE, now).await?;
    let code = error_code(&String::from_utf8_lossy(&body));
    if status == StatusCode::OK { Ok(()) } else { Err(ProbeError::Answer { status, code }) }
}

/// Asks for the list of buckets, signed by `credentials`: whether these are known. What they may is another question.
///
/// # Errors
/// [`ProbeError`] when there is no answer that says so.
pub async fn knows(
    target: &Target,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<Signature, ProbeError> {
    let (status, body) = signed(target, credentials, "/", PATIENCE, now).await?;
    let code = error_code(&String::from_utf8_lossy(&body));
    match (status, code.as_deref()) {
        (StatusCode::OK, _) | (StatusCode::FORBIDDEN, Some("AccessDenied")) => Ok(Signature::Known),
        (StatusCode::FORBIDDEN, Some(code)) => Ok(Signature::Unknown(code.to_owned())),
        (_, _) => Err(ProbeError::Answer { status, code }),
    }
}

/// Makes a call of the admin API below `coffer/` as the control identity.
///
/// # Errors
/// [`CallError`].
pub async fn call(
    target: &Target,
    identity: &KeyedCertificate,
    method: Method,
    call: &str,
    body: &serde_json::Value,
) -> Result<serde_json::Value, CallError> {
    let text = if method == Method::GET { String::new() } else { body.to_string() };
    let request = Request::builder()
        .method(method)
        .uri(format!("/minio/admin/v3/coffer/{call}"))
        .header(HOST, host(target)?)
        .body(Full::new(Bytes::from(text)))
        .map_err(ProbeError::from)?;
    let (status, answer) = answered(target, request, PATIENCE, Some(identity)).await?;
    read(status, &answer)
}

/// Asks a server to explain a decision: the parameters of the call in `query`, and what is known of the request.
///
/// # Errors
/// [`CallError`].
pub async fn explain(
    target: &Target,
    credentials: &Credentials,
    query: &str,
    context: Option<&serde_json::Value>,
    now: Timestamp,
) -> Result<serde_json::Value, CallError> {
    let body = context.map(ToString::to_string).unwrap_or_default();
    let asked = Asked { path: "/minio/admin/v3/explain", query, body };
    let (status, answer) = signed(target, credentials, asked, PATIENCE, now).await?;
    read(status, &answer)
}

/// The JSON of an answer, or what its error says.
fn read(status: StatusCode, answer: &[u8]) -> Result<serde_json::Value, CallError> {
    let json: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    if status.is_success() {
        return Ok(json);
    }
    let text = |name: &str| json.get(name).and_then(|text| text.as_str()).unwrap_or_default();
    let (code, message) =
        (text("Code").to_owned(), text("Message").trim_end_matches('.').to_owned());
    Err(CallError::Refused { status, code, message })
}

/// What is asked of a server about its KMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmsQuestion {
    /// To make a data key under the default key, and to open it.
    DefaultKey,
    /// Whether the KMS answers at all.
    Service,
}

/// What is wrong with a KMS, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsProblem {
    /// `Unreachable`, `Denied`, `KeyUnusable` or another.
    pub kind: String,
    /// What a person should know.
    pub text: String,
}

/// Asks a server to try its KMS; `None`: it works.
///
/// # Errors
/// [`ProbeError`] when the server can't be asked.
pub async fn ask_kms(
    target: &Target,
    root: &RootCredentials,
    question: KmsQuestion,
    now: Timestamp,
) -> Result<Option<KmsProblem>, ProbeError> {
    let path = match question {
        KmsQuestion::DefaultKey => "/minio/kms/v1/key/status",
        KmsQuestion::Service => "/minio/kms/v1/status",
    };
    let (status, body) = signed(target, root.credentials(), path, KMS_PATIENCE, now).await?;
    if status == StatusCode::OK {
        return Ok(problem(&body));
    }
    Err(ProbeError::Answer { status, code: error_code(&String::from_utf8_lossy(&body)) })
}

/// What the answer about a KMS complains of.
fn problem(body: &[u8]) -> Option<KmsProblem> {
    let unreadable = || KmsProblem {
        kind: "Failing".to_owned(),
        text: "the server's answer isn't JSON; is its image older than the operator?".to_owned(),
    };
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        return Some(unreadable());
    };
    let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
    let what = text("encryption-error").or_else(|| text("decryption-error"));
    let what = what.or_else(|| text("error"))?;
    let clean = what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    Some(KmsProblem { kind: text("error-kind").unwrap_or("Failing").to_owned(), text: clean })
}

/// What a signed GET asks for.
#[derive(Default)]
struct Asked<'a> {
    path: &'a str,
    query: &'a str,
    body: String,
}

impl<'a> From<&'a str> for Asked<'a> {
    fn from(path: &'a str) -> Self {
        Self { path, ..Self::default() }
    }
}

/// A signed GET: its status and body.
async fn signed<'a>(
    target: &Target,
    credentials: &Credentials,
    asked: impl Into<Asked<'a>>,
    patience: Duration,
    now: Timestamp,
) -> Result<(StatusCode, Bytes), ProbeError> {
    let Asked { path, query, body } = asked.into();
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host(target)?);
    let signer = Signer { credentials, region: &target.region, service: "s3" };
    let hash = PayloadHash::of(body.as_bytes());
    signer.sign_headers(&Method::GET, path, query, &mut headers, &hash, now)?;
    let uri = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut request = Request::get(uri).body(Full::new(Bytes::from(body)))?;
    *request.headers_mut() = headers;
    answered(target, request, patience, None).await
}

fn host(target: &Target) -> Result<HeaderValue, ProbeError> {
    let host = match target.port {
        443 => target.host.clone(),
        port => format!("{}:{port}", target.host),
    };
    HeaderValue::from_str(&host).map_err(|_invalid| ProbeError::Name(host))
}

async fn answered(
    target: &Target,
    request: Request<Full<Bytes>>,
    patience: Duration,
    identity: Option<&KeyedCertificate>,
) -> Result<(StatusCode, Bytes), ProbeError> {
    tokio::time::timeout(patience, exchange(target, request, identity))
        .await
        .map_err(|_elapsed| ProbeError::Timeout(patience))?
}

async fn exchange(
    target: &Target,
    request: Request<Full<Bytes>>,
    identity: Option<&KeyedCertificate>,
) -> Result<(StatusCode, Bytes), ProbeError> {
    let refused = |cause| ProbeError::Connect { address: target.address, cause };
    let tcp = TcpStream::connect(target.address).await.map_err(refused)?;
    tcp.set_nodelay(true).map_err(refused)?;
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_invalid| ProbeError::Name(target.host.clone()))?;
    let tls = TlsConnector::from(client_config(&target.roots, identity)?)
        .connect(name, tcp)
        .await
        .map_err(ProbeError::Tls)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
    // It ends with the answer, since the sender is dropped then.
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    drop(sender);
    let answer = answer?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
    connection.abort();
    let body = body.map_err(|_cut_off| ProbeError::Answer { status, code: None })?;
    Ok((status, body.to_bytes()))
}

fn client_config(
    roots: &str,
    identity: Option<&KeyedCertificate>,
) -> Result<Arc<rustls::ClientConfig>, ProbeError> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key.reveal().as_bytes())?;
            config.with_client_auth_cert(chain.collect::<Result<_, _>>()?, key)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Each proof is a full handshake, so that a new certificate is seen, and ours is proven.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// The `Code` of an S3 or admin error answer, if it is one of the usual words.
fn error_code(text: &str) -> Option<String> {
    let of_xml = || Some(text.split_once("<Code>")?.1.split_once("</Code>")?.0);
    let of_json = || Some(text.split_once(r#""Code":""#)?.1.split_once('"')?.0);
    let code = of_xml().or_else(of_json)?;
    let fine = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fine.then(|| code.to_owned())
}

#[cfg(test)]
mod tests;
