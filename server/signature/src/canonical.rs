//! The one spelling of a request that is signed.
//!
//! Public so that a test or a person looking for the cause of a mismatch can see
//! each stage; [`crate::verify`] is what decides.
//!
//! Source: Amazon S3, Signature V4, canonical request.

use std::{borrow::Cow, ops::Range};

use http::{HeaderMap, HeaderName};

use crate::{Refusal, Request, Scope, payload_hash::sha256, v4::ALGORITHM};

pub use crate::v2::text::string_to_sign as v2_string_to_sign;

/// The canonical request.
///
/// `payload_hash` is the value of `x-amz-content-sha256`, or what stands for it;
/// `except` the decoded name of a query parameter to leave out.
///
/// # Errors
/// [`Refusal::InvalidUri`] if path or query can't be decoded,
/// [`Refusal::AccessDenied`] if the request lacks a signed header.
pub fn request(
    request: &Request<'_>,
    signed_headers: &[HeaderName],
    payload_hash: &str,
    except: Option<&str>,
) -> Result<Vec<u8>, Refusal> {
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(request.method.as_str().as_bytes());
    text.push(b'\n');
    path(request.path, &mut text)?;
    text.push(b'\n');
    query(request.query, except, &mut text)?;
    text.push(b'\n');
    for name in signed_headers {
        header(request.headers, name, &mut text)?;
    }
    text.push(b'\n');
    names(signed_headers, &mut text);
    text.push(b'\n');
    text.extend_from_slice(payload_hash.as_bytes());
    Ok(text)
}

/// The string to sign: the time, the scope, and the hash of the canonical request.
pub fn string_to_sign(signed_at: &str, scope: &Scope, canonical: &[u8]) -> String {
    format!("{ALGORITHM}\n{signed_at}\n{scope}\n{}", hex::encode(sha256(canonical)))
}

/// The path: decoded, then encoded once, `/` kept. Neither `//` nor `..` is
/// touched, as both are keys' right.
fn path(raw: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if raw.is_empty() {
        out.push(b'/');
        return Ok(());
    }
    respell(raw, Part::Path, out).ok_or(Refusal::InvalidUri("path"))
}

/// The query: every pair decoded and encoded, sorted by name, then value.
pub(crate) fn query(raw: &str, except: Option<&str>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut arena = Vec::with_capacity(raw.len());
    let mut ranges: Vec<(Range<usize>, Range<usize>)> = Vec::with_capacity(16);
    for pair in pairs(raw) {
        if except.is_some_and(|except| is_name(pair.name, except)) {
            continue;
        }
        let mut encoded = |part: &str| {
            let start = arena.len();
            respell(part, Part::Query, &mut arena).ok_or(Refusal::InvalidUri("query"))?;
            Ok(start..arena.len())
        };
        let name = encoded(pair.name)?;
        ranges.push((name, encoded(pair.value)?));
    }
    let part = |range: &Range<usize>| arena.get(range.clone()).unwrap_or_default();
    ranges.sort_by(|(name, value), (other_name, other_value)| {
        part(name).cmp(part(other_name)).then_with(|| part(value).cmp(part(other_value)))
    });
    for (n, (name, value)) in ranges.iter().enumerate() {
        if n > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(part(name));
        out.push(b'=');
        out.extend_from_slice(part(value));
    }
    Ok(())
}

/// `name:value,value\n`; values trimmed, runs of blanks within them folded.
fn header(headers: &HeaderMap, name: &HeaderName, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut values = headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        return Err(Refusal::AccessDenied(Cow::Owned(format!(
            "the signed header `{name}` did not arrive; a proxy may have removed it"
        ))));
    }
    out.extend_from_slice(name.as_str().as_bytes());
    let mut separator = b':';
    for value in values {
        out.push(separator);
        separator = b',';
        folded(value.as_bytes(), out);
    }
    out.push(b'\n');
    Ok(())
}

/// Trims blanks and tabs, and turns each run of blanks into one.
pub(crate) fn folded(value: &[u8], out: &mut Vec<u8>) {
    let value = value.trim_ascii();
    if !value.windows(2).any(|pair| pair == b"  ") {
        out.extend_from_slice(value);
        return;
    }
    let mut after_blank = false;
    for byte in value {
        let blank = *byte == b' ';
        if !(blank && after_blank) {
            out.push(*byte);
        }
        after_blank = blank;
    }
}

/// `name;name`.
pub(crate) fn names(signed_headers: &[HeaderName], out: &mut Vec<u8>) {
    for (n, name) in signed_headers.iter().enumerate() {
        if n > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_str().as_bytes());
    }
}

/// One `name=value` of a query, as sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

/// The pairs of a query; `&&` holds none, `a` is `a=`.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Pair { name, value }
    })
}

/// A part of a query, decoded; `None` if it can't be.
pub(crate) fn decode(part: &str) -> Option<Cow<'_, [u8]>> {
    if !part.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(part.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((byte, after)) = next_decoded(rest, Part::Query) {
        decoded.push(byte?);
        rest = after;
    }
    Some(Cow::Owned(decoded))
}

/// Whether a query's part is, once decoded, `name`.
pub(crate) fn is_name(part: &str, name: &str) -> bool {
    part == name || decode(part).is_some_and(|decoded| *decoded == *name.as_bytes())
}

/// Adds a byte: itself if unreserved, else `%XX`.
pub(crate) fn encode(byte: u8, out: &mut Vec<u8>) {
    if is_unreserved(byte) {
        out.push(byte);
    } else {
        out.push(b'%');
        for nibble in [byte >> 4, byte & 0x0f] {
            out.push(match nibble {
                0..=9 => nibble.wrapping_add(b'0'),
                _ => nibble.wrapping_sub(10).wrapping_add(b'A'),
            });
        }
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Where a text stands, by which `/` and `+` have a meaning or none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `/` separates, `+` is itself.
    Path,
    /// `/` is itself, `+` a blank.
    Query,
}

/// Decodes a text and encodes it the one way; `None` if it can't be decoded.
fn respell(text: &str, part: Part, out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text.as_bytes();
    loop {
        // Most of a text is as it should be, and copied at once.
        let end = rest.iter().position(|byte| !is_unreserved(*byte)).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(end)?;
        out.extend_from_slice(run);
        let Some((byte, after)) = next_decoded(after, part) else { return Some(()) };
        match byte? {
            b'/' if part == Part::Path => out.push(b'/'),
            byte => encode(byte, out),
        }
        rest = after;
    }
}

/// The first byte that an encoded text means, `None` within for a broken escape,
/// and the rest of the text.
fn next_decoded(text: &[u8], part: Part) -> Option<(Option<u8>, &[u8])> {
    let (first, rest) = text.split_first()?;
    Some(match (first, rest) {
        (b'%', [high, low, rest @ ..]) => {
            (digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4) | low), rest)
        }
        (b'%', rest) => (None, rest),
        (b'+', rest) if part == Part::Query => (Some(b' '), rest),
        (byte, rest) => (Some(*byte), rest),
    })
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a')?.checked_add(10),
        b'A'..=b'F' => digit.checked_sub(b'A')?.checked_add(10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn text(
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Refusal>,
    ) -> Result<String, &'static str> {
        let mut out = Vec::new();
        write(&mut out).map_err(|refusal| refusal.code())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_path_has_one_spelling() {
        for (raw, expected) in [
            ("", Ok("/")),
            ("/", Ok("/")),
            ("/a//b/../c/.", Ok("/a//b/../c/.")),
            ("/a%2fb", Ok("/a/b")),
            ("/%7e~", Ok("/~~")),
            ("/a+b%2B c", Ok("/a%2Bb%2B%20c")),
            ("/ü", Ok("/%C3%BC")),
            ("/%c3%BC", Ok("/%C3%BC")),
            ("/%252F", Ok("/%252F")),
            ("/$*(", Ok("/%24%2A%28")),
            ("/%", Err("InvalidURI")),
            ("/%2", Err("InvalidURI")),
            ("/%zz", Err("InvalidURI")),
            ("/%-1", Err("InvalidURI")),
        ] {
            assert_eq!(text(|out| path(raw, out)).as_deref(), expected.as_ref().copied(), "{raw}");
        }
    }

    #[test]
    fn a_query_is_sorted_by_its_encoded_form() {
        for (raw, expected) in [
            ("", Ok("")),
            ("lifecycle", Ok("lifecycle=")),
            ("prefix=J&max-keys=2", Ok("max-keys=2&prefix=J")),
            ("a=2&a=1&a", Ok("a=&a=1&a=2")),
            ("a=b=c", Ok("a=b%3Dc")),
            ("&&b&a&", Ok("a=&b=")),
            ("=x", Ok("=x")),
            ("a=x+y%20z%2b", Ok("a=x%20y%20z%2B")),
            ("B=1&a=1&A=1", Ok("A=1&B=1&a=1")),
            ("%41=1", Ok("A=1")),
            ("aa=1&a-=1&a=1", Ok("a=1&a-=1&aa=1")),
            ("a=%c3%bc", Ok("a=%C3%BC")),
            ("a=%", Err("InvalidURI")),
            ("%g0=", Err("InvalidURI")),
        ] {
            assert_eq!(
                text(|out| query(raw, None, out)).as_deref(),
                expected.as_ref().copied(),
                "{raw}"
            );
        }
        assert_eq!(text(|out| query("b=1&%61=2&a=3", Some("a"), out)).as_deref(), Ok("b=1"));
    }

    #[test]
    fn a_header_is_joined_trimmed_and_folded() {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-amz-meta-a");
        assert_eq!(text(|out| header(&headers, &name, out)), Err("AccessDenied"));
        headers.append(&name, HeaderValue::from_static("  one   two\t"));
        headers.append(&name, HeaderValue::from_static(""));
        headers.append(&name, HeaderValue::from_static("\"a  b\""));
        assert_eq!(
            text(|out| header(&headers, &name, out)).as_deref(),
            Ok("x-amz-meta-a:one two,,\"a b\"\n")
        );
    }
}
