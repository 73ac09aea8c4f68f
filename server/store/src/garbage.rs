//! What is deleted later: a durable queue in the index, written in the same commit as its cause and worked off by one
//! worker; and the sweep for what a crash left behind.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Committed, Inner, Store, StoreError, UploadId,
    blobs::BlobId,
    corrupt,
    index::{Batch, Condition, Row, Scan, Space, successor},
    object::discard,
    record::{
        garbage::Garbage,
        key::{self, BucketId, ContentId},
        object::Place,
        part::{Manifest, PartRecord},
    },
};

/// Entries read at a time.
const PAGE: usize = 256;
/// Changes that make a commit.
const MAX_CHANGES: usize = 4096;
/// How long the worker sleeps if nothing wakes it, or after a failure.
const REST: Duration = Duration::from_secs(10);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Blobs looked at.
    pub seen: u64,
    /// Blobs removed, which no record named.
    pub removed: u64,
}

/// Queues what is to be deleted, in the batch that gives it up.
pub(crate) fn throw_away(garbage: Garbage, batch: &mut Batch, now: Timestamp) {
    let micros = u64::try_from(now.as_microsecond()).unwrap_or(0);
    batch.put(Space::Records, key::garbage(micros, rand::random()), garbage.encode());
    batch.add(key::GARBAGE_COUNT.to_vec(), 1);
}

/// Starts the worker. It ends with the store.
pub(crate) fn start(store: &Store) {
    let wake = Arc::clone(&store.inner.garbage);
    let inner: Weak<Inner> = Arc::downgrade(&store.inner);
    tokio::spawn(async move {
        loop {
            let Some(inner) = inner.upgrade() else { return };
            let store = Store { inner };
            if let Err(cause) = store.collect_garbage().await {
                tracing::warn!(cause = &cause as &dyn std::error::Error, "garbage stays queued");
                drop(store);
                tokio::time::sleep(REST).await;
                continue;
            }
            // Not held while asleep, so that the last user's drop closes the store.
            drop(store);
            drop(tokio::time::timeout(REST, wake.notified()).await);
        }
    });
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.garbage.notify_one();
    }
}

impl Store {
    /// Deletes what waits for deletion, now. The store also does so by itself soon after each deletion. Answers with
    /// the number of entries worked off; blobs that are being read stay queued.
    ///
    /// # Errors
    /// `Unavailable`; what is left stays queued.
    pub async fn collect_garbage(&self) -> Result<u64, StoreError> {
        let _lease = self.inner.garbage_lease.lock().await;
        let mut done = 0_u64;
        loop {
            let pass = self.collect_once().await?;
            done = done.saturating_add(pass.done);
            if pass.queued == 0 {
                return Ok(done);
            }
        }
    }

    /// Walks the queue once from start to end.
    async fn collect_once(&self) -> Result<Pass, StoreError> {
        let mut pass = Pass::default();
        let mut start = key::GARBAGE.to_vec();
        loop {
            let end = successor(key::GARBAGE);
            let scan =
                Scan { space: Space::Records, start: start.clone(), end, limit: PAGE, fold: None };
            let rows = self.inner.index.scan(scan).await?;
            if rows.is_empty() {
                return Ok(pass);
            }
            let mut batch = Batch::default();
            let mut worked_off = 0_i64;
            for row in rows {
                let Row::Entry(at, value) = row else { continue };
                start = [&at, [0].as_slice()].concat();
                match self.work_off(&at, &value, &mut batch).await? {
                    Outcome::Done => {
                        batch.require(Condition::Present(at.to_vec()));
                        batch.delete(Space::Records, at.to_vec());
                        worked_off = worked_off.saturating_add(1);
                    }
                    Outcome::More => pass.queued = pass.queued.saturating_add(1),
                    Outcome::Later => {}
                }
                if batch.changes.len() >= MAX_CHANGES {
                    break;
                }
            }
            if batch.changes.is_empty() {
                continue;
            }
            pass.queued = pass.queued.saturating_add(batch.adds.len() as u64);
            batch.add(key::GARBAGE_COUNT.to_vec(), worked_off.saturating_neg());
            match self.commit(batch).await? {
                Committed::Done => pass.done = pass.done.saturating_add(worked_off.unsigned_abs()),
                Committed::Conflict => {
                    let cause = std::io::Error::other("another worker took the garbage");
                    return Err(StoreError::Unavailable(Arc::new(cause)));
                }
            }
        }
    }

    async fn work_off(
        &self,
        at: &[u8],
        value: &Bytes,
        batch: &mut Batch,
    ) -> Result<Outcome, StoreError> {
        match Garbage::decode(value).map_err(|cause| corrupt("a garbage record", cause))? {
            Garbage::Blob(id) => self.delete_blobs(&[id], batch).await,
            Garbage::Manifest(id) => self.delete_manifest(id, batch).await,
            Garbage::Upload(id) => self.delete_parts(id, time_of(at), batch).await,
            Garbage::Bucket(id) => self.delete_uploads(id, time_of(at), batch).await,
        }
    }

    async fn delete_blobs(&self, ids: &[BlobId], batch: &mut Batch) -> Result<Outcome, StoreError> {
        if ids.iter().any(|id| self.inner.pins.is_pinned(*id)) {
            return Ok(Outcome::Later);
        }
        for id in ids {
            self.inner.blobs.delete(*id).await?;
            batch.delete(Space::Records, key::referenced(*id));
        }
        Ok(Outcome::Done)
    }

    async fn delete_manifest(
        &self,
        id: ContentId,
        batch: &mut Batch,
    ) -> Result<Outcome, StoreError> {
        let at = key::manifest(id);
        let Some(value) = self.inner.index.get(Space::Contents, &at).await? else {
            return Ok(Outcome::Done);
        };
        let manifest = Manifest::decode(&value).map_err(|cause| corrupt("a manifest", cause))?;
        let mut blobs = Vec::new();
        for part in &manifest.parts {
            if let Place::Blob(id) = part.place {
                blobs.push(id);
            }
        }
        if self.delete_blobs(&blobs, batch).await? == Outcome::Later {
            return Ok(Outcome::Later);
        }
        for part in &manifest.parts {
            if let Place::Inline(id) = part.place {
                batch.delete(Space::Contents, key::inline(id));
            }
        }
        batch.delete(Space::Contents, at);
        Ok(Outcome::Done)
    }

    /// Queues a page of an upload's parts.
    async fn delete_parts(
        &self,
        id: UploadId,
        time: Timestamp,
        batch: &mut Batch,
    ) -> Result<Outcome, StoreError> {
        let table = key::parts(id);
        let rows = self.page(&table).await?;
        let outcome = if rows.len() < PAGE { Outcome::Done } else { Outcome::More };
        for (at, value) in rows {
            if !at.ends_with(&[0, 0]) {
                let PartRecord { part: _, stored: _, place } = PartRecord::decode(&value)
                    .map_err(|cause| corrupt("a part's record", cause))?;
                discard(place, batch, time);
            }
            batch.delete(Space::Records, at.to_vec());
        }
        Ok(outcome)
    }

    /// Queues a page of a deleted bucket's uploads.
    async fn delete_uploads(
        &self,
        id: BucketId,
        time: Timestamp,
        batch: &mut Batch,
    ) -> Result<Outcome, StoreError> {
        let table = key::uploads(id);
        let rows = self.page(&table).await?;
        let outcome = if rows.len() < PAGE { Outcome::Done } else { Outcome::More };
        for (at, _) in rows {
            if let Some(id) = at.last_chunk::<16>() {
                throw_away(Garbage::Upload(UploadId(*id)), batch, time);
            }
            batch.delete(Space::Records, at.to_vec());
        }
        Ok(outcome)
    }

    async fn page(&self, table: &[u8]) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let (start, end) = (table.to_vec(), successor(table));
        let scan = Scan { space: Space::Records, start, end, limit: PAGE, fold: None };
        let rows = self.inner.index.scan(scan).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| match row {
                Row::Entry(key, value) => Some((key, value)),
                Row::Fold(_) => None,
            })
            .collect())
    }

    /// Removes blobs that are older than `age`, that no committed record names and nobody is writing: what a crash
    /// left behind. Call it daily with an age of a day.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn sweep(&self, age: Duration, now: Timestamp) -> Result<Sweep, StoreError> {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let mut sweep = Sweep::default();
        let mut shard = 0;
        while let Some(blobs) = self.inner.blobs.list(shard).await? {
            for blob in blobs {
                sweep.seen = sweep.seen.saturating_add(1);
                if now.duration_since(blob.modified) < age || !self.is_orphan(blob.id).await? {
                    continue;
                }
                self.inner.blobs.delete(blob.id).await?;
                sweep.removed = sweep.removed.saturating_add(1);
            }
            shard = shard.saturating_add(1);
        }
        Ok(sweep)
    }

    async fn is_orphan(&self, id: BlobId) -> Result<bool, StoreError> {
        // In this order: a writer's pin ends only after its commit is answered, so who is neither pinned now nor named
        // afterwards never will be.
        Ok(!self.inner.pins.is_pinned(id) && self.get(&key::referenced(id)).await?.is_none())
    }
}

/// What a walk of the queue did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pass {
    done: u64,
    /// Entries queued anew, or worked off in part: another walk is due.
    queued: u64,
}

/// What became of a garbage entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It can be taken off the queue.
    Done,
    /// There is more of it.
    More,
    /// Somebody reads it.
    Later,
}

/// When the cause of a garbage entry was.
fn time_of(at: &[u8]) -> Timestamp {
    let micros = at.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_be_bytes);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}
