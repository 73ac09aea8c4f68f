//! Objects as callers see them: attributes, preconditions, and the operations on one key.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::{BucketName, Content, ContentReader, ObjectKey, Store, StoreError};

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
    /// The part's entity tag without quotes.
    pub etag: String,
    /// The part's checksum.
    pub checksum: Option<Checksum>,
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

/// An object's record, as it was when looked up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Object {
    record: Arc<()>,
}

impl Object {
    /// Its key.
    pub fn key(&self) -> &ObjectKey {
        let _ = &self.record;
        unimplemented!()
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    /// When it was written.
    pub fn modified(&self) -> Timestamp {
        unimplemented!()
    }

    /// What the writer said about it.
    pub fn attributes(&self) -> &ObjectAttributes {
        unimplemented!()
    }

    /// Of how many parts it was completed; `None` if it was put in one piece.
    pub fn part_count(&self) -> Option<u16> {
        unimplemented!()
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
        _bucket: &BucketName,
        _key: &ObjectKey,
        _content: Content,
        _attributes: ObjectAttributes,
        _precondition: &Precondition,
        _now: Timestamp,
    ) -> Result<Object, StoreError> {
        unimplemented!()
    }

    /// Looks an object up, without its content.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`, `Unavailable`, `Corrupt`.
    pub async fn object(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
    ) -> Result<Object, StoreError> {
        unimplemented!()
    }

    /// The parts an object was completed from, in order; empty if it was put in one piece.
    ///
    /// # Errors
    /// `Gone`, `Unavailable`, `Corrupt`.
    pub async fn parts(&self, _object: &Object) -> Result<Vec<PartSummary>, StoreError> {
        unimplemented!()
    }

    /// Opens these bytes of an object. The reader reads on although the object is deleted or replaced.
    ///
    /// # Errors
    /// `Gone` if it was replaced or deleted since the look-up, `Range`, `Unavailable`, `Corrupt`.
    pub async fn read(
        &self,
        _object: &Object,
        _range: std::ops::Range<u64>,
    ) -> Result<ContentReader, StoreError> {
        unimplemented!()
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// `NoSuchBucket`, `PreconditionFailed`, `Unavailable`.
    pub async fn delete_object(
        &self,
        _bucket: &BucketName,
        _key: &ObjectKey,
        _precondition: &Precondition,
        _now: Timestamp,
    ) -> Result<Deleted, StoreError> {
        unimplemented!()
    }

    /// Deletes many objects in as few commits as possible. Answers in the order of `keys`.
    ///
    /// # Errors
    /// `NoSuchBucket` or `Unavailable` for all of it; the rest for each key.
    pub async fn delete_objects(
        &self,
        _bucket: &BucketName,
        _keys: Vec<(ObjectKey, Precondition)>,
        _now: Timestamp,
    ) -> Result<Vec<Result<Deleted, StoreError>>, StoreError> {
        unimplemented!()
    }
}
