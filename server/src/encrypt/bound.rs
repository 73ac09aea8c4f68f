//! Data keys that are bound to their context once more, here: what a service does with the context isn't proven by its word.
//!
//! A sealed data key is `1 ‖ 32 value ‖ what the service needs to open it`; key and value are [`PlainKey::bound_to`] the context under
//! a domain of the provider's own.

use coffer_sse::PlainKey;
use coffer_sse::kms::{DataKey, KeyName, KmsError};
use subtle::ConstantTimeEq;

const FORM: u8 = 1;

/// The data key that a service's becomes; `sealed` is what that one is opened by.
pub(super) fn seal(
    domain: &str,
    made: &PlainKey,
    context: &str,
    sealed: &[u8],
) -> Result<DataKey, KmsError> {
    let (plain, value) = made.bound_to(domain, context.as_bytes()).map_err(failed)?;
    Ok(DataKey { plain, sealed: [[FORM].as_slice(), &value, sealed].concat().into() })
}

/// A sealed data key in its two parts: the value, and what the service needs.
pub(super) fn split(sealed: &[u8]) -> Option<(&[u8; 32], &[u8])> {
    let (&FORM, rest) = sealed.split_first()? else { return None };
    rest.split_first_chunk::<32>()
}

/// The data key that one becomes which a service has opened, if key and context are those that it was sealed for.
pub(super) fn open(
    domain: &str,
    opened: &PlainKey,
    context: &str,
    value: &[u8; 32],
    key: &KeyName,
) -> Result<PlainKey, KmsError> {
    let (plain, found) = opened.bound_to(domain, context.as_bytes()).map_err(failed)?;
    if bool::from(found.ct_eq(value)) { Ok(plain) } else { Err(KmsError::Invalid(key.clone())) }
}

pub(super) fn failed(error: coffer_sse::CryptoFailed) -> KmsError {
    KmsError::Answer(error.to_string())
}
