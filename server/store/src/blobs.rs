//! Blobs: immutable byte strings by id, too large for the index.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    pin::Pin as StdPin,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use jiff::Timestamp;

use crate::StoreError;

pub(crate) mod files;
#[cfg(test)]
pub(crate) mod memory;

/// Names a blob. Random: nobody can name a blob before its record does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlobId(pub(crate) [u8; 16]);

impl BlobId {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

/// A blob's bytes in order, in pieces of at most 1 MiB.
pub(crate) type BlobStream = StdPin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;

/// A store of blobs.
#[async_trait]
pub(crate) trait Blobs: fmt::Debug + Send + Sync {
    /// Begins a blob.
    async fn create(
        &self,
        id: BlobId,
        expected_length: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// These bytes of a blob; `Gone` if it isn't there. A stream that was given reads on after a deletion.
    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<BlobStream, StoreError>;

    /// Deletes a blob. That it isn't there is no error.
    async fn delete(&self, id: BlobId) -> Result<(), StoreError>;

    /// One shard of all blobs, whatever state they are in; `None` after the last shard.
    async fn list(&self, shard: u16) -> Result<Option<Vec<ListedBlob>>, StoreError>;

    /// Bytes free and in all.
    fn room(&self) -> Result<Room, StoreError>;
}

/// A blob being written. Dropped unfinished, it is removed.
#[async_trait]
pub(crate) trait BlobWriter: fmt::Debug + Send + Sync {
    /// Takes the next bytes; waits while too many wait for the disk.
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError>;

    /// Makes all of it durable.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// What a sweep sees of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedBlob {
    pub(crate) id: BlobId,
    /// When it was last written.
    pub(crate) modified: Timestamp,
}

/// Bytes of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) capacity: u64,
}

/// The blobs that are being written or read: neither a sweep nor the garbage worker takes them.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    counts: Mutex<HashMap<BlobId, u32>>,
}

impl Pins {
    pub(crate) fn pin(self: &Arc<Self>, id: BlobId) -> Pin {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(id).or_default();
        *count = count.saturating_add(1);
        Pin { id, pins: Arc::clone(self) }
    }

    pub(crate) fn is_pinned(&self, id: BlobId) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }
}

/// Keeps a blob while it lives.
#[derive(Debug)]
pub(crate) struct Pin {
    id: BlobId,
    pins: Arc<Pins>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut counts = self.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.id);
            }
        }
    }
}
