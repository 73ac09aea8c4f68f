//! What can go wrong, told apart by what the caller can do about it.

use std::{error::Error as StdError, path::PathBuf, sync::Arc};

use thiserror::Error;

/// The cause below an error, shared so that one failure can answer a whole group of waiting calls.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// Why an operation of the store failed. No variant but [`StoreError::Unavailable`] leaves it open whether
/// the operation took place: it did not.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// No bucket of this name.
    #[error("no bucket of this name")]
    NoSuchBucket,
    /// The name is taken.
    #[error("a bucket of this name exists")]
    BucketExists,
    /// It holds objects.
    #[error("the bucket holds objects; delete them first")]
    BucketNotEmpty,
    /// No object under this key.
    #[error("no object under this key")]
    NoSuchKey,
    /// No upload of this id for this key: never begun, completed or aborted.
    #[error("no such upload")]
    NoSuchUpload,
    /// A part that the completion names was never put.
    #[error("part {0} was not put")]
    InvalidPart(u16),
    /// The parts of a completion are not in strictly rising order, or there is none.
    #[error("the parts are not in rising order, or there is none")]
    InvalidPartOrder,
    /// A part's number is not 1 to 10,000.
    #[error("a part's number is 1 to 10000, not {0}")]
    PartNumber(u16),
    /// The object's state is not what the precondition asks for.
    #[error("the object's state is not the one that the request asked for")]
    PreconditionFailed,
    /// The range doesn't lie within the object.
    #[error("the range {start}..{end} is not within the {size} bytes")]
    Range {
        /// First byte asked for.
        start: u64,
        /// The byte after the last asked for.
        end: u64,
        /// The object's size in bytes.
        size: u64,
    },
    /// Between the look-up and the read the object was replaced or deleted: look it up again.
    #[error("the object was replaced or deleted meanwhile; look it up again")]
    Gone,
    /// The disk is full, or the reserve would be touched. Deleting still works.
    #[error("the storage is full; delete objects or enlarge the volume")]
    OutOfSpace,
    /// The index or the disk doesn't answer now. A write may or may not have taken place.
    #[error("the storage is not available; it is tried again")]
    Unavailable(#[source] Cause),
    /// What was read is not what was written.
    #[error("{what} is damaged")]
    Corrupt {
        /// Which record or file.
        what: String,
        /// What was wrong with it.
        #[source]
        cause: Option<Cause>,
    },
}

/// Why a data folder can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data folder `{0}` is in use by another process; stop it first")]
    Locked(PathBuf),
    /// Written by another format than this program's.
    #[error(
        "the data folder `{path}` has format {found:?}, this program reads {expected}; use the program that wrote it"
    )]
    Format {
        /// The data folder.
        path: PathBuf,
        /// What its `format` file says.
        found: String,
        /// The number this program reads.
        expected: u32,
    },
    /// The folder holds files but no `format`: not ours.
    #[error("the folder `{0}` holds other files and no store; choose an empty folder")]
    Foreign(PathBuf),
    /// The file system refused.
    #[error("can't use `{path}`; check that it exists and may be written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// The index refused.
    #[error("the index in `{path}` can't be opened")]
    Index {
        /// The index's folder.
        path: PathBuf,
        /// The engine's answer.
        #[source]
        cause: Cause,
    },
    /// The settings contradict themselves.
    #[error("{0}")]
    Settings(&'static str),
}
