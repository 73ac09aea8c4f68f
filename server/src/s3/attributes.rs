//! What a client says of an object when it writes it, kept and sent back as it was: type, caching, user metadata.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::answer::Refusal;

/// The headers that are kept with an object and come back with it. Source: AWS S3, "System-defined object metadata".
const SYSTEM: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::EXPIRES,
];

/// How user metadata is named in headers.
const USER: &str = "x-amz-meta-";
/// The most bytes of user metadata, names and values. Source: AWS S3, "User-defined object metadata".
const MOST_USER: usize = 2048;
/// The type of an object whose writer named none. Source: AWS S3.
const UNTYPED: HeaderValue = HeaderValue::from_static("binary/octet-stream");

/// The headers and the user metadata that a request sets for the object that it writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Header name → value.
    pub system: BTreeMap<String, String>,
    /// Name without `x-amz-meta-` → value.
    pub user: BTreeMap<String, String>,
    /// The storage class where it isn't `STANDARD`. It is a label here: nothing is stored less safely for it.
    pub storage_class: Option<String>,
}

/// The class of an object whose writer named none.
pub const STANDARD: &str = "STANDARD";

/// Takes them out of a request's headers.
///
/// # Errors
/// `MetadataTooLarge` over 2 KiB of user metadata; `InvalidArgument` for values that aren't text.
pub fn take(headers: &mut HeaderMap) -> Result<Stored, Refusal> {
    let mut stored = Stored::default();
    for name in SYSTEM {
        let Some(value) = headers.remove(&name) else { continue };
        let mut value = text(&name, &value)?;
        if name == header::CONTENT_ENCODING {
            value = without_framing(&value);
        }
        if !value.is_empty() {
            stored.system.insert(name.as_str().to_owned(), value);
        }
    }
    if let Some(class) = headers.remove("x-amz-storage-class") {
        let class = text(&HeaderName::from_static("x-amz-storage-class"), &class)?;
        stored.storage_class = Some(class).filter(|class| class != STANDARD);
    }
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(USER)).cloned().collect();
    let mut size: usize = 0;
    for name in names {
        // Two of one name count as one with both values, as AWS has it.
        let values: Vec<String> = headers
            .get_all(&name)
            .iter()
            .map(|value| text(&name, value))
            .collect::<Result<_, _>>()?;
        headers.remove(&name);
        let value = values.join(",");
        let short = name.as_str().strip_prefix(USER).unwrap_or_default().to_owned();
        size = size.saturating_add(short.len()).saturating_add(value.len());
        if size > MOST_USER {
            return Err(Refusal::new(
                "MetadataTooLarge",
                400,
                "Your metadata headers exceed the maximum allowed metadata size of 2 KiB.",
            ));
        }
        stored.user.insert(short, value);
    }
    Ok(stored)
}

fn text(name: &HeaderName, value: &HeaderValue) -> Result<String, Refusal> {
    // Names and values outside ASCII are sent by some clients as UTF-8.
    std::str::from_utf8(value.as_bytes())
        .map(str::to_owned)
        .map_err(|_error| Refusal::invalid_argument(format!("The header {name} isn't text.")))
}

/// `aws-chunked` is how a body was sent, not what it is.
fn without_framing(encoding: &str) -> String {
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    kept.join(",")
}

/// Sets them on the answer to a read.
pub fn put_back(
    system: &BTreeMap<String, String>,
    user: &BTreeMap<String, String>,
    headers: &mut HeaderMap,
) {
    headers.insert(header::CONTENT_TYPE, UNTYPED);
    for (name, value) in system {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.insert(name, value);
        }
    }
    for (name, value) in user {
        let name = HeaderName::from_bytes(format!("{USER}{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/plain"),
            ("content-encoding", "aws-chunked, gzip"),
            ("expires", "not a date"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-a", "2"),
            ("x-amz-acl", "private"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let stored = take(&mut headers).unwrap();
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-amz-acl"]);
        let mut answer = HeaderMap::new();
        put_back(&stored.system, &stored.user, &mut answer);
        for (name, value) in [
            ("content-type", "text/plain"),
            ("content-encoding", "gzip"),
            ("expires", "not a date"),
            ("x-amz-meta-a", "1,2"),
        ] {
            assert_eq!(answer.get(name).unwrap(), value, "{name}");
        }
    }

    #[test]
    fn too_much_metadata_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-a", HeaderValue::from_str(&"b".repeat(2047)).unwrap());
        assert!(take(&mut headers.clone()).is_ok());
        headers.insert("x-amz-meta-c", HeaderValue::from_static(""));
        assert_eq!(take(&mut headers).unwrap_err().code(), "MetadataTooLarge");
    }
}
