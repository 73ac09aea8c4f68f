//! Buckets: made, looked at, listed, deleted.

use http::HeaderMap;
use s3s::{S3Response, S3Result, dto, s3_error};

use super::{Context, Handlers, fault, supported};
use crate::answer::Refusal;

/// The owner of everything here. One tenant has one owner; its id has the form that AWS's canonical ids have.
pub(super) fn owner() -> dto::Owner {
    dto::Owner { display_name: Some("coffer".to_owned()), id: Some(OWNER_ID.to_owned()) }
}

/// The owner's canonical id: the SHA-256 of `coffer`.
pub(super) const OWNER_ID: &str =
    "48ed5fade657faa76151391250b189412721d463aacb1fad7108e5c1b8120b59";

pub(super) async fn list(
    handlers: &Handlers,
    _context: Context,
    input: dto::ListBucketsInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::ListBucketsOutput>> {
    let most: usize = match input.max_buckets {
        None => 10_000,
        Some(most) => usize::try_from(most)
            .ok()
            .filter(|most| (1..=10_000).contains(most))
            .ok_or_else(|| {
                s3_error!(InvalidArgument, "max-buckets must be an integer between 1 and 10000.")
            })?,
    };
    let other_region =
        input.bucket_region.as_deref().is_some_and(|region| *region != *handlers.region);
    let prefix = input.prefix.clone().unwrap_or_default();
    let page = handlers
        .store
        .list_buckets(&prefix, input.continuation_token.as_deref(), most)
        .await
        .map_err(fault::s3)?;
    let buckets = page
        .buckets
        .into_iter()
        .filter(|_| !other_region)
        .map(|bucket| dto::Bucket {
            name: Some(bucket.name.as_str().to_owned()),
            creation_date: Some(super::date(bucket.created)),
            // Older clients don't know the element; AWS sends it only where the listing was asked for by page.
            bucket_region: input.max_buckets.map(|_| bucket.region),
        })
        .collect();
    Ok(S3Response::new(dto::ListBucketsOutput {
        buckets: Some(buckets),
        continuation_token: page.next,
        owner: Some(owner()),
        prefix: input.prefix,
    }))
}

pub(super) async fn create(
    handlers: &Handlers,
    context: Context,
    input: dto::CreateBucketInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::CreateBucketOutput>> {
    let name = context.bucket()?;
    let configuration = input.create_bucket_configuration;
    let constraint = configuration
        .as_ref()
        .and_then(|c| c.location_constraint.as_ref())
        .map(|c| c.as_str().to_owned());
    // `us-east-1` is AWS's name for "no constraint"; a bucket can only be made where this server is.
    if let Some(constraint) = constraint.filter(|text| !text.is_empty())
        && constraint != *handlers.region
        && constraint != "us-east-1"
    {
        return Err(s3_error!(
            InvalidLocationConstraint,
            "The specified location-constraint is not valid; this server's region is {}.",
            handlers.region
        ));
    }
    if configuration.is_some_and(|c| c.bucket.is_some() || c.location.is_some()) {
        return Err(Refusal::not_implemented("Directory buckets aren't part of Coffer.").into());
    }
    handlers.store.create_bucket(name, &handlers.region, context.now).await.map_err(fault::s3)?;
    Ok(S3Response::new(dto::CreateBucketOutput { location: Some(format!("/{}", name.as_str())) }))
}

pub(super) async fn head(
    handlers: &Handlers,
    context: Context,
    _input: dto::HeadBucketInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::HeadBucketOutput>> {
    let bucket = handlers.store.bucket(context.bucket()?).await.map_err(fault::s3)?;
    Ok(S3Response::new(dto::HeadBucketOutput {
        bucket_region: Some(bucket.region),
        ..Default::default()
    }))
}

pub(super) async fn delete(
    handlers: &Handlers,
    context: Context,
    _input: dto::DeleteBucketInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
    handlers.store.delete_bucket(context.bucket()?, context.now).await.map_err(fault::s3)?;
    Ok(S3Response::new(dto::DeleteBucketOutput {}))
}

pub(super) async fn location(
    handlers: &Handlers,
    context: Context,
    _input: dto::GetBucketLocationInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
    let bucket = handlers.store.bucket(context.bucket()?).await.map_err(fault::s3)?;
    // AWS names no constraint for its first region.
    let constraint =
        (bucket.region != "us-east-1").then(|| dto::BucketLocationConstraint::from(bucket.region));
    Ok(S3Response::new(dto::GetBucketLocationOutput { location_constraint: constraint }))
}

pub(super) async fn put_acl(
    handlers: &Handlers,
    context: Context,
    input: dto::PutBucketAclInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::PutBucketAclOutput>> {
    handlers.store.bucket(context.bucket()?).await.map_err(fault::s3)?;
    only_private(input.access_control_policy.as_ref(), input.acl.is_some())?;
    Ok(S3Response::new(dto::PutBucketAclOutput {}))
}

pub(super) async fn put_object_acl(
    handlers: &Handlers,
    context: Context,
    input: dto::PutObjectAclInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::PutObjectAclOutput>> {
    let (bucket, key) = context.object()?;
    handlers
        .store
        .object(bucket, key)
        .await
        .map_err(|error| context.look_up_failed(bucket, &error))?;
    only_private(input.access_control_policy.as_ref(), input.acl.is_some())?;
    Ok(S3Response::new(dto::PutObjectAclOutput::default()))
}

/// An ACL can be set to what it is: the owner's full control.
fn only_private(policy: Option<&dto::AccessControlPolicy>, canned: bool) -> S3Result<()> {
    let Some(policy) = policy else {
        // A canned ACL other than private was refused with the headers.
        return if canned {
            Ok(())
        } else {
            Err(s3_error!(
                MissingSecurityHeader,
                "Your request was missing a required header: x-amz-acl."
            ))
        };
    };
    let private = policy.grants.iter().flatten().all(|grant| {
        let to_owner =
            grant.grantee.as_ref().is_some_and(|grantee| grantee.id.as_deref() == Some(OWNER_ID));
        to_owner
            && grant
                .permission
                .as_ref()
                .is_some_and(|permission| permission.as_str() == "FULL_CONTROL")
    });
    if private { Ok(()) } else { Err(supported::acl_not_supported().into()) }
}
