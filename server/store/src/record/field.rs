//! Tagged fields: the one form of all values.

use std::collections::BTreeMap;

use jiff::Timestamp;
use thiserror::Error;

use super::FORMAT;

/// Why bytes are no record of this format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    #[error("it has format {0}, this program reads {FORMAT}")]
    Format(u8),
    #[error("it ends in the middle of a field")]
    Short,
    #[error("it has the unknown field {0}: a newer program wrote it")]
    Unknown(u8),
    #[error("field {0} is not what it should be")]
    Value(u8),
    #[error("field {0} is missing")]
    Missing(u8),
}

/// Writes fields.
#[derive(Debug)]
pub(crate) struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// A record: begins with the format's number.
    pub(crate) fn record() -> Self {
        let format = u8::try_from(FORMAT).unwrap_or(u8::MAX);
        Self { out: vec![format] }
    }

    fn nested() -> Self {
        Self { out: Vec::new() }
    }

    pub(crate) fn bytes(&mut self, tag: u8, value: &[u8]) -> &mut Self {
        self.out.push(tag);
        varint(value.len() as u64, &mut self.out);
        self.out.extend_from_slice(value);
        self
    }

    pub(crate) fn text(&mut self, tag: u8, value: &str) -> &mut Self {
        self.bytes(tag, value.as_bytes())
    }

    pub(crate) fn optional_text(&mut self, tag: u8, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(tag, value);
        }
        self
    }

    pub(crate) fn number(&mut self, tag: u8, value: u64) -> &mut Self {
        let bytes = value.to_le_bytes();
        let zeros = (value.leading_zeros() / 8) as usize;
        self.bytes(tag, bytes.get(..bytes.len().saturating_sub(zeros)).unwrap_or(&bytes))
    }

    /// Microseconds are what the record keeps of a time.
    pub(crate) fn time(&mut self, tag: u8, value: Timestamp) -> &mut Self {
        self.bytes(tag, &value.as_microsecond().to_le_bytes())
    }

    /// One field for each entry.
    pub(crate) fn map(&mut self, tag: u8, map: &BTreeMap<String, String>) -> &mut Self {
        for (name, value) in map {
            self.message(tag, |entry| {
                entry.text(1, name).text(2, value);
            });
        }
        self
    }

    pub(crate) fn message(&mut self, tag: u8, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::nested();
        write(&mut inner);
        self.bytes(tag, &inner.out)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Reads the fields of a record.
pub(crate) fn record(bytes: &[u8]) -> Result<Fields<'_>, DecodeError> {
    match bytes {
        [format, rest @ ..] if u32::from(*format) == FORMAT => Ok(Fields { rest }),
        [format, ..] => Err(DecodeError::Format(*format)),
        [] => Err(DecodeError::Short),
    }
}

/// Reads the fields of a message within a record.
pub(crate) fn message(field: Field<'_>) -> Fields<'_> {
    Fields { rest: field.value }
}

/// The fields that are left.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.rest.split_first()?;
        let split = read_varint(rest)
            .and_then(|(length, rest)| rest.split_at_checked(usize::try_from(length).ok()?));
        let Some((value, rest)) = split else {
            self.rest = &[];
            return Some(Err(DecodeError::Short));
        };
        self.rest = rest;
        Some(Ok(Field { tag: *tag, value }))
    }
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
}

impl Field<'_> {
    pub(crate) fn text(self) -> Result<String, DecodeError> {
        str::from_utf8(self.value).map(str::to_owned).map_err(|_source| self.wrong())
    }

    pub(crate) fn number(self) -> Result<u64, DecodeError> {
        let mut bytes = [0; 8];
        bytes.get_mut(..self.value.len()).ok_or_else(|| self.wrong())?.copy_from_slice(self.value);
        Ok(u64::from_le_bytes(bytes))
    }

    pub(crate) fn small<T: TryFrom<u64>>(self) -> Result<T, DecodeError> {
        T::try_from(self.number()?).map_err(|_source| self.wrong())
    }

    pub(crate) fn time(self) -> Result<Timestamp, DecodeError> {
        let micros = i64::from_le_bytes(self.array()?);
        Timestamp::from_microsecond(micros).map_err(|_source| self.wrong())
    }

    pub(crate) fn array<const N: usize>(self) -> Result<[u8; N], DecodeError> {
        self.value.try_into().map_err(|_source| self.wrong())
    }

    pub(crate) fn entry(self, map: &mut BTreeMap<String, String>) -> Result<(), DecodeError> {
        let (mut name, mut value) = (None, None);
        for field in message(self) {
            let field = field?;
            match field.tag {
                1 => name = Some(field.text()?),
                2 => value = Some(field.text()?),
                tag => return Err(DecodeError::Unknown(tag)),
            }
        }
        map.insert(name.ok_or(DecodeError::Missing(1))?, value.ok_or(DecodeError::Missing(2))?);
        Ok(())
    }

    pub(crate) fn wrong(self) -> DecodeError {
        DecodeError::Value(self.tag)
    }
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut n = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let shift = u32::try_from(index).ok()?.checked_mul(7)?;
        let low = u64::from(byte & 0x7f);
        if low.leading_zeros() < shift {
            return None;
        }
        n |= low.checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return bytes.get(index.checked_add(1)?..).map(|rest| (n, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(n in any::<u64>(), small in 0_u64..300) {
            for n in [n, small, 0, u64::MAX] {
                let mut encoder = Encoder::record();
                encoder.number(3, n);
                let bytes = encoder.finish();
                let field = record(&bytes).unwrap().next().unwrap().unwrap();
                prop_assert_eq!((field.tag, field.number()), (3, Ok(n)));
                let mut out = Vec::new();
                varint(n, &mut out);
                prop_assert_eq!(read_varint(&out), Some((n, [].as_slice())));
            }
        }

        #[test]
        fn any_bytes_are_fields_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(fields) = record(&bytes) {
                let length: usize = fields.filter_map(Result::ok).map(|field| field.value.len()).sum();
                prop_assert!(length < bytes.len());
            }
        }
    }
}
