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
    pub(crate) requires_encryption: bool,
}

impl BucketRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { id, created, region, encryption, requires_encryption, tags } = self;
        let mut encoder = Encoder::record();
        encoder.number(1, id.0).time(2, *created).text(3, region);
        if let Some(encryption) = encryption {
            encoder.bytes(4, encryption);
        }
        // Only where it is so: what nothing is asked of stays readable to an earlier version.
        if *requires_encryption {
            encoder.number(5, 1);
        }
        encoder.map(6, tags);
        encoder.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (mut id, mut created, mut region, mut encryption) = (None, None, None, None);
        let mut tags = BTreeMap::new();
        let mut requires_encryption = false;
        for field in record(bytes)? {
            let field = field?;
            match field.tag {
                1 => id = Some(BucketId(field.number()?)),
                2 => created = Some(field.time()?),
                3 => region = Some(field.text()?),
                4 => encryption = Some(field.value.to_vec()),
                5 => requires_encryption = field.number()? != 0,
                6 => field.entry(&mut tags)?,
                tag => return Err(DecodeError::Unknown(tag)),
            }
        }
        Ok(Self {
            id: id.ok_or(DecodeError::Missing(1))?,
            created: created.ok_or(DecodeError::Missing(2))?,
            region: region.ok_or(DecodeError::Missing(3))?,
            encryption,
            requires_encryption,
            tags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_one_that_asks_nothing_new_has_the_old_form() {
        let tags = [("team", "media"), ("Größe", "")];
        let tags: BTreeMap<String, String> =
            tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        for (encryption, requires_encryption, tags) in [
            (None, false, BTreeMap::new()),
            (Some(b"sealed".to_vec()), false, BTreeMap::new()),
            (None, true, BTreeMap::new()),
            (Some(b"sealed".to_vec()), true, tags),
        ] {
            let record = BucketRecord {
                id: BucketId(7),
                created: Timestamp::UNIX_EPOCH,
                region: "r".to_owned(),
                encryption,
                requires_encryption,
                tags,
            };
            let bytes = record.encode();
            assert_eq!(BucketRecord::decode(&bytes), Ok(record.clone()));
            let asks_nothing = !requires_encryption && record.tags.is_empty();
            let earlier =
                BucketRecord { requires_encryption: false, tags: BTreeMap::new(), ..record };
            assert_eq!(bytes == earlier.encode(), asks_nothing);
        }
    }
}
