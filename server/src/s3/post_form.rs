//! PostObject: a browser's form, once its fields are authenticated, is a PutObject of its file.
//!
//! Source: AWS S3 API reference, "POST Object"; "Browser-based uploads using POST".

use coffer_signature::post_form::Fields;
use coffer_store::{BucketName, ObjectKey};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::Body;

use crate::answer::{Refusal, escape_into};
use crate::operation::Operation;
use crate::route::Target;

/// The fields that are kept with the object as the headers of the same name.
const KEPT: [&str; 7] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "expires",
];
/// The fields that mean what a PutObject's header of the same name means: what isn't done is refused there.
const MEANT: [&str; 9] = [
    "x-amz-meta-",
    "x-amz-acl",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-website-redirect-location",
    "x-amz-checksum-",
    "x-amz-object-lock-",
    "x-amz-grant-",
    "x-amz-expected-bucket-owner",
];
/// What was dealt with when the form was authenticated.
const SIGNING: [&str; 5] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-signature",
    "x-amz-security-token",
];
/// All that RFC 3986 doesn't leave alone anywhere, but `/`.
const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The same without exception.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a form asks for.
#[derive(Debug)]
pub struct Upload {
    /// The object to put.
    pub target: Target,
    /// The headers that a PutObject of it has.
    pub headers: HeaderMap,
    /// How to answer when it is done.
    pub success: Success,
}

/// What a form wants to hear of its success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    /// Its browser goes on there, with bucket, key and entity tag in the query.
    Redirect(Uri),
    /// This status: 200, 201 with a document, else 204.
    Status(StatusCode),
}

impl Upload {
    /// Reads the fields of a form for `bucket`.
    ///
    /// # Errors
    /// `UserKeyMustBeSpecified`, `KeyTooLongError`, `InvalidArgument` for what can't be a header, `NotImplemented`.
    pub fn of(fields: &Fields, bucket: &BucketName) -> Result<Self, Refusal> {
        let key = fields.get("key").filter(|key| !key.is_empty()).ok_or_else(|| {
            Refusal::new(
                "UserKeyMustBeSpecified",
                400,
                "The bucket POST must contain the specified field name. If it is specified, check the order of the fields: `key` comes before `file`.",
            )
        })?;
        let path = format!("/{}/{}", bucket.as_str(), utf8_percent_encode(key, IN_PATH));
        let key = ObjectKey::try_from(key.to_owned()).map_err(|error| {
            Refusal::new("KeyTooLongError", 400, format!("Your key can't be used: {error}."))
        })?;
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(name) = header_of(name)? else { continue };
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_error| {
                Refusal::invalid_argument(format!("The field {name} can't be a header's value."))
            })?;
            headers.insert(name, value);
        }
        let target = Target {
            operation: Operation::PutObject,
            bucket: Some(bucket.clone()),
            key: Some(key),
            path,
        };
        Ok(Self { target, headers, success: Success::of(fields) })
    }
}

/// The header that a field stands for, or nothing.
fn header_of(field: &str) -> Result<Option<HeaderName>, Refusal> {
    let header = |name: &str| {
        HeaderName::from_bytes(name.as_bytes()).map(Some).map_err(|_error| {
            Refusal::invalid_argument(format!(
                "The field {} can't be a header's name.",
                name.escape_default()
            ))
        })
    };
    match field {
        "acl" => header("x-amz-acl"),
        "tagging" => header("x-amz-tagging"),
        name if KEPT.contains(&name) || MEANT.iter().any(|start| name.starts_with(start)) => {
            header(name)
        }
        name if SIGNING.contains(&name) => Ok(None),
        // A field that asks for something unknown is not ignored; and none may become a header that our own parts read.
        name if name.starts_with("x-amz-") || name.starts_with("x-minio-") => {
            Err(Refusal::not_implemented(format!(
                "The form's field {} isn't supported; nothing was stored.",
                name.escape_default()
            )))
        }
        _ => Ok(None),
    }
}

impl Success {
    /// What can't be understood is as if it weren't there, source: AWS.
    fn of(fields: &Fields) -> Self {
        let url = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
        let url = url.and_then(|url| url.parse::<Uri>().ok()).filter(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.authority().is_some()
        });
        match (url, fields.get("success_action_status")) {
            (Some(url), _) => Self::Redirect(url),
            (None, Some("200")) => Self::Status(StatusCode::OK),
            (None, Some("201")) => Self::Status(StatusCode::CREATED),
            (None, _) => Self::Status(StatusCode::NO_CONTENT),
        }
    }

    /// Makes of a PutObject's answer the form's. `location` is the object's URL.
    pub fn answer(&self, put: Response<Body>, target: &Target, location: &str) -> Response<Body> {
        let (mut head, _empty) = put.into_parts();
        let bucket = target.bucket.as_ref().map_or("", BucketName::as_str);
        let key = target.key.as_ref().map_or("", ObjectKey::as_str);
        let etag = head.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.unwrap_or_default().to_owned();
        let mut text = String::new();
        let place = match self {
            Self::Redirect(url) => {
                head.status = StatusCode::SEE_OTHER;
                redirect(url, bucket, key, &etag)
            }
            Self::Status(status) => {
                head.status = *status;
                if *status == StatusCode::CREATED {
                    text = document(location, bucket, key, &etag);
                }
                location.to_owned()
            }
        };
        if let Ok(place) = HeaderValue::from_str(&place) {
            head.headers.insert(header::LOCATION, place);
        }
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.remove(header::CONTENT_TYPE);
        if !text.is_empty() {
            let xml = HeaderValue::from_static("application/xml");
            head.headers.insert(header::CONTENT_TYPE, xml);
        }
        let body = if text.is_empty() { Body::empty() } else { Body::from(text) };
        Response::from_parts(head, body)
    }
}

/// The URL with what was stored in its query.
fn redirect(url: &Uri, bucket: &str, key: &str, etag: &str) -> String {
    let url = url.to_string();
    let separator = if url.contains('?') { '&' } else { '?' };
    let encoded = |text| utf8_percent_encode(text, IN_QUERY);
    format!(
        "{url}{separator}bucket={}&key={}&etag={}",
        encoded(bucket),
        encoded(key),
        encoded(etag)
    )
}

/// Source: AWS S3 API reference, "POST Object", `PostResponse`.
fn document(location: &str, bucket: &str, key: &str, etag: &str) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><PostResponse>");
    for (open, value, close) in [
        ("<Location>", location, "</Location>"),
        ("<Bucket>", bucket, "</Bucket>"),
        ("<Key>", key, "</Key>"),
        ("<ETag>", etag, "</ETag>"),
    ] {
        text.push_str(open);
        escape_into(&mut text, value);
        text.push_str(close);
    }
    text.push_str("</PostResponse>");
    text
}

/// The URL of an object at `host`, which names its bucket or not.
pub fn location(host: &str, target: &Target, host_bucket: Option<&str>) -> String {
    let path = host_bucket
        .and_then(|bucket| target.path.strip_prefix('/')?.strip_prefix(bucket))
        .unwrap_or(&target.path);
    format!("https://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.push(name, value).unwrap();
        }
        fields
    }

    fn upload(pairs: &[(&str, &str)]) -> Result<Upload, Refusal> {
        Upload::of(&fields(pairs), &BucketName::try_from("photos".to_owned()).unwrap())
    }

    #[test]
    fn fields_become_the_headers_of_a_put() {
        let upload = upload(&[
            ("key", "in/a b%2F+ü"),
            ("Content-Type", "text/plain"),
            ("acl", "private"),
            ("x-amz-meta-a", "ü"),
            ("x-amz-checksum-crc32", "AAAAAA=="),
            ("expires", ""),
            ("x-amz-date", "20260301T000000Z"),
            ("x-ignore-me", "1"),
            ("host", "elsewhere"),
            ("content-length", "5"),
            ("x-amzn-a", "b"),
        ])
        .unwrap();
        let mut headers: Vec<_> = upload.headers.keys().map(HeaderName::as_str).collect();
        headers.sort_unstable();
        assert_eq!(headers, ["content-type", "x-amz-acl", "x-amz-checksum-crc32", "x-amz-meta-a"]);
        assert_eq!(upload.target.path, "/photos/in/a%20b%252F%2B%C3%BC");
        assert_eq!(upload.target.key.unwrap().as_str(), "in/a b%2F+ü");
    }

    #[test]
    fn what_a_form_may_not_say_is_refused() {
        for (name, pairs, code) in [
            ("no key", &[("acl", "private")][..], "UserKeyMustBeSpecified"),
            ("an empty key", &[("key", "")], "UserKeyMustBeSpecified"),
            ("a line break", &[("key", "k"), ("content-type", "a\r\nb: c")], "InvalidArgument"),
            ("a copy", &[("key", "k"), ("x-amz-copy-source", "/other/k")], "NotImplemented"),
            ("a trailer", &[("key", "k"), ("x-amz-trailer", "x")], "NotImplemented"),
            ("a hash", &[("key", "k"), ("x-amz-content-sha256", "x")], "NotImplemented"),
            ("many objects", &[("key", "k"), ("x-minio-fanout-list", "{}")], "NotImplemented"),
            ("no header", &[("key", "k"), ("x-amz-meta-a b", "c")], "InvalidArgument"),
        ] {
            assert_eq!(upload(pairs).map(drop).unwrap_err().code(), code, "{name}");
        }
        let long = "k".repeat(1025);
        assert_eq!(upload(&[("key", &long)]).map(drop).unwrap_err().code(), "KeyTooLongError");
    }

    #[test]
    fn success_is_told_as_the_form_asks() {
        let status = Success::Status;
        let there = Success::Redirect("https://a.example/b?c=d".parse().unwrap());
        for (name, pairs, expected) in [
            ("nothing", &[][..], status(StatusCode::NO_CONTENT)),
            ("200", &[("success_action_status", "200")], status(StatusCode::OK)),
            ("201", &[("success_action_status", "201")], status(StatusCode::CREATED)),
            ("204", &[("success_action_status", "204")], status(StatusCode::NO_CONTENT)),
            ("another", &[("success_action_status", "404")], status(StatusCode::NO_CONTENT)),
            ("a page", &[("success_action_redirect", "https://a.example/b?c=d")], there.clone()),
            ("by its old name", &[("redirect", "https://a.example/b?c=d")], there),
            ("a script", &[("redirect", "javascript:alert(1)")], status(StatusCode::NO_CONTENT)),
            ("a path", &[("redirect", "/b")], status(StatusCode::NO_CONTENT)),
            ("no URL", &[("redirect", "https://a\r\nb: c")], status(StatusCode::NO_CONTENT)),
        ] {
            assert_eq!(Success::of(&fields(pairs)), expected, "{name}");
        }
        let url = "https://a.example/b?c=d".parse().unwrap();
        assert_eq!(
            redirect(&url, "photos", "a b&c", "\"e\""),
            "https://a.example/b?c=d&bucket=photos&key=a%20b%26c&etag=%22e%22"
        );
    }
}
