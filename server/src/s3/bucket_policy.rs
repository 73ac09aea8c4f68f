//! Bucket policies: put, read, deleted, told whether they make the bucket public; and found for a request.
//!
//! They are kept with the identities, sealed and compiled, each with its bucket's number: a bucket that is made again under
//! the name of a deleted one has another number, and so never the old policy.

use std::sync::Arc;

use bytes::Bytes;
use coffer_policy::{Kind, Policy, access, limit};
use coffer_store::{BucketName, Store, StoreError};
use http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use s3s::Body;
use tracing::warn;

use super::fault;
use crate::answer::Refusal;
use crate::authorize::Authorized;
use crate::iam::entity::BucketPolicy;
use crate::iam::name::Name;
use crate::iam::{Iam, IamError, Snapshot};
use crate::operation::Operation;

/// The longest document. Source: AWS, which allows 20 KiB.
pub const LONGEST: u64 = limit::DOCUMENT as u64;

/// The policies that hold for these buckets, in `snapshot`.
///
/// # Errors
/// The store's.
pub async fn in_force(
    store: &Store,
    snapshot: &Snapshot,
    buckets: &[&BucketName],
) -> Result<Vec<Arc<BucketPolicy>>, Refusal> {
    let mut policies = Vec::new();
    for name in buckets {
        let Some(policy) = snapshot.bucket_policy(name.as_str()) else { continue };
        match store.bucket(name).await {
            Ok(bucket) if bucket.number == policy.number => policies.push(Arc::clone(policy)),
            // It was another bucket's.
            Ok(_) | Err(StoreError::NoSuchBucket) => {}
            Err(error) => return Err(fault::refusal(&error)),
        }
    }
    Ok(policies)
}

/// `PolicyTooLarge`.
pub fn too_large() -> Refusal {
    Refusal::new(
        "PolicyTooLarge",
        400,
        format!("The policy is larger than {LONGEST} bytes: join statements, or use wildcards."),
    )
}

/// Carries out one of the four operations; `document` is the body of the request.
///
/// # Errors
/// `NoSuchBucket`, `NoSuchBucketPolicy`, `MalformedPolicy` with line, path and remedy, `NotImplemented` without a key to seal by.
pub async fn answer(
    store: &Store,
    iam: Option<&Iam>,
    authorized: &Authorized,
    document: &Bytes,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let Some(name) = &authorized.target().bucket else { return Err(Refusal::access_denied()) };
    let bucket = store.bucket(name).await.map_err(|error| fault::refusal(&error))?;
    let changed = |iam: Option<&Iam>| iam.is_some().then_some(()).ok_or_else(without_key);
    match authorized.operation() {
        Operation::PutBucketPolicy => {
            changed(iam)?;
            let policy = Policy::parse(Kind::Bucket(name.as_str()), document)
                .map_err(|errors| Refusal::new("MalformedPolicy", 400, errors.to_string()))?;
            let put = BucketPolicy {
                bucket: Name::bucket(name),
                number: bucket.number,
                policy,
                updated: now,
            };
            change(iam, |draft| draft.put_bucket_policy(put.clone())).await?;
            Ok(empty())
        }
        Operation::DeleteBucketPolicy => {
            changed(iam)?;
            let name = Name::bucket(name);
            change(iam, |draft| draft.delete_bucket_policy(&name, bucket.number)).await?;
            Ok(empty())
        }
        operation => {
            let snapshot = iam.map(Iam::snapshot).unwrap_or_default();
            let policy = snapshot
                .bucket_policy(name.as_str())
                .filter(|policy| policy.number == bucket.number)
                .ok_or_else(none)?;
            Ok(if operation == Operation::GetBucketPolicyStatus {
                status(&policy.policy)
            } else {
                let document = Bytes::copy_from_slice(policy.policy.document().as_bytes());
                with_body(document, "application/json")
            })
        }
    }
}

/// A bucket was deleted: its policy goes too. If that fails, it stays as one of a bucket that isn't there, until the next start.
pub async fn forget(iam: &Iam, policy: &BucketPolicy) {
    let (bucket, number) = (&policy.bucket, policy.number);
    if let Err(error) = iam.change(|draft| draft.delete_bucket_policy(bucket, number)).await {
        let error = &error as &dyn std::error::Error;
        warn!(bucket = bucket.as_str(), error, "can't remove the policy of a deleted bucket yet");
    }
}

/// Removes the policies of buckets that are no more.
///
/// # Errors
/// The store's.
pub async fn sweep(store: &Store, iam: &Iam) -> Result<(), StoreError> {
    for policy in iam.snapshot().bucket_policies() {
        let gone = match policy.bucket.as_str().parse::<BucketName>() {
            Ok(name) => match store.bucket(&name).await {
                Ok(bucket) => bucket.number != policy.number,
                Err(StoreError::NoSuchBucket) => true,
                Err(error) => return Err(error),
            },
            Err(_no_name) => true,
        };
        if gone {
            forget(iam, policy).await;
        }
    }
    Ok(())
}

async fn change(
    iam: Option<&Iam>,
    edit: impl Fn(&mut crate::iam::Draft) -> Result<(), crate::iam::Refused>,
) -> Result<(), Refusal> {
    let Some(iam) = iam else { return Err(without_key()) };
    iam.change(edit).await.map_err(|error| match error {
        IamError::Store(error) => fault::refusal(&error),
        IamError::Refused(refused) => {
            Refusal::new("InvalidRequest", 400, format!("{refused}; nothing was changed"))
        }
        IamError::Unreadable { .. } => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "identities and policies can't be read");
            Refusal::new(
                "InternalError",
                500,
                "We encountered an internal error. Please try again.",
            )
        }
    })
}

fn none() -> Refusal {
    Refusal::new("NoSuchBucketPolicy", 404, "The bucket policy does not exist.")
}

fn without_key() -> Refusal {
    Refusal::not_implemented(
        "This server keeps no policies, because it has no key to seal them by (COFFER_IAM_KEYS).",
    )
}

/// Whether strangers may do anything, by AWS's meaning of "public".
fn status(policy: &Policy) -> Response<Body> {
    let public = access::public(policy).is_public();
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><PolicyStatus xmlns=\"{}\"><IsPublic>{public}</IsPublic></PolicyStatus>",
        super::unset::XMLNS
    );
    with_body(Bytes::from(document), "application/xml")
}

fn with_body(body: Bytes, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn empty() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use coffer_store::Settings;
    use tempfile::TempDir;

    use super::*;
    use crate::iam::seal::tests::keys;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_policy_ends_with_its_bucket_even_if_the_server_was_killed_before_it_was_removed() {
        let folder = TempDir::new().unwrap();
        let settings = Settings { reserve: 1 << 20, ..Settings::new(folder.path().join("data")) };
        let store = Store::open(settings).await.unwrap();
        let open = async || {
            let sealing = Arc::new(ArcSwap::from_pointee(keys(1, None)));
            Iam::open(store.clone(), sealing).await.unwrap()
        };
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let name: BucketName = "photos".parse().unwrap();
        let made = store.create_bucket(&name, "us-east-1", now).await.unwrap();
        let document = br#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}"#;
        let policy = BucketPolicy {
            bucket: Name::bucket(&name),
            number: made.number,
            policy: Policy::parse(Kind::Bucket("photos"), document).unwrap(),
            updated: now,
        };
        let iam = open().await;
        iam.change(|draft| draft.put_bucket_policy(policy.clone())).await.unwrap();
        let count =
            async |iam: &Iam| in_force(&store, &iam.snapshot(), &[&name]).await.unwrap().len();
        assert_eq!((count(&iam).await, count(&open().await).await), (1, 1));
        store.delete_bucket(&name, now).await.unwrap();
        assert_eq!(count(&iam).await, 0);
        let again = store.create_bucket(&name, "us-east-1", now).await.unwrap();
        assert_ne!(again.number, made.number);
        assert_eq!((count(&iam).await, count(&open().await).await), (0, 0));
        assert_eq!(open().await.snapshot().bucket_policies().count(), 1);
        // A start removes what is left; a policy of the new bucket isn't touched by what was the old one's end.
        sweep(&store, &iam).await.unwrap();
        assert_eq!(open().await.snapshot().bucket_policies().count(), 0);
        let newer = BucketPolicy { number: again.number, ..policy.clone() };
        iam.change(|draft| draft.put_bucket_policy(newer.clone())).await.unwrap();
        forget(&iam, &policy).await;
        assert_eq!(count(&iam).await, 1);
    }
}
