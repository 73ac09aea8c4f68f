//! Reads of one object: GetObject, HeadObject, GetObjectAttributes.

use std::ops::Range;

use coffer_store::{Checksum, Object, StoreError};
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::dto::{self, StreamingBlob};
use s3s::{Body, S3Error, S3ErrorCode, S3Response, S3Result, s3_error};

use super::conditions::Outcome;
use super::encryption::read::{Access, Failed, Plain, Wants};
use super::{Context, Handlers, attributes, checksum, date, fault, put};
use crate::answer::Refusal;
use crate::authorize::Identity;

/// How often a read looks up an object that is replaced under it.
const TRIES: u32 = 4;

/// What the parameters `response-*` put in the place of what was stored.
struct Overrides {
    values: [(HeaderName, Option<String>); 5],
    expires: Option<dto::Timestamp>,
}

/// Those of an input, GetObject's or HeadObject's.
macro_rules! overrides {
    ($input:ident) => {
        Overrides {
            values: [
                (header::CONTENT_TYPE, $input.response_content_type),
                (header::CONTENT_LANGUAGE, $input.response_content_language),
                (header::CACHE_CONTROL, $input.response_cache_control),
                (header::CONTENT_DISPOSITION, $input.response_content_disposition),
                (header::CONTENT_ENCODING, $input.response_content_encoding),
            ],
            expires: $input.response_expires,
        }
    };
}

impl Overrides {
    /// Puts them. A stranger may not have a page of his own making served from here. Source: AWS, GetObject; CVE-2020-1760.
    fn put(self, context: &Context, headers: &mut HeaderMap) -> S3Result<()> {
        let any = self.expires.is_some() || self.values.iter().any(|(_, value)| value.is_some());
        if any && matches!(context.authorized.caller().identity(), Identity::Anonymous) {
            return Err(s3_error!(
                InvalidRequest,
                "Request specific response headers cannot be used for anonymous GET requests."
            ));
        }
        for (name, value) in self.values {
            let Some(value) = value else { continue };
            let value = HeaderValue::from_str(&value).map_err(|_error| {
                s3_error!(InvalidArgument, "The value of response-{name} can't stand in a header.")
            })?;
            headers.insert(name, value);
        }
        if let Some(time) = self.expires {
            let mut text = Vec::new();
            let written = time.format(dto::TimestampFormat::HttpDate, &mut text).ok();
            let value = written.and_then(|()| HeaderValue::from_bytes(&text).ok());
            headers.extend(value.map(|value| (header::EXPIRES, value)));
        }
        Ok(())
    }
}

pub(super) async fn get(
    handlers: &Handlers,
    context: Context,
    input: dto::GetObjectInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::GetObjectOutput>> {
    let (bucket, key) = context.object()?;
    only_null(input.version_id.as_deref())?;
    let customer = context.encryption.customer.as_ref();
    let mut encrypted = HeaderMap::new();
    let mut tries = 0;
    let (object, selection, body) = loop {
        let object = handlers
            .store
            .object(bucket, key)
            .await
            .map_err(|error| context.look_up_failed(bucket, &error))?;
        let access = Access::new(&context, bucket, &object, customer, Wants::Content)?;
        check(&context, &object)?;
        let selection = select(handlers, &object, input.range, input.part_number).await?;
        match access.read(handlers, selection.bytes.clone()).await {
            Ok(reader) => {
                access.tell(&mut encrypted);
                break (object, selection, reader);
            }
            // Replaced between the look-up and the read: what is there now is the answer.
            Err(Failed::Store(StoreError::Gone)) if tries < TRIES => tries += 1,
            Err(Failed::Store(error)) => return Err(fault::s3(error)),
            Err(Failed::Refused(refusal)) => return Err(refusal.into()),
        }
    };
    let mut response = S3Response::new(dto::GetObjectOutput {
        body: Some(content(body).await?),
        ..Default::default()
    });
    response.headers.extend(encrypted);
    describe(&object, &selection, input.checksum_mode.is_some(), &mut response.headers);
    let overrides = overrides!(input);
    overrides.put(&context, &mut response.headers)?;
    Ok(response)
}

pub(super) async fn head(
    handlers: &Handlers,
    context: Context,
    input: dto::HeadObjectInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::HeadObjectOutput>> {
    let (bucket, key) = context.object()?;
    only_null(input.version_id.as_deref())?;
    let object = handlers
        .store
        .object(bucket, key)
        .await
        .map_err(|error| context.look_up_failed(bucket, &error))?;
    // A checksum tells of the content.
    let wants = if input.checksum_mode.is_some() { Wants::Content } else { Wants::Description };
    let customer = context.encryption.customer.as_ref();
    let access = Access::new(&context, bucket, &object, customer, wants)?;
    access.check_customer(handlers)?;
    check(&context, &object)?;
    let selection = select(handlers, &object, input.range, input.part_number).await?;
    let mut response = S3Response::new(dto::HeadObjectOutput::default());
    access.tell(&mut response.headers);
    describe(&object, &selection, input.checksum_mode.is_some(), &mut response.headers);
    let overrides = overrides!(input);
    overrides.put(&context, &mut response.headers)?;
    Ok(response)
}

pub(super) async fn attributes(
    handlers: &Handlers,
    context: Context,
    input: dto::GetObjectAttributesInput,
    headers: &HeaderMap,
) -> S3Result<S3Response<dto::GetObjectAttributesOutput>> {
    let (bucket, key) = context.object()?;
    only_null(input.version_id.as_deref())?;
    let object = handlers
        .store
        .object(bucket, key)
        .await
        .map_err(|error| context.look_up_failed(bucket, &error))?;
    let customer = context.encryption.customer.as_ref();
    let access = Access::new(&context, bucket, &object, customer, Wants::Content)?;
    access.check_customer(handlers)?;
    check(&context, &object)?;
    // The wire library takes a list in one header for one name.
    let named: Vec<&str> = headers
        .get_all("x-amz-object-attributes")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    let asked = |name: &str| named.contains(&name);
    let known = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    if named.is_empty() || named.iter().any(|name| !known.contains(name)) {
        return Err(s3_error!(
            InvalidArgument,
            "Invalid attribute name specified in x-amz-object-attributes."
        ));
    }
    let record = object.attributes();
    let parts = if asked("ObjectParts") && object.part_count().is_some() {
        Some(object_parts(handlers, &object, input.max_parts, input.part_number_marker).await?)
    } else {
        None
    };
    Ok(S3Response::new(dto::GetObjectAttributesOutput {
        e_tag: asked("ETag").then(|| dto::ETag::Strong(record.etag.clone())),
        checksum: record.checksum.as_ref().filter(|_| asked("Checksum")).map(document),
        object_parts: parts,
        storage_class: asked("StorageClass")
            .then(|| dto::StorageClass::from(class(record.storage_class.as_ref()))),
        object_size: asked("ObjectSize").then(|| i64::try_from(object.size()).unwrap_or(i64::MAX)),
        last_modified: Some(date(object.modified())),
        ..Default::default()
    }))
}

async fn object_parts(
    handlers: &Handlers,
    object: &Object,
    most: Option<i32>,
    marker: Option<i32>,
) -> S3Result<dto::GetObjectAttributesParts> {
    let all = handlers.store.parts(object).await.map_err(fault::s3)?;
    let most = most.unwrap_or(1000).clamp(0, 1000);
    let marker = marker.unwrap_or(0);
    let mut after = all.iter().filter(|part| i32::from(part.number) > marker);
    let page: Vec<_> = after.by_ref().take(usize::try_from(most).unwrap_or(0)).collect();
    let truncated = after.next().is_some();
    let parts = page.iter().map(|part| {
        let mut row = dto::ObjectPart {
            part_number: Some(i32::from(part.number)),
            size: i64::try_from(part.size).ok(),
            ..Default::default()
        };
        if let Some(checksum) = &part.checksum {
            checksum::tell!(row, &checksum);
        }
        row
    });
    // AWS lists the parts only of objects whose parts have checksums of their own.
    let listed = object
        .attributes()
        .checksum
        .as_ref()
        .is_some_and(|c| c.kind == coffer_store::ChecksumKind::Composite);
    Ok(dto::GetObjectAttributesParts {
        is_truncated: Some(truncated),
        max_parts: Some(most),
        next_part_number_marker: page.last().map(|part| i32::from(part.number)),
        part_number_marker: Some(marker),
        parts: listed.then(|| parts.collect()),
        total_parts_count: i32::try_from(all.len()).ok(),
    })
}

/// A checksum as GetObjectAttributes tells it.
fn document(checksum: &Checksum) -> dto::Checksum {
    let mut document = dto::Checksum {
        checksum_type: Some(dto::ChecksumType::from_static(put::kind(checksum.kind))),
        ..Default::default()
    };
    checksum::tell!(document, checksum);
    document
}

/// The bytes of an object that a read is for.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    bytes: Range<u64>,
    partial: bool,
    parts: Option<u16>,
    /// Of the part alone, where one was asked for.
    checksum: Option<Checksum>,
}

/// Chooses by range or by part, not by both.
async fn select(
    handlers: &Handlers,
    object: &Object,
    range: Option<dto::Range>,
    part: Option<i32>,
) -> S3Result<Selection> {
    let size = object.size();
    match (range, part) {
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter."
        )),
        (None, None) => {
            Ok(Selection { bytes: 0..size, partial: false, parts: None, checksum: None })
        }
        (Some(range), None) => match range.check(size) {
            Ok(bytes) => Ok(Selection { bytes, partial: true, parts: None, checksum: None }),
            Err(_unsatisfiable) => {
                let mut error = S3Error::with_message(
                    S3ErrorCode::InvalidRange,
                    "The requested range is not satisfiable.",
                );
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    error.set_headers([(header::CONTENT_RANGE, value)].into_iter().collect());
                }
                Err(error)
            }
        },
        (None, Some(number)) => select_part(handlers, object, number).await,
    }
}

async fn select_part(handlers: &Handlers, object: &Object, number: i32) -> S3Result<Selection> {
    let number = u16::try_from(number)
        .ok()
        .filter(|n| (1..=10_000).contains(n))
        .ok_or_else(fault::part_number)?;
    let missing = || {
        let mut error = S3Error::with_message(
            S3ErrorCode::Custom("InvalidPartNumber".into()),
            "The requested partnumber is not satisfiable.",
        );
        error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
        error
    };
    let Some(count) = object.part_count() else {
        // An object that was put in one piece is its own first part.
        let whole = Selection {
            bytes: 0..object.size(),
            partial: object.size() > 0,
            parts: None,
            checksum: None,
        };
        return if number == 1 { Ok(whole) } else { Err(missing()) };
    };
    let parts = handlers.store.parts(object).await.map_err(fault::s3)?;
    let mut start: u64 = 0;
    for (index, part) in parts.iter().enumerate() {
        let end = start.saturating_add(part.size);
        // By place, not by the number it was uploaded under: so AWS counts.
        if index.saturating_add(1) == usize::from(number) {
            return Ok(Selection {
                bytes: start..end,
                partial: true,
                parts: Some(count),
                checksum: part.checksum.clone(),
            });
        }
        start = end;
    }
    Err(missing())
}

/// Ends a read whose conditions don't hold.
fn check(context: &Context, object: &Object) -> S3Result<()> {
    match context.conditions.own.read(&object.attributes().etag, object.modified()) {
        Outcome::Send => Ok(()),
        Outcome::Failed => Err(fault::precondition_failed().into()),
        Outcome::NotModified => {
            let mut error = S3Error::with_message(S3ErrorCode::NotModified, "Not Modified");
            error.set_status_code(http::StatusCode::NOT_MODIFIED);
            let mut headers = HeaderMap::new();
            identify(object, &mut headers);
            error.set_headers(headers);
            Err(error)
        }
    }
}

/// ETag and time: what a cache knows an object by.
fn identify(object: &Object, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", object.attributes().etag)) {
        headers.insert(header::ETAG, value);
    }
    let time = object.modified().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::from_str(&time) {
        headers.insert(header::LAST_MODIFIED, value);
    }
}

/// The headers that tell about an object and the part of it that is read.
fn describe(object: &Object, selection: &Selection, with_checksum: bool, headers: &mut HeaderMap) {
    let record = object.attributes();
    attributes::put_back(&record.headers, &record.metadata, headers);
    if let Some(value) =
        record.content_type.as_ref().and_then(|text| HeaderValue::from_str(text).ok())
    {
        headers.insert(header::CONTENT_TYPE, value);
    }
    identify(object, headers);
    // Named only where it isn't the standard one, as on AWS.
    if let Some(value) = record.storage_class.as_ref().and_then(|text| text.parse().ok()) {
        headers.insert(HeaderName::from_static("x-amz-storage-class"), value);
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let Range { start, end } = selection.bytes;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end.saturating_sub(start)));
    if selection.partial
        && let Ok(value) = HeaderValue::from_str(&format!(
            "bytes {start}-{}/{}",
            end.saturating_sub(1),
            object.size()
        ))
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    if let Some(parts) = selection.parts {
        headers.insert(HeaderName::from_static("x-amz-mp-parts-count"), HeaderValue::from(parts));
    }
    // The whole object's checksum goes with nothing less: a client would check what it reads by it.
    let whole = start == 0 && end == object.size();
    let checksum = match selection.parts {
        Some(_) => selection.checksum.as_ref(),
        None => record.checksum.as_ref().filter(|_| whole),
    };
    if let Some(checksum) = checksum.filter(|_| with_checksum) {
        put::set_checksum(headers, checksum);
    }
}

/// What is read, as the wire library sends it. A small object is one piece, sent without a stream around it.
async fn content(mut reader: Plain) -> S3Result<StreamingBlob> {
    let first = reader.next().await.transpose().map_err(fault::s3)?;
    let Some(first) = first else { return Ok(StreamingBlob::from(Body::empty())) };
    let rest = reader.map_err(|error| {
        // The head is sent: ending the connection is all that is left to say.
        fault::refusal(&error);
        error
    });
    let stream = futures_util::stream::once(async { Ok::<_, StoreError>(first) }).chain(rest);
    Ok(StreamingBlob::from(Body::http_body_unsync(http_body_util::StreamBody::new(
        stream.map_ok(http_body::Frame::data),
    ))))
}

/// The name of a storage class, for documents, where it always stands.
pub(super) fn class(class: Option<&String>) -> String {
    class.cloned().unwrap_or_else(|| attributes::STANDARD.to_owned())
}

/// There is one version of each key, and AWS calls it `null`.
pub(super) fn only_null(version: Option<&str>) -> Result<(), Refusal> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(Refusal::new(
            "NoSuchVersion",
            404,
            "The specified version does not exist: this bucket keeps one version, `null`.",
        )),
    }
}
