//! Bucket quotas.

use coffer_store::{Bucket, BucketName};
use serde::Deserialize;
use serde_json::json;

use super::call::Call;
use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;
use crate::iam::name::Name;

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
