//! Keys in AWS KMS, or in a service that speaks its protocol (JSON 1.1, signed by Signature V4).
//!
//! It is asked by an access key, or by a role that STS gives for a token of the pod's ServiceAccount ([`super::web_identity`]).
//! A key's name is its id (a UUID, or `mrk-` and what follows), else the alias `alias/<name>`.

use std::fmt;
use std::path::{Path, PathBuf};

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coffer_signature::{Credentials, PayloadHash, SecretKey, Signer};
use coffer_sse::PlainKey;
use coffer_sse::context::Context;
use coffer_sse::kms::{DataKey, KeyName, KeyStatus, Kms, KmsError};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::attempts::{Limits, Repeat};
use super::file;
use super::http::{Answer, Call, Endpoint, Json, said};
use super::web_identity::WebIdentity;

/// Where AWS KMS is, and who asks.
#[derive(Clone, Debug)]
pub struct AwsKmsSettings {
    /// The region, for instance `eu-west-1`.
    pub region: String,
    /// `https://host:port` of another service than the region's own.
    pub endpoint: Option<String>,
    /// A PEM file with the roots to trust.
    pub ca: PathBuf,
    /// How to log in.
    pub login: AwsLogin,
    /// How long calls may take.
    pub limits: Limits,
}

/// How to log in to AWS.
#[derive(Clone, Debug)]
pub enum AwsLogin {
    /// By the files `accessKey`, `secretKey` and, for temporary credentials, `sessionToken` of this folder; read for each call.
    Files(PathBuf),
    /// By a role.
    WebIdentity {
        /// Which one is assumed.
        role_arn: String,
        /// The file of a token that the role trusts; read for each login.
        token: PathBuf,
        /// `https://host:port` of another STS than the region's own.
        endpoint: Option<String>,
    },
}

/// AWS KMS.
pub struct AwsKms {
    endpoint: Endpoint,
    region: String,
    login: Login,
}

#[derive(Debug)]
enum Login {
    Files(PathBuf),
    WebIdentity(Box<WebIdentity>),
}

impl AwsKms {
    /// Takes the settings; nothing is asked yet.
    ///
    /// # Errors
    /// [`KmsError::Settings`].
    pub fn new(settings: AwsKmsSettings) -> Result<Self, KmsError> {
        let AwsKmsSettings { region, endpoint, ca, login, limits } = settings;
        let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || !region.chars().all(is_region) {
            return Err(KmsError::Settings(format!("`{region}` is no region")));
        }
        let address = endpoint.unwrap_or_else(|| Self::address(&region));
        let login = match login {
            AwsLogin::Files(folder) => {
                credentials(&folder)?;
                Login::Files(folder)
            }
            AwsLogin::WebIdentity { role_arn, token, endpoint } => {
                let usual = || format!("https://sts.{region}.amazonaws.com");
                let endpoint = Endpoint::new(&endpoint.unwrap_or_else(usual), ca.clone(), limits)?;
                Login::WebIdentity(Box::new(WebIdentity::new(endpoint, role_arn, token)))
            }
        };
        let endpoint = Endpoint::new(&address, ca, limits)?;
        Ok(Self { endpoint, region, login })
    }

    /// Where the service of a region is.
    pub(super) fn address(region: &str) -> String {
        format!("https://kms.{region}.amazonaws.com")
    }

    async fn call(
        &self,
        operation: &'static str,
        repeat: Repeat,
        body: Value,
    ) -> Result<Json, Refused> {
        let body = Bytes::from(body.to_string());
        let login = match &self.login {
            Login::Files(folder) => {
                let answer = self
                    .endpoint
                    .send(repeat, || self.signed(operation, &body, &credentials(folder)?));
                return result(answer.await?);
            }
            Login::WebIdentity(login) => login,
        };
        let assumed = login.credentials().await?;
        let sent = || self.signed(operation, &body, &assumed);
        let refused = match result(self.endpoint.send(repeat, sent).await?) {
            Err(Refused::By(answer)) if is_ended(&answer) => Refused::By(answer),
            result => return result,
        };
        // They may have been revoked, or ended early.
        login.drop_session(&assumed).await;
        let Ok(assumed) = login.credentials().await else { return Err(refused) };
        let sent = || self.signed(operation, &body, &assumed);
        result(self.endpoint.send(repeat, sent).await?)
    }

    fn signed(
        &self,
        operation: &str,
        body: &Bytes,
        credentials: &Credentials,
    ) -> Result<Call, KmsError> {
        let unusable = |error: &dyn std::error::Error| KmsError::Settings(error.to_string());
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(self.endpoint.host()).map_err(|error| unusable(&error))?;
        headers.insert(header::HOST, host);
        headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        let target = HeaderValue::from_str(&format!("TrentService.{operation}"))
            .map_err(|error| unusable(&error))?;
        headers.insert("x-amz-target", target);
        let signer = Signer { credentials, region: &self.region, service: "kms" };
        #[expect(
            clippy::disallowed_methods,
            reason = "a request is signed at the time of its sending"
        )]
        let now = jiff::Timestamp::now();
        let hash = PayloadHash::of(body);
        signer
            .sign_headers(&Method::POST, "/", "", &mut headers, &hash, now)
            .map_err(|error| unusable(&error))?;
        Ok(Call { method: Method::POST, path: "/".to_owned(), headers, body: body.clone() })
    }
}

fn credentials(folder: &Path) -> Result<Credentials, KmsError> {
    let access_key = file::secret(&folder.join("accessKey"))?;
    let access_key_id = access_key
        .parse()
        .map_err(|_error| KmsError::Settings("`accessKey` is no access key".to_owned()))?;
    let secret = file::secret(&folder.join("secretKey"))?;
    let token = folder.join("sessionToken");
    let session_token =
        if token.exists() { Some(SecretKey::new(file::secret(&token)?.to_string())) } else { None };
    Ok(Credentials { access_key_id, secret_key: SecretKey::new(secret.to_string()), session_token })
}

fn result(answer: Answer) -> Result<Json, Refused> {
    if answer.status == StatusCode::OK { Ok(answer.json()) } else { Err(Refused::By(answer)) }
}

/// Whether temporary credentials aren't good any more.
fn is_ended(answer: &Answer) -> bool {
    let json = answer.json();
    let code = json.text("/__type").unwrap_or_default();
    ["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"]
        .iter()
        .any(|ended| code.ends_with(ended))
}

/// Why there is no result.
enum Refused {
    By(Answer),
    Error(KmsError),
}

impl From<KmsError> for Refused {
    fn from(error: KmsError) -> Self {
        Self::Error(error)
    }
}

impl Refused {
    /// What it means for a key.
    fn of(self, key: &KeyName) -> KmsError {
        let answer = match self {
            Self::By(answer) => answer,
            Self::Error(error) => return error,
        };
        let json = answer.json();
        let code = json.text("/__type").unwrap_or_default();
        let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
        match code {
            "NotFoundException" | "InvalidArnException" => KmsError::NoSuchKey(key.clone()),
            "AlreadyExistsException" => KmsError::Exists(key.clone()),
            "DisabledException" | "KMSInvalidStateException" | "KeyUnavailableException" => {
                KmsError::Disabled(key.clone())
            }
            "InvalidCiphertextException" | "IncorrectKeyException" => {
                KmsError::Invalid(key.clone())
            }
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "ExpiredTokenException"
            | "OptInRequired" => KmsError::Denied(said(&answer)),
            _ if answer.status == StatusCode::FORBIDDEN => KmsError::Denied(said(&answer)),
            _ => KmsError::Answer(said(&answer)),
        }
    }
}

/// As AWS names it in requests.
fn key_id(key: &KeyName) -> String {
    let name = key.as_str();
    let is_uuid = name.len() == 36
        && name.chars().enumerate().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    if is_uuid || name.starts_with("mrk-") { name.to_owned() } else { format!("alias/{name}") }
}

fn entries(context: &Context) -> Value {
    context.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn no_answer() -> KmsError {
    KmsError::Answer("a field is missing".to_owned())
}

fn plain(answer: &Json) -> Result<PlainKey, KmsError> {
    let bytes = answer.text("/Plaintext").and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.map(Zeroizing::new);
    bytes.and_then(|bytes| PlainKey::from_slice(&bytes)).ok_or_else(no_answer)
}

#[async_trait]
impl Kms for AwsKms {
    async fn generate_data_key(
        &self,
        key: &KeyName,
        context: &Context,
    ) -> Result<DataKey, KmsError> {
        let body = json!({
            "KeyId": key_id(key), "KeySpec": "AES_256", "EncryptionContext": entries(context),
        });
        let answer = self.call("GenerateDataKey", Repeat::Always, body).await;
        let answer = answer.map_err(|refused| refused.of(key))?;
        let sealed = answer.text("/CiphertextBlob").and_then(|text| STANDARD.decode(text).ok());
        let sealed = Bytes::from(sealed.ok_or_else(no_answer)?);
        Ok(DataKey { plain: plain(&answer)?, sealed })
    }

    async fn open_data_key(
        &self,
        key: &KeyName,
        sealed: &[u8],
        context: &Context,
    ) -> Result<PlainKey, KmsError> {
        // With the key's name: what another key has sealed is refused.
        let body = json!({
            "KeyId": key_id(key),
            "CiphertextBlob": STANDARD.encode(sealed),
            "EncryptionContext": entries(context),
        });
        let answer = self.call("Decrypt", Repeat::Always, body).await;
        plain(&answer.map_err(|refused| refused.of(key))?)
    }

    async fn create_key(&self, key: &KeyName) -> Result<(), KmsError> {
        let alias = key_id(key);
        if !alias.starts_with("alias/") || alias.contains('.') {
            return Err(KmsError::Unsupported(
                "create a key with a `.` in its name, or under an id of its choice",
            ));
        }
        match self.key_status(key).await {
            Ok(KeyStatus::Enabled | KeyStatus::Disabled) => {
                return Err(KmsError::Exists(key.clone()));
            }
            Err(KmsError::NoSuchKey(_)) => {}
            Err(error) => return Err(error),
        }
        let body = json!({ "Description": format!("Coffer: {key}") });
        let made = self.call("CreateKey", Repeat::IfNeverSent, body).await;
        let made = made.map_err(|refused| refused.of(key))?;
        let id = made.text("/KeyMetadata/KeyId").ok_or_else(no_answer)?;
        let body = json!({ "AliasName": alias, "TargetKeyId": id });
        let Err(refused) = self.call("CreateAlias", Repeat::IfNeverSent, body).await else {
            return Ok(());
        };
        let error = refused.of(key);
        // Nobody knows the new key: it shall not stay and cost.
        let body = json!({ "KeyId": id, "PendingWindowInDays": 7 });
        if self.call("ScheduleKeyDeletion", Repeat::Always, body).await.is_err() {
            tracing::warn!(key = id, "a key without an alias is left in AWS KMS; delete it");
        }
        Err(error)
    }

    async fn key_status(&self, key: &KeyName) -> Result<KeyStatus, KmsError> {
        let answer =
            self.call("DescribeKey", Repeat::Always, json!({ "KeyId": key_id(key) })).await;
        let answer = answer.map_err(|refused| refused.of(key))?;
        match answer.text("/KeyMetadata/KeyState") {
            Some("Enabled") => Ok(KeyStatus::Enabled),
            Some(_) => Ok(KeyStatus::Disabled),
            None => Err(no_answer()),
        }
    }

    async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError> {
        let mut names: Vec<KeyName> = Vec::new();
        let mut marker = None::<String>;
        loop {
            let body = match &marker {
                Some(marker) => json!({ "Limit": 100, "Marker": marker }),
                None => json!({ "Limit": 100 }),
            };
            let answer = match self.call("ListAliases", Repeat::Always, body).await {
                Ok(answer) => answer,
                Err(Refused::Error(error)) => return Err(error),
                Err(Refused::By(answer)) if answer.status == StatusCode::FORBIDDEN => {
                    return Err(KmsError::Denied(said(&answer)));
                }
                // AWS denies by 400.
                Err(Refused::By(answer)) if said(&answer).contains("not authorized") => {
                    return Err(KmsError::Denied(said(&answer)));
                }
                Err(Refused::By(answer)) => return Err(KmsError::Answer(said(&answer))),
            };
            let aliases = answer.0.pointer("/Aliases").and_then(Value::as_array);
            let name = |alias: &Value| {
                // AWS's own aliases may have no key behind them.
                alias.pointer("/TargetKeyId")?.as_str()?;
                alias.pointer("/AliasName")?.as_str()?.strip_prefix("alias/")?.parse().ok()
            };
            names.extend(aliases.ok_or_else(no_answer)?.iter().filter_map(name));
            marker = answer.text("/NextMarker").map(str::to_owned);
            if marker.is_none() {
                names.sort();
                return Ok(names);
            }
        }
    }
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, region, login } = self;
        f.debug_struct("AwsKms")
            .field("endpoint", endpoint)
            .field("region", region)
            .field("login", login)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_id_or_an_alias() {
        for (name, id) in [
            ("photos", "alias/photos"),
            ("1234abcd-12ab-34cd-56ef-1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890ab"),
            ("1234abcd-12ab-34cd-56ef-1234567890ax", "alias/1234abcd-12ab-34cd-56ef-1234567890ax"),
            ("mrk-1234abcd12ab34cd56ef1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"),
        ] {
            assert_eq!(key_id(&name.parse().unwrap()), id);
        }
    }
}
