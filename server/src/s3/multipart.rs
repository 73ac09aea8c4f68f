//! Uploads in parts: begun, filled, completed, aborted.

use coffer_store::{
    Checksum, ChecksumKind, Part, PartAttributes, StoreError, Upload, UploadAttributes, UploadId,
};
use http::HeaderMap;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{S3Response, S3Result, dto, s3_error};

use super::checksum::{self, Algorithm, Value};
use super::encryption::choose::{For, for_write};
use super::encryption::read::{for_completion, for_part};
use super::encryption::record::Record;
use super::encryption::{To, tell};
use super::receive::{Announced, Received, Under, receive};
use super::{Context, Handlers, fault, put};
use crate::answer::Refusal;

/// The fewest bytes of any part but the last. Source: AWS S3 quotas.
const SMALLEST: u64 = 5 * 1024 * 1024;
/// The most parts of an upload. Source: AWS S3 quotas.
const MOST_PARTS: usize = 10_000;
/// The largest object. Source: AWS S3 quotas.
const LARGEST: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// What stands as it is in the path of an object's location.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_');

/// A part's number.
pub(super) fn number(number: i32) -> S3Result<u16> {
    u16::try_from(number)
        .ok()
        .filter(|n| (1..=10_000).contains(n))
        .ok_or_else(|| fault::part_number().into())
}

/// The upload that a request names.
pub(super) async fn upload(handlers: &Handlers, context: &Context, id: &str) -> S3Result<Upload> {
    let (bucket, key) = context.object()?;
    let Ok(id) = id.parse::<UploadId>() else {
        // The bucket's absence goes first, as for every other operation.
        handlers.store.bucket(bucket).await.map_err(fault::s3)?;
        return Err(fault::no_such_upload().into());
    };
    handlers.store.upload(bucket, key, id).await.map_err(fault::s3)
}

/// The checksum that is kept of each part.
pub(super) fn algorithm(upload: &Upload) -> Algorithm {
    upload.attributes.checksum.map_or(put::DEFAULT_CHECKSUM, |(algorithm, _)| algorithm)
}

fn kind(upload: &Upload) -> ChecksumKind {
    upload.attributes.checksum.map_or(ChecksumKind::FullObject, |(_, kind)| kind)
}

pub(super) async fn create(
    handlers: &Handlers,
    context: Context,
    input: dto::CreateMultipartUploadInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
    let (bucket, key) = context.object()?;
    let algorithm =
        input.checksum_algorithm.as_ref().and_then(|name| checksum::named(name.as_str()));
    let checksum = chosen(algorithm, input.checksum_type.as_ref().map(dto::ChecksumType::as_str))?;
    let found = handlers.store.bucket(bucket).await.map_err(fault::s3)?;
    let sealing = for_write(handlers, &context, &found, For::Upload).await?;
    let id = UploadId::new(context.now);
    let record = sealing
        .as_ref()
        .map(|sealing| sealing.upload(&handlers.encryption.tenant, bucket, key, id))
        .transpose()?;
    let mut object = put::attributes(&context.stored, String::new(), None);
    object.encryption = record.as_ref().map(Record::encode);
    let attributes = UploadAttributes { object, checksum, initiator: None };
    let upload = handlers
        .store
        .create_upload_as(id, bucket, key, attributes, context.now)
        .await
        .map_err(fault::s3)?;
    let mut response = S3Response::new(dto::CreateMultipartUploadOutput {
        bucket: Some(bucket.as_str().to_owned()),
        key: Some(key.as_str().to_owned()),
        upload_id: Some(upload.id.to_string()),
        checksum_algorithm: checksum
            .map(|(algorithm, _)| dto::ChecksumAlgorithm::from_static(checksum::name(algorithm))),
        checksum_type: checksum.map(|(_, kind)| dto::ChecksumType::from_static(put::kind(kind))),
        ..Default::default()
    });
    if let Some(record) = &record {
        tell(record, context.encryption.customer.as_ref(), To::Write, &mut response.headers);
    }
    Ok(response)
}

/// Algorithm and type that an upload asks for. Source: AWS S3, "Checking object integrity", table of types.
fn chosen(
    algorithm: Option<Algorithm>,
    kind: Option<&str>,
) -> S3Result<Option<(Algorithm, ChecksumKind)>> {
    let kind = match kind {
        None => None,
        Some("COMPOSITE") => Some(ChecksumKind::Composite),
        Some("FULL_OBJECT") => Some(ChecksumKind::FullObject),
        Some(_) => {
            return Err(s3_error!(
                InvalidRequest,
                "Value for x-amz-checksum-type header is invalid."
            ));
        }
    };
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )),
        };
    };
    let fits = match algorithm {
        Algorithm::Crc64Nvme => kind != Some(ChecksumKind::Composite),
        Algorithm::Sha1 | Algorithm::Sha256 => kind != Some(ChecksumKind::FullObject),
        Algorithm::Crc32 | Algorithm::Crc32c => true,
    };
    if !fits {
        return Err(s3_error!(
            InvalidRequest,
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.map(put::kind).unwrap_or_default(),
            checksum::name(algorithm).to_ascii_lowercase()
        ));
    }
    let usual = match algorithm {
        Algorithm::Crc64Nvme => ChecksumKind::FullObject,
        Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Sha1 | Algorithm::Sha256 => {
            ChecksumKind::Composite
        }
    };
    Ok(Some((algorithm, kind.unwrap_or(usual))))
}

pub(super) async fn put_part(
    handlers: &Handlers,
    context: Context,
    input: dto::UploadPartInput,
    headers: &HeaderMap,
) -> S3Result<S3Response<dto::UploadPartOutput>> {
    let number = number(input.part_number)?;
    let upload = upload(handlers, &context, &input.upload_id).await?;
    let announced = Announced::read(headers, algorithm(&upload))?.keeping(algorithm(&upload));
    if let (Some(sent), Some((expected, _))) = (announced.algorithm(), upload.attributes.checksum)
        && sent != expected
    {
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            checksum::name(expected).to_ascii_lowercase(),
            checksum::name(sent).to_ascii_lowercase()
        ));
    }
    let uploading = for_part(handlers, &context, context.bucket()?, &upload).await?;
    let part = uploading.as_ref().map(|uploading| {
        let (key, record) = uploading.part(number)?;
        Ok::<_, Refusal>((Under { key, mode: uploading.mode() }, record))
    });
    let (under, record) = part.transpose()?.unzip();
    let received = receive(handlers, &announced, input.body, &context.trailers, under).await?;
    let part = keep(handlers, &context, &upload, number, received, record).await?;
    let mut response = S3Response::new(dto::UploadPartOutput {
        e_tag: Some(dto::ETag::Strong(part.attributes.etag)),
        ..Default::default()
    });
    if let Some(checksum) = &part.attributes.checksum
        && let Ok(value) = checksum.value.parse()
    {
        response.headers.insert(checksum::header(checksum.algorithm), value);
    }
    if let Some(uploading) = &uploading {
        uploading.tell(&mut response.headers);
    }
    Ok(response)
}

/// Records received content as a part; `encryption` is what the part keeps of that.
pub(super) async fn keep(
    handlers: &Handlers,
    context: &Context,
    upload: &Upload,
    number: u16,
    received: Received,
    encryption: Option<Vec<u8>>,
) -> S3Result<Part> {
    let (bucket, key) = context.object()?;
    let attributes =
        PartAttributes { checksum: Some(received.full_object()), etag: received.etag, encryption };
    handlers
        .store
        .put_part(bucket, key, upload.id, number, received.content, attributes, context.now)
        .await
        .map_err(fault::s3)
}

pub(super) async fn complete(
    handlers: &Handlers,
    context: Context,
    input: dto::CompleteMultipartUploadInput,
    headers: &HeaderMap,
) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
    let (bucket, key) = context.object()?;
    let precondition = context.conditions.own.write()?;
    let named =
        input.multipart_upload.as_ref().and_then(|upload| upload.parts.clone()).unwrap_or_default();
    if named.is_empty() || named.len() > MOST_PARTS {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided names no part, or more than 10000."
        ));
    }
    let upload = upload(handlers, &context, &input.upload_id).await?;
    let parts = named_parts(handlers, &context, &upload, &named).await?;
    let size = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size));
    if size > LARGEST {
        return Err(s3_error!(EntityTooLarge, "An object can have 5 TiB at most."));
    }
    if input.mpu_object_size.is_some_and(|expected| u64::try_from(expected) != Ok(size)) {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match what was computed: {} bytes.",
            size
        ));
    }
    let etag = etag(&parts)?;
    let checksum = whole(&upload, &parts)?;
    check_given(headers, input.checksum_type.as_ref(), &checksum)?;
    let record = for_completion(handlers, &context, bucket, &upload, &parts).await?;
    let mut attributes = upload.attributes.object.clone();
    attributes.encryption = record.as_ref().map(Record::encode);
    attributes.etag.clone_from(&etag);
    attributes.checksum = Some(checksum.clone());
    handlers
        .store
        .complete_upload_of(bucket, key, upload.id, &parts, attributes, &precondition, context.now)
        .await
        .map_err(fault::s3)?;
    let host =
        headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = utf8_percent_encode(key.as_str(), IN_PATH);
    let mut output = dto::CompleteMultipartUploadOutput {
        bucket: Some(bucket.as_str().to_owned()),
        key: Some(key.as_str().to_owned()),
        location: Some(format!("https://{host}/{}/{path}", bucket.as_str())),
        e_tag: Some(dto::ETag::Strong(etag)),
        checksum_type: Some(dto::ChecksumType::from_static(put::kind(checksum.kind))),
        ..Default::default()
    };
    checksum::tell!(output, &checksum);
    let mut response = S3Response::new(output);
    if let Some(record) = &record {
        tell(record, context.encryption.customer.as_ref(), To::Read, &mut response.headers);
    }
    Ok(response)
}

/// The uploaded parts that a completion names, in its order, each with the ETag and checksum that it names.
async fn named_parts(
    handlers: &Handlers,
    context: &Context,
    upload: &Upload,
    named: &[dto::CompletedPart],
) -> S3Result<Vec<Part>> {
    let (bucket, key) = context.object()?;
    let mut there = std::collections::BTreeMap::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let page = handlers
            .store
            .list_parts(bucket, key, upload.id, from, 1000)
            .await
            .map_err(fault::s3)?;
        there.extend(page.parts.into_iter().map(|part| (part.number, part)));
        after = page.next;
    }
    let mut parts: Vec<Part> = Vec::with_capacity(named.len());
    for one in named {
        let number = number(one.part_number.unwrap_or_default())?;
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(fault::s3(StoreError::InvalidPartOrder));
        }
        let invalid = || fault::s3(StoreError::InvalidPart(number));
        let part = there.remove(&number).ok_or_else(invalid)?;
        if one.e_tag.as_ref().is_none_or(|etag| etag.value() != part.attributes.etag) {
            return Err(invalid());
        }
        let given = [
            (Algorithm::Crc32, &one.checksum_crc32),
            (Algorithm::Crc32c, &one.checksum_crc32c),
            (Algorithm::Crc64Nvme, &one.checksum_crc64nvme),
            (Algorithm::Sha1, &one.checksum_sha1),
            (Algorithm::Sha256, &one.checksum_sha256),
        ];
        for (algorithm, value) in given {
            check_part(upload, &part, algorithm, value.as_deref())?;
        }
        parts.push(part);
    }
    let small = parts.iter().rev().skip(1).find(|part| part.size < SMALLEST);
    if let Some(part) = small {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size: part {} has {} bytes, all but the last need 5 MiB.",
            part.number,
            part.size
        ));
    }
    Ok(parts)
}

/// Whether what a completion says of a part's checksum by this algorithm is so. A composite checksum is one of the parts', so that
/// of each has to be named. Source: AWS, CompleteMultipartUpload.
fn check_part(
    upload: &Upload,
    part: &Part,
    algorithm: Algorithm,
    value: Option<&str>,
) -> S3Result<()> {
    let kept = part.attributes.checksum.as_ref().filter(|kept| kept.algorithm == algorithm);
    match (value, upload.attributes.checksum) {
        (Some(_), Some((chosen, _))) if chosen != algorithm => Err(s3_error!(
            InvalidRequest,
            "The upload was begun with a {} checksum; part {} is named with one of {}.",
            checksum::name(chosen),
            part.number,
            checksum::name(algorithm)
        )),
        (None, Some((chosen, ChecksumKind::Composite))) if chosen == algorithm => Err(s3_error!(
            InvalidRequest,
            "The upload was begun with a composite {} checksum: its completion has to name the checksum of each part, and that of part {} \
             is missing.",
            checksum::name(chosen),
            part.number
        )),
        (Some(value), _) if kept.is_some_and(|kept| kept.value != value) => {
            Err(fault::s3(StoreError::InvalidPart(part.number)))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// The ETag of an object of parts: the MD5 of their MD5s, and how many they are. Source: AWS S3, as clients compute it.
fn etag(parts: &[Part]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        let bytes = hex::decode(&part.attributes.etag)
            .map_err(|_error| s3_error!(InternalError, "A part's ETag isn't a digest."))?;
        md5.update(&bytes);
    }
    Ok(format!("{}-{}", hex::encode(md5.finalize()), parts.len()))
}

/// The checksum of the whole from those of the parts.
fn whole(upload: &Upload, parts: &[Part]) -> S3Result<Checksum> {
    let (algorithm, kind) = (algorithm(upload), kind(upload));
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        let kept = part.attributes.checksum.as_ref().filter(|kept| kept.algorithm == algorithm);
        let kept = kept.ok_or_else(|| s3_error!(InternalError, "A part has no checksum."))?;
        values.push((Value::parse(algorithm, &kept.value)?.bytes, part.size));
    }
    let value = match kind {
        ChecksumKind::FullObject => {
            checksum::combine(algorithm, &values).map(|value| value.base64())
        }
        ChecksumKind::Composite => checksum::composite(algorithm, &values)
            .map(|value| format!("{}-{}", value.base64(), parts.len())),
    };
    let value = value
        .ok_or_else(|| s3_error!(InternalError, "The object's checksum could not be computed."))?;
    Ok(Checksum { algorithm, kind, value })
}

/// Compares what the completion says of the whole with what it is.
fn check_given(
    headers: &HeaderMap,
    kind: Option<&dto::ChecksumType>,
    whole: &Checksum,
) -> S3Result<()> {
    if let Some(kind) = kind
        && kind.as_str() != put::kind(whole.kind)
    {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
            put::kind(whole.kind)
        ));
    }
    for algorithm in checksum::ALL {
        let Some(given) = headers.get(checksum::header(algorithm)) else { continue };
        let given = given.to_str().unwrap_or_default();
        // A composite value may be given with or without the number of parts.
        let bare = whole.value.split('-').next().unwrap_or_default();
        if algorithm != whole.algorithm || (given != whole.value && given != bare) {
            return Err(checksum::bad_digest(checksum::name(algorithm)).into());
        }
    }
    Ok(())
}

pub(super) async fn abort(
    handlers: &Handlers,
    context: Context,
    input: dto::AbortMultipartUploadInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
    let upload = upload(handlers, &context, &input.upload_id).await?;
    let (bucket, key) = context.object()?;
    handlers.store.abort_upload(bucket, key, upload.id, context.now).await.map_err(fault::s3)?;
    Ok(S3Response::new(dto::AbortMultipartUploadOutput::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_fits_the_algorithm() {
        use Algorithm::{Crc32, Crc64Nvme, Sha256};
        use ChecksumKind::{Composite, FullObject};
        for (algorithm, kind, expected) in [
            (None, None, Ok(None)),
            (None, Some("COMPOSITE"), Err(())),
            (Some(Crc32), None, Ok(Some((Crc32, Composite)))),
            (Some(Crc32), Some("FULL_OBJECT"), Ok(Some((Crc32, FullObject)))),
            (Some(Crc64Nvme), None, Ok(Some((Crc64Nvme, FullObject)))),
            (Some(Crc64Nvme), Some("COMPOSITE"), Err(())),
            (Some(Sha256), Some("FULL_OBJECT"), Err(())),
            (Some(Sha256), Some("HALF"), Err(())),
        ] {
            assert_eq!(
                chosen(algorithm, kind).map_err(|_error| ()),
                expected,
                "{algorithm:?} {kind:?}"
            );
        }
    }
}
