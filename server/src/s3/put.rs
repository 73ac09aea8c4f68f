//! PutObject, and what all writes of objects share.

use coffer_store::{Checksum, ChecksumKind, ObjectAttributes};
use http::HeaderMap;
use s3s::{S3Response, S3Result, dto};

use super::attributes::Stored;
use super::checksum::{self, Algorithm};
use super::encryption::choose::{For, Whole, for_write};
use super::encryption::record::Record;
use super::encryption::{To, tell};
use super::receive::{Announced, Under, receive};
use super::{Context, Handlers, fault};

/// The checksum of an object whose writer chose none. Source: AWS S3, "Checking object integrity".
pub(super) const DEFAULT_CHECKSUM: Algorithm = Algorithm::Crc64Nvme;

pub(super) async fn put(
    handlers: &Handlers,
    context: Context,
    input: dto::PutObjectInput,
    headers: &HeaderMap,
) -> S3Result<S3Response<dto::PutObjectOutput>> {
    let (bucket, key) = context.object()?;
    let precondition = context.conditions.own.write()?;
    // Before a byte is read: a bucket that isn't there stays so.
    let found = handlers.store.bucket(bucket).await.map_err(fault::s3)?;
    let sealing = for_write(handlers, &context, &found, For::Object).await?;
    let whole =
        sealing.as_ref().map(|sealing| sealing.whole(&handlers.encryption.tenant, bucket, key));
    let (under, record) = whole
        .transpose()?
        .map(|Whole { key, record }| (Under { key, mode: record.sealed.mode() }, record))
        .unzip();
    let announced = Announced::read(headers, DEFAULT_CHECKSUM)?;
    let received = receive(handlers, &announced, input.body, &context.trailers, under).await?;
    let etag = received.etag.clone();
    let checksum = received.full_object();
    let mut attributes = attributes(&context.stored, etag.clone(), Some(checksum.clone()));
    attributes.encryption = record.as_ref().map(Record::encode);
    handlers
        .store
        .put_object(bucket, key, received.content, attributes, &precondition, context.now)
        .await
        .map_err(fault::s3)?;
    let mut response = S3Response::new(dto::PutObjectOutput {
        e_tag: Some(dto::ETag::Strong(etag)),
        ..Default::default()
    });
    set_checksum(&mut response.headers, &checksum);
    if let Some(record) = &record {
        tell(record, context.encryption.customer.as_ref(), To::Write, &mut response.headers);
    }
    Ok(response)
}

/// An object's attributes from what its writer said of it.
pub(super) fn attributes(
    stored: &Stored,
    etag: String,
    checksum: Option<Checksum>,
) -> ObjectAttributes {
    let mut headers = stored.system.clone();
    ObjectAttributes {
        etag,
        content_type: headers.remove("content-type"),
        headers,
        metadata: stored.user.clone(),
        storage_class: stored.storage_class.clone(),
        checksum,
        ..ObjectAttributes::default()
    }
}

/// The headers that tell an object's checksum.
pub(super) fn set_checksum(headers: &mut HeaderMap, checksum: &Checksum) {
    if let Ok(value) = checksum.value.parse() {
        headers.insert(checksum::header(checksum.algorithm), value);
    }
    headers.insert("x-amz-checksum-type", http::HeaderValue::from_static(kind(checksum.kind)));
}

/// A checksum's type as S3 names it.
pub(super) fn kind(kind: ChecksumKind) -> &'static str {
    match kind {
        ChecksumKind::FullObject => "FULL_OBJECT",
        ChecksumKind::Composite => "COMPOSITE",
    }
}
