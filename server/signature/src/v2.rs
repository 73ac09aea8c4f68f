//! Signature V2, which AWS deprecated: an HMAC-SHA1 over a few headers and the path.
//!
//! What it does not cover, by its design: `host`, most headers, the query but for
//! sub-resources, the body. It has neither region nor service.
//!
//! Source: Amazon S3, signing and authenticating REST requests (Signature Version 2).

pub(crate) mod header;
pub(crate) mod presigned;
pub(crate) mod text;
pub(crate) mod sign;

use std::borrow::Cow;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use crate::{
    AccessKeyId, Expected, Payload, PayloadHash, Refusal, Request, SecretKey,
    amz_date::AmzDate,
    claim::denied,
    v4::{DUMMY_SECRET, MAX_SKEW_SECONDS, payload::unsigned_payload, proven},
};

/// A V2 signature as sent: nothing of it is proven.
#[derive(Clone, Debug)]
pub(crate) struct V2Claim {
    pub(crate) place: Place,
    pub(crate) access_key_id: AccessKeyId,
    signature: V2Signature,
    /// The line of the string to sign that stands for the time: as sent.
    date: String,
    pub(crate) session_token: Option<SecretKey>,
    /// Whether the token came in the query, and is signed as if it were a header.
    token_in_query: bool,
    pub(crate) payload_hash: Option<PayloadHash>,
}

/// Where the signature is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the `Authorization` header.
    Header { signed_at: AmzDate },
    /// In the query, good until then.
    Presigned { expires: Timestamp },
}

impl V2Claim {
    /// See [`crate::verify`].
    pub(crate) fn verify(
        &self,
        request: &Request<'_>,
        secret: Option<&SecretKey>,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Result<Payload, Refusal> {
        // A signature without a scope must not be good for what it was not meant for.
        if expected.service != "s3" {
            return Err(Refusal::InvalidRequest(Cow::Borrowed(
                "Signature V2 is for S3 alone; sign with AWS4-HMAC-SHA256",
            )));
        }
        self.is_in_time(now)?;
        let token = self.session_token.as_ref().filter(|_| self.token_in_query);
        let text = text::string_to_sign(
            request,
            expected.host_bucket,
            &self.date,
            token.map(SecretKey::expose),
        )?;
        let dummy = SecretKey::new(DUMMY_SECRET.to_owned());
        let matches = V2Signature::of(secret.unwrap_or(&dummy), &text).matches(&self.signature);
        proven(secret, matches)?;
        unsigned_payload(self.payload_hash, request.headers)
    }

    fn is_in_time(&self, now: Timestamp) -> Result<(), Refusal> {
        match &self.place {
            Place::Header { signed_at } => {
                if signed_at.age(now).saturating_abs() > MAX_SKEW_SECONDS {
                    Err(Refusal::RequestTimeTooSkewed)
                } else {
                    Ok(())
                }
            }
            Place::Presigned { expires } if now.as_second() > expires.as_second() => {
                Err(denied("the presigned URL has expired; ask for a new one"))
            }
            Place::Presigned { expires: _ } => Ok(()),
        }
    }
}

/// 20 bytes, compared in constant time only.
#[derive(Clone, Copy)]
pub(crate) struct V2Signature([u8; 20]);

impl V2Signature {
    pub(crate) fn of(secret: &SecretKey, text: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
        let mut signature = [0; 20];
        for (to, from) in signature.iter_mut().zip(hmac::sign(&key, text).as_ref()) {
            *to = *from;
        }
        Self(signature)
    }

    /// Base64 in its one spelling.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }

    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::fmt::Debug for V2Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("V2Signature(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_has_one_spelling_and_is_not_shown() {
        let secret = SecretKey::new("secret".to_owned());
        let signature = V2Signature::of(&secret, b"x");
        let text = signature.base64();
        assert!(V2Signature::parse(&text).unwrap().matches(&signature));
        assert!(!V2Signature::of(&secret, b"y").matches(&signature));
        assert_eq!(format!("{signature:?}"), "V2Signature(redacted)");
        for (name, text) in [
            ("short", "c2ln".to_owned()),
            ("unpadded", text.trim_end_matches('=').to_owned()),
            ("of the URL's alphabet", "-_-_-_-_-_-_-_-_-_-_-_-_-_8=".to_owned()),
            ("with a blank", format!("{text} ")),
            ("empty", String::new()),
        ] {
            assert!(V2Signature::parse(&text).is_none(), "{name}");
        }
    }
}
