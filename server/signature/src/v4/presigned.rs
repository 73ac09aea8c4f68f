//! A signature in the query.

use std::{borrow::Cow, time::Duration};

use zeroize::Zeroizing;

use crate::{
    PayloadHash, Refusal, Request, SecretKey,
    amz_date::AmzDate,
    canonical,
    credential::Signature,
    scheme::V4_PARAMETERS,
    v4::{
        ALGORITHM, Form, V4Claim, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, credential, signed_headers,
        single,
    },
};

/// Seven days.
const MAX_EXPIRES_SECONDS: u64 = 604_800;
/// The code of what is refused before the life of the URL is known.
const UNREAD: Form = Form::Presigned { expires: Duration::ZERO };

pub(crate) fn claim(request: &Request<'_>) -> Result<V4Claim, Refusal> {
    let parameters = Parameters::read(request.query)?;
    if parameters.need("X-Amz-Algorithm")? != ALGORITHM {
        return Err(UNREAD.malformed("X-Amz-Algorithm is not AWS4-HMAC-SHA256"));
    }
    let signed_at = AmzDate::parse(parameters.need("X-Amz-Date")?)
        .ok_or_else(|| UNREAD.malformed("X-Amz-Date is not YYYYMMDDTHHMMSSZ"))?;
    // One request, one time: what else carries a date must say the same.
    if single(request.headers, &X_AMZ_DATE)?.is_some_and(|header| header != signed_at.as_str()) {
        return Err(Refusal::AccessDenied(Cow::Borrowed(
            "the header x-amz-date is not the query's X-Amz-Date",
        )));
    }
    let form = Form::Presigned { expires: expires(parameters.need("X-Amz-Expires")?)? };
    let (access_key_id, scope) =
        credential(parameters.need("X-Amz-Credential")?, form, &signed_at)?;
    Ok(V4Claim {
        form,
        access_key_id,
        scope,
        signed_at,
        signed_headers: signed_headers(parameters.need("X-Amz-SignedHeaders")?, form)?,
        signature: Signature::parse(parameters.need("X-Amz-Signature")?.as_bytes())
            .ok_or(Refusal::SignatureDoesNotMatch)?,
        session_token: session_token(request, &parameters)?,
        payload_hash: Some(payload_hash(request, &parameters)?),
    })
}

/// From 1 second to 7 days, in plain digits.
fn expires(text: &str) -> Result<Duration, Refusal> {
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(seconds @ 1..=MAX_EXPIRES_SECONDS) if digits => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => {
            Err(UNREAD.malformed("X-Amz-Expires is not a number of seconds from 1 to 604800"))
        }
    }
}

fn session_token(
    request: &Request<'_>,
    parameters: &Parameters,
) -> Result<Option<SecretKey>, Refusal> {
    let header = single(request.headers, &super::X_AMZ_SECURITY_TOKEN)?;
    match (parameters.get("X-Amz-Security-Token"), header) {
        (Some(_), Some(_)) => Err(Refusal::InvalidRequest(Cow::Borrowed(
            "a session token in both the query and a header; send one",
        ))),
        (token, header) => Ok(token.or(header).map(|token| SecretKey::new(token.to_owned()))),
    }
}

fn payload_hash(request: &Request<'_>, parameters: &Parameters) -> Result<PayloadHash, Refusal> {
    let header = single(request.headers, &X_AMZ_CONTENT_SHA256)?;
    let said = match (parameters.get("X-Amz-Content-Sha256"), header) {
        (Some(query), Some(header)) if query != header => {
            return Err(Refusal::InvalidRequest(Cow::Borrowed(
                "x-amz-content-sha256 differs between the query and the header; send one",
            )));
        }
        (query, header) => query.or(header),
    };
    said.map_or(Ok(PayloadHash::Unsigned), |text| PayloadHash::parse(text.as_bytes()))
}

/// The query's parameters that concern the signature, decoded.
struct Parameters(Vec<(&'static str, Zeroizing<String>)>);

impl Parameters {
    /// Refuses those that are there twice, or in another case.
    fn read(query: &str) -> Result<Self, Refusal> {
        let mut found: Vec<(&'static str, Zeroizing<String>)> = Vec::with_capacity(8);
        for pair in canonical::pairs(query) {
            let name = canonical::decode(pair.name).ok_or(Refusal::InvalidUri("query"))?;
            let mut known = V4_PARAMETERS.into_iter().chain(["X-Amz-Content-Sha256"]);
            let Some(known) = known.find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            else {
                continue;
            };
            if *name != *known.as_bytes() {
                return Err(UNREAD.malformed(format!("write the query parameter as `{known}`")));
            }
            if found.iter().any(|(name, _)| *name == known) {
                return Err(
                    UNREAD.malformed(format!("the query parameter `{known}` is there twice"))
                );
            }
            let value = canonical::decode(pair.value).ok_or(Refusal::InvalidUri("query"))?;
            let value = std::str::from_utf8(&value).map_err(|_cause: std::str::Utf8Error| {
                UNREAD.malformed(format!("`{known}` is not UTF-8"))
            })?;
            found.push((known, Zeroizing::new(value.to_owned())));
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    fn need(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| UNREAD.malformed(format!("the query lacks `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_one_second_to_seven_days() {
        for (text, expected) in [
            ("1", Some(1)),
            ("86400", Some(86_400)),
            ("604800", Some(604_800)),
            ("604801", None),
            ("0", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1e20", None),
            ("100000000000000000000", None),
            ("0000001", None),
            (" 1", None),
            ("1.0", None),
            ("", None),
        ] {
            assert_eq!(expires(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }
}
