//! Keys in a service that speaks the HTTP API of KES, over TLS with a client's certificate.
//!
//! The service binds the context by itself. As no more than its documentation shows that, it is bound once more ([`super::bound`]), under
//! the domain `coffer/kes-data-key/1`.
//!
//! Source: the API's documentation; what is called are `key/create`, `key/generate`, `key/decrypt`, `key/describe` and `key/list`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::kms::{DataKey, KeyName, KeyStatus, Kms, KmsError};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::attempts::{Limits, Repeat};
use super::bound;
use super::http::{Answer, Call, Endpoint, said};
use crate::outbound::ClientFiles;

const DOMAIN: &str = "coffer/kes-data-key/1";
/// A service with more keys is none that a list is for.
const MOST_LISTED: usize = 20_000;

/// Where the service is, and who asks.
#[derive(Clone, Debug)]
pub struct KesSettings {
    /// `https://host:port`.
    pub address: String,
    /// A PEM file with the roots to trust.
    pub ca: PathBuf,
    /// A folder with `tls.crt` and `tls.key`, the client's certificate and its key; followed while they change.
    pub credentials: PathBuf,
    /// How long calls may take.
    pub limits: Limits,
}

/// A service that speaks the API of KES.
pub struct Kes {
    endpoint: Endpoint,
}

impl Kes {
    /// Takes the settings; nothing is asked yet.
    ///
    /// # Errors
    /// [`KmsError::Settings`].
    pub fn new(settings: KesSettings) -> Result<Self, KmsError> {
        let KesSettings { address, ca, credentials, limits } = settings;
        let client = ClientFiles::of(&credentials);
        Ok(Self { endpoint: Endpoint::of_client(&address, ca, Some(client), limits)? })
    }

    async fn call(
        &self,
        repeat: Repeat,
        method: Method,
        path: String,
        body: Option<Value>,
    ) -> Result<Answer, KmsError> {
        let body = body.map(|body| Zeroizing::new(body.to_string()));
        let answer = self.endpoint.send(repeat, || {
            let mut headers = HeaderMap::new();
            let body = match &body {
                Some(body) => {
                    let json = HeaderValue::from_static("application/json");
                    headers.insert(header::CONTENT_TYPE, json);
                    Bytes::copy_from_slice(body.as_bytes())
                }
                None => Bytes::new(),
            };
            Ok(Call { method: method.clone(), path: format!("/v1/key/{path}"), headers, body })
        });
        let answer = answer.await?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(KmsError::Denied(said(&answer)))
            }
            _ => Ok(answer),
        }
    }
}

fn no_answer() -> KmsError {
    KmsError::Answer("a field is missing".to_owned())
}

/// What an answer other than success means for a key.
fn refused(answer: &Answer, key: &KeyName) -> KmsError {
    match answer.status {
        StatusCode::NOT_FOUND => KmsError::NoSuchKey(key.clone()),
        _ => KmsError::Answer(said(answer)),
    }
}

fn bytes(text: Option<&str>) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    let bytes = text.and_then(|text| STANDARD.decode(text).ok());
    bytes.map(Zeroizing::new).ok_or_else(no_answer)
}

fn plain(text: Option<&str>) -> Result<PlainKey, KmsError> {
    PlainKey::from_slice(&bytes(text)?).ok_or_else(no_answer)
}

#[async_trait]
impl Kms for Kes {
    async fn generate_data_key(
        &self,
        key: &KeyName,
        context: &Context,
    ) -> Result<DataKey, KmsError> {
        let context = context.to_json();
        let body = json!({ "context": STANDARD.encode(&context) });
        let path = format!("generate/{key}");
        let answer = self.call(Repeat::Always, Method::POST, path, Some(body)).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer, key));
        }
        let json = answer.json();
        let ciphertext = bytes(json.text("/ciphertext"))?;
        bound::seal(DOMAIN, &plain(json.text("/plaintext"))?, &context, &ciphertext)
    }

    async fn open_data_key(
        &self,
        key: &KeyName,
        sealed: &[u8],
        context: &Context,
    ) -> Result<PlainKey, KmsError> {
        let invalid = || KmsError::Invalid(key.clone());
        let (value, ciphertext) = bound::split(sealed).ok_or_else(invalid)?;
        let context = context.to_json();
        let body = json!({
            "ciphertext": STANDARD.encode(ciphertext),
            "context": STANDARD.encode(&context),
        });
        let path = format!("decrypt/{key}");
        let answer = self.call(Repeat::Always, Method::POST, path, Some(body)).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST => return Err(invalid()),
            _ => return Err(refused(&answer, key)),
        }
        let opened = plain(answer.json().text("/plaintext"))?;
        bound::open(DOMAIN, &opened, &context, value, key)
    }

    async fn create_key(&self, key: &KeyName) -> Result<(), KmsError> {
        let path = format!("create/{key}");
        let answer = self.call(Repeat::IfNeverSent, Method::POST, path, None).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => Err(KmsError::Exists(key.clone())),
            StatusCode::BAD_REQUEST if said(&answer).contains("exist") => {
                Err(KmsError::Exists(key.clone()))
            }
            _ => Err(KmsError::Answer(said(&answer))),
        }
    }

    async fn key_status(&self, key: &KeyName) -> Result<KeyStatus, KmsError> {
        let path = format!("describe/{key}");
        let answer = self.call(Repeat::Always, Method::GET, path, None).await?;
        // The API knows no disabled keys.
        if answer.status == StatusCode::OK {
            Ok(KeyStatus::Enabled)
        } else {
            Err(refused(&answer, key))
        }
    }

    async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError> {
        let mut names: BTreeSet<KeyName> = BTreeSet::new();
        let mut path = "list/*".to_owned();
        loop {
            let answer = self.call(Repeat::Always, Method::GET, path, None).await?;
            if answer.status != StatusCode::OK {
                return Err(KmsError::Answer(said(&answer)));
            }
            let json = answer.json();
            let before = names.len();
            // No keys may be `null`.
            let listed = json.0.pointer("/names").map(|names| names.as_array());
            let listed = listed.ok_or_else(no_answer)?.into_iter().flatten();
            names.extend(listed.filter_map(|name| name.as_str()?.parse::<KeyName>().ok()));
            if names.len() > MOST_LISTED {
                return Err(KmsError::Answer(format!("more than {MOST_LISTED} keys")));
            }
            let next = json.text("/continue_at").and_then(|name| name.parse::<KeyName>().ok());
            match next {
                // One that doesn't go on would begin anew for ever.
                Some(next) if names.len() > before => path = format!("list/{next}"),
                Some(_) | None => return Ok(names.into_iter().collect()),
            }
        }
    }
}

impl fmt::Debug for Kes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint } = self;
        f.debug_struct("Kes").field("endpoint", endpoint).finish()
    }
}
