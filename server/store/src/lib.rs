//! Where Coffer keeps buckets and objects: an index, blobs, and the records between them.
//!
//! [`Store`] is all that a server needs. It knows neither HTTP nor the wire forms of S3, reads no clock (time is an
//! argument) and sees no plaintext: what it is given is already encrypted.

use std::{fmt, fs::File, path::PathBuf, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{Mutex, Notify};

use crate::{
    blobs::{Blobs, Pins},
    index::{Batch, CommitError, Index, Space, counter},
    record::key::{self, ContentId},
};

mod error;
mod name;
mod bucket;
mod object;
mod listing;
mod multipart;
mod reseal;
mod content;
mod iam;
mod open;
mod garbage;
mod record;
mod index;
mod blobs;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod model;

pub use bucket::{Bucket, BucketPage, BucketSettings, PlannedBucket, Usage};
pub use content::{Content, ContentReader, ContentWriter};
pub use error::{Cause, OpenError, StoreError};
pub use garbage::Sweep;
pub use iam::{IamChange, IamRows};
pub use listing::{Entry, ListQuery, ListedObject, Listing, Start};
pub use multipart::{
    Part, PartAttributes, PartPage, Upload, UploadAttributes, UploadEntry, UploadId, UploadIdError,
    UploadPage, UploadQuery, UploadStart,
};
pub use name::{BucketName, BucketNameError, ObjectKey, ObjectKeyError};
pub use object::{
    Checksum, ChecksumAlgorithm, ChecksumKind, Deleted, EtagCondition, LegalHold, Object,
    ObjectAttributes, PartSummary, Precondition, Retention, RetentionMode,
};
pub use reseal::Exchange;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data folder. Made if absent; its parent must exist.
    pub data: PathBuf,
    /// Content up to so many bytes lives in the index, in the same commit as its record.
    pub inline_limit: u64,
    /// Bytes of the file system that stay free: writes that would touch them are refused first.
    pub reserve: u64,
    /// The index's block cache in bytes.
    pub cache: u64,
    /// The index's write buffer in bytes, for each of its two keyspaces.
    pub memtable: u64,
    /// The index's journal in bytes, at least 64 MiB. Bounds the time to reopen.
    pub journal: u64,
}

impl Settings {
    /// What suits a pod of 150 MiB.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            inline_limit: 32 << 10,
            reserve: 256 << 20,
            cache: 16 << 20,
            memtable: 8 << 20,
            journal: 64 << 20,
        }
    }
}

/// The store. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Dropped in this order: the folder's lock is given up last.
struct Inner {
    index: Arc<dyn Index>,
    blobs: Arc<dyn Blobs>,
    pins: Arc<Pins>,
    inline_limit: u64,
    reserve: u64,
    /// Wakes the garbage worker.
    garbage: Arc<Notify>,
    /// Held by who works the garbage off.
    garbage_lease: Mutex<()>,
    _lock: Option<File>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("index", &self.index)
            .field("blobs", &self.blobs)
            .finish_non_exhaustive()
    }
}

/// How the store fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the index takes reads and writes.
    pub index: IndexHealth,
    /// Bytes free for writes, the reserve taken off.
    pub free: u64,
    /// Bytes the file system has.
    pub capacity: u64,
    /// Entries that wait for deletion.
    pub garbage: u64,
}

/// Whether the index can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexHealth {
    /// It works.
    Usable,
    /// A write failed and it is being reopened.
    Reopening,
    /// What commits to it is gone, and only another process brings it back.
    Stopped,
}

impl Store {
    /// How the store fares.
    pub async fn health(&self) -> Health {
        let room = self.inner.blobs.room().ok();
        let garbage = self.inner.index.get(Space::Records, key::GARBAGE_COUNT).await;
        Health {
            index: match self.index_health() {
                IndexHealth::Usable if garbage.is_err() => IndexHealth::Reopening,
                health => health,
            },
            free: room.map_or(0, |room| room.free.saturating_sub(self.inner.reserve)),
            capacity: room.map_or(0, |room| room.capacity),
            garbage: garbage
                .ok()
                .map_or(0, |value| u64::try_from(counter(value.as_deref())).unwrap_or(0)),
        }
    }

    /// Whether the index can be used, without asking it anything.
    pub fn index_health(&self) -> IndexHealth {
        self.inner.index.health()
    }

    /// Refuses what would touch the reserve.
    fn admit(&self, bytes: u64) -> Result<(), StoreError> {
        let room = self.inner.blobs.room()?;
        if room.free < self.inner.reserve.saturating_add(bytes) {
            Err(StoreError::OutOfSpace)
        } else {
            Ok(())
        }
    }

    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.index.get(Space::Records, key).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        let makes_garbage =
            batch.adds.iter().any(|(counter, n)| counter == key::GARBAGE_COUNT && *n > 0);
        match self.inner.index.commit(batch).await {
            Ok(()) => {
                if makes_garbage {
                    self.inner.garbage.notify_one();
                }
                Ok(Committed::Done)
            }
            Err(CommitError::Conflict) => Ok(Committed::Conflict),
            Err(CommitError::Failed(cause)) => Err(cause),
        }
    }
}

/// How a commit ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Committed {
    Done,
    /// What was read is no longer so; nothing was changed.
    Conflict,
}

/// An id that orders by time, to the microsecond.
fn timed_id(now: Timestamp) -> [u8; 16] {
    let micros = u64::try_from(now.as_microsecond()).unwrap_or(0);
    let random: u64 = rand::random();
    ((u128::from(micros) << 64) | u128::from(random)).to_be_bytes()
}

fn content_id(now: Timestamp) -> ContentId {
    ContentId(timed_id(now))
}

fn corrupt(what: impl Into<String>, cause: record::field::DecodeError) -> StoreError {
    StoreError::Corrupt { what: what.into(), cause: Some(Arc::new(cause)) }
}
