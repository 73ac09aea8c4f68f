//! Listings of objects: ordered by the bytes of the key, folded at a delimiter.

use jiff::Timestamp;

use crate::{BucketName, ChecksumAlgorithm, ChecksumKind, ObjectKey, Store, StoreError};

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only keys that start so.
    pub prefix: String,
    /// Keys that hold this after the prefix are folded into one entry up to and with its first occurrence.
    /// `None` or empty: nothing is folded.
    pub delimiter: Option<String>,
    /// Where to begin.
    pub start: Start,
    /// At most so many entries.
    pub limit: usize,
}

/// Where a listing begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the first key.
    #[default]
    Beginning,
    /// With keys greater than this. A folded entry is listed if one of its keys is greater.
    After(String),
    /// After every key that starts with this: how a page that ended in a folded entry goes on.
    AfterPrefix(String),
    /// With this key or the next greater.
    At(String),
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// In the order of the bytes of key or prefix.
    pub entries: Vec<Entry>,
    /// If there are more: where the next page starts.
    pub next: Option<Start>,
}

/// A line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(ListedObject),
    /// Keys folded at the delimiter: their common prefix, delimiter included.
    Prefix(String),
}

/// What a listing says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
    /// The entity tag without quotes.
    pub etag: String,
    /// The storage class; `None` is `STANDARD`.
    pub storage_class: Option<String>,
    /// Which checksum it carries.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

impl Store {
    /// Lists objects. The cost grows with the answer, not with the bucket: with a delimiter it seeks past each
    /// folded prefix.
    ///
    /// # Errors
    /// `NoSuchBucket`, `Unavailable`, `Corrupt`.
    pub async fn list_objects(
        &self,
        _bucket: &BucketName,
        _query: &ListQuery,
    ) -> Result<Listing, StoreError> {
        unimplemented!()
    }
}
