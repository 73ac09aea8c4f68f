//! A signature in the `Authorization` header.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, DATE};

use crate::{
    PayloadHash, Refusal, Request, SecretKey,
    amz_date::AmzDate,
    credential::Signature,
    v4::{
        ALGORITHM, Form, V4Claim, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN,
        credential, signed_headers, single,
    },
};

pub(crate) fn claim(request: &Request<'_>) -> Result<V4Claim, Refusal> {
    let text = single(request.headers, &AUTHORIZATION)?.unwrap_or_default();
    let fields = Fields::parse(text)?;
    let signed_at = signed_at(request)?;
    let (access_key_id, scope) = credential(fields.credential, Form::Header, &signed_at)?;
    let payload_hash = single(request.headers, &X_AMZ_CONTENT_SHA256)?
        .map(|text| PayloadHash::parse(text.as_bytes()))
        .transpose()?;
    Ok(V4Claim {
        form: Form::Header,
        access_key_id,
        scope,
        signed_at,
        signed_headers: signed_headers(fields.signed_headers, Form::Header)?,
        signature: Signature::parse(fields.signature.as_bytes())
            .ok_or(Refusal::SignatureDoesNotMatch)?,
        session_token: single(request.headers, &X_AMZ_SECURITY_TOKEN)?
            .map(|token| SecretKey::new(token.to_owned())),
        payload_hash,
    })
}

/// The three fields of the header, in any order, each once.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let malformed = |message: &'static str| Form::Header.malformed(message);
        let fields =
            text.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' ')).ok_or_else(
                || malformed("the Authorization header does not start with `AWS4-HMAC-SHA256 `"),
            )?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field
                .trim_matches(' ')
                .split_once('=')
                .ok_or_else(|| malformed("the Authorization header has a field without `=`"))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(malformed("the Authorization header has an unknown field")),
            };
            if place.replace(value).is_some() {
                return Err(malformed("the Authorization header has a field twice"));
            }
        }
        match (credential, signed_headers, signature) {
            (Some(credential), Some(signed_headers), Some(signature)) => {
                Ok(Self { credential, signed_headers, signature })
            }
            (_, _, _) => Err(malformed(
                "the Authorization header needs Credential, SignedHeaders and Signature",
            )),
        }
    }
}

fn signed_at(request: &Request<'_>) -> Result<AmzDate, Refusal> {
    let date = match single(request.headers, &X_AMZ_DATE)? {
        Some(text) => AmzDate::parse(text),
        None => single(request.headers, &DATE)?.and_then(AmzDate::parse_date_header),
    };
    date.ok_or(Refusal::AccessDenied(Cow::Borrowed(
        "no valid time; send the header x-amz-date as YYYYMMDDTHHMMSSZ",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_there_once() {
        for (name, text, good) in [
            ("as AWS writes it", "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c", true),
            (
                "blanks after commas",
                "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c",
                true,
            ),
            ("another order", "AWS4-HMAC-SHA256 Signature=c,Credential=a,SignedHeaders=b", true),
            ("no signature", "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b", false),
            ("no credential", "AWS4-HMAC-SHA256 SignedHeaders=b,Signature=c", false),
            ("no headers", "AWS4-HMAC-SHA256 Credential=a,Signature=c", false),
            (
                "twice",
                "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c,Signature=d",
                false,
            ),
            ("unknown", "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c,More=d", false),
            ("lower case", "AWS4-HMAC-SHA256 credential=a,SignedHeaders=b,Signature=c", false),
            (
                "comma at the end",
                "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c,",
                false,
            ),
            ("nothing", "AWS4-HMAC-SHA256 ", false),
            ("no blank", "AWS4-HMAC-SHA256", false),
            ("tab", "AWS4-HMAC-SHA256\tCredential=a,SignedHeaders=b,Signature=c", false),
        ] {
            assert_eq!(Fields::parse(text).is_ok(), good, "{name}");
        }
    }
}
