//! `AWSAccessKeyId`, `Expires` and `Signature` in the query.

use std::borrow::Cow;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    AccessKeyIdError, PayloadHash, Refusal, Request, SecretKey, canonical,
    claim::denied,
    scheme::TOKEN_PARAMETER,
    v2::{Place, V2Claim, V2Signature},
    v4::{X_AMZ_CONTENT_SHA256, X_AMZ_SECURITY_TOKEN, single},
};

/// What concerns the signature; all but the token in this case alone.
const PARAMETERS: [&str; 4] = ["AWSAccessKeyId", "Expires", "Signature", TOKEN_PARAMETER];
/// Until the year 2286: AWS has no longest life of a V2 URL, but seconds since 1970 it must be.
const MAX_DIGITS: usize = 10;

pub(crate) fn claim(request: &Request<'_>) -> Result<V2Claim, Refusal> {
    let parameters = Parameters::read(request.query)?;
    let date = parameters.need("Expires")?.to_owned();
    let access_key_id = parameters
        .need("AWSAccessKeyId")?
        .parse()
        .map_err(|_cause: AccessKeyIdError| Refusal::InvalidAccessKeyId)?;
    let in_header = single(request.headers, &X_AMZ_SECURITY_TOKEN)?;
    let in_query = parameters.get(TOKEN_PARAMETER);
    if in_header.is_some() && in_query.is_some() {
        return Err(Refusal::InvalidRequest(Cow::Borrowed(
            "a session token in both the query and a header; send one",
        )));
    }
    Ok(V2Claim {
        place: Place::Presigned { expires: expires(&date)? },
        access_key_id,
        signature: V2Signature::parse(parameters.need("Signature")?)
            .ok_or(Refusal::SignatureDoesNotMatch)?,
        date,
        session_token: in_query.or(in_header).map(|token| SecretKey::new(token.to_owned())),
        token_in_query: in_query.is_some(),
        payload_hash: single(request.headers, &X_AMZ_CONTENT_SHA256)?
            .map(|text| PayloadHash::parse(text.as_bytes()))
            .transpose()?,
    })
}

/// Seconds since 1970, in plain digits.
fn expires(text: &str) -> Result<Timestamp, Refusal> {
    let digits =
        (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits);
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or_else(|| denied("Expires is not a time in seconds since 1970, of at most 10 digits"))
}

/// The query's parameters that concern the signature, decoded.
struct Parameters(Vec<(&'static str, Zeroizing<String>)>);

impl Parameters {
    /// Refuses those that are there twice, or in another case.
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut found: Vec<(&'static str, Zeroizing<String>)> = Vec::with_capacity(4);
        for pair in canonical::pairs(query) {
            let name = canonical::decode(pair.name).ok_or(Refusal::InvalidUri("query"))?;
            let known =
                PARAMETERS.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
            let Some(known) = known else { continue };
            // Clients write the token's name in lower case, as the header's.
            if known != TOKEN_PARAMETER && *name != *known.as_bytes() {
                return Err(malformed(format!("write the query parameter as `{known}`")));
            }
            if found.iter().any(|(name, _)| *name == known) {
                return Err(malformed(format!("the query parameter `{known}` is there twice")));
            }
            let value = canonical::decode(pair.value).ok_or(Refusal::InvalidUri("query"))?;
            let value = std::str::from_utf8(&value).map_err(|_cause: std::str::Utf8Error| {
                malformed(format!("`{known}` is not UTF-8"))
            })?;
            found.push((known, Zeroizing::new(value.to_owned())));
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// AWS says in one sentence what all of them are.
    fn need(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            denied("a presigned URL of Signature V2 needs AWSAccessKeyId, Expires and Signature")
        })
    }
}

fn malformed(message: String) -> Refusal {
    Refusal::InvalidArgument(Cow::Owned(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_seconds_since_1970() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1175139620", Some(1_175_139_620)),
            ("9999999999", Some(9_999_999_999)),
            ("10000000000", None),
            ("00000000001", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            (" 1", None),
            ("1.0", None),
            ("", None),
        ] {
            assert_eq!(expires(text).ok().map(Timestamp::as_second), expected, "{text}");
        }
    }
}
