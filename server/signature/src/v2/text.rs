//! The text that Signature V2 signs.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;

use crate::{Refusal, Request, canonical, v4::single};

/// The query parameters that Signature V2 covers: all that choose an operation, a
/// version or a part, and what overrides headers of the answer.
///
/// AWS's list grew, and its clients' lists differ. Here is their union, and every other
/// sub-resource beside: what isn't signed could be added to a signed URL.
///
/// Source: Amazon S3, signing and authenticating REST requests, `CanonicalizedResource`.
pub const V2_SUB_RESOURCES: [&str; 50] = [
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "events",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "session",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// The string to sign of Signature V2.
///
/// `date` is the `Date` header's value, nothing where `x-amz-date` is there, or what
/// `Expires` says; `query_token` a session token in the query, which is signed as if it
/// were the header.
///
/// # Errors
/// [`Refusal::InvalidUri`] if the query can't be decoded, [`Refusal::InvalidArgument`]
/// for a sub-resource that is there twice, [`Refusal::InvalidRequest`] for a doubled
/// header.
pub fn string_to_sign(
    request: &Request<'_>,
    host_bucket: Option<&str>,
    date: &str,
    query_token: Option<&str>,
) -> Result<Vec<u8>, Refusal> {
    let mut text = Vec::with_capacity(256);
    text.extend_from_slice(request.method.as_str().as_bytes());
    for name in [&http::HeaderName::from_static("content-md5"), &CONTENT_TYPE] {
        text.push(b'\n');
        text.extend_from_slice(
            single(request.headers, name)?.unwrap_or_default().trim().as_bytes(),
        );
    }
    text.push(b'\n');
    text.extend_from_slice(date.as_bytes());
    text.push(b'\n');
    amz_headers(request, query_token, &mut text);
    resource(request, host_bucket, &mut text)?;
    Ok(text)
}

/// All `x-amz-*`: `name:value,value\n`, sorted.
fn amz_headers(request: &Request<'_>, query_token: Option<&str>, out: &mut Vec<u8>) {
    const TOKEN: &str = "x-amz-security-token";
    let mut names: Vec<&str> = request.headers.keys().map(http::HeaderName::as_str).collect();
    names.retain(|name| name.starts_with("x-amz-"));
    if query_token.is_some() {
        names.push(TOKEN);
    }
    names.sort_unstable();
    for name in names {
        out.extend_from_slice(name.as_bytes());
        let mut separator = b':';
        let token = query_token.filter(|_| name == TOKEN);
        let values = request.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
        for value in token.map(str::as_bytes).into_iter().chain(values) {
            out.push(separator);
            separator = b',';
            out.extend_from_slice(value.trim_ascii());
        }
        out.push(b'\n');
    }
}

/// The path as sent, the host's bucket before it; then the sub-resources, decoded and
/// sorted by name.
fn resource(
    request: &Request<'_>,
    host_bucket: Option<&str>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    if let Some(bucket) = host_bucket {
        out.push(b'/');
        out.extend_from_slice(bucket.as_bytes());
    }
    out.extend_from_slice(if request.path.is_empty() { "/" } else { request.path }.as_bytes());
    // A bucket by itself is signed with the slash that its URL may lack. No bucket's name
    // needs an escape: behind one there may be a slash, and a key.
    if host_bucket.is_none() && is_one_plain_segment(request.path) {
        out.push(b'/');
    }
    let mut found: Vec<(&str, Cow<'_, [u8]>)> = Vec::new();
    for pair in canonical::pairs(request.query) {
        let name = canonical::decode(pair.name).ok_or(Refusal::InvalidUri("query"))?;
        let Some(name) = V2_SUB_RESOURCES.into_iter().find(|known| *name == *known.as_bytes())
        else {
            continue;
        };
        if found.iter().any(|(known, _)| *known == name) {
            return Err(Refusal::InvalidArgument(Cow::Owned(format!(
                "the query names `{name}` more than once"
            ))));
        }
        found.push((name, canonical::decode(pair.value).ok_or(Refusal::InvalidUri("query"))?));
    }
    found.sort_unstable_by_key(|(name, _)| *name);
    let mut separator = b'?';
    for (name, value) in found {
        out.push(separator);
        separator = b'&';
        out.extend_from_slice(name.as_bytes());
        if !value.is_empty() {
            out.push(b'=');
            out.extend_from_slice(&value);
        }
    }
    Ok(())
}

fn is_one_plain_segment(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|name| !name.is_empty() && !name.contains(['/', '%']))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    #[test]
    fn only_a_bucket_by_itself_gets_a_slash() {
        for (path, host_bucket, expected) in [
            ("", None, "/"),
            ("/", None, "/"),
            ("/bucket", None, "/bucket/"),
            ("/bucket/", None, "/bucket/"),
            ("/bucket/key", None, "/bucket/key"),
            ("/bucket//", None, "/bucket//"),
            ("/bucket%2Fkey", None, "/bucket%2Fkey"),
            ("", Some("bucket"), "/bucket/"),
            ("/", Some("bucket"), "/bucket/"),
            ("/key", Some("bucket"), "/bucket/key"),
        ] {
            let headers = HeaderMap::new();
            let request = Request { method: &Method::GET, path, query: "", headers: &headers };
            let mut out = Vec::new();
            resource(&request, host_bucket, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{path} {host_bucket:?}");
        }
    }
}
