//! What an upload in parts is: its id, its parts, and listings of both.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use thiserror::Error;

use crate::{Checksum, ChecksumAlgorithm, ChecksumKind, ObjectAttributes, ObjectKey, timed_id};

/// Names an upload. Ids of later uploads are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub(crate) [u8; 16]);

impl UploadId {
    /// A new one, for an upload that begins now.
    pub fn new(now: Timestamp) -> Self {
        Self(timed_id(now))
    }

    /// Its 16 bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id of these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// The text is no id that this store gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an upload's id has 32 hexadecimal digits in lower case")]
pub struct UploadIdError;

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(UploadIdError);
        }
        u128::from_str_radix(text, 16)
            .map(|n| Self(n.to_be_bytes()))
            .map_err(|_source| UploadIdError)
    }
}

/// What the beginning of an upload says about the object to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadAttributes {
    /// As the object will have them; the entity tag and checksum value are not known yet and stay empty.
    pub object: ObjectAttributes,
    /// The checksum that was chosen.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// Who began it; opaque here.
    pub initiator: Option<String>,
}

/// An upload in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The key of the object to come.
    pub key: ObjectKey,
    /// Its id.
    pub id: UploadId,
    /// When it was begun.
    pub initiated: Timestamp,
    /// What its beginning said.
    pub attributes: UploadAttributes,
}

/// What a caller says about a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartAttributes {
    /// The entity tag without quotes.
    pub etag: String,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// What the encryption needs to open the part; opaque here.
    pub encryption: Option<Vec<u8>>,
}

/// A part of an upload in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// 1 to 10,000.
    pub number: u16,
    /// Bytes.
    pub size: u64,
    /// When it was put.
    pub modified: Timestamp,
    /// What was said about it.
    pub attributes: PartAttributes,
}

/// A page of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPage {
    /// In the order of their numbers.
    pub parts: Vec<Part>,
    /// If there are more: the number to give as `after`.
    pub next: Option<u16>,
}

/// Which uploads to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadQuery {
    /// Only keys that start so.
    pub prefix: String,
    /// As in [`ListQuery`](crate::ListQuery).
    pub delimiter: Option<String>,
    /// Where to begin.
    pub start: UploadStart,
    /// At most so many entries.
    pub limit: usize,
}

/// Where a listing of uploads begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UploadStart {
    /// At the first.
    #[default]
    Beginning,
    /// After all uploads of this key.
    AfterKey(String),
    /// After this upload of this key.
    AfterUpload(String, UploadId),
    /// After every key that starts with this.
    AfterPrefix(String),
}

/// A page of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPage {
    /// By key, then by time of beginning.
    pub entries: Vec<UploadEntry>,
    /// If there are more: where the next page starts.
    pub next: Option<UploadStart>,
}

/// A line of a listing of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadEntry {
    /// An upload.
    Upload(Box<Upload>),
    /// Keys folded at the delimiter.
    Prefix(String),
}
