//! Listings of objects: version 1, version 2, and the versions of a bucket that keeps one of each.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coffer_store::{Entry, ListQuery, ListedObject, Listing, Start};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{S3Response, S3Result, dto, s3_error};

use super::bucket::owner;
use super::{Context, Handlers, checksum, date, fault, get, put};

/// The most entries of one page. Source: AWS S3 API reference.
const MOST: i32 = 1000;

/// What `encoding-type=url` leaves as it is. Source: AWS S3 API reference, "Naming Amazon S3 objects".
const KEPT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'*').remove(b'~');

/// How names stand in a document.
#[derive(Clone, Copy)]
pub(super) enum Encoding {
    AsIs,
    Url,
}

impl Encoding {
    pub(super) fn read(encoding: Option<&dto::EncodingType>) -> S3Result<Self> {
        match encoding.map(dto::EncodingType::as_str) {
            None | Some("") => Ok(Self::AsIs),
            Some("url") => Ok(Self::Url),
            Some(_) => {
                Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request."))
            }
        }
    }

    pub(super) fn apply(self, text: impl Into<String>) -> String {
        let text = text.into();
        match self {
            Self::AsIs => text,
            // AWS writes a space as `+` here.
            Self::Url => utf8_percent_encode(&text, KEPT).to_string().replace("%20", "+"),
        }
    }
}

/// How many entries a page may have.
pub(super) fn most(asked: Option<i32>, name: &str) -> S3Result<i32> {
    let asked = asked.unwrap_or(MOST);
    if asked < 0 {
        return Err(s3_error!(
            InvalidArgument,
            "Argument {} must be an integer between 0 and 2147483647.",
            name
        ));
    }
    Ok(asked.min(MOST))
}

async fn page(
    handlers: &Handlers,
    context: &Context,
    prefix: Option<&String>,
    delimiter: Option<&String>,
    start: Start,
    most: i32,
) -> S3Result<Listing> {
    let bucket = context.bucket()?;
    if most == 0 {
        handlers.store.bucket(bucket).await.map_err(fault::s3)?;
        return Ok(Listing { entries: Vec::new(), next: None });
    }
    let query = ListQuery {
        prefix: prefix.cloned().unwrap_or_default(),
        delimiter: delimiter.filter(|text| !text.is_empty()).cloned(),
        start,
        limit: usize::try_from(most).unwrap_or(0),
    };
    handlers.store.list_objects(bucket, &query).await.map_err(fault::s3)
}

pub(super) async fn v1(
    handlers: &Handlers,
    context: Context,
    input: dto::ListObjectsInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::ListObjectsOutput>> {
    let encoding = Encoding::read(input.encoding_type.as_ref())?;
    let most = most(input.max_keys, "max-keys")?;
    let start = marker(input.marker.as_ref(), input.delimiter.as_ref(), input.prefix.as_ref());
    let listing =
        page(handlers, &context, input.prefix.as_ref(), input.delimiter.as_ref(), start, most)
            .await?;
    let last = last(&listing);
    let (contents, common_prefixes) = split(listing.entries, encoding, true);
    let truncated = listing.next.is_some();
    Ok(S3Response::new(dto::ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.unwrap_or_default())),
        marker: Some(encoding.apply(input.marker.unwrap_or_default())),
        max_keys: Some(most),
        is_truncated: Some(truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        // AWS names it only together with a delimiter; clients without one use the last key, which is the same.
        next_marker: last.filter(|_| truncated).map(|last| encoding.apply(last)),
        delimiter: input.delimiter.map(|delimiter| encoding.apply(delimiter)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

pub(super) async fn v2(
    handlers: &Handlers,
    context: Context,
    input: dto::ListObjectsV2Input,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
    let encoding = Encoding::read(input.encoding_type.as_ref())?;
    let most = most(input.max_keys, "max-keys")?;
    let start = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => from_token(token)?,
        (None, Some(after)) if !after.is_empty() => Start::After(after.clone()),
        (None, _) => Start::Beginning,
    };
    let listing =
        page(handlers, &context, input.prefix.as_ref(), input.delimiter.as_ref(), start, most)
            .await?;
    let next = listing.next.as_ref().map(to_token);
    let count = i32::try_from(listing.entries.len()).unwrap_or(i32::MAX);
    let (contents, common_prefixes) =
        split(listing.entries, encoding, input.fetch_owner.unwrap_or(false));
    Ok(S3Response::new(dto::ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.unwrap_or_default())),
        max_keys: Some(most),
        key_count: Some(count),
        continuation_token: input.continuation_token,
        is_truncated: Some(next.is_some()),
        next_continuation_token: next,
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: input.delimiter.map(|delimiter| encoding.apply(delimiter)),
        start_after: input.start_after.map(|after| encoding.apply(after)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

pub(super) async fn versions(
    handlers: &Handlers,
    context: Context,
    input: dto::ListObjectVersionsInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::ListObjectVersionsOutput>> {
    let encoding = Encoding::read(input.encoding_type.as_ref())?;
    let most = most(input.max_keys, "max-keys")?;
    if input.version_id_marker.is_some() && input.key_marker.is_none() {
        return Err(s3_error!(
            InvalidArgument,
            "A version-id marker cannot be specified without a key marker."
        ));
    }
    let start = marker(input.key_marker.as_ref(), input.delimiter.as_ref(), input.prefix.as_ref());
    let listing =
        page(handlers, &context, input.prefix.as_ref(), input.delimiter.as_ref(), start, most)
            .await?;
    let truncated = listing.next.is_some();
    let ends_in_object = matches!(listing.entries.last(), Some(Entry::Object(_)));
    let last = last(&listing).filter(|_| truncated);
    let (mut versions, mut common_prefixes) = (Vec::new(), Vec::new());
    for entry in listing.entries {
        match entry {
            Entry::Prefix(prefix) => {
                common_prefixes.push(dto::CommonPrefix { prefix: Some(encoding.apply(prefix)) });
            }
            Entry::Object(object) => versions.push(dto::ObjectVersion {
                key: Some(encoding.apply(object.key.as_str())),
                version_id: Some("null".to_owned()),
                is_latest: Some(true),
                last_modified: Some(date(object.modified)),
                e_tag: Some(dto::ETag::Strong(object.etag)),
                size: i64::try_from(object.size).ok(),
                storage_class: Some(dto::ObjectVersionStorageClass::from(get::class(
                    object.storage_class.as_ref(),
                ))),
                owner: Some(owner()),
                ..Default::default()
            }),
        }
    }
    Ok(S3Response::new(dto::ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.unwrap_or_default())),
        key_marker: Some(encoding.apply(input.key_marker.unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        max_keys: Some(most),
        is_truncated: Some(truncated),
        next_version_id_marker: last.as_ref().filter(|_| ends_in_object).map(|_| "null".to_owned()),
        next_key_marker: last.map(|last| encoding.apply(last)),
        versions: Some(versions),
        common_prefixes: Some(common_prefixes),
        delimiter: input.delimiter.map(|delimiter| encoding.apply(delimiter)),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

/// Where a listing with a marker begins. A marker that is itself a common prefix of this listing stands for all below it.
pub(super) fn marker(
    marker: Option<&String>,
    delimiter: Option<&String>,
    prefix: Option<&String>,
) -> Start {
    let Some(marker) = marker.filter(|marker| !marker.is_empty()) else { return Start::Beginning };
    let prefix = prefix.map(String::as_str).unwrap_or_default();
    let folded = delimiter.filter(|delimiter| !delimiter.is_empty()).is_some_and(|delimiter| {
        marker
            .strip_prefix(prefix)
            .and_then(|rest| {
                rest.find(delimiter.as_str())
                    .map(|at| at.saturating_add(delimiter.len()) == rest.len())
            })
            .unwrap_or(false)
    });
    if folded { Start::AfterPrefix(marker.clone()) } else { Start::After(marker.clone()) }
}

/// The last name of a page, from which the next goes on.
fn last(listing: &Listing) -> Option<String> {
    listing.entries.last().map(|entry| match entry {
        Entry::Object(object) => object.key.as_str().to_owned(),
        Entry::Prefix(prefix) => prefix.clone(),
    })
}

/// A page's end as a token that only this server reads.
fn to_token(start: &Start) -> String {
    let (kind, name) = match start {
        Start::Beginning => ('b', ""),
        Start::After(name) => ('k', name.as_str()),
        Start::AfterPrefix(name) => ('p', name.as_str()),
        Start::At(name) => ('a', name.as_str()),
    };
    URL_SAFE_NO_PAD.encode(format!("{kind}{name}"))
}

fn from_token(token: &str) -> S3Result<Start> {
    let invalid = || s3_error!(InvalidArgument, "The continuation token provided is incorrect.");
    let text = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(invalid)?;
    let mut chars = text.chars();
    match chars.next() {
        Some('b') => Ok(Start::Beginning),
        Some('k') => Ok(Start::After(chars.as_str().to_owned())),
        Some('p') => Ok(Start::AfterPrefix(chars.as_str().to_owned())),
        Some('a') => Ok(Start::At(chars.as_str().to_owned())),
        _ => Err(invalid()),
    }
}

fn split(
    entries: Vec<Entry>,
    encoding: Encoding,
    with_owner: bool,
) -> (Vec<dto::Object>, Vec<dto::CommonPrefix>) {
    let (mut contents, mut common_prefixes) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        match entry {
            Entry::Prefix(prefix) => {
                common_prefixes.push(dto::CommonPrefix { prefix: Some(encoding.apply(prefix)) });
            }
            Entry::Object(object) => contents.push(content(object, encoding, with_owner)),
        }
    }
    (contents, common_prefixes)
}

fn content(object: ListedObject, encoding: Encoding, with_owner: bool) -> dto::Object {
    dto::Object {
        key: Some(encoding.apply(object.key.as_str())),
        last_modified: Some(date(object.modified)),
        e_tag: Some(dto::ETag::Strong(object.etag)),
        checksum_algorithm: object.checksum.map(|(algorithm, _)| {
            vec![dto::ChecksumAlgorithm::from_static(checksum::name(algorithm))]
        }),
        checksum_type: object
            .checksum
            .map(|(_, kind)| dto::ChecksumType::from_static(put::kind(kind))),
        size: i64::try_from(object.size).ok(),
        storage_class: Some(dto::ObjectStorageClass::from(get::class(
            object.storage_class.as_ref(),
        ))),
        owner: with_owner.then(owner),
        restore_status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_where_the_next_page_starts() {
        for start in [
            Start::After("a/ü".to_owned()),
            Start::AfterPrefix("a/".to_owned()),
            Start::At(String::new()),
            Start::Beginning,
        ] {
            assert_eq!(from_token(&to_token(&start)).unwrap(), start);
        }
        for wrong in ["", "!", "eA", "/+"] {
            assert!(from_token(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_marker_that_is_a_common_prefix_skips_it() {
        let some = |text: &str| Some(text.to_owned());
        for (name, text, delimiter, prefix, expected) in [
            ("no marker", "", "/", "", Start::Beginning),
            ("a key", "a/b", "/", "", Start::After("a/b".to_owned())),
            ("a prefix", "a/", "/", "", Start::AfterPrefix("a/".to_owned())),
            ("below another prefix", "x/a/", "/", "x/", Start::AfterPrefix("x/a/".to_owned())),
            ("without a delimiter", "a/", "", "", Start::After("a/".to_owned())),
            ("deeper than a prefix", "a/b/", "/", "", Start::After("a/b/".to_owned())),
        ] {
            assert_eq!(
                marker(some(text).as_ref(), some(delimiter).as_ref(), some(prefix).as_ref()),
                expected,
                "{name}"
            );
        }
    }
}
