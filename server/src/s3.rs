//! The S3 operations, behind the wire library.
//!
//! The library turns requests into typed inputs and outputs into documents. Who sends a request and whether it may was decided
//! before; here that decision is demanded, so that a request that went around it reaches nothing.

pub mod attributes;
mod bucket;
pub mod bucket_policy;
pub mod bucket_tags;
pub mod checksum;
pub mod conditions;
mod copy;
mod delete;
pub mod document;
pub mod encryption;
mod fault;
mod get;
mod hashing;
mod list;
mod list_uploads;
mod multipart;
pub mod post_form;
mod put;
pub mod range;
mod receive;
pub mod supported;
mod unset;

use std::sync::Arc;

use coffer_policy::Action;
use coffer_store::{BucketName, ObjectKey, Store, StoreError};
use http::{Request, Response};
use jiff::Timestamp;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use s3s::{Body, HttpError, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto, s3_error};

use crate::answer::Refusal;
use crate::authenticate::Trailers;
use crate::authorize::{Authorized, Resource};
use crate::encrypt::Encryption;
use crate::operation::Unset;
use hashing::Desk;

/// What the steps before found out about a request, for its handler.
#[derive(Clone, Debug)]
pub struct Context {
    /// What was allowed, on what.
    pub authorized: Authorized,
    /// The request's conditions.
    pub conditions: conditions::AllConditions,
    /// What it says about encryption.
    pub encryption: encryption::asked::Asked,
    /// What it sets for the object that it writes.
    pub stored: attributes::Stored,
    /// The body's trailing fields, once it was read.
    pub trailers: Trailers,
    /// When it came.
    pub now: Timestamp,
}

impl Context {
    /// The bucket that was authorized.
    fn bucket(&self) -> S3Result<&BucketName> {
        self.authorized
            .target()
            .bucket
            .as_ref()
            .ok_or_else(|| s3_error!(InvalidRequest, "The request names no bucket."))
    }

    /// Bucket and key that were authorized.
    fn object(&self) -> S3Result<(&BucketName, &ObjectKey)> {
        let key = self.authorized.target().key.as_ref();
        Ok((
            self.bucket()?,
            key.ok_or_else(|| s3_error!(InvalidRequest, "The request names no key."))?,
        ))
    }
}

impl Context {
    /// The answer to a failed look-up of an object.
    fn look_up_failed(&self, bucket: &BucketName, error: &StoreError) -> S3Error {
        look_up_failed(&self.authorized, bucket, error).into()
    }
}

/// That a key isn't there is told to those who may list its bucket. Source: AWS, GetObject.
fn look_up_failed(authorized: &Authorized, bucket: &BucketName, error: &StoreError) -> Refusal {
    if matches!(error, StoreError::NoSuchKey)
        && let Err(refusal) = authorized.also(Action::S3ListBucket, Resource::Bucket(bucket))
    {
        return refusal;
    }
    fault::refusal(error)
}

/// The S3 service of a store.
#[derive(Clone)]
pub struct S3 {
    wire: S3Service,
    handlers: Handlers,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3").finish_non_exhaustive()
    }
}

/// What every operation works with.
#[derive(Clone, Debug)]
struct Handlers {
    store: Store,
    encryption: Encryption,
    region: Arc<str>,
    /// Where content's digests are computed.
    desk: Arc<Desk>,
}

impl S3 {
    /// The operations on `store`; buckets are made in `region`.
    pub fn new(store: Store, encryption: Encryption, region: String) -> Self {
        let handlers = Handlers { store, encryption, region: region.into(), desk: Arc::default() };
        let mut builder = S3ServiceBuilder::new(handlers.clone());
        // The access hook is called only where there is an authenticator. This one knows nobody: a signature that is still there
        // was not verified by us.
        builder.set_auth(Nobody);
        builder.set_access(Gate);
        builder.set_validation(Decided);
        Self { wire: builder.build(), handlers }
    }

    /// Carries out a request that has its [`Context`].
    ///
    /// # Errors
    /// [`HttpError`] when no answer could be made.
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, HttpError> {
        self.wire.call(request).await
    }

    /// How a configuration that nobody can set reads.
    ///
    /// # Errors
    /// `404` for a bucket or object that isn't there, or for the configuration itself.
    pub async fn unset(
        &self,
        unset: Unset,
        authorized: &Authorized,
        query: &str,
    ) -> Result<Response<Body>, Refusal> {
        unset::answer(&self.handlers.store, unset, authorized, query).await
    }
}

/// Knows no key.
struct Nobody;

#[async_trait::async_trait]
impl S3Auth for Nobody {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Err(s3_error!(AccessDenied, "Access Denied."))
    }
}

/// Names were parsed by us, more strictly, before the library saw them.
struct Decided;

impl NameValidation for Decided {
    fn validate_bucket_name(&self, name: &str) -> bool {
        BucketName::try_from(name.to_owned()).is_ok()
    }
}

/// Lets through what was decided, and nothing that the library reads as another operation, bucket or key.
struct Gate;

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let path = context.s3_path();
        let (bucket, key) =
            (path.get_bucket_name().map(str::to_owned), path.get_object_key().map(str::to_owned));
        let operation = context.s3_op().name().to_owned();
        let Some(decided) = context.extensions_mut().get::<Context>() else {
            return Err(s3_error!(AccessDenied, "Access Denied."));
        };
        let target = decided.authorized.target();
        let same = operation == decided.authorized.operation().name()
            && bucket.as_deref() == target.bucket.as_ref().map(BucketName::as_str)
            && key.as_deref() == target.key.as_ref().map(ObjectKey::as_str);
        if same {
            Ok(())
        } else {
            Err(s3_error!(InvalidRequest, "The request can be read in more than one way."))
        }
    }
}

/// Takes the context that the gate has seen.
fn context<T>(request: &mut S3Request<T>) -> S3Result<Context> {
    request
        .extensions
        .remove::<Context>()
        .ok_or_else(|| S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied."))
}

/// Each operation goes to the file that has it.
macro_rules! operations {
    ($($name:ident($input:ident) -> $output:ident = $handler:path;)*) => {
        #[async_trait::async_trait]
        impl s3s::S3 for Handlers {
            $(async fn $name(&self, mut request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                let context = context(&mut request)?;
                $handler(self, context, request.input, &request.headers).await
            })*
        }
    };
}

operations! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput = bucket::list;
    create_bucket(CreateBucketInput) -> CreateBucketOutput = bucket::create;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = bucket::head;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = bucket::delete;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = bucket::location;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = encryption::default::get;
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = encryption::default::put;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = encryption::default::delete;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = bucket_tags::get;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = bucket_tags::put;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput = bucket_tags::delete;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput = bucket::put_acl;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput = bucket::put_object_acl;
    list_objects(ListObjectsInput) -> ListObjectsOutput = list::v1;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list::v2;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = list::versions;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = list_uploads::uploads;
    list_parts(ListPartsInput) -> ListPartsOutput = list_uploads::parts;
    get_object(GetObjectInput) -> GetObjectOutput = get::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = get::head;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = get::attributes;
    put_object(PutObjectInput) -> PutObjectOutput = put::put;
    copy_object(CopyObjectInput) -> CopyObjectOutput = copy::object;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy::part;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::one;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::many;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput = multipart::put_part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = multipart::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
}

/// A time as the wire library has it.
fn date(time: Timestamp) -> dto::Timestamp {
    dto::Timestamp::from(std::time::SystemTime::from(time))
}
