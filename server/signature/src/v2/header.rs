//! `Authorization: AWS id:signature`.

use http::header::{AUTHORIZATION, DATE};

use crate::{
    AccessKeyIdError, PayloadHash, Refusal, Request, SecretKey,
    amz_date::AmzDate,
    claim::denied,
    v2::{Place, V2Claim, V2Signature},
    v4::{X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN, single},
};

pub(crate) fn claim(request: &Request<'_>) -> Result<V2Claim, Refusal> {
    let text = single(request.headers, &AUTHORIZATION)?.unwrap_or_default();
    // Base64 has no colon, an id may.
    let (id, signature) =
        text.strip_prefix("AWS ").and_then(|fields| fields.rsplit_once(':')).ok_or_else(|| {
            Refusal::InvalidArgument("the Authorization header is not `AWS ID:SIGNATURE`".into())
        })?;
    let access_key_id =
        id.parse().map_err(|_cause: AccessKeyIdError| Refusal::InvalidAccessKeyId)?;
    let (signed_at, date) = time(request)?;
    Ok(V2Claim {
        place: Place::Header { signed_at },
        access_key_id,
        signature: V2Signature::parse(signature).ok_or(Refusal::SignatureDoesNotMatch)?,
        date,
        session_token: single(request.headers, &X_AMZ_SECURITY_TOKEN)?
            .map(|token| SecretKey::new(token.to_owned())),
        token_in_query: false,
        payload_hash: single(request.headers, &X_AMZ_CONTENT_SHA256)?
            .map(|text| PayloadHash::parse(text.as_bytes()))
            .transpose()?,
    })
}

/// The time, and the line of the string to sign: empty where `x-amz-date` is signed as
/// the header that it is.
fn time(request: &Request<'_>) -> Result<(AmzDate, String), Refusal> {
    let amz = single(request.headers, &X_AMZ_DATE)?;
    let date = single(request.headers, &DATE)?;
    let line = if amz.is_some() { "" } else { date.unwrap_or_default() };
    let signed_at = amz.or(date).and_then(AmzDate::parse_date_header).ok_or_else(|| {
        denied("no valid time; send the header date or x-amz-date, as in HTTP or YYYYMMDDTHHMMSSZ")
    })?;
    Ok((signed_at, line.trim().to_owned()))
}
