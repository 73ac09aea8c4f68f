//! Rotation of external keys, as an administrator asks for it and follows it.

use coffer_sse::kms::{KeyName, KmsError};
use serde_json::json;

use super::call::Call;
use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;
use crate::encrypt::rotation::{Progress, RotationError};
use crate::s3::encryption::asked::named_key;
use crate::s3::encryption::reseal::{Wanted, is_default_of};

/// Buckets read at once.
const PAGE: usize = 1000;

impl Admin {
    /// Begins to seal what is under the key `from`, or under any, by the key `to`.
    pub(super) async fn rotate_key(&self, call: &Call) -> Result<Answer, Refusal> {
        let to = named_key(call.one("to")?)?;
        let from = match call.one("from")? {
            "" => None,
            name => Some(named_key(name)?),
        };
        let begun = self.rotation.begin(&Wanted { from, to }, call.now).await;
        let progress = begun.map_err(|error| refusal(&error))?;
        answer(&progress)
    }

    /// Where the last rotation stands, and whether the old key still protects anything.
    pub(super) async fn key_rotation(&self) -> Result<Answer, Refusal> {
        let progress = self.rotation.progress().await.map_err(|failed| fault::store(&failed))?;
        let Some(progress) = progress else {
            return Err(Refusal::new(
                "XMinioAdminNoSuchJob",
                404,
                "No key was rotated yet: begin with POST /minio/admin/v3/key-rotation?to=NAME.",
            ));
        };
        let old: Option<KeyName> = progress.from.as_ref().and_then(|name| name.parse().ok());
        let used_by = match &old {
            Some(old) if progress.from.as_deref() != Some(progress.to.as_str()) => {
                self.used_by(old).await?
            }
            Some(_) | None => Vec::new(),
        };
        let Progress { finished, remaining, .. } = &progress;
        let is_free = finished.is_some() && *remaining == 0 && used_by.is_empty();
        let mut told = serde_json::to_value(&progress)
            .map_err(|_error| Refusal::new("InternalError", 500, "The answer can't be written."))?;
        if let Some(told) = told.as_object_mut() {
            // What only the worker needs.
            for name in ["bucket", "key", "bucketDone", "resealedNow"] {
                told.remove(name);
            }
            told.insert("defaultOf".to_owned(), json!(used_by));
            told.insert("oldKeyProtectsNothing".to_owned(), json!(is_free));
        }
        answer(&told)
    }

    /// Who goes on writing under a key by default: `tenant`, and buckets by their names.
    async fn used_by(&self, key: &KeyName) -> Result<Vec<String>, Refusal> {
        let default = self.kms.as_ref().and_then(|kms| kms.keys.default_key());
        let mut used_by = Vec::new();
        if default == Some(key) {
            used_by.push("tenant".to_owned());
        }
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list_buckets("", after.as_deref(), PAGE).await;
            let page = page.map_err(|failed| fault::store(&failed))?;
            for bucket in &page.buckets {
                if is_default_of(bucket, key)? {
                    used_by.push(format!("bucket/{}", bucket.name.as_str()));
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(used_by),
            }
        }
    }
}

fn refusal(error: &RotationError) -> Refusal {
    match error {
        RotationError::Running(_) => {
            Refusal::new("XMinioAdminPolicyChangeAlreadyApplied", 409, format!("{error}."))
        }
        RotationError::Kms(KmsError::NoSuchKey(_) | KmsError::Disabled(_)) => {
            Refusal::new("kms:KeyNotFound", 404, "The KMS has no such key, or it is disabled.")
        }
        RotationError::Kms(cause) => {
            let error: &dyn std::error::Error = cause;
            tracing::warn!(error, "a key rotation can't begin");
            Refusal::new("ServiceUnavailable", 503, "The KMS can't be used; nothing was begun.")
        }
        RotationError::Store(failed) => fault::store(failed),
        RotationError::NoKms => {
            Refusal::not_implemented("KMS is not configured: set the Tenant's spec.kms.")
        }
    }
}
