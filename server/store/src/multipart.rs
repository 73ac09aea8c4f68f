//! Uploads in parts.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use thiserror::Error;

use crate::{
    BucketName, Checksum, ChecksumAlgorithm, ChecksumKind, Content, Object, ObjectAttributes,
    ObjectKey, Precondition, Store, StoreError,
};

/// Names an upload. Ids of later uploads are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId([u8; 16]);

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
    Upload(Upload),
    /// Keys folded at the delimiter.
    Prefix(String),
}

impl Store {
    /// Begins an upload.
    ///
    /// # Errors
    /// `NoSuchBucket`, `OutOfSpace`, `Unavailable`.
    pub async fn create_upload(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
        _attributes: UploadAttributes,
        _now: Timestamp,
    ) -> Result<Upload, StoreError> {
        unimplemented!()
    }

    /// Looks an upload up.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `Unavailable`, `Corrupt`.
    pub async fn upload(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
        _id: UploadId,
    ) -> Result<Upload, StoreError> {
        unimplemented!()
    }

    /// Puts a part, in place of one of the same number.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `PartNumber`, `OutOfSpace`, `Unavailable`.
    pub async fn put_part(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
        _id: UploadId,
        _number: u16,
        _content: Content,
        _attributes: PartAttributes,
        _now: Timestamp,
    ) -> Result<Part, StoreError> {
        unimplemented!()
    }

    /// Lists the parts with a number greater than `after`.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `Unavailable`, `Corrupt`.
    pub async fn list_parts(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
        _id: UploadId,
        _after: u16,
        _limit: usize,
    ) -> Result<PartPage, StoreError> {
        unimplemented!()
    }

    /// Lists uploads in progress.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`, `Corrupt`.
    pub async fn list_uploads(
        &self,
        _bucket: &BucketName,
        _query: &UploadQuery,
    ) -> Result<UploadPage, StoreError> {
        unimplemented!()
    }

    /// Makes the object of these parts, without rewriting a byte. Parts that are not named are discarded.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `InvalidPart`, `InvalidPartOrder`, `OutOfSpace`, `Unavailable`, and as
    /// [`Precondition`] says; the upload then stays.
    #[expect(clippy::too_many_arguments, reason = "the call names all that one commit depends on")]
    pub async fn complete_upload(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
        _id: UploadId,
        _parts: &[u16],
        _attributes: ObjectAttributes,
        _precondition: &Precondition,
        _now: Timestamp,
    ) -> Result<Object, StoreError> {
        unimplemented!()
    }

    /// Discards an upload and its parts.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchUpload`, `Unavailable`.
    pub async fn abort_upload(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
        _id: UploadId,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        unimplemented!()
    }
}
