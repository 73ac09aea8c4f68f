//! Rotation of external keys, as an administrator asks for it and follows it, and as a resource does.

use coffer_sse::kms::{KeyName, KmsError};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::owned::Whose;
use super::{Admin, Answer, fault, json as answer};
use crate::answer::Refusal;
use crate::encrypt::rotation::{Progress, RotationError};
use crate::s3::encryption::asked::named_key;
use crate::s3::encryption::reseal::{Wanted, default_key_of};

/// Buckets read at once.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct RotationBody {
    #[serde(flatten)]
    whose: Whose,
    from: Option<String>,
    to: Option<String>,
    /// Whether it begins if it isn't known: one that is over begins no second time, also where the data are older than its end.
    begin: bool,
}

impl Admin {
    /// Begins to seal what is under the key `from`, or under any, by the key `to`.
    pub(super) async fn rotate_key(&self, call: &Call) -> Result<Answer, Refusal> {
        let to = named_key(call.one("to")?)?;
        let from = match call.one("from")? {
            "" => None,
            name => Some(named_key(name)?),
        };
        let begun = self.rotation.begin(&Wanted { from, to }, None, call.now).await;
        let progress = begun.map_err(|error| refusal(&error))?;
        answer(&told(&progress)?)
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
        let used_by = self.used_by(&progress).await?;
        let Progress { finished, remaining, .. } = &progress;
        let is_done = finished.is_some() && *remaining == 0 && used_by.is_empty();
        let is_free = is_done && self.looked(&progress) != Some(false);
        let mut told = told(&progress)?;
        if let Some(told) = told.as_object_mut() {
            told.insert("defaultOf".to_owned(), json!(used_by));
            told.insert("oldKeyProtectsNothing".to_owned(), json!(is_free));
        }
        answer(&told)
    }

    /// The rotation of a resource: begun once, and told about from then on. `null`: it never was one, and shall be none.
    pub(super) async fn own_key_rotation(&self, call: &Call) -> Result<Answer, Refusal> {
        let RotationBody { whose, from, to, begin } = call.json()?;
        let owner = whose.parse()?.owner;
        let known = self.rotation.progress_of(&owner).await;
        let progress = match known.map_err(|failed| fault::store(&failed))? {
            Some(progress) => progress,
            None if !begin => return answer(&Value::Null),
            None => {
                let from = from.as_deref().map(named_key).transpose()?;
                let to = match to.as_deref() {
                    Some(name) => named_key(name)?,
                    None => self.default_key()?,
                };
                let begun = self.rotation.begin(&Wanted { from, to }, Some(owner), call.now).await;
                begun.map_err(|error| for_resource(&error))?
            }
        };
        let used_by = self.used_by(&progress).await?;
        let Progress { finished, remaining, .. } = &progress;
        let unused = match (finished, progress.is_of_versions()) {
            (None, _) | (Some(_), true) => None,
            (Some(_), false) if *remaining > 0 || !used_by.is_empty() => Some(false),
            (Some(_), false) => self.looked(&progress),
        };
        let mut told = told(&progress)?;
        if let Some(told) = told.as_object_mut() {
            told.insert("defaultOf".to_owned(), json!(used_by));
            told.insert("oldKeyUnused".to_owned(), json!(unused));
        }
        answer(&told)
    }

    fn default_key(&self) -> Result<KeyName, Refusal> {
        let Some(kms) = &self.kms else { return Err(no_kms()) };
        kms.keys.default_key().cloned().ok_or_else(no_default_key)
    }

    /// Whether a look that began after a rotation's end has found nothing under its old key; `None`: there was no such look yet.
    fn looked(&self, progress: &Progress) -> Option<bool> {
        let finished: Timestamp = progress.finished.as_ref()?.parse().ok()?;
        let coverage = self.looking.last().filter(|coverage| coverage.began > finished)?;
        let wanted = wanted(progress)?;
        Some(coverage.under(|name| wanted.is(name)) == 0)
    }

    /// Who goes on writing under an old key by default: `tenant`, and buckets by their names.
    async fn used_by(&self, progress: &Progress) -> Result<Vec<String>, Refusal> {
        let mut used_by = Vec::new();
        let Some(wanted) = wanted(progress).filter(|_| !progress.is_of_versions()) else {
            return Ok(used_by);
        };
        let default = self.kms.as_ref().and_then(|kms| kms.keys.default_key());
        if default.is_some_and(|default| wanted.is(default)) {
            used_by.push("tenant".to_owned());
        }
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list_buckets("", after.as_deref(), PAGE).await;
            let page = page.map_err(|failed| fault::store(&failed))?;
            for bucket in &page.buckets {
                if default_key_of(bucket)?.is_some_and(|default| wanted.is(&default)) {
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

fn wanted(progress: &Progress) -> Option<Wanted> {
    let from = progress.from.as_ref().map(|name| name.parse()).transpose().ok()?;
    Some(Wanted { from, to: progress.to.parse().ok()? })
}

/// Where it stands, without what only the worker needs.
fn told(progress: &Progress) -> Result<Value, Refusal> {
    let mut told = serde_json::to_value(progress)
        .map_err(|_error| Refusal::new("InternalError", 500, "The answer can't be written."))?;
    if let Some(told) = told.as_object_mut() {
        for name in ["bucket", "key", "bucketDone", "found"] {
            told.remove(name);
        }
    }
    Ok(told)
}

fn refusal(error: &RotationError) -> Refusal {
    match error {
        RotationError::Running { to: _, whose: _ } => {
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

/// The same, as the operator knows it.
fn for_resource(error: &RotationError) -> Refusal {
    match error {
        RotationError::Running { to: _, whose: _ } => {
            Refusal::new("CofferRotationRunning", 409, format!("{error}."))
        }
        RotationError::Kms(cause) => kms(cause),
        RotationError::Store(failed) => fault::store(failed),
        RotationError::NoKms => no_kms(),
    }
}

/// What the operator is told where a resource needs a KMS and there is none.
pub(super) fn no_kms() -> Refusal {
    Refusal::new("CofferNoKms", 400, "The Tenant has no KMS: set its spec.kms.")
}

/// What the operator is told where no key is named and there is no default one.
pub(super) fn no_default_key() -> Refusal {
    Refusal::new(
        "CofferKeyUnusable",
        400,
        "The Tenant has no default key: name one, or set its spec.kms.defaultKey.",
    )
}

/// What the operator is told of a KMS that can't be used. It may know what the KMS said.
pub(super) fn kms(cause: &KmsError) -> Refusal {
    match cause {
        KmsError::NoSuchKey(_) | KmsError::Disabled(_) => {
            Refusal::new("CofferKeyUnusable", 400, format!("{cause}."))
        }
        KmsError::Denied(_)
        | KmsError::Unreachable(_)
        | KmsError::Exists(_)
        | KmsError::Unsupported(_)
        | KmsError::Invalid(_)
        | KmsError::Settings(_)
        | KmsError::Answer(_) => Refusal::new("CofferKmsUnavailable", 503, format!("{cause}.")),
    }
}
