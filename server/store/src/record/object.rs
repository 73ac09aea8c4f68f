//! An object's record: one version of it, its attributes, and where its content is.

use jiff::Timestamp;

use super::{
    field::{DecodeError, Encoder, Field, message, record},
    key::ContentId,
};
use crate::{
    Checksum, ChecksumAlgorithm, ChecksumKind, LegalHold, ObjectAttributes, Retention,
    RetentionMode, blobs::BlobId,
};

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectRecord {
    pub(crate) version: Version,
    pub(crate) size: u64,
    /// Bytes as they lie in the store; kept only where they are others than `size`.
    pub(crate) stored: u64,
    pub(crate) modified: Timestamp,
    pub(crate) place: Place,
    pub(crate) part_count: Option<u16>,
    pub(crate) attributes: ObjectAttributes,
}

/// Which version a record is, and whether it hides the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The null version: written while the bucket kept no versions.
    Null,
}

/// Where content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// No bytes.
    Nowhere,
    /// In the index, under a key of its own.
    Inline(ContentId),
    /// A blob.
    Blob(BlobId),
    /// Parts, which a manifest lists.
    Manifest(ContentId),
}

mod tag {
    pub(super) const VERSION: u8 = 1;
    pub(super) const SIZE: u8 = 2;
    pub(super) const MODIFIED: u8 = 3;
    pub(super) const PLACE: u8 = 4;
    pub(super) const ETAG: u8 = 5;
    pub(super) const CHECKSUM: u8 = 6;
    pub(super) const STORAGE_CLASS: u8 = 7;
    pub(super) const PART_COUNT: u8 = 8;
    pub(super) const CONTENT_TYPE: u8 = 9;
    pub(super) const HEADER: u8 = 10;
    pub(super) const METADATA: u8 = 11;
    pub(super) const TAG: u8 = 12;
    pub(super) const RETENTION: u8 = 13;
    pub(super) const LEGAL_HOLD: u8 = 14;
    pub(super) const ENCRYPTION: u8 = 15;
    pub(super) const STORED: u8 = 16;
}

impl ObjectRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { version: Version::Null, size, stored, modified, place, part_count, attributes } =
            self;
        let mut encoder = Encoder::record();
        encoder.number(tag::SIZE, *size).time(tag::MODIFIED, *modified);
        encode_place(&mut encoder, tag::PLACE, *place);
        if let Some(count) = part_count {
            encoder.number(tag::PART_COUNT, u64::from(*count));
        }
        if stored != size {
            encoder.number(tag::STORED, *stored);
        }
        encode_attributes(&mut encoder, attributes);
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut size, mut modified, mut place, mut part_count) = (None, None, None, None);
        let mut stored = None;
        let mut attributes = ObjectAttributes::default();
        for field in record(bytes)? {
            let field = field?;
            match field.tag {
                tag::SIZE => size = Some(field.number()?),
                tag::MODIFIED => modified = Some(field.time()?),
                tag::PLACE => place = Some(decode_place(field)?),
                tag::STORED => stored = Some(field.number()?),
                tag::PART_COUNT => part_count = Some(field.small()?),
                // Versions other than null, and delete markers, will be told here.
                tag::VERSION => return Err(DecodeError::Unknown(tag::VERSION)),
                _ => decode_attribute(field, &mut attributes)?,
            }
        }
        let size = size.ok_or(DecodeError::Missing(tag::SIZE))?;
        Ok(Self {
            version: Version::Null,
            size,
            stored: stored.unwrap_or(size),
            modified: modified.ok_or(DecodeError::Missing(tag::MODIFIED))?,
            place: place.ok_or(DecodeError::Missing(tag::PLACE))?,
            part_count,
            attributes,
        })
    }
}

/// What a listing reads of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
    pub(crate) etag: String,
    pub(crate) storage_class: Option<String>,
    pub(crate) checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

impl Summary {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut size, mut modified, mut etag) = (None, None, String::new());
        let (mut storage_class, mut checksum) = (None, None);
        for field in record(bytes)? {
            let field = field?;
            match field.tag {
                tag::SIZE => size = Some(field.number()?),
                tag::MODIFIED => modified = Some(field.time()?),
                tag::ETAG => etag = field.text()?,
                tag::STORAGE_CLASS => storage_class = Some(field.text()?),
                tag::CHECKSUM => {
                    let whole = decode_checksum(field)?;
                    checksum = Some((whole.algorithm, whole.kind));
                }
                tag::PLACE..=tag::STORED => {}
                tag => return Err(DecodeError::Unknown(tag)),
            }
        }
        Ok(Self {
            size: size.ok_or(DecodeError::Missing(tag::SIZE))?,
            modified: modified.ok_or(DecodeError::Missing(tag::MODIFIED))?,
            etag,
            storage_class,
            checksum,
        })
    }
}

pub(super) fn encode_attributes(encoder: &mut Encoder, attributes: &ObjectAttributes) {
    let ObjectAttributes {
        etag,
        content_type,
        headers,
        metadata,
        tags,
        checksum,
        storage_class,
        retention,
        legal_hold,
        encryption,
    } = attributes;
    encoder
        .text(tag::ETAG, etag)
        .optional_text(tag::STORAGE_CLASS, storage_class.as_deref())
        .optional_text(tag::CONTENT_TYPE, content_type.as_deref())
        .map(tag::HEADER, headers)
        .map(tag::METADATA, metadata)
        .map(tag::TAG, tags);
    if let Some(checksum) = checksum {
        encode_checksum(encoder, tag::CHECKSUM, checksum);
    }
    if let Some(Retention { mode, until }) = retention {
        let mode = match mode {
            RetentionMode::Governance => 1,
            RetentionMode::Compliance => 2,
        };
        encoder.message(tag::RETENTION, |message| {
            message.number(1, mode).time(2, *until);
        });
    }
    match legal_hold {
        LegalHold::Off => {}
        LegalHold::On => {
            encoder.number(tag::LEGAL_HOLD, 1);
        }
    }
    if let Some(encryption) = encryption {
        encoder.bytes(tag::ENCRYPTION, encryption);
    }
}

pub(super) fn decode_attribute(
    field: Field<'_>,
    attributes: &mut ObjectAttributes,
) -> Result<(), DecodeError> {
    match field.tag {
        tag::ETAG => attributes.etag = field.text()?,
        tag::CHECKSUM => attributes.checksum = Some(decode_checksum(field)?),
        tag::STORAGE_CLASS => attributes.storage_class = Some(field.text()?),
        tag::CONTENT_TYPE => attributes.content_type = Some(field.text()?),
        tag::HEADER => field.entry(&mut attributes.headers)?,
        tag::METADATA => field.entry(&mut attributes.metadata)?,
        tag::TAG => field.entry(&mut attributes.tags)?,
        tag::RETENTION => attributes.retention = Some(decode_retention(field)?),
        tag::LEGAL_HOLD => match field.number()? {
            1 => attributes.legal_hold = LegalHold::On,
            _ => return Err(field.wrong()),
        },
        tag::ENCRYPTION => attributes.encryption = Some(field.value.to_vec()),
        tag => return Err(DecodeError::Unknown(tag)),
    }
    Ok(())
}

fn decode_retention(field: Field<'_>) -> Result<Retention, DecodeError> {
    let (mut mode, mut until) = (None, None);
    for inner in message(field) {
        let inner = inner?;
        match inner.tag {
            1 => {
                mode = Some(match inner.number()? {
                    1 => RetentionMode::Governance,
                    2 => RetentionMode::Compliance,
                    _ => return Err(inner.wrong()),
                });
            }
            2 => until = Some(inner.time()?),
            tag => return Err(DecodeError::Unknown(tag)),
        }
    }
    Ok(Retention {
        mode: mode.ok_or(DecodeError::Missing(1))?,
        until: until.ok_or(DecodeError::Missing(2))?,
    })
}

pub(super) fn encode_checksum(encoder: &mut Encoder, tag: u8, checksum: &Checksum) {
    let Checksum { algorithm, kind, value } = checksum;
    encoder.message(tag, |message| {
        encode_choice(message, (*algorithm, *kind));
        message.text(3, value);
    });
}

pub(super) fn encode_choice(
    message: &mut Encoder,
    (algorithm, kind): (ChecksumAlgorithm, ChecksumKind),
) {
    let algorithm = match algorithm {
        ChecksumAlgorithm::Crc32 => 1,
        ChecksumAlgorithm::Crc32c => 2,
        ChecksumAlgorithm::Crc64Nvme => 3,
        ChecksumAlgorithm::Sha1 => 4,
        ChecksumAlgorithm::Sha256 => 5,
    };
    let kind = match kind {
        ChecksumKind::FullObject => 1,
        ChecksumKind::Composite => 2,
    };
    message.number(1, algorithm).number(2, kind);
}

pub(super) fn decode_checksum(field: Field<'_>) -> Result<Checksum, DecodeError> {
    let (mut algorithm, mut kind, mut value) = (None, None, String::new());
    for inner in message(field) {
        let inner = inner?;
        match inner.tag {
            1 => {
                algorithm = Some(match inner.number()? {
                    1 => ChecksumAlgorithm::Crc32,
                    2 => ChecksumAlgorithm::Crc32c,
                    3 => ChecksumAlgorithm::Crc64Nvme,
                    4 => ChecksumAlgorithm::Sha1,
                    5 => ChecksumAlgorithm::Sha256,
                    _ => return Err(inner.wrong()),
                });
            }
            2 => {
                kind = Some(match inner.number()? {
                    1 => ChecksumKind::FullObject,
                    2 => ChecksumKind::Composite,
                    _ => return Err(inner.wrong()),
                });
            }
            3 => value = inner.text()?,
            tag => return Err(DecodeError::Unknown(tag)),
        }
    }
    Ok(Checksum {
        algorithm: algorithm.ok_or(DecodeError::Missing(1))?,
        kind: kind.ok_or(DecodeError::Missing(2))?,
        value,
    })
}

pub(super) fn encode_place(encoder: &mut Encoder, tag: u8, place: Place) {
    let (kind, id) = match place {
        Place::Nowhere => (0, [].as_slice()),
        Place::Inline(ContentId(ref id)) => (1, id.as_slice()),
        Place::Blob(BlobId(ref id)) => (2, id.as_slice()),
        Place::Manifest(ContentId(ref id)) => (3, id.as_slice()),
    };
    encoder.bytes(tag, &[&[kind], id].concat());
}

pub(super) fn decode_place(field: Field<'_>) -> Result<Place, DecodeError> {
    let (kind, id) = field.value.split_first().ok_or_else(|| field.wrong())?;
    let id: Result<[u8; 16], _> = id.try_into();
    match (kind, id) {
        (0, Err(_)) => Ok(Place::Nowhere),
        (1, Ok(id)) => Ok(Place::Inline(ContentId(id))),
        (2, Ok(id)) => Ok(Place::Blob(BlobId(id))),
        (3, Ok(id)) => Ok(Place::Manifest(ContentId(id))),
        _ => Err(field.wrong()),
    }
}
