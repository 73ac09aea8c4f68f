//! CopyObject and UploadPartCopy: the source is asked for as a read of its own.

use std::ops::Range;

use coffer_store::{BucketName, Object, ObjectKey, StoreError};
use http::HeaderMap;
use s3s::{S3Error, S3Response, S3Result, dto, s3_error};

use super::checksum::{self, Algorithm};
use super::conditions::Outcome;
use super::encryption::choose::{For, for_write};
use super::encryption::read::{Access, Failed, Wants, for_part};
use super::encryption::record::Record;
use super::encryption::{To, tell};
use super::receive::{Received, Under, receive_copy};
use super::{Context, Handlers, date, fault, get, multipart, put};
use crate::authorize::Resource;
use coffer_policy::Action;

/// The largest object that one request can copy. Source: AWS S3 API reference.
const MOST: u64 = 5 * 1024 * 1024 * 1024;
/// How often a copy begins anew when its source is replaced under it.
const TRIES: u32 = 4;

pub(super) async fn object(
    handlers: &Handlers,
    context: Context,
    input: dto::CopyObjectInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::CopyObjectOutput>> {
    let (bucket, key) = context.object()?;
    let precondition = context.conditions.own.write()?;
    let replace = match input.metadata_directive.as_ref().map(dto::MetadataDirective::as_str) {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(_) => return Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
    };
    let (source_bucket, source_key) = source(&context, &input.copy_source)?;
    let asked = &context.encryption;
    // By copying an object onto itself its key is changed, or taken away.
    let changes = replace
        || context.stored.storage_class.is_some()
        || asked.is_explicit()
        || asked.source.is_some();
    if !changes && (&source_bucket, &source_key) == (bucket, key) {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let found = handlers.store.bucket(bucket).await.map_err(fault::s3)?;
    let sealing = for_write(handlers, &context, &found, For::Object).await?;
    let algorithm =
        input.checksum_algorithm.as_ref().and_then(|name| checksum::named(name.as_str()));
    let choose = |object: &Object| {
        if object.size() > MOST {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"
            ));
        }
        let kept = object.attributes().checksum.as_ref().map(|checksum| checksum.algorithm);
        Ok((0..object.size(), algorithm.or(kept).unwrap_or(put::DEFAULT_CHECKSUM)))
    };
    let mut record = None;
    // A key for each try: of one that failed frames may lie about.
    let seal = || -> S3Result<_> {
        let tenant = &handlers.encryption.tenant;
        let whole = sealing.as_ref().map(|sealing| sealing.whole(tenant, bucket, key));
        Ok(whole.transpose()?.map(|whole| {
            let mode = whole.record.sealed.mode();
            record = Some(whole.record);
            Under { key: whole.key, mode }
        }))
    };
    let (original, received) =
        read(handlers, &context, &source_bucket, &source_key, choose, seal).await?;
    let etag = received.etag.clone();
    let checksum = received.full_object();
    let mut attributes = if replace {
        put::attributes(&context.stored, etag.clone(), Some(checksum.clone()))
    } else {
        let mut attributes = original.attributes().clone();
        attributes.etag.clone_from(&etag);
        // The class is the request's, never the source's.
        attributes.storage_class.clone_from(&context.stored.storage_class);
        attributes.checksum = Some(checksum.clone());
        attributes
    };
    attributes.encryption = record.as_ref().map(Record::encode);
    let written = handlers
        .store
        .put_object(bucket, key, received.content, attributes, &precondition, context.now)
        .await
        .map_err(fault::s3)?;
    let mut result = dto::CopyObjectResult {
        e_tag: Some(dto::ETag::Strong(etag)),
        last_modified: Some(date(written.modified())),
        checksum_type: Some(dto::ChecksumType::from_static(put::kind(checksum.kind))),
        ..Default::default()
    };
    checksum::tell!(result, &checksum);
    let mut response = S3Response::new(dto::CopyObjectOutput {
        copy_object_result: Some(result),
        ..Default::default()
    });
    if let Some(record) = &record {
        tell(record, context.encryption.customer.as_ref(), To::Write, &mut response.headers);
    }
    Ok(response)
}

pub(super) async fn part(
    handlers: &Handlers,
    context: Context,
    input: dto::UploadPartCopyInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
    let (source_bucket, source_key) = source(&context, &input.copy_source)?;
    let number = multipart::number(input.part_number)?;
    let upload = multipart::upload(handlers, &context, &input.upload_id).await?;
    let algorithm = multipart::algorithm(&upload);
    let uploading = for_part(handlers, &context, context.bucket()?, &upload).await?;
    let range = input.copy_source_range.as_deref().map(copy_range).transpose()?;
    let choose = |object: &Object| {
        let bytes = match &range {
            None => 0..object.size(),
            Some(range) if range.end <= object.size() => range.clone(),
            Some(_) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "Range specified is not valid for source object of size: {}",
                    object.size()
                ));
            }
        };
        if bytes.end.saturating_sub(bytes.start) > MOST {
            return Err(s3_error!(EntityTooLarge, "A part can have 5 GiB at most."));
        }
        Ok((bytes, algorithm))
    };
    let mut record = None;
    let seal = || -> S3Result<_> {
        let Some(uploading) = &uploading else { return Ok(None) };
        let (key, bytes) = uploading.part(number)?;
        record = Some(bytes);
        Ok(Some(Under { key, mode: uploading.mode() }))
    };
    let (_original, received) =
        read(handlers, &context, &source_bucket, &source_key, choose, seal).await?;
    let part = multipart::keep(handlers, &context, &upload, number, received, record).await?;
    let mut result = dto::CopyPartResult {
        e_tag: Some(dto::ETag::Strong(part.attributes.etag.clone())),
        last_modified: Some(date(part.modified)),
        ..Default::default()
    };
    if let Some(checksum) = part.attributes.checksum {
        checksum::tell!(result, &checksum);
    }
    let mut response = S3Response::new(dto::UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..Default::default()
    });
    if let Some(uploading) = &uploading {
        uploading.tell(&mut response.headers);
    }
    Ok(response)
}

/// The source, allowed to be read: the same value is authorized here and read after.
fn source(context: &Context, source: &dto::CopySource) -> S3Result<(BucketName, ObjectKey)> {
    let (bucket, key, version) = match source {
        dto::CopySource::Bucket { bucket, key, version_id } => (bucket, key, version_id),
        dto::CopySource::AccessPoint { .. } | dto::CopySource::Outpost { .. } => {
            return Err(s3_error!(
                NotImplemented,
                "Access points aren't part of Coffer; name the source as bucket/key."
            ));
        }
    };
    let invalid = || {
        s3_error!(
            InvalidArgument,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey."
        )
    };
    let bucket = BucketName::try_from(bucket.to_string()).map_err(|_error| invalid())?;
    let key = ObjectKey::try_from(key.to_string()).map_err(|_error| invalid())?;
    if !context.authorized.copies_from(&bucket, &key) {
        return Err(invalid());
    }
    let action = if version.is_some() { Action::S3GetObjectVersion } else { Action::S3GetObject };
    context.authorized.also(action, Resource::Object(&bucket, &key))?;
    get::only_null(version.as_deref())?;
    Ok((bucket, key))
}

/// Reads what `choose` wants of the source and receives it as new content, under the key that `seal` gives.
async fn read(
    handlers: &Handlers,
    context: &Context,
    bucket: &BucketName,
    key: &ObjectKey,
    choose: impl Fn(&Object) -> S3Result<(Range<u64>, Algorithm)>,
    mut seal: impl FnMut() -> S3Result<Option<Under>>,
) -> S3Result<(Object, Received)> {
    let mut tries = 0;
    loop {
        let object = handlers
            .store
            .object(bucket, key)
            .await
            .map_err(|error| context.look_up_failed(bucket, &error))?;
        let customer = context.encryption.source.as_ref();
        let access = Access::new(context, bucket, &object, customer, Wants::Content)?;
        match context.conditions.source.copy(
            &object.attributes().etag,
            object.modified(),
            context.now,
        ) {
            Outcome::Send => {}
            Outcome::NotModified | Outcome::Failed => {
                return Err(fault::precondition_failed().into());
            }
        }
        let (bytes, algorithm) = choose(&object)?;
        let length = bytes.end.saturating_sub(bytes.start);
        match access.read(handlers, bytes).await {
            Ok(reader) => {
                let key = seal()?;
                let received = receive_copy(handlers, reader, length, algorithm, key)
                    .await
                    .map_err(S3Error::from)?;
                return Ok((object, received));
            }
            Err(Failed::Store(StoreError::Gone)) if tries < TRIES => tries += 1,
            Err(Failed::Store(error)) => return Err(fault::s3(error)),
            Err(Failed::Refused(refusal)) => return Err(refusal.into()),
        }
    }
}

/// `bytes=first-last`, both given. Source: AWS S3 API reference, UploadPartCopy.
fn copy_range(text: &str) -> S3Result<Range<u64>> {
    let invalid = || {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based \
             offsets of the first and last bytes to copy"
        )
    };
    let (first, last) =
        text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(invalid)?;
    let number = |text: &str| -> S3Result<u64> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        text.parse().map_err(|_error| invalid())
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last || last == u64::MAX {
        return Err(invalid());
    }
    Ok(first..last.saturating_add(1))
}
