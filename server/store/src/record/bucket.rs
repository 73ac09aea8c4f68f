//! A bucket's record.

use jiff::Timestamp;

use super::{
    field::{DecodeError, Encoder, record},
    key::BucketId,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketRecord {
    pub(crate) id: BucketId,
    pub(crate) created: Timestamp,
    pub(crate) region: String,
    pub(crate) encryption: Option<Vec<u8>>,
}

impl BucketRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { id, created, region, encryption } = self;
        let mut encoder = Encoder::record();
        encoder.number(1, id.0).time(2, *created).text(3, region);
        if let Some(encryption) = encryption {
            encoder.bytes(4, encryption);
        }
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut id, mut created, mut region, mut encryption) = (None, None, None, None);
        for field in record(bytes)? {
            let field = field?;
            match field.tag {
                1 => id = Some(BucketId(field.number()?)),
                2 => created = Some(field.time()?),
                3 => region = Some(field.text()?),
                4 => encryption = Some(field.value.to_vec()),
                tag => return Err(DecodeError::Unknown(tag)),
            }
        }
        Ok(Self {
            id: id.ok_or(DecodeError::Missing(1))?,
            created: created.ok_or(DecodeError::Missing(2))?,
            region: region.ok_or(DecodeError::Missing(3))?,
            encryption,
        })
    }
}
