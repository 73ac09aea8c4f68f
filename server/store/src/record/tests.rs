//! Everything that reads records, fed with broken ones: a data folder comes from a disk that may lie, or from another hand.

use coffer_fuzzing::fuzz;
use jiff::Timestamp;

use super::{
    bucket::BucketRecord,
    field::DecodeError,
    garbage::Garbage,
    key::{BucketId, ContentId, escape, unescape},
    object::{ObjectRecord, Place, Summary, Version},
    part::{Manifest, PartRecord, UploadRecord},
};
use crate::{
    Checksum, ChecksumAlgorithm, ChecksumKind, LegalHold, ObjectAttributes, Part, PartAttributes,
    Retention, RetentionMode, UploadAttributes, UploadId, blobs::BlobId,
};

/// Tags, small lengths and the ends of what fits.
const TELLING: &[u8] = b"\x00\x01\x02\x03\x04\x05\x07\x08\x0f\x10\x40\x41\x42\x7f\x80\xff";

fn attributes() -> ObjectAttributes {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    ObjectAttributes {
        etag: "5d41402abc4b2a76b9719d911017c592".to_owned(),
        content_type: Some("text/plain".to_owned()),
        headers: [pair("cache-control", "no-cache")].into(),
        metadata: [pair("a", "ü")].into(),
        tags: [pair("team", "media"), pair("empty", "")].into(),
        checksum: Some(Checksum {
            algorithm: ChecksumAlgorithm::Crc64Nvme,
            kind: ChecksumKind::Composite,
            value: "NhCmhg==-2".to_owned(),
        }),
        storage_class: Some("GLACIER".to_owned()),
        retention: Some(Retention {
            mode: RetentionMode::Governance,
            until: Timestamp::UNIX_EPOCH,
        }),
        legal_hold: LegalHold::On,
        encryption: Some(vec![7; 40]),
    }
}

fn part(number: u16, place: Place) -> PartRecord {
    let attributes = PartAttributes {
        etag: "e".to_owned(),
        checksum: attributes().checksum,
        encryption: Some(vec![8; 20]),
    };
    let part = Part { number, size: 5, modified: Timestamp::UNIX_EPOCH, attributes };
    PartRecord { part, stored: 21, place }
}

fn examples() -> Vec<Vec<u8>> {
    let object = |place, stored| ObjectRecord {
        version: Version::Null,
        size: 300,
        stored,
        modified: Timestamp::UNIX_EPOCH,
        place,
        part_count: Some(2),
        attributes: attributes(),
    };
    let parts = vec![part(1, Place::Nowhere), part(10_000, Place::Blob(BlobId([3; 16])))];
    vec![
        object(Place::Blob(BlobId([1; 16])), 300).encode(),
        object(Place::Manifest(ContentId([2; 16])), 332).encode(),
        part(1, Place::Inline(ContentId([2; 16]))).encode(),
        Manifest { parts }.encode(),
        UploadRecord {
            initiated: Timestamp::UNIX_EPOCH,
            attributes: UploadAttributes {
                object: attributes(),
                checksum: Some((ChecksumAlgorithm::Sha256, ChecksumKind::FullObject)),
                initiator: Some("alice".to_owned()),
            },
        }
        .encode(),
        BucketRecord {
            id: BucketId(7),
            created: Timestamp::UNIX_EPOCH,
            region: "us-east-1".to_owned(),
            encryption: Some(b"sealed".to_vec()),
            requires_encryption: true,
            tags: attributes().tags,
        }
        .encode(),
        Garbage::Blob(BlobId([1; 16])).encode(),
        Garbage::Upload(UploadId([4; 16])).encode(),
        Garbage::Bucket(BucketId(1 << 40)).encode(),
    ]
}

/// What is read is the same when it is written and read again.
fn is_kept<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Option<T> {
    let record = decode(bytes).ok()?;
    assert_eq!(decode(&encode(&record)).as_ref(), Ok(&record));
    Some(record)
}

#[test]
fn fuzzed_records_are_read_as_they_are_written_or_refused() {
    let whole = examples();
    let read = |bytes: &[u8]| {
        let object = is_kept(bytes, ObjectRecord::decode, ObjectRecord::encode);
        if let Some(object) = &object {
            let summary = Summary::decode(bytes).unwrap();
            assert_eq!((summary.size, summary.modified), (object.size, object.modified));
            assert_eq!(summary.etag, object.attributes.etag);
            assert_eq!(summary.storage_class, object.attributes.storage_class);
        }
        [
            object.is_some(),
            is_kept(bytes, PartRecord::decode, PartRecord::encode).is_some(),
            is_kept(bytes, Manifest::decode, Manifest::encode).is_some(),
            is_kept(bytes, UploadRecord::decode, UploadRecord::encode).is_some(),
            is_kept(bytes, BucketRecord::decode, BucketRecord::encode).is_some(),
            is_kept(bytes, Garbage::decode, |garbage| garbage.encode()).is_some(),
        ]
    };
    assert!(whole.iter().all(|example| read(example).contains(&true)), "the examples are records");
    fuzz!(whole, TELLING, |bytes: &[u8]| {
        let _kinds = read(bytes);
    });
}

#[test]
fn fuzzed_keys_are_read_as_they_are_written_or_refused() {
    let mut key = Vec::new();
    escape("a\0b/ü", &mut key);
    key.extend([0, 0, 1, 2, 3]);
    fuzz!([key], b"\x00\xff", |bytes: &[u8]| {
        let Some((text, rest)) = unescape(bytes) else { return };
        let mut again = Vec::new();
        escape(&text, &mut again);
        assert!(bytes.starts_with(&again) && bytes.ends_with(rest));
    });
}
