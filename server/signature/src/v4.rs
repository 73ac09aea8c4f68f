//! Signature V4: what a request claims, and whether it is true.
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
    AccessKeyId, Refusal, Request, Scheme, Scope, SecretKey, SigningKeyCache,
    amz_date::AmzDate,
    canonical,
    credential::Signature,
    payload_hash::PayloadHash,
    scheme::scheme,
    v4::{chunked::ChunkSeed, payload::Payload},
};

/// How far a request's time may lie from the server's.
const MAX_SKEW_SECONDS: i64 = 15 * 60;
/// A signature names at most so many headers.
const MAX_SIGNED_HEADERS: usize = 128;
/// The algorithm, as header and query name it.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Stands for the key of an unknown access key id, so that it costs the same.
const DUMMY_SECRET: &str = "0000000000000000000000000000000000000000";

pub(crate) const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
pub(crate) const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(crate) const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What a request says of itself.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per request, on the stack, and mostly signed")]
pub enum Claim {
    /// Nothing: see [`crate::anonymous_payload`] for its body.
    Anonymous,
    /// That a key signed it.
    Signed(SignedClaim),
}

/// A signature as sent: nothing of it is proven.
#[derive(Clone, Debug)]
pub struct SignedClaim {
    form: Form,
    access_key_id: AccessKeyId,
    scope: Scope,
    signed_at: AmzDate,
    /// Sorted, without doubles.
    signed_headers: Vec<HeaderName>,
    signature: Signature,
    session_token: Option<SecretKey>,
    /// `None` where the request doesn't say: see [`SignedClaim::with_body_sha256`].
    payload_hash: Option<PayloadHash>,
}

/// Where the signature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the `Authorization` header.
    Header,
    /// In the query, good for so long from its time on.
    Presigned {
        /// 1 second to 7 days.
        expires: Duration,
    },
}

/// What the server that is asked answers to.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Its region.
    pub region: &'a str,
    /// `s3`, or `sts`.
    pub service: &'a str,
}

/// A request whose signature is proven: only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    access_key_id: AccessKeyId,
    scope: Scope,
    form: Form,
    signed_at: Timestamp,
    signed_headers: Vec<HeaderName>,
    payload_hash: PayloadHash,
    payload: Payload,
}

/// Reads what a request says of itself, before any key is known.
///
/// # Errors
/// Whatever [`scheme`] refuses, [`Refusal::NotImplemented`] for forms other than
/// V4's, and the code that AWS gives for each part that is missing, doubled or
/// malformed.
pub fn claim(request: &Request<'_>) -> Result<Claim, Refusal> {
    match scheme(request)? {
        Scheme::Anonymous => Ok(Claim::Anonymous),
        Scheme::V4Header => header::claim(request).map(Claim::Signed),
        Scheme::V4Presigned => presigned::claim(request).map(Claim::Signed),
        other @ (Scheme::V4a | Scheme::V2Header | Scheme::V2Presigned | Scheme::PostForm) => {
            Err(Refusal::NotImplemented(other))
        }
    }
}

/// Proves a claim, of which `request` must be the origin.
///
/// `secret` is `None` if the access key is unknown or disabled: the same work is
/// done, so that time doesn't tell which keys exist.
///
/// # Errors
/// In this order: another region or service; a time outside its window; a header
/// that should be signed and isn't; [`Refusal::InvalidAccessKeyId`] without secret;
/// [`Refusal::SignatureDoesNotMatch`]; what a streamed body's headers lack.
pub fn verify(
    claim: &SignedClaim,
    request: &Request<'_>,
    secret: Option<&SecretKey>,
    expected: &Expected<'_>,
    now: Timestamp,
    keys: &SigningKeyCache,
) -> Result<Verified, Refusal> {
    claim.is_meant_for(expected)?;
    claim.is_in_time(now)?;
    claim.covers_headers(request.headers)?;
    let payload_hash =
        claim.payload_hash.ok_or(Refusal::MissingSecurityHeader("x-amz-content-sha256"))?;

    let canonical = canonical::request(
        request,
        &claim.signed_headers,
        &payload_hash.as_header(),
        match claim.form {
            Form::Header => None,
            Form::Presigned { expires: _ } => Some("X-Amz-Signature"),
        },
    )?;
    let text = canonical::string_to_sign(claim.signed_at.as_str(), &claim.scope, &canonical);
    let key = match secret {
        Some(secret) => keys.key(claim.access_key_id.as_str(), secret, &claim.scope),
        // No access key id is empty, so this entry is nobody's.
        None => keys.key("", &SecretKey::new(DUMMY_SECRET.to_owned()), &claim.scope),
    };
    let matches = key.sign(text.as_bytes()).matches(&claim.signature);
    if secret.is_none() {
        return Err(Refusal::InvalidAccessKeyId);
    }
    if !matches {
        return Err(Refusal::SignatureDoesNotMatch);
    }

    let seed = ChunkSeed::new(key, claim.signed_at.as_str(), &claim.scope, claim.signature);
    Ok(Verified {
        access_key_id: claim.access_key_id.clone(),
        scope: claim.scope.clone(),
        form: claim.form,
        signed_at: claim.signed_at.at(),
        signed_headers: claim.signed_headers.clone(),
        payload_hash,
        payload: Payload::signed(payload_hash, request.headers, seed)?,
    })
}

impl SignedClaim {
    /// Who says to have signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// For which day, region and service.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The session token beside the key, unproven as all of this.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_ref().map(SecretKey::expose)
    }

    /// Where the signature is.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether the signature is in the query.
    pub fn presigned(&self) -> bool {
        match self.form {
            Form::Header => false,
            Form::Presigned { expires: _ } => true,
        }
    }

    /// When it says to have been signed, in whole seconds.
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at.at()
    }

    /// The headers that it says to cover, sorted.
    pub fn signed_headers(&self) -> &[HeaderName] {
        &self.signed_headers
    }

    /// How it says that its body is bound, if it says so.
    pub fn payload_hash(&self) -> Option<PayloadHash> {
        self.payload_hash
    }

    /// Binds the body that was read, if the request doesn't say how it is bound.
    ///
    /// S3 wants `x-amz-content-sha256` and its callers never need this; clients of
    /// STS leave it out, and sign the hash all the same.
    #[must_use]
    pub fn with_body_sha256(mut self, hash: [u8; 32]) -> Self {
        self.payload_hash.get_or_insert(PayloadHash::Sha256(hash));
        self
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

impl Verified {
    /// Who signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// For which day, region and service.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where the signature is.
    pub fn form(&self) -> Form {
        self.form
    }

    /// When it was signed, in whole seconds.
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// How old the signature is: up to 15 minutes less than nothing.
    pub fn age(&self, now: Timestamp) -> jiff::SignedDuration {
        now.duration_since(self.signed_at)
    }

    /// The headers that the signature covers, sorted. Any other header may have
    /// been added or changed on the way.
    pub fn signed_headers(&self) -> &[HeaderName] {
        &self.signed_headers
    }

    /// The value of `x-amz-content-sha256`, or what stands for it.
    pub fn payload_hash(&self) -> PayloadHash {
        self.payload_hash
    }

    /// How to read the body.
    pub fn payload(&self) -> &Payload {
        &self.payload
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

/// Reads `id/YYYYMMDD/region/service/aws4_request`; the id may hold a `/`.
fn credential(
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
    if ![service, region].into_iter().all(is_scope_part) {
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
