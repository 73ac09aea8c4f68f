//! Credentials of a role of AWS, which STS gives for a token of the pod's ServiceAccount: kept, and made anew at half of their life.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use coffer_signature::{Credentials, SecretKey};
use coffer_sse::kms::KmsError;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::attempts::{Repeat, for_a_person};
use super::file;
use super::http::{Answer, Call, Endpoint};

/// How long credentials are asked for; each role allows so much.
const LIFE: Duration = Duration::from_hours(1);
/// When to ask again where that failed and what there is goes on.
const AGAIN: Duration = Duration::from_secs(30);

/// A role, and the token that it trusts.
pub(super) struct WebIdentity {
    endpoint: Endpoint,
    role_arn: String,
    token: PathBuf,
    session: Mutex<Option<Session>>,
}

struct Session {
    credentials: Arc<Credentials>,
    /// From when on they should be made anew.
    renew: Instant,
    end: Instant,
}

impl WebIdentity {
    /// Takes the settings; nothing is asked yet.
    pub(super) fn new(endpoint: Endpoint, role_arn: String, token: PathBuf) -> Self {
        Self { endpoint, role_arn, token, session: Mutex::new(None) }
    }

    /// Credentials of the role, made anew where it is time.
    ///
    /// # Errors
    /// [`KmsError`].
    pub(super) async fn credentials(&self) -> Result<Arc<Credentials>, KmsError> {
        // Held over the login: whoever comes meanwhile needs its outcome.
        let mut session = self.session.lock().await;
        let now = Instant::now();
        if let Some(kept) = session.as_ref().filter(|kept| now < kept.renew) {
            return Ok(Arc::clone(&kept.credentials));
        }
        match (self.log_in().await, session.as_mut()) {
            (Ok(fresh), _) => {
                let credentials = Arc::clone(&fresh.credentials);
                *session = Some(fresh);
                Ok(credentials)
            }
            (Err(KmsError::Denied(why)), _) => Err(KmsError::Denied(why)),
            // What is still good goes on while nobody can log in.
            (Err(_), Some(kept)) if now < kept.end => {
                kept.renew = kept.end.min(Instant::now() + AGAIN);
                Ok(Arc::clone(&kept.credentials))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Credentials that the service refuses are used no more.
    pub(super) async fn drop_session(&self, refused: &Arc<Credentials>) {
        let mut session = self.session.lock().await;
        if session.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.credentials, refused)) {
            *session = None;
        }
    }

    async fn log_in(&self) -> Result<Session, KmsError> {
        let answer = self.endpoint.send(Repeat::Always, || self.request()).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer));
        }
        let given: Response = read(&answer)
            .ok_or_else(|| KmsError::Answer("what STS says of a role can't be read".to_owned()))?;
        let Given { access_key_id, secret_access_key, session_token, expiration } =
            given.result.credentials;
        let access_key_id = access_key_id.parse().map_err(|_error| {
            KmsError::Answer("what STS gives as an access key is none".to_owned())
        })?;
        let now = Instant::now();
        let life = left(&expiration).map_or(LIFE, |left| left.min(LIFE));
        Ok(Session {
            credentials: Arc::new(Credentials {
                access_key_id,
                secret_key: SecretKey::new(secret_access_key.to_string()),
                session_token: Some(SecretKey::new(session_token.to_string())),
            }),
            renew: now + life / 2,
            end: now + life,
        })
    }

    /// What STS is asked by; the token stands for a signature.
    fn request(&self) -> Result<Call, KmsError> {
        let token = file::secret(&self.token)?;
        let pairs = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("DurationSeconds", &LIFE.as_secs().to_string()),
            ("RoleSessionName", "coffer"),
            ("RoleArn", &self.role_arn),
            ("WebIdentityToken", &token),
        ];
        let pair = |(name, value): (&str, &str)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        };
        let body = Zeroizing::new(pairs.map(pair).join("&"));
        let mut headers = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/xml"));
        let body = Bytes::copy_from_slice(body.as_bytes());
        Ok(Call { method: Method::POST, path: "/".to_owned(), headers, body })
    }
}

/// How long something is good that is good until then; `None` for what is no time.
fn left(expiration: &str) -> Option<Duration> {
    let end: Timestamp = expiration.trim().parse().ok()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the service gives a time of day, which is turned into a duration here"
    )]
    let now = Timestamp::now();
    Some(Duration::try_from(end.duration_since(now)).unwrap_or_default())
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "AssumeRoleWithWebIdentityResult")]
    result: Assumed,
}

#[derive(Deserialize)]
struct Assumed {
    #[serde(rename = "Credentials")]
    credentials: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
    expiration: String,
}

#[derive(Deserialize)]
struct ErrorResponse {
    #[serde(rename = "Error")]
    error: Told,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    code: String,
    #[serde(default)]
    message: String,
}

fn read<T: for<'a> Deserialize<'a>>(answer: &Answer) -> Option<T> {
    let text = std::str::from_utf8(&answer.body).ok()?;
    quick_xml::de::from_str(text).ok()
}

/// What an answer other than success means.
fn refused(answer: &Answer) -> KmsError {
    let told = read(answer).map_or_else(String::new, |ErrorResponse { error }| {
        let Told { code, message } = error;
        for_a_person(&format!("{code} {message}"))
    });
    let said = format!("login: {} {}", answer.status.as_u16(), told.trim());
    let said = said.trim_end().to_owned();
    if answer.status.is_client_error() { KmsError::Denied(said) } else { KmsError::Answer(said) }
}

impl fmt::Debug for WebIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, role_arn, token, session: _ } = self;
        f.debug_struct("WebIdentity")
            .field("endpoint", endpoint)
            .field("role_arn", role_arn)
            .field("token", token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    #[test]
    fn what_sts_gives_is_read_and_what_it_refuses_is_told() {
        // As in AWS's documentation of the operation.
        let text = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>amzn1.account.AF6RHO7KZU5XRVQJGXK6HB56KR2A</SubjectFromWebIdentityToken>
    <Audience>client.5498841531868486423.1548@apps.example.com</Audience>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::123456789012:assumed-role/FederatedWebIdentityRole/app1</Arn>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:app1</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <Expiration>2014-10-24T23:00:23Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>"#;
        let given: Response = read(&answer(200, text)).unwrap();
        let given = given.result.credentials;
        assert_eq!(given.access_key_id, "ASgeIAIOSFODNN7EXAMPLE");
        assert_eq!(*given.secret_access_key, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY");
        assert_eq!(*given.session_token, "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE");
        assert_eq!(left(&given.expiration), Some(Duration::ZERO));
        assert!(left("2999-01-01T00:00:00Z").is_some_and(|left| left > LIFE));
        assert_eq!(left("soon"), None);
        for text in ["", "no XML", "<a/>", &text.replace("SessionToken", "x")] {
            assert!(read::<Response>(&answer(200, text)).is_none(), "{text}");
        }

        let told = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>no\n</Message></Error>\
                    <RequestId>x</RequestId></ErrorResponse>";
        for (status, body, expected) in [
            (400, told, "the KMS refuses access (login: 400 InvalidIdentityToken no)"),
            (403, "", "the KMS refuses access (login: 403)"),
            (301, "", "the KMS gave an answer that can't be understood (login: 301)"),
        ] {
            let error = refused(&answer(status, body)).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
