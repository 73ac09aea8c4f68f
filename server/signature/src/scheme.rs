//! Which form of authentication a request uses.

use std::{borrow::Cow, fmt};

use http::{Method, header};

use crate::{Refusal, Request, canonical};

/// A form of authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// None at all.
    Anonymous,
    /// Signature V4 in the `Authorization` header.
    V4Header,
    /// Signature V4 in the query.
    V4Presigned,
    /// Signature V4 with ECDSA, in either place.
    V4a,
    /// Signature V2 in the `Authorization` header.
    V2Header,
    /// Signature V2 in the query.
    V2Presigned,
    /// A browser's form, of which the fields are unread: its signature, if any, is
    /// among them.
    PostForm,
    /// Signature V4 of the policy of a browser's form.
    V4Form,
    /// Signature V2 of the policy of a browser's form.
    V2Form,
}

impl Scheme {
    /// Whether this is one of the deprecated Signature V2.
    pub fn is_v2(self) -> bool {
        match self {
            Self::V2Header | Self::V2Presigned | Self::V2Form => true,
            Self::Anonymous
            | Self::V4Header
            | Self::V4Presigned
            | Self::V4a
            | Self::PostForm
            | Self::V4Form => false,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "a request without signature",
            Self::V4Header => "Signature V4 in a header",
            Self::V4Presigned => "Signature V4 in a query",
            Self::V4a => "Signature V4A (AWS4-ECDSA-P256-SHA256)",
            Self::V2Header => "Signature V2 in a header",
            Self::V2Presigned => "Signature V2 in a query",
            Self::PostForm => "a POST form",
            Self::V4Form => "Signature V4 in a POST form",
            Self::V2Form => "Signature V2 in a POST form",
        })
    }
}

/// The query parameters that make a request a presigned one.
pub(crate) const V4_PARAMETERS: [&str; 7] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// Those of Signature V2; its `Expires` alone is no sign of it.
pub(crate) const V2_PARAMETERS: [&str; 2] = ["AWSAccessKeyId", "Signature"];
/// A session token, which both versions name so in a query.
pub(crate) const TOKEN_PARAMETER: &str = "X-Amz-Security-Token";

/// Tells the form, of which a request may use one only.
///
/// # Errors
/// [`Refusal::InvalidRequest`] for two forms at once or a doubled `Authorization`
/// header, [`Refusal::InvalidArgument`] for an unknown one, [`Refusal::InvalidUri`]
/// for a query that can't be decoded.
pub fn scheme(request: &Request<'_>) -> Result<Scheme, Refusal> {
    let in_form = (*request.method == Method::POST && is_form(request)).then_some(Scheme::PostForm);
    let found: Vec<Scheme> =
        [in_header(request)?, in_query(request)?, in_form].into_iter().flatten().collect();
    match found.as_slice() {
        [] => Ok(Scheme::Anonymous),
        [one] => Ok(*one),
        [..] => Err(Refusal::InvalidRequest(Cow::Borrowed(
            "the request authenticates in two ways; use either the Authorization header, the query or a form",
        ))),
    }
}

fn in_header(request: &Request<'_>) -> Result<Option<Scheme>, Refusal> {
    let mut values = request.headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::InvalidRequest(Cow::Borrowed("two Authorization headers; send one")));
    }
    let algorithm = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
    match algorithm {
        b"AWS4-HMAC-SHA256" => Ok(Some(Scheme::V4Header)),
        b"AWS4-ECDSA-P256-SHA256" => Ok(Some(Scheme::V4a)),
        b"AWS" => Ok(Some(Scheme::V2Header)),
        _ => Err(Refusal::InvalidArgument(Cow::Borrowed(
            "unsupported type of Authorization header; sign with AWS4-HMAC-SHA256",
        ))),
    }
}

fn in_query(request: &Request<'_>) -> Result<Option<Scheme>, Refusal> {
    let (mut v4, mut v4a, mut v2, mut token) = (false, false, false, false);
    for pair in canonical::pairs(request.query) {
        // Names are compared by their meaning and in any case, so that none
        // that another reader would understand goes unseen.
        let name = canonical::decode(pair.name).ok_or(Refusal::InvalidUri("query"))?;
        let is_one_of =
            |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let is_token = is_one_of(&[TOKEN_PARAMETER]);
        token |= is_token;
        v4 |= !is_token && is_one_of(&V4_PARAMETERS);
        v2 |= is_one_of(&V2_PARAMETERS);
        v4a |= is_one_of(&["X-Amz-Region-Set"])
            || (is_one_of(&["X-Amz-Algorithm"]) && pair.value.starts_with("AWS4-ECDSA-"));
    }
    match (v4 || v4a, v2) {
        (true, true) => Err(Refusal::InvalidRequest(Cow::Borrowed(
            "the query has both a V2 and a V4 signature; send one",
        ))),
        (true, false) => Ok(Some(if v4a { Scheme::V4a } else { Scheme::V4Presigned })),
        (false, true) => Ok(Some(Scheme::V2Presigned)),
        // A token alone says that a signature was meant.
        (false, false) => Ok(token.then_some(Scheme::V4Presigned)),
    }
}

fn is_form(request: &Request<'_>) -> bool {
    request.headers.get_all(header::CONTENT_TYPE).iter().any(|value| {
        let name =
            value.as_bytes().split(|byte| matches!(byte, b';' | b',')).next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data")
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn each_has_its_name_and_version() {
        for (scheme, v2, name) in [
            (Scheme::Anonymous, false, "a request without signature"),
            (Scheme::V4Header, false, "Signature V4 in a header"),
            (Scheme::V4Presigned, false, "Signature V4 in a query"),
            (Scheme::V4a, false, "Signature V4A (AWS4-ECDSA-P256-SHA256)"),
            (Scheme::V2Header, true, "Signature V2 in a header"),
            (Scheme::V2Presigned, true, "Signature V2 in a query"),
            (Scheme::PostForm, false, "a POST form"),
            (Scheme::V4Form, false, "Signature V4 in a POST form"),
            (Scheme::V2Form, true, "Signature V2 in a POST form"),
        ] {
            assert_eq!((scheme.is_v2(), scheme.to_string().as_str()), (v2, name));
        }
    }

    #[test]
    fn each_form_is_told_from_the_others() {
        let v4 = ("authorization", "AWS4-HMAC-SHA256 Credential=a");
        let form = ("content-type", "Multipart/Form-Data; boundary=x");
        let two = "InvalidRequest";
        for (name, query, headers, expected) in [
            ("nothing", "", vec![], Ok(Scheme::Anonymous)),
            ("a list", "list-type=2&Expires=1", vec![], Ok(Scheme::Anonymous)),
            ("v4 header", "", vec![v4], Ok(Scheme::V4Header)),
            ("v4 query", "X-Amz-Signature=", vec![], Ok(Scheme::V4Presigned)),
            ("v4 query, lower case", "x-amz-signature=", vec![], Ok(Scheme::V4Presigned)),
            ("v4 query, encoded", "X%2DAmz%2Dsignature", vec![], Ok(Scheme::V4Presigned)),
            ("v4 query, token alone", "X-Amz-Security-Token=a", vec![], Ok(Scheme::V4Presigned)),
            (
                "v4a header",
                "",
                vec![("authorization", "AWS4-ECDSA-P256-SHA256 x")],
                Ok(Scheme::V4a),
            ),
            ("v4a query", "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256", vec![], Ok(Scheme::V4a)),
            ("v2 header", "", vec![("authorization", "AWS a:b")], Ok(Scheme::V2Header)),
            ("v2 query", "AWSAccessKeyId=a&Signature=b", vec![], Ok(Scheme::V2Presigned)),
            (
                "v2 query with a token",
                "AWSAccessKeyId=a&Signature=b&x-amz-security-token=c",
                vec![],
                Ok(Scheme::V2Presigned),
            ),
            ("form", "", vec![form], Ok(Scheme::PostForm)),
            ("v4 header and query", "X-Amz-Signature=", vec![v4], Err(two)),
            ("v4 header and v2 query", "Signature=", vec![v4], Err(two)),
            ("v4 and v2 query", "Signature=&X-Amz-Signature=", vec![], Err(two)),
            ("v4 header and form", "", vec![v4, form], Err(two)),
            ("v4 header twice", "", vec![v4, v4], Err(two)),
            ("bearer", "", vec![("authorization", "Bearer x")], Err("InvalidArgument")),
            ("basic", "", vec![("authorization", "Basic x")], Err("InvalidArgument")),
            ("empty", "", vec![("authorization", "")], Err("InvalidArgument")),
            ("bad escape", "X-Amz%2", vec![], Err("InvalidURI")),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let request = Request { method: &Method::POST, path: "/b", query, headers: &map };
            assert_eq!(scheme(&request).map_err(|refusal| refusal.code()), expected, "{name}");
        }
    }
}
