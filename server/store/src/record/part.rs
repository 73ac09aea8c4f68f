//! Records of uploads, their parts, and the manifest that an object of parts has.

use jiff::Timestamp;

use super::{
    field::{DecodeError, Encoder, Field, message, record},
    object::{
        Place, decode_attribute, decode_checksum, decode_place, encode_attributes, encode_checksum,
        encode_choice, encode_place,
    },
};
use crate::{Part, PartAttributes, PartSummary, UploadAttributes};

/// An upload; its key and id are in the index's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadRecord {
    pub(crate) initiated: Timestamp,
    pub(crate) attributes: UploadAttributes,
}

// Beyond the tags of an object's attributes.
const INITIATED: u8 = 64;
const CHOICE: u8 = 65;
const INITIATOR: u8 = 66;

impl UploadRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { initiated, attributes: UploadAttributes { object, checksum, initiator } } = self;
        let mut encoder = Encoder::record();
        encoder.time(INITIATED, *initiated).optional_text(INITIATOR, initiator.as_deref());
        if let Some(choice) = checksum {
            encoder.message(CHOICE, |message| encode_choice(message, *choice));
        }
        encode_attributes(&mut encoder, object);
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut initiated = None;
        let mut attributes = UploadAttributes::default();
        for field in record(bytes)? {
            let field = field?;
            match field.tag {
                INITIATED => initiated = Some(field.time()?),
                CHOICE => {
                    let chosen = decode_checksum(field)?;
                    attributes.checksum = Some((chosen.algorithm, chosen.kind));
                }
                INITIATOR => attributes.initiator = Some(field.text()?),
                _ => decode_attribute(field, &mut attributes.object)?,
            }
        }
        Ok(Self { initiated: initiated.ok_or(DecodeError::Missing(INITIATED))?, attributes })
    }
}

/// A part and where its content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRecord {
    pub(crate) part: Part,
    /// Bytes as they lie in the store; kept only where they are others than the part's size.
    pub(crate) stored: u64,
    pub(crate) place: Place,
}

impl PartRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::record();
        self.encode_fields(&mut encoder);
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_fields(record(bytes)?)
    }

    fn encode_fields(&self, encoder: &mut Encoder) {
        let Self { part: Part { number, size, modified, attributes }, stored, place } = self;
        let PartAttributes { etag, checksum, encryption } = attributes;
        encoder.number(1, u64::from(*number)).number(2, *size).time(3, *modified).text(5, etag);
        encode_place(encoder, 4, *place);
        if let Some(checksum) = checksum {
            encode_checksum(encoder, 6, checksum);
        }
        if let Some(encryption) = encryption {
            encoder.bytes(7, encryption);
        }
        if stored != size {
            encoder.number(8, *stored);
        }
    }

    fn decode_fields<'a>(
        fields: impl Iterator<Item = Result<Field<'a>, DecodeError>>,
    ) -> Result<Self, DecodeError> {
        let (mut number, mut size, mut modified, mut place) = (None, None, None, None);
        let mut stored = None;
        let mut attributes = PartAttributes::default();
        for field in fields {
            let field = field?;
            match field.tag {
                1 => number = Some(field.small()?),
                2 => size = Some(field.number()?),
                3 => modified = Some(field.time()?),
                4 => place = Some(decode_place(field)?),
                5 => attributes.etag = field.text()?,
                6 => attributes.checksum = Some(decode_checksum(field)?),
                7 => attributes.encryption = Some(field.value.to_vec()),
                8 => stored = Some(field.number()?),
                tag => return Err(DecodeError::Unknown(tag)),
            }
        }
        let size = size.ok_or(DecodeError::Missing(2))?;
        Ok(Self {
            part: Part {
                number: number.ok_or(DecodeError::Missing(1))?,
                size,
                modified: modified.ok_or(DecodeError::Missing(3))?,
                attributes,
            },
            stored: stored.unwrap_or(size),
            place: place.ok_or(DecodeError::Missing(4))?,
        })
    }

    /// What the object says of it.
    pub(crate) fn summary(self) -> PartSummary {
        let Part { number, size, modified: _, attributes } = self.part;
        let PartAttributes { etag, checksum, encryption } = attributes;
        PartSummary { number, size, stored: self.stored, etag, checksum, encryption }
    }
}

/// The parts of an object in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) parts: Vec<PartRecord>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::record();
        for part in &self.parts {
            encoder.message(1, |message| part.encode_fields(message));
        }
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut parts = Vec::new();
        for field in record(bytes)? {
            let field = field?;
            match field.tag {
                1 => parts.push(PartRecord::decode_fields(message(field))?),
                tag => return Err(DecodeError::Unknown(tag)),
            }
        }
        Ok(Self { parts })
    }
}
