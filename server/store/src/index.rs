//! The index: an ordered map that commits batches atomically and durably.
//!
//! All that must be consistent lives here. A batch takes place whole or not at all, and only if its conditions hold at
//! that moment; once `commit` answers, it survives a power cut.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

use crate::{IndexHealth, StoreError, blobs::Pin};

pub(crate) mod embedded;
pub(crate) mod group;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod scan;

/// The two parts of the index. A listing reads [`Space::Records`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    /// Small records that are listed.
    Records,
    /// Content of small objects, and the manifests of objects made of parts.
    Contents,
}

/// An ordered, transactional key-value map.
#[async_trait]
pub(crate) trait Index: fmt::Debug + Send + Sync {
    /// The value under a key.
    async fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Rows in the order of their keys' bytes.
    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError>;

    /// Carries a batch out, whole and durably, or not at all.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Whether the index takes reads and writes now, or will again.
    fn health(&self) -> IndexHealth;
}

/// What to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) space: Space,
    /// The first key.
    pub(crate) start: Vec<u8>,
    /// The key before which to end.
    pub(crate) end: Vec<u8>,
    /// At most so many rows.
    pub(crate) limit: usize,
    /// Folds keys at a delimiter.
    pub(crate) fold: Option<Fold>,
}

/// Keys that hold `delimiter` at or after `offset`, and before a [terminator](crate::record::key), make one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) offset: usize,
    pub(crate) delimiter: Vec<u8>,
}

/// A row of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Entry(Bytes, Bytes),
    /// The common start of folded keys, delimiter included.
    Fold(Bytes),
}

/// Changes that take place together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) changes: Vec<Change>,
    /// Added to counters after the changes. A counter that isn't there is 0.
    pub(crate) adds: Vec<(Vec<u8>, i64)>,
    /// Blobs that a sweep must not remove before the batch is done, whatever becomes of the caller.
    pub(crate) pins: Vec<std::sync::Arc<Pin>>,
}

/// What must hold for a batch. Keys are of [`Space::Records`].
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Present(Vec<u8>),
    Absent(Vec<u8>),
    Is(Vec<u8>, Bytes),
    /// No key from the first, and before the second.
    Empty(Vec<u8>, Vec<u8>),
}

/// One key's change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Space, Vec<u8>, Bytes),
    Delete(Space, Vec<u8>),
}

/// Why a batch was not answered as done.
#[derive(Clone, Debug, Error)]
pub(crate) enum CommitError {
    /// A condition doesn't hold; nothing was changed.
    #[error("the state of the index is not the one that the batch asked for")]
    Conflict,
    /// The index failed. With `Unavailable` the batch may have taken place.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

impl Batch {
    pub(crate) fn require(&mut self, condition: Condition) {
        self.conditions.push(condition);
    }

    /// Requires that the key is as it was read.
    pub(crate) fn require_unchanged(&mut self, key: Vec<u8>, read: Option<Bytes>) {
        self.conditions.push(match read {
            Some(value) => Condition::Is(key, value),
            None => Condition::Absent(key),
        });
    }

    pub(crate) fn put(&mut self, space: Space, key: Vec<u8>, value: impl Into<Bytes>) {
        self.changes.push(Change::Put(space, key, value.into()));
    }

    pub(crate) fn delete(&mut self, space: Space, key: Vec<u8>) {
        self.changes.push(Change::Delete(space, key));
    }

    pub(crate) fn add(&mut self, counter: Vec<u8>, n: i64) {
        if n != 0 {
            self.adds.push((counter, n));
        }
    }

    /// Bytes that the batch writes, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.changes
            .iter()
            .map(|change| match change {
                Change::Put(_, key, value) => key.len().saturating_add(value.len()),
                Change::Delete(_, key) => key.len(),
            })
            .fold(self.adds.len().saturating_mul(32), usize::saturating_add)
    }
}

/// A counter's value as it is kept.
pub(crate) fn counter(value: Option<&[u8]>) -> i64 {
    value.and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes)
}

/// The key after every key that starts with `prefix`.
pub(crate) fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last.saturating_add(1));
            return end;
        }
    }
    // All 0xff or empty: no key of ours starts so.
    vec![u8::MAX; prefix.len().saturating_add(1)]
}
