//! Listings of what is being uploaded: uploads of a bucket, parts of an upload.

use coffer_store::{Start, UploadEntry, UploadId, UploadQuery, UploadStart};
use http::HeaderMap;
use s3s::{S3Response, S3Result, dto, s3_error};

use super::bucket::{OWNER_ID, owner};
use super::list::{self, Encoding};
use super::{Context, Handlers, checksum, date, fault, get, multipart, put};

pub(super) async fn uploads(
    handlers: &Handlers,
    context: Context,
    input: dto::ListMultipartUploadsInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
    let encoding = Encoding::read(input.encoding_type.as_ref())?;
    let most = list::most(input.max_uploads, "max-uploads")?;
    let start =
        match (&input.key_marker, input.upload_id_marker.as_deref().filter(|id| !id.is_empty())) {
            (Some(key), Some(id)) if !key.is_empty() => {
                let id: UploadId = id.parse().map_err(|_error| {
                    s3_error!(InvalidArgument, "The upload-id-marker is not an upload's id.")
                })?;
                UploadStart::AfterUpload(key.clone(), id)
            }
            (key, _) => {
                match list::marker(key.as_ref(), input.delimiter.as_ref(), input.prefix.as_ref()) {
                    Start::After(key) | Start::At(key) => UploadStart::AfterKey(key),
                    Start::AfterPrefix(prefix) => UploadStart::AfterPrefix(prefix),
                    Start::Beginning => UploadStart::Beginning,
                }
            }
        };
    let query = UploadQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|text| !text.is_empty()),
        start,
        limit: usize::try_from(most).unwrap_or(0),
    };
    let bucket = context.bucket()?;
    let page = if most == 0 {
        handlers.store.bucket(bucket).await.map_err(fault::s3)?;
        coffer_store::UploadPage { entries: Vec::new(), next: None }
    } else {
        handlers.store.list_uploads(bucket, &query).await.map_err(fault::s3)?
    };
    let truncated = page.next.is_some();
    let (next_key_marker, next_upload_id_marker) = match page.entries.last() {
        Some(UploadEntry::Upload(upload)) if truncated => {
            (Some(encoding.apply(upload.key.as_str())), Some(upload.id.to_string()))
        }
        Some(UploadEntry::Prefix(prefix)) if truncated => {
            (Some(encoding.apply(prefix.clone())), None)
        }
        Some(_) | None => (None, None),
    };
    let (mut uploads, mut common_prefixes) = (Vec::new(), Vec::new());
    for entry in page.entries {
        match entry {
            UploadEntry::Prefix(prefix) => {
                common_prefixes.push(dto::CommonPrefix { prefix: Some(encoding.apply(prefix)) });
            }
            UploadEntry::Upload(upload) => uploads.push(dto::MultipartUpload {
                key: Some(encoding.apply(upload.key.as_str())),
                upload_id: Some(upload.id.to_string()),
                initiated: Some(date(upload.initiated)),
                initiator: Some(initiator()),
                owner: Some(owner()),
                storage_class: Some(dto::StorageClass::from(get::class(
                    upload.attributes.object.storage_class.as_ref(),
                ))),
                checksum_algorithm: upload.attributes.checksum.map(|(algorithm, _)| {
                    dto::ChecksumAlgorithm::from_static(checksum::name(algorithm))
                }),
                checksum_type: upload
                    .attributes
                    .checksum
                    .map(|(_, kind)| dto::ChecksumType::from_static(put::kind(kind))),
            }),
        }
    }
    Ok(S3Response::new(dto::ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(encoding.apply(input.prefix.unwrap_or_default())),
        key_marker: Some(encoding.apply(input.key_marker.unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        next_key_marker,
        next_upload_id_marker,
        delimiter: input.delimiter.map(|delimiter| encoding.apply(delimiter)),
        max_uploads: Some(most),
        is_truncated: Some(truncated),
        uploads: Some(uploads),
        common_prefixes: Some(common_prefixes),
        encoding_type: input.encoding_type,
        ..Default::default()
    }))
}

pub(super) async fn parts(
    handlers: &Handlers,
    context: Context,
    input: dto::ListPartsInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::ListPartsOutput>> {
    let most = list::most(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or_default();
    let after = u16::try_from(marker.clamp(0, 10_000)).unwrap_or(10_000);
    let upload = multipart::upload(handlers, &context, &input.upload_id).await?;
    let (bucket, key) = context.object()?;
    let page = if most == 0 {
        coffer_store::PartPage { parts: Vec::new(), next: None }
    } else {
        let limit = usize::try_from(most).unwrap_or(0);
        handlers.store.list_parts(bucket, key, upload.id, after, limit).await.map_err(fault::s3)?
    };
    let next = page.next;
    let parts = page.parts.into_iter().map(|part| {
        let mut row = dto::Part {
            part_number: Some(i32::from(part.number)),
            size: i64::try_from(part.size).ok(),
            last_modified: Some(date(part.modified)),
            e_tag: Some(dto::ETag::Strong(part.attributes.etag)),
            ..Default::default()
        };
        // A part tells its checksum where the upload chose an algorithm.
        if let (Some(checksum), Some(_)) = (part.attributes.checksum, upload.attributes.checksum) {
            checksum::tell!(row, &checksum);
        }
        row
    });
    Ok(S3Response::new(dto::ListPartsOutput {
        bucket: Some(bucket.as_str().to_owned()),
        key: Some(key.as_str().to_owned()),
        upload_id: Some(upload.id.to_string()),
        parts: Some(parts.collect()),
        part_number_marker: Some(marker),
        next_part_number_marker: next.map(i32::from),
        max_parts: Some(most),
        is_truncated: Some(next.is_some()),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(dto::StorageClass::from(get::class(
            upload.attributes.object.storage_class.as_ref(),
        ))),
        checksum_algorithm: upload
            .attributes
            .checksum
            .map(|(algorithm, _)| dto::ChecksumAlgorithm::from_static(checksum::name(algorithm))),
        checksum_type: upload
            .attributes
            .checksum
            .map(|(_, kind)| dto::ChecksumType::from_static(put::kind(kind))),
        ..Default::default()
    }))
}

fn initiator() -> dto::Initiator {
    dto::Initiator { display_name: Some("coffer".to_owned()), id: Some(OWNER_ID.to_owned()) }
}
