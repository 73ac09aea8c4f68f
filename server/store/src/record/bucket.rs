//! A bucket's record.

use std::collections::BTreeMap;

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
    pub(crate) tags: BTreeMap<String, String>,
}

impl BucketRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { id, created, region, encryption, tags } = self;
        let mut encoder = Encoder::record();
        encoder.number(1, id.0).time(2, *created).text(3, region);
        if let Some(encryption) = encryption {
            encoder.bytes(4, encryption);
        }
        encoder.map(5, tags);
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut id, mut created, mut region, mut encryption) = (None, None, None, None);
        let mut tags = BTreeMap::new();
        for field in record(bytes)? {
            let field = field?;
            match field.tag {
                1 => id = Some(BucketId(field.number()?)),
                2 => created = Some(field.time()?),
                3 => region = Some(field.text()?),
                4 => encryption = Some(field.value.to_vec()),
                5 => field.entry(&mut tags)?,
                tag => return Err(DecodeError::Unknown(tag)),
            }
        }
        Ok(Self {
            id: id.ok_or(DecodeError::Missing(1))?,
            created: created.ok_or(DecodeError::Missing(2))?,
            region: region.ok_or(DecodeError::Missing(3))?,
            encryption,
            tags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_one_without_tags_has_none() {
        let created = "2026-03-01T12:00:00Z".parse().unwrap();
        let tags = [("team", "media"), ("Größe", "")];
        let tags: BTreeMap<String, String> =
            tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let tagged = BucketRecord {
            id: BucketId(7),
            created,
            region: "us-east-1".to_owned(),
            encryption: Some(vec![1, 2]),
            tags,
        };
        assert_eq!(BucketRecord::decode(&tagged.encode()).unwrap(), tagged);
        let mut earlier = Encoder::record();
        earlier.number(1, 7).time(2, created).text(3, "us-east-1").bytes(4, &[1, 2]);
        let plain = BucketRecord { tags: BTreeMap::new(), ..tagged };
        assert_eq!(BucketRecord::decode(&earlier.finish()).unwrap(), plain);
    }
}
