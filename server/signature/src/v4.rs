//! Signature V4: in the `Authorization` header and in the query.
//!
//! Source: AWS Signature V4; Amazon S3, authenticating requests.

pub(crate) mod header;
pub(crate) mod presigned;
pub(crate) mod payload;
pub(crate) mod chunked;
pub(crate) mod sign;

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, HeaderName, header::HOST};
use jiff::Timestamp;

use crate::{
    AccessKeyId, Expected, Refusal, Request, Scope, SecretKey, SigningKeyCache,
    amz_date::AmzDate,
    canonical,
    credential::{Signature, SigningKey},
    payload_hash::PayloadHash,
    v4::{chunked::ChunkSeed, payload::Payload},
};

/// How far a request's time may lie from the server's.
pub(crate) const MAX_SKEW_SECONDS: i64 = 15 * 60;
/// A signature names at most so many headers.
const MAX_SIGNED_HEADERS: usize = 128;
/// The algorithm, as header and query name it.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Stands for the key of an unknown access key id, so that it costs the same.
pub(crate) const DUMMY_SECRET: &str = "0000000000000000000000000000000000000000";

pub(crate) const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
pub(crate) const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(crate) const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// A signature as sent: nothing of it is proven.
#[derive(Clone, Debug)]
pub(crate) struct V4Claim {
    pub(crate) form: Form,
    pub(crate) access_key_id: AccessKeyId,
    pub(crate) scope: Scope,
    pub(crate) signed_at: AmzDate,
    /// Sorted, without doubles.
    pub(crate) signed_headers: Vec<HeaderName>,
    signature: Signature,
    pub(crate) session_token: Option<SecretKey>,
    /// `None` where the request doesn't say: see [`crate::SignedClaim::with_body_sha256`].
    pub(crate) payload_hash: Option<PayloadHash>,
}

/// Where the signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query, good for so long from its time on.
    Presigned {
        /// 1 second to 7 days.
        expires: Duration,
    },
}

impl V4Claim {
    /// See [`crate::verify`].
    pub(crate) fn verify(
        &self,
        request: &Request<'_>,
        secret: Option<&SecretKey>,
        expected: &Expected<'_>,
        now: Timestamp,
        keys: &SigningKeyCache,
    ) -> Result<Payload, Refusal> {
        self.is_meant_for(expected)?;
        self.is_in_time(now)?;
        self.covers_headers(request.headers)?;
        let payload_hash =
            self.payload_hash.ok_or(Refusal::MissingSecurityHeader("x-amz-content-sha256"))?;

        let canonical = canonical::request(
            request,
            &self.signed_headers,
            &payload_hash.as_header(),
            match self.form {
                Form::Header => None,
                Form::Presigned { expires: _ } => Some("X-Amz-Signature"),
            },
        )?;
        let text = canonical::string_to_sign(self.signed_at.as_str(), &self.scope, &canonical);
        let key = signing_key(keys, &self.access_key_id, secret, &self.scope);
        let matches = key.sign(text.as_bytes()).matches(&self.signature);
        proven(secret, matches)?;

        let seed = ChunkSeed::new(key, self.signed_at.as_str(), &self.scope, self.signature);
        Payload::signed(payload_hash, request.headers, seed)
    }

    /// The last second of a presigned URL.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        match self.form {
            Form::Header => None,
            Form::Presigned { expires } => self.signed_at.at().checked_add(expires).ok(),
        }
    }

    fn is_meant_for(&self, expected: &Expected<'_>) -> Result<(), Refusal> {
        if self.scope.service() != expected.service {
            let message =
                format!("the credential is for another service; sign for `{}`", expected.service);
            return Err(self.form.malformed(message));
        }
        if self.scope.region() != expected.region {
            let message = Cow::Owned(format!(
                "the credential is for another region; sign for `{}`",
                expected.region
            ));
            let region = Some(expected.region.to_owned());
            return Err(match self.form {
                Form::Header => Refusal::AuthorizationHeaderMalformed { message, region },
                Form::Presigned { expires: _ } => {
                    Refusal::AuthorizationQueryParametersError { message, region }
                }
            });
        }
        Ok(())
    }

    fn is_in_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let age = self.signed_at.age(now);
        match self.form {
            Form::Header if age.saturating_abs() > MAX_SKEW_SECONDS => {
                Err(Refusal::RequestTimeTooSkewed)
            }
            Form::Header => Ok(()),
            Form::Presigned { expires: _ } if age.saturating_neg() > MAX_SKEW_SECONDS => {
                Err(Refusal::AccessDenied(Cow::Borrowed(
                    "the presigned URL is not valid yet; set the signer's clock",
                )))
            }
            Form::Presigned { expires } => match u64::try_from(age) {
                Ok(age) if age > expires.as_secs() => Err(Refusal::AccessDenied(Cow::Borrowed(
                    "the presigned URL has expired; ask for a new one",
                ))),
                Ok(_) | Err(_) => Ok(()),
            },
        }
    }

    /// An unsigned `x-amz-*` header could be added on the way, and change what
    /// the request does.
    fn covers_headers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let signed = |name: &HeaderName| {
            self.signed_headers.binary_search_by(|known| known.as_str().cmp(name.as_str())).is_ok()
        };
        if !signed(&HOST) {
            return Err(self
                .form
                .malformed("the header `host` is not signed; name it in SignedHeaders"));
        }
        match headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !signed(name)) {
            None => Ok(()),
            Some(name) => Err(Refusal::AccessDenied(Cow::Owned(format!(
                "the header `{name}` is not signed; name it in SignedHeaders"
            )))),
        }
    }
}

impl Form {
    pub(crate) fn malformed(self, message: impl Into<Cow<'static, str>>) -> Refusal {
        let message = message.into();
        match self {
            Self::Header => Refusal::AuthorizationHeaderMalformed { message, region: None },
            Self::Presigned { expires: _ } => {
                Refusal::AuthorizationQueryParametersError { message, region: None }
            }
        }
    }
}

/// The key for a scope: of a stranger's, one that is nobody's, so that both cost the same.
pub(crate) fn signing_key(
    keys: &SigningKeyCache,
    access_key_id: &AccessKeyId,
    secret: Option<&SecretKey>,
    scope: &Scope,
) -> SigningKey {
    match secret {
        Some(secret) => keys.key(access_key_id.as_str(), secret, scope),
        // No access key id is empty, so this entry is nobody's.
        None => keys.key("", &SecretKey::new(DUMMY_SECRET.to_owned()), scope),
    }
}

/// The answer, only once the work is done.
pub(crate) fn proven(secret: Option<&SecretKey>, matches: bool) -> Result<(), Refusal> {
    match (secret, matches) {
        (None, _) => Err(Refusal::InvalidAccessKeyId),
        (Some(_), false) => Err(Refusal::SignatureDoesNotMatch),
        (Some(_), true) => Ok(()),
    }
}

/// Reads `id/YYYYMMDD/region/service/aws4_request`; the id may hold a `/`.
pub(crate) fn credential(
    text: &str,
    form: Form,
    signed_at: &AmzDate,
) -> Result<(AccessKeyId, Scope), Refusal> {
    let mut parts = text.rsplitn(5, '/');
    let (Some(terminator), Some(service), Some(region), Some(date), Some(id)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(form.malformed("the credential is not ID/YYYYMMDD/REGION/SERVICE/aws4_request"));
    };
    if terminator != "aws4_request" {
        return Err(form.malformed("the credential does not end in `aws4_request`"));
    }
    // Clients of the admin API, who can't know the region, name an empty one.
    if !is_scope_part(service) || !(region.is_empty() || is_scope_part(region)) {
        return Err(form.malformed("the credential's region or service is not a name"));
    }
    if date != signed_at.day() {
        return Err(form.malformed(
            "the credential's date is not the day of the request; sign with one time, in UTC",
        ));
    }
    let id = id.parse().map_err(|_cause: crate::AccessKeyIdError| Refusal::InvalidAccessKeyId)?;
    Ok((id, Scope::new(date, region, service)))
}

fn is_scope_part(part: &str) -> bool {
    (1..=64).contains(&part.len())
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Reads `name;name`: lower case, none twice.
fn signed_headers(text: &str, form: Form) -> Result<Vec<HeaderName>, Refusal> {
    let mut names = Vec::with_capacity(8);
    for name in text.split(';') {
        let lower = HeaderName::from_lowercase(name.as_bytes());
        names.push(lower.map_err(|_cause: http::header::InvalidHeaderName| {
            form.malformed("SignedHeaders is not a list of lower-case header names, joined by `;`")
        })?);
    }
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    if names.len() > MAX_SIGNED_HEADERS || names.windows(2).any(|pair| pair.first() == pair.last())
    {
        return Err(form.malformed("SignedHeaders names a header twice, or too many"));
    }
    Ok(names)
}

/// The one value of a header that may not be repeated.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::InvalidRequest(Cow::Owned(format!(
            "the header `{name}` is there twice; send it once"
        ))));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Refusal::InvalidArgument(Cow::Owned(format!(
            "the header `{name}` is not ASCII text"
        )))),
    }
}

#[cfg(test)]
mod tests;
