//! Rotation of external keys: seals all object keys under a new one, in the background, beside requests.
//!
//! Where it stands is kept in the index after each page, so it goes on after a restart where it was. It goes over everything again until
//! a whole pass finds nothing more: what was written under the old key meanwhile is found too.
//!
//! A resource that asks for one finds its own again by its uid, also after others: what it was is kept until the resource lets go.

mod progress;

use std::sync::Arc;
use std::time::Duration;

use coffer_sse::kms::{KeyStatus, KmsError};
use coffer_store::{Bucket, BucketName, Object, Store, StoreError, Upload};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::{Mutex, Notify};
use tracing::{info, warn};

use super::Encryption;
use super::keys::Keys;
use super::uploads;
use crate::iam::mark::Owner;
use crate::s3::encryption::reseal::{Outcome, ResealError, Wanted, reseal};
pub use progress::Progress;
use progress::{Next, Step};

/// Its name in the index.
const NAME: &str = "key-rotation";
/// Objects between two marks.
const PAGE: usize = 512;
/// Objects that are sealed at once: they share commits.
const AT_ONCE: usize = 32;
/// After how long what failed is tried again.
const REST: Duration = Duration::from_secs(5);
/// Buckets read at once.
const BUCKETS: usize = 1000;

/// Why a rotation can't begin.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// Another one is under way.
    #[error("a rotation to `{to}` by {whose} is under way; wait for its end")]
    Running {
        /// Its new key.
        to: String,
        /// Who asked for it.
        whose: String,
    },
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

/// Where it is kept how a resource's rotation ended, once another one has begun.
fn name_of(resource: &str) -> String {
    format!("{NAME}/{resource}")
}

/// The rotation of a tenant's keys; one at a time.
#[derive(Debug)]
pub struct Rotation {
    store: Store,
    keys: Option<Arc<Keys>>,
    tenant: Arc<str>,
    wake: Notify,
    /// Told when one is done.
    done: Arc<Notify>,
    /// Held by who writes where it stands.
    state: Mutex<()>,
}

/// What ends a page early.
enum Interrupted {
    Store(StoreError),
    Kms(KmsError),
}

impl Rotation {
    /// Of this store's objects; `done` is told when one is done.
    pub fn new(store: Store, encryption: &Encryption, done: Arc<Notify>) -> Self {
        let Encryption { tenant, keys, automatic: _, required: _ } = encryption;
        Self {
            store,
            keys: keys.clone(),
            tenant: Arc::clone(tenant),
            wake: Notify::new(),
            done,
            state: Mutex::new(()),
        }
    }

    /// Where the last rotation stands, if there was one.
    ///
    /// # Errors
    /// The store's.
    pub async fn progress(&self) -> Result<Option<Progress>, StoreError> {
        self.kept(NAME).await
    }

    /// Where the rotation of a resource stands, or how it ended, if it ever began.
    ///
    /// # Errors
    /// The store's.
    pub async fn progress_of(&self, owner: &Owner) -> Result<Option<Progress>, StoreError> {
        let is_its = |progress: &Progress| progress.owner.as_ref() == Some(owner);
        match self.progress().await?.filter(is_its) {
            Some(progress) => Ok(Some(progress)),
            None => Ok(self.kept(&name_of(&owner.resource)).await?.filter(is_its)),
        }
    }

    async fn kept(&self, name: &str) -> Result<Option<Progress>, StoreError> {
        let kept = self.store.progress(name).await?;
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
        owner: Option<Owner>,
        now: Timestamp,
    ) -> Result<Progress, RotationError> {
        let keys = self.keys.as_deref().ok_or(RotationError::NoKms)?;
        let running =
            |last: &Progress| RotationError::Running { to: last.to.clone(), whose: last.whose() };
        // Who has to wait isn't let wait for the page in work.
        if let Some(last) = self.progress().await?.filter(Progress::is_running) {
            return Err(running(&last));
        }
        match keys.kms().key_status(&wanted.to).await? {
            KeyStatus::Enabled => {}
            KeyStatus::Disabled => return Err(KmsError::Disabled(wanted.to.clone()).into()),
        }
        let _writes = self.state.lock().await;
        if let Some(last) = self.progress().await? {
            if last.is_running() {
                return Err(running(&last));
            }
            if let Some(owner) = &last.owner {
                self.keep(&name_of(&owner.resource), &last).await?;
            }
        }
        let progress = Progress::begun(wanted, owner, self.total().await?, now);
        self.keep(NAME, &progress).await?;
        self.wake.notify_one();
        info!(
            from = progress.from,
            to = progress.to,
            by = progress.whose(),
            "a key rotation begins"
        );
        Ok(progress)
    }

    /// Lets go of a resource: stops its rotation after the page in work, if that runs, and forgets how it ended. What was sealed anew
    /// stays so.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn release(&self, resource: &str, now: Timestamp) -> Result<(), StoreError> {
        let is_its =
            |last: &Progress| last.owner.as_ref().is_some_and(|owner| owner.resource == resource);
        self.store.forget_progress(&name_of(resource)).await?;
        if !self.progress().await?.is_some_and(|last| is_its(&last)) {
            // All but the one in work are let go of without waiting for it.
            return Ok(());
        }
        let _writes = self.state.lock().await;
        let Some(last) = self.progress().await?.filter(is_its) else { return Ok(()) };
        let stopped = if last.is_running() {
            info!(to = last.to, resource, "the key rotation is stopped");
            Some(now.to_string())
        } else {
            last.stopped.clone()
        };
        self.keep(NAME, &Progress { owner: None, stopped, ..last }).await
    }

    /// The objects of all buckets.
    async fn total(&self) -> Result<u64, StoreError> {
        let (mut total, mut after): (u64, Option<String>) = (0, None);
        loop {
            let page = self.store.list_buckets("", after.as_deref(), BUCKETS).await?;
            for bucket in &page.buckets {
                match self.store.usage(&bucket.name).await {
                    Ok(usage) => total = total.saturating_add(usage.objects),
                    Err(StoreError::NoSuchBucket) => {}
                    Err(error) => return Err(error),
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(total),
            }
        }
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
        match self.progress().await?.filter(Progress::is_running) {
            Some(progress) => self.keep(NAME, &progress.interrupted()).await,
            None => Ok(()),
        }
    }

    async fn keep(&self, name: &str, progress: &Progress) -> Result<(), StoreError> {
        // Texts and numbers are always JSON.
        let bytes = serde_json::to_vec(progress).unwrap_or_default();
        self.store.keep_progress(name, bytes).await
    }

    async fn tell(&self, error: String) -> Result<(), StoreError> {
        let _writes = self.state.lock().await;
        if let Some(progress) = self.progress().await?.filter(Progress::is_running) {
            let progress = Progress { error: Some(error), ..progress.interrupted() };
            self.keep(NAME, &progress).await?;
        }
        Ok(())
    }

    /// Does a page; `None` when nothing is to be done.
    async fn page(&self) -> Result<Option<()>, Interrupted> {
        let _writes = self.state.lock().await;
        let running = self.progress().await?.filter(Progress::is_running);
        let (Some(mut progress), Some(keys)) = (running, self.keys.as_deref()) else {
            return Ok(None);
        };
        let from = progress.from.as_ref().map(|name| name.parse()).transpose();
        let (Ok(from), Ok(to)) = (from, progress.to.parse()) else { return Ok(None) };
        let wanted = Wanted { from, to };
        let next = if let Some(bucket) = self.current_bucket(&progress).await? {
            if progress.bucket != bucket.name.as_str() {
                progress.bucket = bucket.name.as_str().to_owned();
                progress.key.clear();
                progress.bucket_done = false;
            }
            self.bucket_page(keys, &wanted, &bucket.name, &mut progress).await?;
            Next::Pass
        } else {
            #[expect(clippy::disallowed_methods, reason = "the edge: a worker has no request")]
            let now = Timestamp::now();
            progress.end_pass(self.total().await?, now)
        };
        if progress.remaining == 0 {
            // It waited for something, and waits no more.
            progress.error = None;
        }
        self.keep(NAME, &progress).await?;
        if next == Next::Done {
            let Progress { to, resealed, remaining, .. } = &progress;
            info!(to, resealed, remaining, "the key rotation is done");
            self.done.notify_one();
        }
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
        // The first that has to wait ends the page: a KMS that doesn't answer isn't asked for each object.
        let done: Vec<Step> = stream::iter(objects.clone())
            .map(|object| self.object(keys, wanted, bucket, object))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut counted = progress.clone();
        for step in done {
            counted.count(step);
        }
        if let Some(last) = objects.last().filter(|_| objects.len() == PAGE) {
            last.key().as_str().clone_into(&mut counted.key);
        } else {
            for upload in uploads::of(&self.store, bucket).await? {
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
