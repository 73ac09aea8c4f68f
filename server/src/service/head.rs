//! What a request's head has to be, before anybody asks who sent it.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Version};

use crate::answer::Refusal;
use crate::config::Limits;
use crate::operation::Operation;
use crate::route::Target;

/// The largest object that one request can write. Source: AWS S3 quotas.
pub(super) const MAX_UPLOAD: u64 = 5 * 1024 * 1024 * 1024;

/// Refuses a head that is larger than any honest client's. What the connection itself refuses first never comes here.
pub(super) fn check_size(head: &Parts, limits: &Limits) -> Result<(), Refusal> {
    let query = head.uri.query().map_or(0, str::len);
    if exceeds(query, limits.query_bytes) {
        let why = format!("The request's query is longer than {} bytes.", limits.query_bytes);
        return Err(Refusal::new("InvalidURI", 414, why));
    }
    // A name, a value, and what separates them.
    let sizes = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let size = sizes.sum::<usize>() + head.uri.path().len() + query;
    if exceeds(size, limits.head_bytes) || exceeds(head.headers.len(), limits.headers) {
        let why = format!(
            "The request's head has more than {} bytes or {} headers.",
            limits.head_bytes, limits.headers
        );
        return Err(Refusal::new("RequestHeaderSectionTooLarge", 431, why));
    }
    Ok(())
}

/// Refuses a value with blanks around it, which HTTP/2 doesn't have: what is asked about it and what is done with it could differ.
/// Source: RFC 9113, section 8.2.1. HTTP/1.1's are taken off as it is read.
pub(super) fn check_blanks(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bad = headers
        .iter()
        .find(|(_, value)| is_blank(value.as_bytes().first()) || is_blank(value.as_bytes().last()));
    match bad {
        None => Ok(()),
        Some((name, _)) => {
            let why = format!("The value of the header {name} begins or ends with a blank.");
            Err(Refusal::new("InvalidRequest", 400, why))
        }
    }
}

fn exceeds(size: usize, limit: u32) -> bool {
    usize::try_from(limit).is_ok_and(|limit| size > limit)
}

/// The host of a request, which every request has: `Host`, or HTTP/2's `:authority`. Where both stand, they have to agree, or
/// a proxy and this server could take the request for different ones.
pub(super) fn host(head: &mut Parts) -> Result<Option<String>, Refusal> {
    let version = head.version;
    // What follows on a connection of such a request can't be trusted either.
    let invalid = |message: &'static str| {
        let refusal = Refusal::new("InvalidRequest", 400, message);
        if version == Version::HTTP_2 {
            refusal
        } else {
            refusal.with_header(header::CONNECTION, HeaderValue::from_static("close"))
        }
    };
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (first, more) = (hosts.next(), hosts.next().is_some());
    if more {
        return Err(invalid("The request has more than one Host header."));
    }
    let named = match first {
        Some(value) => Some(
            value
                .to_str()
                .map_err(|_error| invalid("The Host header holds characters that no host has."))?
                .to_owned(),
        ),
        None => None,
    };
    let authority = head.uri.authority().map(|authority| authority.as_str().to_owned());
    match (named, authority) {
        (Some(named), Some(authority)) if !named.eq_ignore_ascii_case(&authority) => {
            Err(invalid("The Host header and the request's authority differ."))
        }
        (Some(named), _) => Ok(Some(named)),
        (None, Some(authority)) => {
            // The signature covers `host`, under whatever name it came.
            let value = HeaderValue::from_str(&authority)
                .map_err(|_error| invalid("The authority isn't a host."))?;
            head.headers.insert(header::HOST, value);
            Ok(Some(authority))
        }
        (None, None) if head.version == Version::HTTP_10 => Ok(None),
        (None, None) => Err(invalid("The request names no host.")),
    }
}

/// How many bytes of content the request announces: `x-amz-decoded-content-length` where its body is framed.
pub(super) fn content_length(head: &Parts, target: &Target) -> Result<Option<u64>, Refusal> {
    let framed = head
        .headers
        .get("x-amz-content-sha256")
        .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    let length = if framed {
        number(head, "x-amz-decoded-content-length")?
    } else {
        number(head, "content-length")?
    };
    let uploads = matches!(target.operation, Operation::PutObject | Operation::UploadPart);
    match length {
        None if uploads => Err(Refusal::new(
            "MissingContentLength",
            411,
            "You must provide the Content-Length HTTP header.",
        )),
        Some(length) if uploads && length > MAX_UPLOAD => Err(Refusal::new(
            "EntityTooLarge",
            400,
            "Your proposed upload exceeds the maximum allowed size of 5 GiB; upload it in parts.",
        )),
        length => Ok(length),
    }
}

/// The number of bytes that a header names.
pub(super) fn number(head: &Parts, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = head.headers.get(name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::invalid_argument(format!(
            "The header {name} isn't a number of bytes."
        )));
    }
    text.parse()
        .map(Some)
        .map_err(|_error| Refusal::invalid_argument(format!("The header {name} is too large.")))
}
