//! Where Coffer keeps buckets and objects: an index, blobs, and the records between them.
//!
//! [`Store`] is all that a server needs. It knows neither HTTP nor the wire forms of S3, reads no clock (time is an
//! argument) and sees no plaintext: what it is given is already encrypted.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

mod error;
mod name;
mod bucket;
mod object;
mod listing;
mod multipart;
mod content;

pub use bucket::{Bucket, BucketPage, Usage};
pub use content::{Content, ContentReader, ContentWriter};
pub use error::{Cause, OpenError, StoreError};
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
    inner: Arc<()>,
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
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Blobs looked at.
    pub seen: u64,
    /// Blobs removed, which no record named.
    pub removed: u64,
}

impl Store {
    /// Opens a data folder, or makes one. Must run on a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while another process has it; see the other variants.
    pub async fn open(_settings: Settings) -> Result<Self, OpenError> {
        unimplemented!()
    }

    /// How the store fares.
    pub async fn health(&self) -> Health {
        let _ = &self.inner;
        unimplemented!()
    }

    /// Deletes what waits for deletion, now. The store also does so by itself soon after each deletion.
    ///
    /// # Errors
    /// `Unavailable`; what is left stays queued.
    pub async fn collect_garbage(&self) -> Result<u64, StoreError> {
        unimplemented!()
    }

    /// Removes blobs that are older than `age`, that no committed record names and nobody is writing: what a crash
    /// left behind. Call it daily with an age of a day.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn sweep(
        &self,
        _age: std::time::Duration,
        _now: Timestamp,
    ) -> Result<Sweep, StoreError> {
        unimplemented!()
    }
}
