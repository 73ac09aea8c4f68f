//! What a request says of itself, and whether it is true: one call for every form.

use std::borrow::Cow;

use http::HeaderName;
use jiff::Timestamp;

use crate::{
    AccessKeyId, PayloadHash, Refusal, Request, Scheme, Scope, SecretKey, SigningKeyCache,
    scheme::scheme,
    v2::{self, V2Claim},
    v4::{self, V4Claim, payload::Payload},
};

/// What a request says of itself.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per request, on the stack, and mostly signed")]
pub enum Claim {
    /// Nothing: see [`crate::anonymous_payload`] for its body.
    Anonymous,
    /// That a key signed it.
    Signed(SignedClaim),
    /// What it says is among the fields of its form: see [`crate::post_form`].
    Form,
}

/// A signature as sent: nothing of it is proven.
#[derive(Clone, Debug)]
pub struct SignedClaim(Version);

#[derive(Clone, Debug)]
enum Version {
    V4(V4Claim),
    V2(V2Claim),
}

/// What the server that is asked answers to.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Its region. Signature V2 names none.
    pub region: &'a str,
    /// `s3`, or `sts`. Signature V2 names none, and is good for `s3` alone.
    pub service: &'a str,
    /// The bucket that the request's host names, if it does: Signature V2 signs it as
    /// the beginning of the path.
    pub host_bucket: Option<&'a str>,
}

/// A request whose signature is proven: only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    access_key_id: AccessKeyId,
    scheme: Scheme,
    scope: Option<Scope>,
    signed_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    payload: Payload,
}

/// Reads what a request says of itself, before any key is known.
///
/// # Errors
/// Whatever [`scheme`] refuses, [`Refusal::NotImplemented`] for V4A, and the code that
/// AWS gives for each part that is missing, doubled or malformed.
pub fn claim(request: &Request<'_>) -> Result<Claim, Refusal> {
    let signed = match scheme(request)? {
        Scheme::Anonymous => return Ok(Claim::Anonymous),
        Scheme::PostForm => return Ok(Claim::Form),
        Scheme::V4Header => Version::V4(v4::header::claim(request)?),
        Scheme::V4Presigned => Version::V4(v4::presigned::claim(request)?),
        Scheme::V2Header => Version::V2(v2::header::claim(request)?),
        Scheme::V2Presigned => Version::V2(v2::presigned::claim(request)?),
        other @ (Scheme::V4a | Scheme::V4Form | Scheme::V2Form) => {
            return Err(Refusal::NotImplemented(other));
        }
    };
    Ok(Claim::Signed(SignedClaim(signed)))
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
    let payload = match &claim.0 {
        Version::V4(claim) => claim.verify(request, secret, expected, now, keys)?,
        Version::V2(claim) => claim.verify(request, secret, expected, now)?,
    };
    Ok(Verified {
        access_key_id: claim.access_key_id().clone(),
        scheme: claim.scheme(),
        scope: claim.scope().cloned(),
        signed_at: claim.signed_at(),
        expires_at: claim.expires_at(),
        payload,
    })
}

impl SignedClaim {
    /// Which form this is.
    pub fn scheme(&self) -> Scheme {
        match &self.0 {
            Version::V4(claim) => match claim.form {
                v4::Form::Header => Scheme::V4Header,
                v4::Form::Presigned { expires: _ } => Scheme::V4Presigned,
            },
            Version::V2(claim) => match claim.place {
                v2::Place::Header { signed_at: _ } => Scheme::V2Header,
                v2::Place::Presigned { expires: _ } => Scheme::V2Presigned,
            },
        }
    }

    /// Who says to have signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        match &self.0 {
            Version::V4(claim) => &claim.access_key_id,
            Version::V2(claim) => &claim.access_key_id,
        }
    }

    /// For which day, region and service; V2 has none of these.
    pub fn scope(&self) -> Option<&Scope> {
        match &self.0 {
            Version::V4(claim) => Some(&claim.scope),
            Version::V2(_) => None,
        }
    }

    /// The session token beside the key, unproven as all of this.
    pub fn session_token(&self) -> Option<&str> {
        match &self.0 {
            Version::V4(claim) => claim.session_token.as_ref(),
            Version::V2(claim) => claim.session_token.as_ref(),
        }
        .map(SecretKey::expose)
    }

    /// When it says to have been signed, in whole seconds; a presigned V2 URL doesn't.
    pub fn signed_at(&self) -> Option<Timestamp> {
        match &self.0 {
            Version::V4(claim) => Some(claim.signed_at.at()),
            Version::V2(claim) => match &claim.place {
                v2::Place::Header { signed_at } => Some(signed_at.at()),
                v2::Place::Presigned { expires: _ } => None,
            },
        }
    }

    /// The last second in which a presigned URL is good.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match &self.0 {
            Version::V4(claim) => claim.expires_at(),
            Version::V2(claim) => match &claim.place {
                v2::Place::Header { signed_at: _ } => None,
                v2::Place::Presigned { expires } => Some(*expires),
            },
        }
    }

    /// The headers that V4 says to cover, sorted. V2 names none: it covers its date,
    /// `content-md5`, `content-type` and all `x-amz-*`.
    pub fn signed_headers(&self) -> &[HeaderName] {
        match &self.0 {
            Version::V4(claim) => &claim.signed_headers,
            Version::V2(_) => &[],
        }
    }

    /// How it says that its body is bound, if it says so.
    pub fn payload_hash(&self) -> Option<PayloadHash> {
        match &self.0 {
            Version::V4(claim) => claim.payload_hash,
            Version::V2(claim) => claim.payload_hash,
        }
    }

    /// Binds the body that was read, if the request doesn't say how it is bound.
    ///
    /// S3 wants `x-amz-content-sha256` and its callers never need this; clients of
    /// STS leave it out, and sign the hash all the same. V2 signs no hash.
    #[must_use]
    pub fn with_body_sha256(mut self, hash: [u8; 32]) -> Self {
        match &mut self.0 {
            Version::V4(claim) => {
                claim.payload_hash.get_or_insert(PayloadHash::Sha256(hash));
            }
            Version::V2(_) => {}
        }
        self
    }
}

impl Verified {
    /// Who signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// In which form.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// For which day, region and service; V2 has none of these.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// When it was signed, in whole seconds: at most 15 minutes from now for a header;
    /// a presigned V2 URL doesn't say.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.signed_at
    }

    /// The last second in which a presigned URL is good.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// How to read the body.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }
}

/// A text of ours that stays borrowed.
pub(crate) fn denied(message: &'static str) -> Refusal {
    Refusal::AccessDenied(Cow::Borrowed(message))
}
