//! Listings of objects: ordered by the bytes of the key, folded at a delimiter.

use jiff::Timestamp;

use crate::{
    BucketName, ChecksumAlgorithm, ChecksumKind, ObjectKey, Store, StoreError, corrupt,
    index::{Fold, Row, Scan, Space, successor},
    record::{key, object::Summary},
};

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
        bucket: &BucketName,
        query: &ListQuery,
    ) -> Result<Listing, StoreError> {
        let table = key::objects(self.bucket_id(bucket).await?);
        let rows = self.inner.index.scan(scan(&table, query)).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(match row {
                Row::Entry(key, value) => {
                    Entry::Object(listed(object_key(&key, table.len())?, &value)?)
                }
                Row::Fold(prefix) => Entry::Prefix(key_text(&prefix, table.len())?),
            });
        }
        let has_more = entries.len() > query.limit;
        entries.truncate(query.limit);
        let next = entries.last().filter(|_| has_more).map(|last| match last {
            Entry::Object(object) => Start::After(object.key.as_str().to_owned()),
            Entry::Prefix(prefix) => Start::AfterPrefix(prefix.clone()),
        });
        Ok(Listing { entries, next })
    }
}

fn scan(table: &[u8], query: &ListQuery) -> Scan {
    let ListQuery { prefix, delimiter, start, limit } = query;
    let at = |text: &str| at(table, text);
    let first = at(prefix);
    let start = match start {
        Start::Beginning => Vec::new(),
        Start::At(key) => at(key),
        Start::After(key) => [at(key), vec![0]].concat(),
        Start::AfterPrefix(prefix) => successor(&at(prefix)),
    };
    Scan {
        space: Space::Records,
        end: successor(&first),
        fold: fold(first.len(), delimiter.as_deref()),
        start: start.max(first),
        limit: one_more(*limit),
    }
}

/// The place of a key, or of a part of one, in a table.
pub(crate) fn at(table: &[u8], text: &str) -> Vec<u8> {
    let mut out = table.to_vec();
    key::escape(text, &mut out);
    out
}

pub(crate) fn fold(offset: usize, delimiter: Option<&str>) -> Option<Fold> {
    let delimiter = at(&[], delimiter.filter(|delimiter| !delimiter.is_empty())?);
    Some(Fold { offset, delimiter })
}

/// One row more than is asked for tells whether there are more.
pub(crate) fn one_more(limit: usize) -> usize {
    if limit == 0 { 0 } else { limit.saturating_add(1) }
}

/// The object's key in an index's key whose table's part has this length.
pub(crate) fn key_text(key: &[u8], table: usize) -> Result<String, StoreError> {
    let text = key.get(table..).and_then(key::unescape).map(|(text, _)| text);
    text.ok_or_else(|| StoreError::Corrupt {
        what: format!("the index's key {key:?}"),
        cause: None,
    })
}

pub(crate) fn object_key(key: &[u8], table: usize) -> Result<ObjectKey, StoreError> {
    key_text(key, table).map(ObjectKey::from_stored)
}

fn listed(key: ObjectKey, value: &[u8]) -> Result<ListedObject, StoreError> {
    let Summary { size, modified, etag, storage_class, checksum } = Summary::decode(value)
        .map_err(|cause| corrupt(format!("the record of object `{key}`"), cause))?;
    Ok(ListedObject { key, size, modified, etag, storage_class, checksum })
}
