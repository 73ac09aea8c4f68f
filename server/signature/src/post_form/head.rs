//! What stands before a form and before each of its parts: a boundary, a name.
//!
//! Source: RFC 7578 and RFC 2046, section 5.1; only what browsers and S3's clients send.

use std::borrow::Cow;

use crate::Refusal;

/// The characters that a boundary may have, source: RFC 2046.
const MAX_BOUNDARY: usize = 70;

/// What a part says of itself.
pub(super) struct Disposition {
    pub(super) name: String,
    pub(super) filename: Option<String>,
}

/// Reads a part's headers, their last empty line included.
pub(super) fn disposition(head: &[u8]) -> Result<Disposition, Refusal> {
    let text =
        std::str::from_utf8(head).map_err(|_cause| malformed("a part's headers are not UTF-8"))?;
    let mut found = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        if line.contains(['\r', '\n', '\0']) {
            return Err(malformed("a part's headers hold a control character"));
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| malformed("a part has a header without `:`"))?;
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("content-disposition") {
            if found.replace(value).is_some() {
                return Err(malformed("a part has two Content-Dispositions"));
            }
        } else if name.eq_ignore_ascii_case("content-transfer-encoding")
            && !["binary", "8bit", "7bit"].iter().any(|known| known.eq_ignore_ascii_case(value))
        {
            return Err(malformed("a part has a Content-Transfer-Encoding; send it as it is"));
        }
    }
    let value = found.ok_or_else(|| malformed("a part has no Content-Disposition"))?;
    let (kind, parameters) =
        parameters(value).ok_or_else(|| malformed("a part's Content-Disposition can't be read"))?;
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(malformed("a part's Content-Disposition is not form-data"));
    }
    let (mut name, mut filename) = (None, None);
    for (parameter, value) in parameters {
        let place = match parameter.to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "filename" => &mut filename,
            // Another spelling of the same, which another reader might prefer.
            "name*" | "filename*" => {
                return Err(malformed("a part has `name*` or `filename*`; write UTF-8 as it is"));
            }
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(malformed("a part has its name or its file's name twice"));
        }
    }
    let name = name.filter(|name: &String| !name.is_empty());
    Ok(Disposition { name: name.ok_or_else(|| malformed("a part has no name"))?, filename })
}

/// The one boundary of a form's `Content-Type`.
pub(super) fn boundary(content_type: &[u8]) -> Option<String> {
    let (kind, parameters) = parameters(std::str::from_utf8(content_type).ok()?)?;
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut boundaries =
        parameters.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    let (_, boundary) = boundaries.next()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let good = (1..=MAX_BOUNDARY).contains(&boundary.len())
        && boundary.bytes().all(allowed)
        && !boundary.ends_with(' ');
    (good && boundaries.next().is_none()).then_some(boundary)
}

type Parameters = Vec<(String, String)>;

/// `kind; name=token; name="quoted"`.
fn parameters(text: &str) -> Option<(&str, Parameters)> {
    let (kind, mut rest) = text.split_once(';').unwrap_or((text, ""));
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some((kind.trim_matches([' ', '\t']), found));
        }
        let (name, after) = rest.split_once('=')?;
        let value = if let Some(quoted) = after.strip_prefix('"') {
            let (value, after) = unquoted(quoted)?;
            rest = after.trim_start_matches([' ', '\t']);
            if !rest.is_empty() && !rest.starts_with(';') {
                return None;
            }
            value
        } else {
            let (token, after) = after.split_once(';').unwrap_or((after, ""));
            rest = after;
            token.trim_matches([' ', '\t']).to_owned()
        };
        found.push((name.trim_matches([' ', '\t']).to_owned(), value));
    }
}

/// Up to the closing quote. Some clients write `\"` and `\\`; a backslash before anything else
/// is itself, as in the paths that old browsers send.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, text.get(at.checked_add(1)?..)?)),
            '\\' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            char => value.push(char),
        }
    }
    None
}

pub(super) fn malformed(message: &'static str) -> Refusal {
    Refusal::MalformedPOSTRequest(Cow::Borrowed(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_read_as_browsers_write_it() {
        for (text, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;BOUNDARY=\"a b\"", Some("a b")),
            ("multipart/form-data; charset=utf-8; boundary=a-_.:x", Some("a-_.:x")),
            ("multipart/form-data; boundary=a;", Some("a")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"\"", None),
            ("multipart/form-data; boundary=\"a", None),
            ("multipart/form-data; boundary=\"a\"b", None),
            ("multipart/form-data; boundary=a; boundary=b", None),
            ("multipart/form-data; boundary=\"a \"", None),
            ("multipart/form-data; boundary=\"a\rb\"", None),
            ("multipart/form-data; boundary=ä", None),
            ("multipart/mixed; boundary=a", None),
            ("multipart/form-data, boundary=a", None),
        ] {
            assert_eq!(boundary(text.as_bytes()).as_deref(), expected, "{text}");
        }
        let long =
            |n| boundary(format!("multipart/form-data; boundary={}", "a".repeat(n)).as_bytes());
        assert!(long(70).is_some() && long(71).is_none());
    }

    #[test]
    fn a_parts_name_is_there_once() {
        for (head, expected) in [
            ("Content-Disposition: form-data; name=\"key\"\r\n\r\n", Some(("key", None))),
            ("content-disposition:form-data;name=key\r\n\r\n", Some(("key", None))),
            (
                "Content-Type: a/b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\\c.txt\"\r\n\r\n",
                Some(("file", Some("a\"b\\c.txt"))),
            ),
            (
                "Content-Disposition: form-data; name=\"a\"; filename=\"\"\r\n\r\n",
                Some(("a", Some(""))),
            ),
            ("Content-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\n", None),
            ("Content-Disposition: form-data; name=\"\"\r\n\r\n", None),
            ("Content-Disposition: form-data; filename=\"a\"\r\n\r\n", None),
            ("Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''b\r\n\r\n", None),
            ("Content-Disposition: form-data\r\n\r\n", None),
            ("Content-Disposition: attachment; name=\"a\"\r\n\r\n", None),
            ("Content-Type: text/plain\r\n\r\n", None),
            ("\r\n\r\n", None),
            ("Content-Disposition\r\n\r\n", None),
            (
                "Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n",
                None,
            ),
            (
                "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                None,
            ),
            (
                "Content-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: Binary\r\n\r\n",
                Some(("a", None)),
            ),
            ("Content-Disposition: form-data; name=a\n\r\n\r\n", None),
        ] {
            let found = disposition(head.as_bytes()).ok();
            let found = found.as_ref().map(|d| (d.name.as_str(), d.filename.as_deref()));
            assert_eq!(found, expected, "{head}");
        }
    }
}
