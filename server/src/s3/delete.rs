//! DeleteObject and DeleteObjects.

use coffer_store::{EtagCondition, ObjectKey, Precondition};
use http::HeaderMap;
use jiff::Timestamp;
use s3s::{S3Response, S3Result, dto, s3_error};

use super::{Context, Handlers, fault, get};
use crate::authorize::Resource;
use crate::authorize::later::NamedKey;
use coffer_policy::Action;

/// The most keys of one DeleteObjects. Source: AWS S3 API reference.
const MOST: usize = 1000;

pub(super) async fn one(
    handlers: &Handlers,
    context: Context,
    input: dto::DeleteObjectInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
    let (bucket, key) = context.object()?;
    get::only_null(input.version_id.as_deref())?;
    let precondition = Precondition {
        if_size: size(input.if_match_size)?,
        if_modified: input.if_match_last_modified_time.and_then(timestamp),
        ..context.conditions.own.write()?
    };
    handlers
        .store
        .delete_object(bucket, key, &precondition, context.now)
        .await
        .map_err(fault::s3)?;
    Ok(S3Response::new(dto::DeleteObjectOutput::default()))
}

pub(super) async fn many(
    handlers: &Handlers,
    context: Context,
    input: dto::DeleteObjectsInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
    let bucket = context.bucket()?;
    let quiet = input.delete.quiet.unwrap_or(false);
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MOST {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided names no object, or more than 1000."
        ));
    }
    handlers.store.bucket(bucket).await.map_err(fault::s3)?;
    let mut errors: Vec<dto::Error> = Vec::new();
    let mut keys: Vec<(ObjectKey, Precondition)> = Vec::with_capacity(objects.len());
    let mut versions: Vec<Option<String>> = Vec::with_capacity(objects.len());
    for object in objects {
        match wanted(&context, &object) {
            Ok(wanted) => {
                keys.push(wanted);
                versions.push(object.version_id);
            }
            Err(error) => errors.push(failure(object.key, object.version_id, &error)),
        }
    }
    let names: Vec<String> = keys.iter().map(|(key, _)| key.as_str().to_owned()).collect();
    let results =
        handlers.store.delete_objects(bucket, keys, context.now).await.map_err(fault::s3)?;
    let mut deleted: Vec<dto::DeletedObject> = Vec::new();
    let mut gone: Vec<String> = Vec::with_capacity(names.len());
    for ((key, version_id), result) in names.into_iter().zip(versions).zip(results) {
        match result {
            Ok(_gone) => {
                if !quiet {
                    deleted.push(dto::DeletedObject {
                        key: Some(key.clone()),
                        version_id,
                        ..Default::default()
                    });
                }
                gone.push(key);
            }
            Err(error) => errors.push(failure(key, version_id, &fault::s3(error))),
        }
    }
    context.authorized.later().names(gone.into_iter().map(|key| NamedKey { key, code: None }));
    context.authorized.later().names(errors.iter().map(|error| NamedKey {
        key: error.key.clone().unwrap_or_default(),
        code: error.code.clone(),
    }));
    Ok(S3Response::new(dto::DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..Default::default()
    }))
}

/// One key of many: allowed on its own, with its own conditions.
fn wanted(
    context: &Context,
    object: &dto::ObjectIdentifier,
) -> S3Result<(ObjectKey, Precondition)> {
    let bucket = context.bucket()?;
    let key = ObjectKey::try_from(object.key.clone())
        .map_err(|error| s3_error!(KeyTooLongError, "Your key can't be used: {}.", error))?;
    let action = match object.version_id {
        Some(_) => Action::S3DeleteObjectVersion,
        None => Action::S3DeleteObject,
    };
    context.authorized.also(action, Resource::Object(bucket, &key))?;
    get::only_null(object.version_id.as_deref())?;
    let precondition = Precondition {
        if_match: object.e_tag.as_ref().map(|tag| match tag.value() {
            "*" => EtagCondition::Any,
            tag => EtagCondition::OneOf(vec![tag.to_owned()]),
        }),
        if_none_match: None,
        if_size: size(object.size)?,
        if_modified: object.last_modified_time.clone().and_then(timestamp),
    };
    Ok((key, precondition))
}

fn size(size: Option<i64>) -> S3Result<Option<u64>> {
    size.map(|size| {
        u64::try_from(size)
            .map_err(|_error| s3_error!(InvalidArgument, "A size can't be negative."))
    })
    .transpose()
}

fn timestamp(time: dto::Timestamp) -> Option<Timestamp> {
    let time: time::OffsetDateTime = time.into();
    Timestamp::from_second(time.unix_timestamp()).ok()
}

fn failure(key: String, version_id: Option<String>, error: &s3s::S3Error) -> dto::Error {
    dto::Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coffer_store::StoreError;

    #[test]
    fn a_precondition_that_failed_has_its_code() {
        let error = failure("k".to_owned(), None, &fault::s3(StoreError::PreconditionFailed));
        assert_eq!(error.code.as_deref(), Some("PreconditionFailed"));
    }
}
