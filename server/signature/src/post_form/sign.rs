//! The client's side: sign a form.

use jiff::Timestamp;

use crate::{
    Credentials, Refusal, Scope,
    amz_date::AmzDate,
    credential::SigningKey,
    v2::V2Signature,
    v4::{ALGORITHM, sign::Signer},
};

use super::{
    ALGORITHM_FIELD, CREDENTIAL, DATE, Fields, POLICY, SIGNATURE, TOKEN, V2_KEY, V2_SIGNATURE,
};

/// Adds to `fields` what signs them by V4. `policy` makes the policy, in base64, from the
/// fields by then: those of the credential are among them, and it has to allow them.
///
/// # Errors
/// If one of the added fields is there already.
pub fn sign_form(
    signer: &Signer<'_>,
    fields: &mut Fields,
    policy: impl FnOnce(&Fields) -> String,
    now: Timestamp,
) -> Result<(), Refusal> {
    let date = AmzDate::of(now);
    let scope = Scope::new(date.day(), signer.region, signer.service);
    let credentials = signer.credentials;
    fields.push(ALGORITHM_FIELD, ALGORITHM)?;
    fields.push(CREDENTIAL, &format!("{}/{scope}", credentials.access_key_id))?;
    fields.push(DATE, date.as_str())?;
    push_token(credentials, fields)?;
    let policy = policy(fields);
    let key = SigningKey::derive(&credentials.secret_key, &scope);
    fields.push(SIGNATURE, &key.sign(policy.as_bytes()).hex())?;
    fields.push(POLICY, &policy)
}

/// The same by the deprecated V2.
///
/// # Errors
/// If one of the added fields is there already.
pub fn sign_form_v2(
    credentials: &Credentials,
    fields: &mut Fields,
    policy: impl FnOnce(&Fields) -> String,
) -> Result<(), Refusal> {
    fields.push(V2_KEY, credentials.access_key_id.as_str())?;
    push_token(credentials, fields)?;
    let policy = policy(fields);
    let signature = V2Signature::of(&credentials.secret_key, policy.as_bytes());
    fields.push(V2_SIGNATURE, &signature.base64())?;
    fields.push(POLICY, &policy)
}

fn push_token(credentials: &Credentials, fields: &mut Fields) -> Result<(), Refusal> {
    match &credentials.session_token {
        Some(token) => fields.push(TOKEN, token.expose()),
        None => Ok(()),
    }
}
