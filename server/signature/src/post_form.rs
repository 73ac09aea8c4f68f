//! A browser's form: an upload whose signature is among its fields.
//!
//! The fields come before the file, in a `multipart/form-data` body. What is signed is a
//! policy, which says until when and for which fields the form is good; so a form has
//! no 15 minutes, and each of its fields must be covered by the policy.
//!
//! A server asks, in this order: [`FormDecoder`] for the fields; [`claim`] for the access
//! key; [`FormClaim::verify`] whether the policy is that key's; [`VerifiedForm::check`]
//! whether the fields are what the policy allows. Then it reads the file, whose length the
//! policy may bound.
//!
//! Source: Amazon S3, browser-based uploads using POST (Signature V4, and V2).

mod fields;
mod head;
mod decode;
mod policy;
mod sign;

pub use decode::{FormDecoder, FormLimits};
pub use fields::Fields;
pub use policy::{LengthRange, PostPolicy};
pub use sign::{sign_form, sign_form_v2};

use std::{borrow::Cow, fmt};

use jiff::Timestamp;

use crate::{
    AccessKeyId, AccessKeyIdError, Expected, Refusal, Scheme, Scope, SecretKey, SigningKeyCache,
    amz_date::AmzDate,
    credential::Signature,
    v2::V2Signature,
    v4::{self, ALGORITHM, DUMMY_SECRET, proven, signing_key},
};

pub(crate) const ALGORITHM_FIELD: &str = "x-amz-algorithm";
pub(crate) const CREDENTIAL: &str = "x-amz-credential";
pub(crate) const DATE: &str = "x-amz-date";
pub(crate) const SIGNATURE: &str = "x-amz-signature";
pub(crate) const TOKEN: &str = "x-amz-security-token";
pub(crate) const POLICY: &str = "policy";
pub(crate) const V2_KEY: &str = "awsaccesskeyid";
pub(crate) const V2_SIGNATURE: &str = "signature";

/// A form's signature as sent: nothing of it is proven.
///
/// Its `Debug` shows who and how only: the policy may hold a token.
#[derive(Clone)]
pub struct FormClaim {
    access_key_id: AccessKeyId,
    session_token: Option<SecretKey>,
    /// Base64, as sent: this is what is signed.
    policy: String,
    proof: Proof,
}

#[derive(Clone, Debug)]
enum Proof {
    V4 { scope: Scope, signature: Signature },
    V2(V2Signature),
}

/// A form whose policy is proven to be its signer's: only [`FormClaim::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedForm {
    access_key_id: AccessKeyId,
    scheme: Scheme,
    policy: PostPolicy,
}

/// Reads what the fields of a form say of who signed it; `None` if they say nothing.
///
/// # Errors
/// [`Refusal::InvalidArgument`] with the name of a field that is missing beside others or
/// can't be read, [`Refusal::InvalidRequest`] for V2 and V4 at once.
pub fn claim(fields: &Fields) -> Result<Option<FormClaim>, Refusal> {
    let any = |names: &[&str]| names.iter().any(|name| fields.get(name).is_some());
    let v4 = any(&[ALGORITHM_FIELD, CREDENTIAL, DATE, SIGNATURE]);
    let v2 = any(&[V2_KEY, V2_SIGNATURE]);
    let need = |name: &'static str| {
        fields.get(name).ok_or_else(|| {
            Refusal::InvalidArgument(Cow::Owned(format!(
                "the form has no field `{name}` before its file; send it, or none of a signature"
            )))
        })
    };
    let (access_key_id, proof) = match (v4, v2) {
        (false, false) if any(&[POLICY, TOKEN]) => {
            return need(SIGNATURE).map(|_| None);
        }
        (false, false) => return Ok(None),
        (true, true) => {
            return Err(Refusal::InvalidRequest(Cow::Borrowed(
                "the form has both a V2 and a V4 signature; send one",
            )));
        }
        (true, false) => v4_proof(&need)?,
        (false, true) => {
            let id = need(V2_KEY)?;
            let id = id.parse().map_err(|_cause: AccessKeyIdError| Refusal::InvalidAccessKeyId)?;
            let signature =
                V2Signature::parse(need(V2_SIGNATURE)?).ok_or(Refusal::SignatureDoesNotMatch)?;
            (id, Proof::V2(signature))
        }
    };
    Ok(Some(FormClaim {
        access_key_id,
        session_token: fields.get(TOKEN).map(|token| SecretKey::new(token.to_owned())),
        policy: need(POLICY)?.to_owned(),
        proof,
    }))
}

fn v4_proof<'a>(
    need: &impl Fn(&'static str) -> Result<&'a str, Refusal>,
) -> Result<(AccessKeyId, Proof), Refusal> {
    let malformed = |message: &'static str| Refusal::InvalidArgument(Cow::Borrowed(message));
    match need(ALGORITHM_FIELD)? {
        ALGORITHM => {}
        "AWS4-ECDSA-P256-SHA256" => return Err(Refusal::NotImplemented(Scheme::V4a)),
        _ => return Err(malformed("x-amz-algorithm is not AWS4-HMAC-SHA256")),
    }
    let date = AmzDate::parse(need(DATE)?)
        .ok_or_else(|| malformed("x-amz-date is not YYYYMMDDTHHMMSSZ"))?;
    let (id, scope) =
        v4::credential(need(CREDENTIAL)?, v4::Form::Header, &date).map_err(|refusal| {
            match refusal.code() {
                // There is no header: it is a field that can't be read.
                "AuthorizationHeaderMalformed" => {
                    Refusal::InvalidArgument(Cow::Owned(format!("x-amz-credential: {refusal}")))
                }
                _ => refusal,
            }
        })?;
    let signature =
        Signature::parse(need(SIGNATURE)?.as_bytes()).ok_or(Refusal::SignatureDoesNotMatch)?;
    Ok((id, Proof::V4 { scope, signature }))
}

impl FormClaim {
    /// Who says to have signed.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// The session token beside the key, unproven as all of this.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_ref().map(SecretKey::expose)
    }

    /// Which form this is.
    pub fn scheme(&self) -> Scheme {
        match &self.proof {
            Proof::V4 { scope: _, signature: _ } => Scheme::V4Form,
            Proof::V2(_) => Scheme::V2Form,
        }
    }

    /// Proves that the policy is its signer's. `secret` is `None` if the access key is
    /// unknown or disabled: the same work is done.
    ///
    /// # Errors
    /// In this order: another region or service; [`Refusal::InvalidAccessKeyId`] without
    /// secret; [`Refusal::SignatureDoesNotMatch`]; what [`PostPolicy::parse`] refuses.
    pub fn verify(
        &self,
        secret: Option<&SecretKey>,
        expected: &Expected<'_>,
        keys: &SigningKeyCache,
    ) -> Result<VerifiedForm, Refusal> {
        let matches = match &self.proof {
            Proof::V4 { scope, signature } => {
                if (scope.region(), scope.service()) != (expected.region, expected.service) {
                    return Err(Refusal::InvalidArgument(Cow::Owned(format!(
                        "x-amz-credential is for another region or service; sign for `{}` and `{}`",
                        expected.region, expected.service
                    ))));
                }
                let key = signing_key(keys, &self.access_key_id, secret, scope);
                key.sign(self.policy.as_bytes()).matches(signature)
            }
            Proof::V2(_) if expected.service != "s3" => {
                return Err(Refusal::InvalidRequest(Cow::Borrowed(
                    "Signature V2 is for S3 alone; sign with AWS4-HMAC-SHA256",
                )));
            }
            Proof::V2(signature) => {
                let dummy = SecretKey::new(DUMMY_SECRET.to_owned());
                let secret = secret.unwrap_or(&dummy);
                V2Signature::of(secret, self.policy.as_bytes()).matches(signature)
            }
        };
        proven(secret, matches)?;
        Ok(VerifiedForm {
            access_key_id: self.access_key_id.clone(),
            scheme: self.scheme(),
            policy: PostPolicy::parse(&self.policy)?,
        })
    }
}

impl fmt::Debug for FormClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormClaim")
            .field("access_key_id", &self.access_key_id)
            .field("scheme", &self.scheme())
            .finish_non_exhaustive()
    }
}

impl VerifiedForm {
    /// Who signed the policy.
    pub fn access_key_id(&self) -> &AccessKeyId {
        &self.access_key_id
    }

    /// In which form.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether the policy allows these fields for this bucket now: see
    /// [`PostPolicy::check`].
    ///
    /// # Errors
    /// As there.
    pub fn check(
        &self,
        fields: &Fields,
        bucket: &str,
        now: Timestamp,
    ) -> Result<LengthRange, Refusal> {
        self.policy.check(fields, bucket, now)
    }
}
