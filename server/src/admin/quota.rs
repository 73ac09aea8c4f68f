//! Bucket quotas.

use coffer_policy::Action;
use coffer_store::{Bucket, BucketName, ObjectKey, UploadId};
use http::request::Parts;
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;
use crate::authorize::{Authorized, Resource};
use crate::iam::name::Name;
use crate::operation::Operation;
use crate::route::parameters;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Quota {
    /// What the size was called once.
    #[serde(rename = "quota")]
    legacy: u64,
    size: u64,
    rate: u64,
    requests: u64,
    #[serde(rename = "quotatype")]
    kind: String,
}

impl Admin {
    /// Refuses what would bring a bucket over its quota. What an object replaces isn't taken off, and two writes at once may both
    /// be let in: a quota holds a bucket back, it isn't a wall.
    ///
    /// # Errors
    /// `XMinioAdminBucketQuotaExceeded`; `MissingContentLength` where it can't be told.
    pub(crate) async fn admit(
        &self,
        authorized: &Authorized,
        head: &Parts,
        length: Option<u64>,
    ) -> Result<(), Refusal> {
        let target = authorized.target();
        let (Some(iam), Some(bucket)) = (&self.iam, &target.bucket) else { return Ok(()) };
        let snapshot = iam.snapshot();
        let writes = matches!(
            target.operation,
            Operation::PutObject
                | Operation::PostObject
                | Operation::UploadPart
                | Operation::CopyObject
                | Operation::UploadPartCopy
                | Operation::CompleteMultipartUpload
        );
        if !writes || !snapshot.has_quota(bucket.as_str()) {
            return Ok(());
        }
        let failed = |failed| fault::store(&failed);
        let created = self.store.bucket(bucket).await.map_err(failed)?.created;
        let Some(most) = snapshot.quota(bucket.as_str(), created) else { return Ok(()) };
        let adds = match (target.operation, &target.key) {
            (Operation::CopyObject | Operation::UploadPartCopy, _) => {
                self.copied(authorized, head).await
            }
            (Operation::CompleteMultipartUpload, Some(key)) => {
                self.uploaded(bucket, key, head.uri.query().unwrap_or_default()).await
            }
            (_, _) => Some(length.ok_or_else(|| {
                Refusal::new(
                    "MissingContentLength",
                    411,
                    "You must provide the Content-Length HTTP header: the bucket has a quota.",
                )
            })?),
        };
        // What isn't there, its own handler says.
        let Some(adds) = adds else { return Ok(()) };
        let used = self.store.usage(bucket).await.map_err(failed)?.bytes;
        if used.saturating_add(adds) > most {
            return Err(Refusal::new(
                "XMinioAdminBucketQuotaExceeded",
                400,
                "Bucket quota exceeded.",
            ));
        }
        Ok(())
    }

    /// How many bytes a copy adds at most; nothing of a source that the caller may not read: the room that is left would tell its
    /// size.
    async fn copied(&self, authorized: &Authorized, head: &Parts) -> Option<u64> {
        let (bucket, key) = authorized.copied_from()?;
        authorized.also(Action::S3GetObject, Resource::Object(&bucket, &key)).ok()?;
        let size = self.store.object(&bucket, &key).await.ok()?.size();
        let range = head.headers.get("x-amz-copy-source-range").and_then(|text| text.to_str().ok());
        let part = range.and_then(|text| {
            let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        });
        Some(part.map_or(size, |part| part.min(size)))
    }

    /// How many bytes the parts of an upload have.
    async fn uploaded(&self, bucket: &BucketName, key: &ObjectKey, query: &str) -> Option<u64> {
        let (_, id) = parameters(query).find(|(name, _)| name == "uploadId")?;
        let id: UploadId = id.parse().ok()?;
        let page = self.store.list_parts(bucket, key, id, 0, 10_000).await.ok()?;
        Some(page.parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.size)))
    }

    async fn bucket(&self, call: &Call) -> Result<Bucket, Refusal> {
        let name = BucketName::try_from(call.one("bucket")?.to_owned());
        let name = name.map_err(|_invalid| fault::no_such_bucket())?;
        self.store.bucket(&name).await.map_err(|failed| fault::store(&failed))
    }

    /// Sets a bucket's quota, or clears it.
    pub(super) async fn set_bucket_quota(&self, call: &Call) -> Result<Answer, Refusal> {
        let bucket = self.bucket(call).await?;
        let Quota { legacy, size, rate, requests, kind } = call.json()?;
        if rate != 0 || requests != 0 {
            return Err(Refusal::new(
                "NotImplemented",
                501,
                "A bucket's rate and requests can't be limited; set a size alone.",
            ));
        }
        let bytes = if size > 0 { size } else { legacy };
        if bytes > 0 && kind != "hard" {
            return Err(fault::invalid_request("A quota is of the type `hard`."));
        }
        let name = Name::group(bucket.name.as_str())?;
        self.iam()?
            .change(|draft| {
                draft.set_quota(&name, bucket.created, bytes);
                Ok(())
            })
            .await?;
        Ok(Answer::Done)
    }

    /// A bucket's quota; zeros if there is none.
    pub(super) async fn get_bucket_quota(&self, call: &Call) -> Result<Answer, Refusal> {
        let bucket = self.bucket(call).await?;
        let bytes = match &self.iam {
            Some(iam) => iam.snapshot().quota(bucket.name.as_str(), bucket.created).unwrap_or(0),
            None => 0,
        };
        let kind = if bytes > 0 { "hard" } else { "" };
        answer(&json!({
            "quota": bytes,
            "size": bytes,
            "rate": 0,
            "requests": 0,
            "quotatype": kind,
        }))
    }
}
