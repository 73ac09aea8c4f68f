//! How the server says no: one shape for every error that leaves it.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use s3s::{Body, S3Error, S3ErrorCode};

/// An error that is answered to the client. Source: AWS S3 API reference, "Error responses".
#[derive(Debug, Clone)]
pub struct Refusal {
    code: Cow<'static, str>,
    status: StatusCode,
    message: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The region to sign for, by which clients correct themselves.
    region: Option<String>,
    form: Form,
}

/// What an error is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As all of S3.
    Xml,
    /// As the admin API.
    Json,
}

impl Refusal {
    /// A refusal with AWS's error code, its status and a sentence for a person.
    pub fn new(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code: code.into(),
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            message: message.into(),
            headers: Vec::new(),
            region: None,
            form: Form::Xml,
        }
    }

    /// `405`: the resource doesn't have this method.
    pub fn method_not_allowed() -> Self {
        Self::new(
            "MethodNotAllowed",
            405,
            "The specified method is not allowed against this resource.",
        )
    }

    /// `400`: a parameter has a value that can't be meant.
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("InvalidArgument", 400, message)
    }

    /// `403`: authenticated or anonymous, the caller may not.
    pub fn access_denied() -> Self {
        Self::new("AccessDenied", 403, "Access Denied.")
    }

    /// `403`: root's keys aren't good for S3.
    pub fn root_shut_out() -> Self {
        Self::new(
            "AccessDenied",
            403,
            "Access Denied: on this server root's keys are for the admin API alone; sign by the key of a user.",
        )
    }

    /// `501`: known to AWS, not to this server.
    pub fn not_implemented(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("NotImplemented", 501, message)
    }

    /// The same with a header beside the document.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same for a client of the admin API.
    #[must_use]
    pub fn in_json(self) -> Self {
        Self { form: Form::Json, ..self }
    }

    /// AWS's error code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer to a request for `method`; HEAD has no body.
    pub fn into_response(self, method: &Method, resource: &str, ids: &Ids) -> Response<Body> {
        let body = if *method == Method::HEAD {
            Body::empty()
        } else {
            Body::from(match self.form {
                Form::Xml => {
                    document(&self.code, &self.message, self.region.as_deref(), resource, ids)
                }
                Form::Json => self.json(resource, ids),
            })
        };
        let kind = match self.form {
            Form::Xml => "application/xml",
            Form::Json => "application/json",
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().extend(self.headers);
        response
    }

    fn json(&self, resource: &str, ids: &Ids) -> String {
        serde_json::json!({
            "Code": self.code,
            "Message": self.message,
            "Resource": resource,
            "RequestId": ids.request,
            "HostId": &*ids.host,
        })
        .to_string()
    }
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        let code =
            S3ErrorCode::from_bytes(refusal.code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
        let mut error = Self::with_message(code, refusal.message);
        error.set_status_code(refusal.status);
        if !refusal.headers.is_empty() {
            error.set_headers(refusal.headers.into_iter().collect());
        }
        error
    }
}

impl From<coffer_signature::Refusal> for Refusal {
    fn from(refusal: coffer_signature::Refusal) -> Self {
        Self {
            region: refusal.expected_region().map(ToOwned::to_owned),
            ..Self::new(refusal.code(), refusal.status(), refusal.to_string())
        }
    }
}

/// What tells one answer from another in logs and in a report of a fault.
#[derive(Debug, Clone)]
pub struct Ids {
    /// `x-amz-request-id`: 16 hexadecimal digits, random.
    pub request: String,
    /// `x-amz-id-2`: which process answered.
    pub host: std::sync::Arc<str>,
}

/// The XML of an error.
fn document(code: &str, message: &str, region: Option<&str>, resource: &str, ids: &Ids) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>");
    escape_into(&mut text, code);
    text.push_str("</Code><Message>");
    escape_into(&mut text, message);
    text.push_str("</Message>");
    if let Some(region) = region {
        text.push_str("<Region>");
        escape_into(&mut text, region);
        text.push_str("</Region>");
    }
    tail(&mut text, resource, ids);
    text
}

/// What every error document ends with.
fn tail(text: &mut String, resource: &str, ids: &Ids) {
    text.push_str("<Resource>");
    escape_into(text, resource);
    text.push_str("</Resource><RequestId>");
    text.push_str(&ids.request);
    text.push_str("</RequestId><HostId>");
    text.push_str(&ids.host);
    text.push_str("</HostId></Error>");
}

/// The code of an error, beside the answer that tells it: for the audit record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code(pub String);

/// The code in an error document.
pub fn code(document: &Bytes) -> Option<Code> {
    let (_, rest) = str::from_utf8(document).ok()?.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| Code(code.to_owned()))
}

/// Completes an error document of the wire library, which knows neither resource nor ids, and for some errors no sentence.
pub fn complete(document: &Bytes, resource: &str, ids: &Ids) -> Option<String> {
    let text = std::str::from_utf8(document).ok()?.strip_suffix("</Error>")?;
    let mut text = text.to_owned();
    if !text.contains("<Message>") {
        let message = if text.contains("<Code>MalformedXML</Code>") {
            "The XML you provided was not well-formed or did not validate against our published schema."
        } else if text.contains("<Code>MissingRequestBodyError</Code>") {
            "Request Body is empty."
        } else {
            "The request can't be carried out."
        };
        text.push_str("<Message>");
        escape_into(&mut text, message);
        text.push_str("</Message>");
    }
    tail(&mut text, resource, ids);
    Some(text)
}

/// Appends `text` as XML character data. What XML can't hold in any form (most controls) becomes a numeric reference all the
/// same: the key is told exactly to whoever reads leniently, and nobody is told another one.
pub fn escape_into(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str("&#x");
                for digit in format!("{:X};", u32::from(char)).chars() {
                    out.push(digit);
                }
            }
            char => out.push(char),
        }
    }
}

/// Writes as references the characters that the wire library leaves raw in its XML, or `None` when there are none.
///
/// A raw carriage return would be read back as a line feed, and a raw control ends most parsers.
pub fn without_controls(document: &[u8]) -> Option<String> {
    // Without a branch for each byte the compiler looks at many at once, and a listing is long.
    let suspicious = |byte: u8| matches!(byte, 0..=8 | 0xb..=0x1f | 0x7f | 0xef);
    let any = |some: &[u8]| some.iter().fold(false, |found, byte| found | suspicious(*byte));
    if !document.chunks(256).any(any) {
        return None;
    }
    let text = std::str::from_utf8(document).ok()?;
    let mut out = String::with_capacity(text.len() + 64);
    for char in text.chars() {
        match char {
            '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' | '\u{fffe}' | '\u{ffff}' => {
                let mut one = [0; 4];
                escape_into(&mut out, char.encode_utf8(&mut one));
            }
            char => out.push(char),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let ids = Ids { request: "1".to_owned(), host: "h".into() };
        let document = document("NoSuchKey", "a <b> & \"c\"\r\u{1}", None, "/b/<k>", &ids);
        assert!(
            document.contains("<Message>a &lt;b&gt; &amp; &quot;c&quot;&#xD;&#x1;</Message>"),
            "{document}"
        );
        assert!(document.contains("<Resource>/b/&lt;k&gt;</Resource>"), "{document}");
    }

    #[test]
    fn every_error_has_a_sentence() {
        let ids = Ids { request: "1".to_owned(), host: "h".into() };
        let completed = |document: &'static str| {
            complete(&Bytes::from_static(document.as_bytes()), "/b", &ids).unwrap()
        };
        assert!(
            completed("<Error><Code>MalformedXML</Code></Error>")
                .contains("<Message>The XML you provided")
        );
        let own = completed("<Error><Code>A</Code><Message>b</Message></Error>");
        assert!(
            own.contains("<Message>b</Message>") && own.matches("<Message>").count() == 1,
            "{own}"
        );
    }

    #[test]
    fn only_what_needs_it_is_rewritten() {
        assert_eq!(without_controls("<Key>a\n\t/ä</Key>".as_bytes()), None);
        assert_eq!(without_controls(b"<Key>a\rb</Key>").as_deref(), Some("<Key>a&#xD;b</Key>"));
        assert_eq!(
            without_controls("<Key>\u{fffe}</Key>".as_bytes()).as_deref(),
            Some("<Key>&#xFFFE;</Key>")
        );
    }
}
