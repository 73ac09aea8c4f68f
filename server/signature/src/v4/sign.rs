//! The client's side: sign a request.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, EXPECT, HOST, InvalidHeaderValue,
        TRANSFER_ENCODING, USER_AGENT,
    },
};
use jiff::Timestamp;
use thiserror::Error;

use crate::{
    Credentials, PayloadHash, Refusal, Request, Scope,
    amz_date::AmzDate,
    canonical,
    credential::{Signature, SigningKey},
    v4::{
        ALGORITHM, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN,
        chunked::{ChunkEncoder, ChunkSeed, TrailerPart},
    },
};

/// What proxies and HTTP libraries change on the way.
const NEVER_SIGNED: [HeaderName; 6] =
    [AUTHORIZATION, ACCEPT_ENCODING, CONNECTION, EXPECT, TRANSFER_ENCODING, USER_AGENT];

/// Who signs, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// The key pair.
    pub credentials: &'a Credentials,
    /// The server's region.
    pub region: &'a str,
    /// `s3`, or `sts`.
    pub service: &'a str,
}

/// A request that can't be signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// There is no `host` among the headers.
    #[error("the headers have no `host`; set it before signing")]
    NoHost,
    /// Path or query are not percent-encoded.
    #[error("the request can't be written canonically")]
    Uri(#[source] Refusal),
    /// A session token that isn't a header's value.
    #[error("the session token is no header value; it may hold visible ASCII only")]
    SessionToken(#[source] InvalidHeaderValue),
    /// A signature that isn't a header's value: region or service hold what it may not.
    #[error("the region or service is no part of a header value; use letters, digits and `-`")]
    Scope(#[source] InvalidHeaderValue),
    /// A time that HTTP can't write.
    #[error("the time can't be written as a header; it lies before the year 0")]
    Time(#[source] jiff::Error),
    /// A life out of range.
    #[error("a presigned URL lives from 1 second to 7 days, not {} seconds", .0.as_secs())]
    Expires(Duration),
}

impl Signer<'_> {
    /// Sets `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` and
    /// `authorization` in `headers`, and signs all headers but those that proxies
    /// change. `path` and `query` are percent-encoded, as they will be sent.
    ///
    /// For a body in chunks the caller sets `x-amz-decoded-content-length` and
    /// `x-amz-trailer` before, and encodes it by what is returned; else `None` is.
    ///
    /// # Errors
    /// [`SignError`], without a change that could be taken for a signature.
    pub fn sign_headers(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &mut HeaderMap,
        payload: &PayloadHash,
        now: Timestamp,
    ) -> Result<Option<ChunkEncoder>, SignError> {
        headers.remove(AUTHORIZATION);
        let date = AmzDate::of(now);
        let scope = Scope::new(date.day(), self.region, self.service);
        let value = |text: &str| HeaderValue::from_str(text).map_err(SignError::Scope);
        headers.insert(X_AMZ_DATE, value(date.as_str())?);
        headers.insert(X_AMZ_CONTENT_SHA256, value(&payload.as_header())?);
        if let Some(token) = &self.credentials.session_token {
            let mut token =
                HeaderValue::from_str(token.expose()).map_err(SignError::SessionToken)?;
            token.set_sensitive(true);
            headers.insert(X_AMZ_SECURITY_TOKEN, token);
        }

        let names = signed_names(headers)?;
        let request = Request { method, path, query, headers };
        let (key, signature) =
            self.signature(&request, &names, &payload.as_header(), &date, &scope)?;
        let mut authorization = value(&format!(
            "{ALGORITHM} Credential={}/{scope},SignedHeaders={},Signature={}",
            self.credentials.access_key_id,
            joined(&names),
            signature.hex()
        ))?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);

        let seed = ChunkSeed::new(key, date.as_str(), &scope, signature);
        Ok(match payload {
            PayloadHash::Unsigned | PayloadHash::Sha256(_) => None,
            PayloadHash::SignedChunks => Some(ChunkEncoder::new(Some(seed), TrailerPart::None)),
            PayloadHash::SignedChunksTrailer => {
                Some(ChunkEncoder::new(Some(seed), TrailerPart::Lines))
            }
            PayloadHash::UnsignedChunksTrailer => Some(ChunkEncoder::new(None, TrailerPart::Lines)),
        })
    }

    /// The query of a URL that is good from `now` for `expires`. Whoever uses it
    /// sends `headers` as they are here; `host` must be among them. Its body may be any, unless `X-Amz-Content-Sha256` in `query`
    /// or in `headers` says which.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn presign(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        expires: Duration,
        now: Timestamp,
    ) -> Result<String, SignError> {
        if !(1..=604_800).contains(&expires.as_secs()) {
            return Err(SignError::Expires(expires));
        }
        let date = AmzDate::of(now);
        let scope = Scope::new(date.day(), self.region, self.service);
        let names = signed_names(headers)?;
        let mut full = String::from(query);
        let mut add = |name: &str, value: &str| {
            let mut encoded = Vec::with_capacity(value.len());
            value.bytes().for_each(|byte| canonical::encode(byte, &mut encoded));
            if !full.is_empty() {
                full.push('&');
            }
            full.push_str(name);
            full.push('=');
            full.push_str(&String::from_utf8_lossy(&encoded));
        };
        add("X-Amz-Algorithm", ALGORITHM);
        add("X-Amz-Credential", &format!("{}/{scope}", self.credentials.access_key_id));
        add("X-Amz-Date", date.as_str());
        add("X-Amz-Expires", &expires.as_secs().to_string());
        if let Some(token) = &self.credentials.session_token {
            add("X-Amz-Security-Token", token.expose());
        }
        add("X-Amz-SignedHeaders", &joined(&names));

        let in_query = canonical::pairs(query).find(|pair| pair.name == "X-Amz-Content-Sha256");
        let payload = match in_query {
            Some(pair) => Some(pair.value),
            None => headers.get(X_AMZ_CONTENT_SHA256).and_then(|value| value.to_str().ok()),
        };
        let request = Request { method, path, query: &full, headers };
        let (_, signature) =
            self.signature(&request, &names, payload.unwrap_or("UNSIGNED-PAYLOAD"), &date, &scope)?;
        full.push_str("&X-Amz-Signature=");
        full.push_str(&signature.hex());
        Ok(full)
    }

    fn signature(
        &self,
        request: &Request<'_>,
        names: &[HeaderName],
        payload: &str,
        date: &AmzDate,
        scope: &Scope,
    ) -> Result<(SigningKey, Signature), SignError> {
        let canonical =
            canonical::request(request, names, payload, None).map_err(SignError::Uri)?;
        let text = canonical::string_to_sign(date.as_str(), scope, &canonical);
        let key = SigningKey::derive(&self.credentials.secret_key, scope);
        let signature = key.sign(text.as_bytes());
        Ok((key, signature))
    }
}

fn joined(names: &[HeaderName]) -> String {
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    names.join(";")
}

fn signed_names(headers: &HeaderMap) -> Result<Vec<HeaderName>, SignError> {
    if !headers.contains_key(HOST) {
        return Err(SignError::NoHost);
    }
    let mut names: Vec<HeaderName> =
        headers.keys().filter(|name| !NEVER_SIGNED.contains(name)).cloned().collect();
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    Ok(names)
}
