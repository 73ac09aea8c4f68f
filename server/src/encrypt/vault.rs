//! Keys in the Transit engine of Vault or OpenBao.
//!
//! Keys that are made here are derived ones: the context is part of the key by which Vault seals. Transit's data keys take no
//! other associated data, and under a key that isn't derived it is ignored; so the context is bound once more ([`super::bound`]), under the
//! domain `coffer/vault-data-key/1`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::kms::{DataKey, KeyName, KeyStatus, Kms, KmsError};
use serde_json::json;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::attempts::{Limits, Repeat};
use super::bound;
use super::file;
use super::http::{Answer, Call, Endpoint, said};
use crate::follow::Stamp;

const DOMAIN: &str = "coffer/vault-data-key/1";
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");

/// Where Vault is, and who asks.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// `https://host:port`.
    pub address: String,
    /// A PEM file with the roots to trust.
    pub ca: PathBuf,
    /// Where the Transit engine is mounted; `transit` by default.
    pub mount: String,
    /// The namespace, where there are some.
    pub namespace: Option<String>,
    /// How to log in.
    pub auth: VaultAuth,
    /// How long calls may take.
    pub limits: Limits,
}

/// How to log in. Files are read again when they change.
#[derive(Clone, Debug)]
pub enum VaultAuth {
    /// By a token.
    Token {
        /// It holds the token.
        file: PathBuf,
    },
    /// By AppRole.
    AppRole {
        /// Where it is mounted below `auth/`; `approle` by default.
        mount: String,
        /// It holds the role's id.
        role_id: PathBuf,
        /// It holds the secret id.
        secret_id: PathBuf,
    },
    /// By the token of a ServiceAccount, projected for Vault's audience.
    Kubernetes {
        /// Where it is mounted below `auth/`; `kubernetes` by default.
        mount: String,
        /// The role.
        role: String,
        /// It holds the projected token.
        file: PathBuf,
    },
}

/// Vault's Transit engine.
pub struct Vault {
    endpoint: Endpoint,
    mount: String,
    namespace: Option<HeaderValue>,
    auth: VaultAuth,
    session: Mutex<Option<Session>>,
}

/// A token, and how long it is good for.
struct Session {
    token: HeaderValue,
    /// Of the files that it came from.
    stamp: Stamp,
    lease: Lease,
}

#[derive(Clone, Copy)]
enum Lease {
    Endless,
    Until {
        /// From when on it should be renewed.
        renew: Instant,
        end: Instant,
        renewable: bool,
    },
}

impl Lease {
    /// As an answer says it: at these places, whole seconds, of which none is no end, and whether it can be renewed.
    fn of(json: &serde_json::Value, seconds: &str, renewable: &str) -> Option<Self> {
        let seconds = json.pointer(seconds)?.as_u64()?;
        let renewable = json.pointer(renewable)?.as_bool()?;
        if seconds == 0 {
            return Some(Self::Endless);
        }
        let (now, life) = (Instant::now(), Duration::from_secs(seconds));
        Some(Self::Until { renew: now + life / 2, end: now + life, renewable })
    }

    fn is_due(self, now: Instant) -> bool {
        match self {
            Self::Endless => false,
            Self::Until { renew, end: _, renewable: _ } => renew <= now,
        }
    }

    fn is_good(self, now: Instant) -> bool {
        match self {
            Self::Endless => true,
            Self::Until { renew: _, end, renewable: _ } => now < end,
        }
    }

    fn is_renewable(self, now: Instant) -> bool {
        match self {
            Self::Endless => false,
            Self::Until { renew: _, end, renewable } => renewable && now < end,
        }
    }

    /// Near its longest life a token is prolonged by less and less.
    fn outlives(self, other: Self) -> bool {
        match (self, other) {
            (Self::Endless, _) => true,
            (Self::Until { .. }, Self::Endless) => false,
            (Self::Until { end, .. }, Self::Until { end: other, .. }) => end > other,
        }
    }
}

impl VaultAuth {
    fn files(&self) -> Vec<&Path> {
        match self {
            Self::Token { file } | Self::Kubernetes { mount: _, role: _, file } => vec![file],
            Self::AppRole { mount: _, role_id, secret_id } => vec![role_id, secret_id],
        }
    }
}

impl Vault {
    /// Takes the settings; nothing is asked yet.
    ///
    /// # Errors
    /// [`KmsError::Settings`].
    pub fn new(settings: VaultSettings) -> Result<Self, KmsError> {
        let VaultSettings { address, ca, mount, namespace, auth, limits } = settings;
        let mounts = match &auth {
            VaultAuth::Token { file: _ } => vec![&mount],
            VaultAuth::AppRole { mount: auth, role_id: _, secret_id: _ }
            | VaultAuth::Kubernetes { mount: auth, role: _, file: _ } => vec![&mount, auth],
        };
        for mount in mounts {
            if !mount.split('/').all(|segment| segment.parse::<KeyName>().is_ok()) {
                return Err(KmsError::Settings(format!("`{mount}` is no mount's path")));
            }
        }
        let namespace = namespace
            .map(|text| {
                HeaderValue::from_str(&text)
                    .map_err(|_invalid| KmsError::Settings(format!("`{text}` is no namespace")))
            })
            .transpose()?;
        let endpoint = Endpoint::new(&address, ca, limits)?;
        Ok(Self { endpoint, mount, namespace, auth, session: Mutex::new(None) })
    }

    /// Renews the session when it is due. To be called now and then: a token that nobody uses would end.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn keep_session(&self) -> Result<(), KmsError> {
        self.token().await.map(|_token| ())
    }

    /// A call with the session's token; after a refusal once more, with a fresh one.
    async fn call(
        &self,
        repeat: Repeat,
        method: Method,
        path: String,
        body: Option<serde_json::Value>,
    ) -> Result<Answer, KmsError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let token = self.token().await?;
        let answer = self.send(repeat, &method, &path, Some(&token), body.as_ref()).await?;
        if answer.status != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        // The token may have been revoked, or ended early.
        let renewed = match self.auth {
            VaultAuth::Token { file: _ } => None,
            VaultAuth::AppRole { .. } | VaultAuth::Kubernetes { .. } => {
                self.drop_session(&token).await;
                Some(self.token().await?)
            }
        };
        let answer = match renewed {
            Some(token) => self.send(repeat, &method, &path, Some(&token), body.as_ref()).await?,
            None => answer,
        };
        if answer.status == StatusCode::FORBIDDEN {
            return Err(KmsError::Denied(said(&answer)));
        }
        Ok(answer)
    }

    async fn send(
        &self,
        repeat: Repeat,
        method: &Method,
        path: &str,
        token: Option<&HeaderValue>,
        body: Option<&Bytes>,
    ) -> Result<Answer, KmsError> {
        self.endpoint
            .send(repeat, || {
                let mut headers = HeaderMap::new();
                headers.insert("x-vault-request", HeaderValue::from_static("true"));
                if let Some(namespace) = &self.namespace {
                    headers.insert(NAMESPACE, namespace.clone());
                }
                if let Some(token) = token {
                    headers.insert(TOKEN, token.clone());
                }
                let body = body.cloned().unwrap_or_default();
                Ok(Call { method: method.clone(), path: format!("/v1/{path}"), headers, body })
            })
            .await
    }

    /// The session's token, renewed or made anew where it is time.
    async fn token(&self) -> Result<HeaderValue, KmsError> {
        // Held over the login: whoever comes meanwhile needs its outcome.
        let mut session = self.session.lock().await;
        let stamp = Stamp::of(&self.auth.files());
        let now = Instant::now();
        if let Some(kept) = session.as_mut().filter(|kept| kept.stamp == stamp) {
            if !kept.lease.is_due(now) {
                return Ok(kept.token.clone());
            }
            if kept.lease.is_renewable(now)
                && let Some(renewed) = self.renew(&kept.token, kept.lease).await
            {
                kept.lease = renewed;
                return Ok(kept.token.clone());
            }
        }
        let fresh = self.log_in(stamp).await;
        match (fresh, session.as_ref()) {
            (Ok(fresh), _) => {
                let token = fresh.token.clone();
                *session = Some(fresh);
                Ok(token)
            }
            (Err(KmsError::Denied(why)), _) => Err(KmsError::Denied(why)),
            // What is still good goes on while nobody can log in.
            (Err(_), Some(kept)) if kept.lease.is_good(now) => Ok(kept.token.clone()),
            (Err(error), _) => Err(error),
        }
    }

    /// `None` when the session can't be prolonged, or so little that a new one is better.
    async fn renew(&self, token: &HeaderValue, old: Lease) -> Option<Lease> {
        let path = "auth/token/renew-self";
        let body = Bytes::from_static(b"{}");
        let answer = self.send(Repeat::Always, &Method::POST, path, Some(token), Some(&body)).await;
        let answer = answer.ok().filter(|answer| answer.status == StatusCode::OK)?;
        let lease = Lease::of(&answer.json().0, "/auth/lease_duration", "/auth/renewable")?;
        lease.outlives(old).then_some(lease)
    }

    async fn drop_session(&self, token: &HeaderValue) {
        let mut session = self.session.lock().await;
        if session.as_ref().is_some_and(|kept| kept.token == *token) {
            *session = None;
        }
    }

    async fn log_in(&self, stamp: Stamp) -> Result<Session, KmsError> {
        let (path, body) = match &self.auth {
            VaultAuth::Token { file } => {
                let token = header(&file::secret(file)?)?;
                let lease = self.look_up(&token).await?;
                return Ok(Session { token, stamp, lease });
            }
            VaultAuth::AppRole { mount, role_id, secret_id } => {
                let (role_id, secret_id) = (file::secret(role_id)?, file::secret(secret_id)?);
                let body = json!({ "role_id": *role_id, "secret_id": *secret_id });
                (format!("auth/{mount}/login"), body)
            }
            VaultAuth::Kubernetes { mount, role, file } => {
                let token = file::secret(file)?;
                (format!("auth/{mount}/login"), json!({ "role": role, "jwt": *token }))
            }
        };
        let body = Bytes::from(body.to_string());
        let answer = self.send(Repeat::Always, &Method::POST, &path, None, Some(&body)).await?;
        if answer.status != StatusCode::OK {
            return Err(KmsError::Denied(format!("login: {}", said(&answer))));
        }
        let json = answer.json();
        let token = json.text("/auth/client_token").ok_or_else(no_answer)?;
        let lease =
            Lease::of(&json.0, "/auth/lease_duration", "/auth/renewable").ok_or_else(no_answer)?;
        Ok(Session { token: header(token)?, stamp, lease })
    }

    /// How long a given token is good for.
    async fn look_up(&self, token: &HeaderValue) -> Result<Lease, KmsError> {
        let path = "auth/token/lookup-self";
        let answer = self.send(Repeat::Always, &Method::GET, path, Some(token), None).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => {
                return Err(KmsError::Denied(format!("token: {}", said(&answer))));
            }
            _ => return Err(KmsError::Answer(said(&answer))),
        }
        Lease::of(&answer.json().0, "/data/ttl", "/data/renewable").ok_or_else(no_answer)
    }
}

fn header(token: &str) -> Result<HeaderValue, KmsError> {
    let mut value = HeaderValue::from_str(token)
        .map_err(|_invalid| KmsError::Settings("the token is no header's value".to_owned()))?;
    // Kept out of every Debug, and of HTTP/2's tables.
    value.set_sensitive(true);
    Ok(value)
}

fn no_answer() -> KmsError {
    KmsError::Answer("a field is missing".to_owned())
}

/// What an answer other than success means for a key.
fn refused(answer: &Answer, key: &KeyName) -> KmsError {
    let said = said(answer);
    let has = |text: &str| said.contains(text);
    match answer.status {
        StatusCode::NOT_FOUND => KmsError::NoSuchKey(key.clone()),
        StatusCode::BAD_REQUEST if has("key not found") => KmsError::NoSuchKey(key.clone()),
        StatusCode::BAD_REQUEST
            if has("ciphertext") || has("decrypt") || has("authentication failed") =>
        {
            KmsError::Invalid(key.clone())
        }
        _ => KmsError::Answer(said),
    }
}

/// A key of 32 bytes in base64.
fn plain(text: Option<&str>) -> Result<PlainKey, KmsError> {
    let bytes = text.and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
    bytes.and_then(|bytes| PlainKey::from_slice(&bytes)).ok_or_else(no_answer)
}

#[async_trait]
impl Kms for Vault {
    async fn generate_data_key(
        &self,
        key: &KeyName,
        context: &Context,
    ) -> Result<DataKey, KmsError> {
        let context = context.to_json();
        let path = format!("{}/datakey/plaintext/{key}", self.mount);
        let body = json!({ "bits": 256, "context": STANDARD.encode(&context) });
        let answer = self.call(Repeat::Always, Method::POST, path, Some(body)).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer, key));
        }
        let json = answer.json();
        let ciphertext = json.text("/data/ciphertext").ok_or_else(no_answer)?;
        let made = plain(json.text("/data/plaintext"))?;
        bound::seal(DOMAIN, &made, &context, ciphertext.as_bytes())
    }

    async fn open_data_key(
        &self,
        key: &KeyName,
        sealed: &[u8],
        context: &Context,
    ) -> Result<PlainKey, KmsError> {
        let invalid = || KmsError::Invalid(key.clone());
        let (value, ciphertext) = bound::split(sealed).ok_or_else(invalid)?;
        let ciphertext = std::str::from_utf8(ciphertext).map_err(|_invalid| invalid())?;
        let context = context.to_json();
        let path = format!("{}/decrypt/{key}", self.mount);
        let body = json!({ "ciphertext": ciphertext, "context": STANDARD.encode(&context) });
        let answer = self.call(Repeat::Always, Method::POST, path, Some(body)).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer, key));
        }
        let opened = plain(answer.json().text("/data/plaintext"))?;
        bound::open(DOMAIN, &opened, &context, value, key)
    }

    async fn create_key(&self, key: &KeyName) -> Result<(), KmsError> {
        // Vault takes the second creation of a key for the first.
        match self.key_status(key).await {
            Ok(KeyStatus::Enabled | KeyStatus::Disabled) => {
                return Err(KmsError::Exists(key.clone()));
            }
            Err(KmsError::NoSuchKey(_)) => {}
            Err(error) => return Err(error),
        }
        let path = format!("{}/keys/{key}", self.mount);
        let body = json!({ "type": "aes256-gcm96", "derived": true });
        let answer = self.call(Repeat::Always, Method::POST, path, Some(body)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(refused(&answer, key)) }
    }

    async fn key_status(&self, key: &KeyName) -> Result<KeyStatus, KmsError> {
        let path = format!("{}/keys/{key}", self.mount);
        let answer = self.call(Repeat::Always, Method::GET, path, None).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer, key));
        }
        let json = answer.json();
        let is = |pointer: &str| json.0.pointer(pointer).and_then(serde_json::Value::as_bool);
        let usable = is("/data/supports_encryption") != Some(false)
            && is("/data/supports_decryption") != Some(false)
            && is("/data/soft_deleted") != Some(true);
        Ok(if usable { KeyStatus::Enabled } else { KeyStatus::Disabled })
    }

    async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError> {
        let path = format!("{}/keys?list=true", self.mount);
        let answer = self.call(Repeat::Always, Method::GET, path, None).await?;
        match answer.status {
            StatusCode::OK => {}
            // An engine without keys has no list.
            StatusCode::NOT_FOUND => return Ok(Vec::new()),
            _ => return Err(KmsError::Answer(said(&answer))),
        }
        let json = answer.json();
        let keys = json.0.pointer("/data/keys").and_then(serde_json::Value::as_array);
        let mut names: Vec<KeyName> = keys
            .ok_or_else(no_answer)?
            .iter()
            .filter_map(|name| name.as_str()?.parse().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, mount, namespace, auth, session: _ } = self;
        f.debug_struct("Vault")
            .field("endpoint", endpoint)
            .field("mount", mount)
            .field("namespace", namespace)
            .field("auth", auth)
            .finish_non_exhaustive()
    }
}
