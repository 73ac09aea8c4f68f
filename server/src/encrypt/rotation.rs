//! Rotation of external keys: seals all object keys under a new one, in the background, beside requests.
//!
//! Where it stands is kept in the index after each page, so it goes on after a restart where it was. It goes over everything again until
//! a whole pass finds nothing more: what was written under the old key meanwhile is found too.

use std::sync::Arc;
use std::time::Duration;

use coffer_sse::kms::KmsError;
use coffer_store::{
    Bucket, BucketName, Exchange, Object, Store, StoreError, Upload, UploadEntry, UploadQuery,
};
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify};
use tracing::{info, warn};

use super::Encryption;
use super::keys::Keys;
use crate::s3::encryption::reseal::{Outcome, ResealError, Wanted, reseal};

/// Its name in the index.
const NAME: &str = "key-rotation";
/// Objects between two marks.
const PAGE: usize = 512;
/// Objects that are sealed at once: they share commits.
const AT_ONCE: usize = 32;
/// After how long what failed is tried again.
const REST: Duration = Duration::from_secs(5);
/// Passes at most: whoever goes on writing under the old key is not run after for ever.
const MOST_PASSES: u32 = 10;

/// Where a rotation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The key that is rotated away; none: all but the new one.
    pub from: Option<String>,
    /// The new key.
    pub to: String,
    /// When it was asked for.
    pub started: String,
    /// When it was done.
    pub finished: Option<String>,
    /// Which time it goes over everything, from 1.
    pub pass: u32,
    /// Objects and uploads looked at, in this pass.
    pub seen: u64,
    /// Keys sealed anew, in all passes; what a crash took along isn't in it.
    pub resealed: u64,
    /// In this pass: objects under keys of customers, which nobody else can seal anew.
    pub customers: u64,
    /// In this pass: what couldn't be sealed anew. Once it is done, the old key still protects so many.
    pub remaining: u64,
    /// Why, the last time.
    pub error: Option<String>,
    /// In this pass: what was under the old key, sealed anew or changed meanwhile.
    #[serde(default)]
    found: u64,
    #[serde(default)]
    bucket_done: bool,
    #[serde(default)]
    bucket: String,
    #[serde(default)]
    key: String,
}

/// Why a rotation can't begin.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Another one is under way.
    #[error("a rotation to `{0}` is under way; wait for its end")]
    Running(String),
    /// The new key doesn't work.
    #[error("the new key can't be used")]
    Kms(#[from] KmsError),
    /// The store doesn't answer.
    #[error("the store doesn't answer")]
    Store(#[from] StoreError),
    /// There is no KMS.
    #[error("there is no KMS")]
    NoKms,
}

/// The rotation of a tenant's keys; one at a time.
#[derive(Debug)]
pub struct Rotation {
    store: Store,
    keys: Option<Arc<Keys>>,
    tenant: Arc<str>,
    wake: Notify,
    /// Held by who writes where it stands.
    state: Mutex<()>,
}

/// What ends a page early.
enum Interrupted {
    Store(StoreError),
    Kms(KmsError),
}

impl Rotation {
    /// Of this store's objects.
    pub fn new(store: Store, encryption: &Encryption) -> Self {
        let Encryption { tenant, keys, automatic: _, required: _ } = encryption;
        Self {
            store,
            keys: keys.clone(),
            tenant: Arc::clone(tenant),
            wake: Notify::new(),
            state: Mutex::new(()),
        }
    }

    /// Where the last rotation stands, if there was one.
    ///
    /// # Errors
    /// The store's.
    pub async fn progress(&self) -> Result<Option<Progress>, StoreError> {
        let kept = self.store.progress(NAME).await?;
        kept.map(|bytes| {
            serde_json::from_slice(&bytes).map_err(|cause| StoreError::Corrupt {
                what: "where the key rotation stands".to_owned(),
                cause: Some(Arc::new(cause)),
            })
        })
        .transpose()
    }

    /// Begins one, once the new key was tried.
    ///
    /// # Errors
    /// [`RotationError`].
    pub(crate) async fn begin(
        &self,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Progress, RotationError> {
        let keys = self.keys.as_deref().ok_or(RotationError::NoKms)?;
        keys.kms().key_status(&wanted.to).await?;
        let _writes = self.state.lock().await;
        if let Some(running) = self.progress().await?.filter(|progress| progress.finished.is_none())
        {
            return Err(RotationError::Running(running.to));
        }
        let progress = Progress {
            from: wanted.from.as_ref().map(|name| name.as_str().to_owned()),
            to: wanted.to.as_str().to_owned(),
            started: now.to_string(),
            finished: None,
            pass: 1,
            seen: 0,
            resealed: 0,
            customers: 0,
            remaining: 0,
            error: None,
            found: 0,
            bucket_done: false,
            bucket: String::new(),
            key: String::new(),
        };
        self.keep(&progress).await?;
        self.wake.notify_one();
        Ok(progress)
    }

    /// Works off what was begun, now and whenever something is. Ends with whoever drops it.
    pub async fn work(&self) {
        if let Err(error) = self.resume().await {
            warn!(
                error = &error as &dyn std::error::Error,
                "can't tell whether a key rotation goes on"
            );
        }
        loop {
            match self.page().await {
                Ok(Some(())) => {}
                Ok(None) => self.wake.notified().await,
                Err(cause) => {
                    let text = cause.told();
                    drop(self.tell(text).await);
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    /// What was counted since the last mark is lost: the pass that goes on isn't the last.
    async fn resume(&self) -> Result<(), StoreError> {
        let _writes = self.state.lock().await;
        match self.progress().await?.filter(|progress| progress.finished.is_none()) {
            Some(progress) => {
                let found = progress.found.max(1);
                self.keep(&Progress { found, ..progress }).await
            }
            None => Ok(()),
        }
    }

    async fn keep(&self, progress: &Progress) -> Result<(), StoreError> {
        // Texts and numbers are always JSON.
        let bytes = serde_json::to_vec(progress).unwrap_or_default();
        self.store.keep_progress(NAME, bytes).await
    }

    async fn tell(&self, error: String) -> Result<(), StoreError> {
        let _writes = self.state.lock().await;
        if let Some(progress) = self.progress().await? {
            self.keep(&Progress { error: Some(error), ..progress }).await?;
        }
        Ok(())
    }

    /// Does a page; `None` when nothing is to be done.
    async fn page(&self) -> Result<Option<()>, Interrupted> {
        let _writes = self.state.lock().await;
        let running = self.progress().await?.filter(|progress| progress.finished.is_none());
        let (Some(mut progress), Some(keys)) = (running, self.keys.as_deref()) else {
            return Ok(None);
        };
        let from = progress.from.as_ref().map(|name| name.parse()).transpose();
        let (Ok(from), Ok(to)) = (from, progress.to.parse()) else { return Ok(None) };
        let wanted = Wanted { from, to };
        match self.current_bucket(&progress).await? {
            Some(bucket) => {
                if progress.bucket != bucket.name.as_str() {
                    progress.bucket = bucket.name.as_str().to_owned();
                    progress.key.clear();
                    progress.bucket_done = false;
                }
                self.bucket_page(keys, &wanted, &bucket.name, &mut progress).await?;
            }
            None => end_pass(&wanted, &mut progress),
        }
        if progress.remaining == 0 {
            // It waited for something, and waits no more.
            progress.error = None;
        }
        self.keep(&progress).await?;
        Ok(Some(()))
    }

    /// The bucket in which it goes on: where it is, unless that was done or is gone.
    async fn current_bucket(&self, progress: &Progress) -> Result<Option<Bucket>, StoreError> {
        let is_within = !progress.bucket.is_empty() && !progress.bucket_done;
        if is_within && let Ok(name) = progress.bucket.parse::<BucketName>() {
            match self.store.bucket(&name).await {
                Ok(bucket) => return Ok(Some(bucket)),
                Err(StoreError::NoSuchBucket) => {}
                Err(error) => return Err(error),
            }
        }
        let after = Some(progress.bucket.as_str()).filter(|name| !name.is_empty());
        let page = self.store.list_buckets("", after, 1).await?;
        Ok(page.buckets.into_iter().next())
    }

    async fn bucket_page(
        &self,
        keys: &Keys,
        wanted: &Wanted,
        bucket: &BucketName,
        progress: &mut Progress,
    ) -> Result<(), Interrupted> {
        let objects = match self.store.objects_after(bucket, &progress.key, PAGE).await {
            Ok(objects) => objects,
            Err(StoreError::NoSuchBucket) => {
                progress.bucket_done = true;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let done: Vec<Result<Step, Interrupted>> = stream::iter(objects.clone())
            .map(|object| self.object(keys, wanted, bucket, object))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut counted = progress.clone();
        for step in done {
            counted.count(step?);
        }
        if let Some(last) = objects.last().filter(|_| objects.len() == PAGE) {
            last.key().as_str().clone_into(&mut counted.key);
        } else {
            for upload in self.uploads(bucket).await? {
                counted.count(self.upload(keys, wanted, bucket, &upload).await?);
            }
            counted.bucket_done = true;
        }
        *progress = counted;
        Ok(())
    }

    async fn object(
        &self,
        keys: &Keys,
        wanted: &Wanted,
        bucket: &BucketName,
        object: Object,
    ) -> Result<Step, Interrupted> {
        let bytes = object.attributes().encryption.as_deref();
        match reseal(keys, &self.tenant, bucket, object.key(), None, bytes, wanted).await {
            Ok(Outcome::Sealed(bytes)) => {
                Ok(self.store.exchange_encryption(&object, bytes).await?.into())
            }
            other => Step::of(other),
        }
    }

    async fn uploads(&self, bucket: &BucketName) -> Result<Vec<Upload>, StoreError> {
        let mut query = UploadQuery { limit: PAGE, ..UploadQuery::default() };
        let mut uploads = Vec::new();
        loop {
            let page = match self.store.list_uploads(bucket, &query).await {
                Ok(page) => page,
                Err(StoreError::NoSuchBucket) => return Ok(uploads),
                Err(error) => return Err(error),
            };
            uploads.extend(page.entries.into_iter().filter_map(|entry| match entry {
                UploadEntry::Upload(upload) => Some(*upload),
                UploadEntry::Prefix(_) => None,
            }));
            let Some(next) = page.next else { return Ok(uploads) };
            query.start = next;
        }
    }

    async fn upload(
        &self,
        keys: &Keys,
        wanted: &Wanted,
        bucket: &BucketName,
        upload: &Upload,
    ) -> Result<Step, Interrupted> {
        let bytes = upload.attributes.object.encryption.as_deref();
        let id = Some(upload.id);
        match reseal(keys, &self.tenant, bucket, &upload.key, id, bytes, wanted).await {
            Ok(Outcome::Sealed(bytes)) => {
                match self.store.exchange_upload_encryption(bucket, upload, bytes).await {
                    Ok(exchange) => Ok(exchange.into()),
                    Err(StoreError::NoSuchBucket) => Ok(Step::Other),
                    Err(error) => Err(error.into()),
                }
            }
            other => Step::of(other),
        }
    }
}

/// Ends a pass over everything, and begins another one if it found anything.
fn end_pass(wanted: &Wanted, progress: &mut Progress) {
    // Under one name there can be several versions of a key, which only the KMS tells apart.
    let is_of_versions = wanted.from.as_ref() == Some(&wanted.to);
    if is_of_versions || progress.found == 0 || progress.pass >= MOST_PASSES {
        #[expect(clippy::disallowed_methods, reason = "the edge: a worker has no request")]
        let now = Timestamp::now();
        progress.finished = Some(now.to_string());
        if !is_of_versions {
            // Somebody goes on writing under the old key.
            progress.remaining = progress.remaining.saturating_add(progress.found);
        }
        info!(
            to = progress.to,
            resealed = progress.resealed,
            remaining = progress.remaining,
            "the key rotation is done"
        );
    } else {
        progress.pass = progress.pass.saturating_add(1);
        (progress.seen, progress.customers, progress.remaining) = (0, 0, 0);
        progress.found = 0;
    }
    progress.bucket.clear();
    progress.key.clear();
    progress.bucket_done = false;
}

/// What came of one object or upload.
#[derive(Debug)]
enum Step {
    Other,
    Customer,
    Resealed,
    /// It changed meanwhile: the next pass meets what is there then.
    Changed,
    Failed(ResealError),
}

impl Step {
    fn of(outcome: Result<Outcome, ResealError>) -> Result<Self, Interrupted> {
        match outcome {
            Ok(Outcome::Other) => Ok(Self::Other),
            Ok(Outcome::Customer) => Ok(Self::Customer),
            Ok(Outcome::Sealed(_)) => Ok(Self::Changed),
            Err(ResealError::Kms(error)) if error.is_retryable() => Err(Interrupted::Kms(error)),
            Err(error) => Ok(Self::Failed(error)),
        }
    }
}

impl From<Exchange> for Step {
    fn from(exchange: Exchange) -> Self {
        match exchange {
            Exchange::Done => Self::Resealed,
            Exchange::Changed => Self::Changed,
        }
    }
}

impl Interrupted {
    /// Logs it, and gives its text.
    fn told(&self) -> String {
        let error: &dyn std::error::Error = match self {
            Self::Store(cause) => cause,
            Self::Kms(cause) => cause,
        };
        warn!(error, "the key rotation waits");
        error.to_string()
    }
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Progress {
    fn count(&mut self, step: Step) {
        self.seen = self.seen.saturating_add(1);
        match step {
            Step::Other => {}
            Step::Customer => self.customers = self.customers.saturating_add(1),
            Step::Resealed => {
                self.resealed = self.resealed.saturating_add(1);
                self.found = self.found.saturating_add(1);
            }
            Step::Changed => self.found = self.found.saturating_add(1),
            Step::Failed(error) => {
                self.remaining = self.remaining.saturating_add(1);
                self.error = Some(error.to_string());
            }
        }
    }
}
