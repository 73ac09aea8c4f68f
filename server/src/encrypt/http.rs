//! Calls to a KMS over HTTPS: over connections that are kept, within a bounded time, repeated where that can't do harm.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ::http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use coffer_sse::kms::KmsError;
use http_body_util::{BodyExt, Full, Limited};
use zeroize::{Zeroize, Zeroizing};

use super::attempts::{Failure, Limits, Repeat, attempts, for_a_person};
use crate::follow::Stamp;
use crate::outbound::{self, ClientFiles, Connections, chain, refuses_client};

/// No answer of a KMS is longer.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// What is sent.
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query behind the endpoint's own path, as they are sent.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// It may hold keys.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body as JSON, wiped with the value.
    pub(super) fn json(&self) -> Json {
        Json(serde_json::from_slice(&self.body).unwrap_or_default())
    }
}

/// JSON that may hold keys.
pub(super) struct Json(pub(super) serde_json::Value);

impl Json {
    /// The text at a path.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str()
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => text.zeroize(),
        serde_json::Value::Array(values) => values.iter_mut().for_each(wipe),
        serde_json::Value::Object(values) => values.values_mut().for_each(wipe),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// One endpoint, and connections to it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// `https://host:port`, with a path if it has one, without `/` at its end.
    base: String,
    /// What `Host` says.
    host: String,
    ca: PathBuf,
    client: Option<ClientFiles>,
    limits: Limits,
    connections: Mutex<Option<(Stamp, Connections)>>,
}

impl Endpoint {
    /// Reads the address, which must be `https`, and the CA's file.
    pub(super) fn new(address: &str, ca: PathBuf, limits: Limits) -> Result<Self, KmsError> {
        Self::of_client(address, ca, None, limits)
    }

    /// The same, with the certificate by which the service knows who asks.
    pub(super) fn of_client(
        address: &str,
        ca: PathBuf,
        client: Option<ClientFiles>,
        limits: Limits,
    ) -> Result<Self, KmsError> {
        let no_address = || {
            KmsError::Settings(format!("`{address}` is no address; give it as `https://host:port`"))
        };
        let uri: Uri = address.parse().map_err(|_invalid| no_address())?;
        let authority = uri.authority().ok_or_else(no_address)?;
        if uri.scheme_str() != Some("https")
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err(no_address());
        }
        let base = format!("https://{authority}{}", uri.path().trim_end_matches('/'));
        let endpoint = Self {
            base,
            host: authority.as_str().to_owned(),
            ca,
            client,
            limits,
            connections: Mutex::new(None),
        };
        endpoint.connections()?;
        Ok(endpoint)
    }

    /// What a signature covers as `host`.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Those that are there; new ones when a file has changed.
    fn connections(&self) -> Result<Connections, KmsError> {
        let stamp = Stamp::of(&outbound::files(&self.ca, self.client.as_ref()));
        let mut kept = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, connections)) = &*kept
            && *of == stamp
        {
            return Ok(connections.clone());
        }
        let tls = outbound::tls(&self.ca, self.client.as_ref());
        match tls.map(|tls| outbound::pool(tls, self.limits.connect)) {
            Ok(connections) => {
                *kept = Some((stamp, connections.clone()));
                Ok(connections)
            }
            // A file that is half written takes no working service down.
            Err(error) => kept
                .as_ref()
                .map(|(_, kept)| kept.clone())
                .ok_or_else(|| KmsError::Settings(error.to_string())),
        }
    }

    /// Sends what `make` makes, anew for each attempt, until there is an answer that more attempts won't change.
    ///
    /// # Errors
    /// [`KmsError::Unreachable`] after the last attempt, [`KmsError::Denied`] if TLS ends by a refusal, and what `make` fails by.
    pub(super) async fn send(
        &self,
        repeat: Repeat,
        make: impl Fn() -> Result<Call, KmsError> + Send + Sync,
    ) -> Result<Answer, KmsError> {
        attempts(self.limits, repeat, || async {
            let answer = self.exchange(make()?).await?;
            if !is_passing(&answer) {
                return Ok(answer);
            }
            let why = said(&answer);
            let harmless = answer.status == StatusCode::TOO_MANY_REQUESTS;
            Err(if harmless { Failure::Unsent(why) } else { Failure::Broken(why) })
        })
        .await
    }

    async fn exchange(&self, call: Call) -> Result<Answer, Failure> {
        let Call { method, path, headers, body } = call;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .body(Full::new(body))
            .map_err(|error| Failure::Final(KmsError::Settings(error.to_string())))?;
        *request.headers_mut() = headers;
        request.headers_mut().remove(header::HOST);
        let connections = self.connections()?;
        let answer = connections.request(request).await.map_err(|error| {
            if refuses_client(&error) {
                Failure::Final(KmsError::Denied(chain(&error)))
            } else if error.is_connect() {
                Failure::Unsent(chain(&error))
            } else {
                Failure::Broken(chain(&error))
            }
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| Failure::Broken(error.to_string()))?.to_bytes();
        Ok(Answer { status, body: Zeroizing::new(body.to_vec()) })
    }
}

/// Whether a later attempt may get another answer.
fn is_passing(answer: &Answer) -> bool {
    let Answer { status, body } = answer;
    // AWS refuses what comes too fast by 400.
    let throttled = || body.windows(19).any(|part| part == b"ThrottlingException");
    status.is_server_error()
        || *status == StatusCode::TOO_MANY_REQUESTS
        || (*status == StatusCode::BAD_REQUEST && throttled())
}

/// What an answer says of itself, for a person: its status and a message without control characters.
pub(super) fn said(answer: &Answer) -> String {
    let json = answer.json();
    let message = ["/errors/0", "/message", "/Message", "/__type"]
        .into_iter()
        .find_map(|pointer| json.text(pointer))
        .unwrap_or_default();
    format!("{} {}", answer.status.as_u16(), for_a_person(message).trim()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_nothing_else() {
        for bad in [
            "",
            "vault:8200",
            "http://vault:8200",
            "https://",
            "https://user:password@vault",
            "https://vault/?x=1",
            "https://vault/a b",
        ] {
            let error = Endpoint::new(bad, "/none".into(), Limits::default()).unwrap_err();
            assert!(error.to_string().contains("is no address"), "{bad}: {error}");
        }
        let error = Endpoint::new("https://vault", "/none".into(), Limits::default()).unwrap_err();
        assert!(error.to_string().contains("can't read `/none`"), "{error}");
    }
}
