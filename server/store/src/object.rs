//! Objects as callers see them: attributes, preconditions, and the operations on one key.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    BucketName, Committed, Content, ObjectKey, Store, StoreError, corrupt,
    garbage::throw_away,
    index::{Batch, Condition, Space},
    record::{
        garbage::Garbage,
        key::{self, BucketId},
        object::{ObjectRecord, Place, Version},
        part::PartRecord,
    },
};

/// What a caller says about an object when it writes it, and reads back unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectAttributes {
    /// The entity tag without quotes.
    pub etag: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The other system headers (`cache-control`, `content-encoding`, …) by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// User metadata by lower-case name without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Tags by name.
    pub tags: BTreeMap<String, String>,
    /// The checksum over the whole object.
    pub checksum: Option<Checksum>,
    /// The storage class; `None` is `STANDARD`.
    pub storage_class: Option<String>,
    /// Object lock: until when, and how strictly.
    pub retention: Option<Retention>,
    /// Object lock: the legal hold.
    pub legal_hold: LegalHold,
    /// What the encryption needs to open the content; opaque here.
    pub encryption: Option<Vec<u8>>,
}

/// A checksum as S3 gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How it was computed.
    pub algorithm: ChecksumAlgorithm,
    /// Over what.
    pub kind: ChecksumKind,
    /// Base64; a composite one ends in `-` and the number of parts.
    pub value: String,
}

/// The checksum algorithms of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// What a checksum covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// The object's bytes.
    FullObject,
    /// The checksums of the parts.
    Composite,
}

/// Object lock: a version may not be deleted before this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// Until when.
    pub until: Timestamp,
}

/// How strictly a retention holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionMode {
    /// Those with a permission may lift it.
    Governance,
    /// No one may lift it.
    Compliance,
}

/// Object lock: a hold without an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegalHold {
    /// No hold.
    #[default]
    Off,
    /// Held.
    On,
}

/// A part that an object was completed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSummary {
    /// 1 to 10,000.
    pub number: u16,
    /// Bytes.
    pub size: u64,
    /// Bytes as they lie in the store.
    pub stored: u64,
    /// The part's entity tag without quotes.
    pub etag: String,
    /// The part's checksum.
    pub checksum: Option<Checksum>,
    /// What the encryption needs to open the part; opaque here.
    pub encryption: Option<Vec<u8>>,
}

/// What must hold for the object under the key at the moment of the commit. All that is given must hold.
///
/// Over an absent object, `if_match` fails a put with `NoSuchKey` and a delete with `PreconditionFailed`;
/// `if_size` and `if_modified` fail likewise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The current object has one of these entity tags.
    pub if_match: Option<EtagCondition>,
    /// The current object, if any, has none of these entity tags.
    pub if_none_match: Option<EtagCondition>,
    /// The current object has this size in bytes.
    pub if_size: Option<u64>,
    /// The current object was modified in this second.
    pub if_modified: Option<Timestamp>,
}

/// Which entity tags a condition names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtagCondition {
    /// `*`: every object has it.
    Any,
    /// Any of these, without quotes.
    OneOf(Vec<String>),
}

impl Precondition {
    /// Nothing has to hold.
    pub const NONE: Self =
        Self { if_match: None, if_none_match: None, if_size: None, if_modified: None };

    /// No object may be there.
    pub const ABSENT: Self = Self {
        if_match: None,
        if_none_match: Some(EtagCondition::Any),
        if_size: None,
        if_modified: None,
    };
}

impl Precondition {
    /// Whether it holds over the current object; `absent` is what a missing object fails with.
    pub(crate) fn check(
        &self,
        current: Option<&ObjectRecord>,
        absent: &StoreError,
    ) -> Result<(), StoreError> {
        let Self { if_match, if_none_match, if_size, if_modified } = self;
        let Some(current) = current else {
            let is_needed = if_match.is_some() || if_size.is_some() || if_modified.is_some();
            return if is_needed { Err(absent.clone()) } else { Ok(()) };
        };
        let etag = &current.attributes.etag;
        let holds = if_match.as_ref().is_none_or(|condition| condition.names(etag))
            && !if_none_match.as_ref().is_some_and(|condition| condition.names(etag))
            && if_size.is_none_or(|size| size == current.size)
            && if_modified.is_none_or(|time| time.as_second() == current.modified.as_second());
        if holds { Ok(()) } else { Err(StoreError::PreconditionFailed) }
    }
}

impl EtagCondition {
    fn names(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => etags.iter().any(|one| one == etag),
        }
    }
}

/// An object's record, as it was when looked up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Object {
    found: Arc<Found>,
}

#[derive(Debug)]
struct Found {
    bucket: BucketId,
    key: ObjectKey,
    record: ObjectRecord,
}

impl Object {
    pub(crate) fn new(bucket: BucketId, key: ObjectKey, record: ObjectRecord) -> Self {
        Self { found: Arc::new(Found { bucket, key, record }) }
    }

    pub(crate) fn bucket(&self) -> BucketId {
        self.found.bucket
    }

    pub(crate) fn record(&self) -> &ObjectRecord {
        &self.found.record
    }

    /// Its key.
    pub fn key(&self) -> &ObjectKey {
        &self.found.key
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.found.record.size
    }

    /// Its size as it lies in the store: of an encrypted object it is another.
    pub fn stored_size(&self) -> u64 {
        self.found.record.stored
    }

    /// When it was written, to the microsecond.
    pub fn modified(&self) -> Timestamp {
        self.found.record.modified
    }

    /// What the writer said about it.
    pub fn attributes(&self) -> &ObjectAttributes {
        &self.found.record.attributes
    }

    /// Of how many parts it was completed; `None` if it was put in one piece.
    pub fn part_count(&self) -> Option<u16> {
        self.found.record.part_count
    }
}

/// What a deletion did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The object is gone.
    Removed,
    /// There was none, which is as good.
    Absent,
}

impl Store {
    /// Writes an object, in place of one that may be there.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey` and `PreconditionFailed` as [`Precondition`] says, `OutOfSpace`, `Unavailable`.
    pub async fn put_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        mut content: Content,
        attributes: ObjectAttributes,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<Object, StoreError> {
        let bucket = self.bucket_id(bucket).await?;
        self.admit(content.stored())?;
        let record = ObjectRecord {
            version: Version::Null,
            size: content.size(),
            stored: content.stored(),
            modified: to_micros(now),
            place: content.place(now),
            part_count: None,
            attributes,
        };
        let value = Bytes::from(record.encode());
        loop {
            let mut batch = Batch::default();
            content.add_to(record.place, &mut batch);
            self.replace(bucket, key, precondition, &record, value.clone(), &mut batch, now)
                .await?;
            match content.commit(self, batch).await? {
                Committed::Done => break,
                Committed::Conflict => self.still_there(bucket).await?,
            }
        }
        Ok(Object::new(bucket, key.clone(), record))
    }

    /// Puts into the batch all that making `record` the current object takes.
    #[expect(clippy::too_many_arguments, reason = "private, and each is a thing of its own")]
    pub(crate) async fn replace(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        precondition: &Precondition,
        record: &ObjectRecord,
        value: Bytes,
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let at = key::object(bucket, key);
        let (read, current) = self.current(&at, key).await?;
        precondition.check(current.as_ref(), &StoreError::NoSuchKey)?;
        batch.require(Condition::Present(key::alive(bucket)));
        batch.require_unchanged(at.clone(), read);
        batch.put(Space::Records, at, value);
        batch.add(key::object_count(bucket), i64::from(current.is_none()));
        batch.add(
            key::byte_count(bucket),
            growth(current.as_ref().map_or(0, |old| old.size), record.size),
        );
        if let Some(old) = current {
            discard(old.place, batch, now);
        }
        Ok(())
    }

    /// Looks an object up, without its content.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`, `Unavailable`, `Corrupt`.
    pub async fn object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Object, StoreError> {
        let bucket = self.bucket_id(bucket).await?;
        let (_, current) = self.current(&key::object(bucket, key), key).await?;
        current.map(|record| Object::new(bucket, key.clone(), record)).ok_or(StoreError::NoSuchKey)
    }

    /// The parts an object was completed from, in order; empty if it was put in one piece.
    ///
    /// # Errors
    /// `Gone`, `Unavailable`, `Corrupt`.
    pub async fn parts(&self, object: &Object) -> Result<Vec<PartSummary>, StoreError> {
        match object.record().place {
            Place::Nowhere | Place::Inline(_) | Place::Blob(_) => Ok(Vec::new()),
            Place::Manifest(id) => {
                let manifest = self.manifest(object, id).await?;
                Ok(manifest.parts.into_iter().map(PartRecord::summary).collect())
            }
        }
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// `NoSuchBucket`, `PreconditionFailed`, `Unavailable`.
    pub async fn delete_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        precondition: &Precondition,
        now: Timestamp,
    ) -> Result<Deleted, StoreError> {
        let answers =
            self.delete_objects(bucket, vec![(key.clone(), precondition.clone())], now).await?;
        answers.into_iter().next().unwrap_or(Ok(Deleted::Absent))
    }

    /// Deletes many objects in as few commits as possible. Answers in the order of `keys`.
    ///
    /// # Errors
    /// `NoSuchBucket` or `Unavailable` for all of it; the rest for each key.
    pub async fn delete_objects(
        &self,
        bucket: &BucketName,
        keys: Vec<(ObjectKey, Precondition)>,
        now: Timestamp,
    ) -> Result<Vec<Result<Deleted, StoreError>>, StoreError> {
        let bucket = self.bucket_id(bucket).await?;
        let mut answers = Vec::with_capacity(keys.len());
        // One key that others write all the time must not hold up the rest for ever.
        let mut together = keys.len().max(1);
        let mut rest = keys.as_slice();
        while !rest.is_empty() {
            let (some, after) = rest.split_at_checked(together).unwrap_or((rest, &[]));
            let mut batch = Batch::default();
            let answered = self.remove(bucket, some, &mut batch, now).await?;
            let committed =
                if batch.changes.is_empty() { Committed::Done } else { self.commit(batch).await? };
            match committed {
                Committed::Done => {
                    answers.extend(answered);
                    rest = after;
                }
                Committed::Conflict => {
                    self.still_there(bucket).await?;
                    together = (together / 4).max(1);
                }
            }
        }
        Ok(answers)
    }

    /// Puts into the batch all that deleting these keys takes.
    async fn remove(
        &self,
        bucket: BucketId,
        keys: &[(ObjectKey, Precondition)],
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<Vec<Result<Deleted, StoreError>>, StoreError> {
        batch.require(Condition::Present(key::alive(bucket)));
        let mut removed = HashSet::new();
        let (mut objects, mut bytes) = (0_i64, 0_i64);
        let mut answers = Vec::with_capacity(keys.len());
        for (key, precondition) in keys {
            let at = key::object(bucket, key);
            let (read, current) =
                if removed.contains(key) { (None, None) } else { self.current(&at, key).await? };
            if let Err(refusal) =
                precondition.check(current.as_ref(), &StoreError::PreconditionFailed)
            {
                answers.push(Err(refusal));
                continue;
            }
            let Some(current) = current else {
                answers.push(Ok(Deleted::Absent));
                continue;
            };
            batch.require_unchanged(at.clone(), read);
            batch.delete(Space::Records, at);
            discard(current.place, batch, now);
            removed.insert(key);
            objects = objects.saturating_sub(1);
            bytes = bytes.saturating_add(growth(current.size, 0));
            answers.push(Ok(Deleted::Removed));
        }
        batch.add(key::object_count(bucket), objects);
        batch.add(key::byte_count(bucket), bytes);
        Ok(answers)
    }

    /// The current object's record, as read and as understood.
    pub(crate) async fn current(
        &self,
        at: &[u8],
        key: &ObjectKey,
    ) -> Result<(Option<Bytes>, Option<ObjectRecord>), StoreError> {
        let read = self.get(at).await?;
        let record = read
            .as_deref()
            .map(ObjectRecord::decode)
            .transpose()
            .map_err(|cause| corrupt(format!("the record of object `{key}`"), cause))?;
        Ok((read, record))
    }

    /// Whether what was looked up is still the current object.
    pub(crate) async fn is_current(&self, object: &Object) -> Result<bool, StoreError> {
        let (_, current) =
            self.current(&key::object(object.bucket(), object.key()), object.key()).await?;
        Ok(current.as_ref() == Some(object.record()))
    }
}

/// Gives content up: what is in the index goes in the same batch, what is not goes to the garbage.
pub(crate) fn discard(place: Place, batch: &mut Batch, now: Timestamp) {
    let garbage = match place {
        Place::Nowhere => return,
        Place::Inline(id) => return batch.delete(Space::Contents, key::inline(id)),
        Place::Blob(id) => Garbage::Blob(id),
        Place::Manifest(id) => Garbage::Manifest(id),
    };
    throw_away(garbage, batch, now);
}

/// What the index keeps of a time.
pub(crate) fn to_micros(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

fn growth(from: u64, to: u64) -> i64 {
    let signed = |n| i64::try_from(n).unwrap_or(i64::MAX);
    signed(to).saturating_sub(signed(from))
}
