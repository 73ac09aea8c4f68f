//! TTLV, in which KMIP's messages are written: tag, type, length, value, each value filled up to eight bytes by zeros.
//!
//! What comes from a service is read strictly and within bounds: every length must be the one that its type has, every filling must be
//! zeros, nothing may be left over, and structures are nested and long to a limit. So what is read is written alike.
//!
//! Source: KMIP Specification 1.4, section 9.1.

use std::fmt;

use zeroize::Zeroizing;

/// No message is longer, in bytes.
pub const LONGEST: usize = 1024 * 1024;
/// No structures are nested more deeply.
const DEEPEST: usize = 16;
/// Tag, type and length.
const HEAD: usize = 8;
/// What values are filled up to.
const UNIT: usize = 8;

/// What an item is: three bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// One of KMIP's own: `0x42` and these two bytes.
    pub const fn of(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self(u32::from_be_bytes([0, 0x42, high, low]))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#08x}", self.0)
    }
}

/// A tag and its value.
#[derive(Debug)]
pub struct Item {
    /// What it is.
    pub tag: Tag,
    /// What it says.
    pub value: Value,
}

/// A value, by its type.
pub enum Value {
    /// Other items, in order.
    Structure(Vec<Item>),
    /// 32 bits.
    Integer(i32),
    /// 64 bits.
    LongInteger(i64),
    /// Any number of 8 bytes, two's complement.
    BigInteger(Vec<u8>),
    /// A number of a list.
    Enumeration(u32),
    /// Yes or no.
    Boolean(bool),
    /// A text.
    Text(String),
    /// Bytes. They may be a key, so they are wiped and never shown.
    Bytes(Zeroizing<Vec<u8>>),
    /// Seconds since 1970.
    DateTime(i64),
    /// Seconds.
    Interval(u32),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(items) => f.debug_list().entries(items).finish(),
            Self::Integer(number) => write!(f, "{number}"),
            Self::LongInteger(number) | Self::DateTime(number) => write!(f, "{number}"),
            Self::Enumeration(number) | Self::Interval(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::BigInteger(bytes) => write!(f, "a number of {} bytes", bytes.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// Why bytes are no TTLV, or not what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TtlvError {
    /// They end too early, or a structure ends within an item.
    #[error("an item ends too early")]
    Ends,
    /// There are more bytes than the item has.
    #[error("something follows the message")]
    Trailing,
    /// A tag of nobody's.
    #[error("`{0}` is no tag")]
    Tag(Tag),
    /// A type that isn't known.
    #[error("`{0}` has the unknown type {1}")]
    Type(Tag, u8),
    /// A length that the type can't have.
    #[error("`{0}` has a length that its type can't have")]
    Length(Tag),
    /// A filling that isn't zeros.
    #[error("`{0}` isn't filled up by zeros")]
    Filling(Tag),
    /// A text that isn't UTF-8.
    #[error("`{0}` is no UTF-8")]
    Text(Tag),
    /// A boolean that is neither.
    #[error("`{0}` is neither true nor false")]
    Boolean(Tag),
    /// Structures in structures.
    #[error("structures are nested more than {DEEPEST} deep")]
    Deep,
    /// A message over [`LONGEST`].
    #[error("a message has more than {LONGEST} bytes")]
    Long,
    /// An item that must be there once isn't there, is there twice, or has another type.
    #[error("`{0}` isn't there once, with the type that it must have")]
    Missing(Tag),
}

impl Item {
    /// A structure.
    pub fn structure(tag: Tag, items: Vec<Self>) -> Self {
        Self { tag, value: Value::Structure(items) }
    }

    /// An integer.
    pub fn integer(tag: Tag, number: i32) -> Self {
        Self { tag, value: Value::Integer(number) }
    }

    /// An enumeration.
    pub fn enumeration(tag: Tag, number: u32) -> Self {
        Self { tag, value: Value::Enumeration(number) }
    }

    /// A text.
    pub fn text(tag: Tag, text: &str) -> Self {
        Self { tag, value: Value::Text(text.to_owned()) }
    }

    /// Bytes.
    pub fn bytes(tag: Tag, bytes: &[u8]) -> Self {
        Self { tag, value: Value::Bytes(Zeroizing::new(bytes.to_vec())) }
    }

    /// Reads exactly one item.
    ///
    /// # Errors
    /// [`TtlvError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TtlvError> {
        if bytes.len() > LONGEST {
            return Err(TtlvError::Long);
        }
        let (item, rest) = decode(bytes, 0)?;
        if rest.is_empty() { Ok(item) } else { Err(TtlvError::Trailing) }
    }

    /// The item as bytes; they are wiped, as a key may be in them.
    ///
    /// # Errors
    /// [`TtlvError::Long`].
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, TtlvError> {
        let length = self.value.length().saturating_add(HEAD);
        if length > LONGEST {
            return Err(TtlvError::Long);
        }
        // All at once: a vector that grows leaves copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(filled(length)));
        self.put(&mut out)?;
        Ok(out)
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), TtlvError> {
        let Self { tag, value } = self;
        let length = value.length();
        let [_, first, second, third] = tag.0.to_be_bytes();
        out.extend([first, second, third, value.kind()]);
        out.extend(u32::try_from(length).map_err(|_long| TtlvError::Long)?.to_be_bytes());
        match value {
            Value::Structure(items) => {
                for item in items {
                    item.put(out)?;
                }
            }
            Value::Integer(number) => out.extend(number.to_be_bytes()),
            Value::LongInteger(number) | Value::DateTime(number) => {
                out.extend(number.to_be_bytes());
            }
            Value::Enumeration(number) | Value::Interval(number) => {
                out.extend(number.to_be_bytes());
            }
            Value::Boolean(value) => out.extend(u64::from(*value).to_be_bytes()),
            Value::BigInteger(bytes) => out.extend_from_slice(bytes),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Bytes(bytes) => out.extend_from_slice(bytes),
        }
        out.extend(std::iter::repeat_n(0, filled(length) - length));
        Ok(())
    }

    /// The items of a structure, in order; none of what is no structure.
    pub fn into_items(self) -> Vec<Self> {
        match self.value {
            Value::Structure(items) => items,
            _ => Vec::new(),
        }
    }

    /// The items of a structure with this tag, in order; none in what is no structure.
    pub fn all(&self, tag: Tag) -> impl Iterator<Item = &Self> {
        let items = match &self.value {
            Value::Structure(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter(move |item| item.tag == tag)
    }

    /// The one item with this tag, if there is one.
    ///
    /// # Errors
    /// [`TtlvError::Missing`] where there are two.
    pub fn perhaps(&self, tag: Tag) -> Result<Option<&Self>, TtlvError> {
        let mut found = self.all(tag);
        match (found.next(), found.next()) {
            (one, None) => Ok(one),
            (_, Some(_)) => Err(TtlvError::Missing(tag)),
        }
    }

    /// The one item with this tag.
    ///
    /// # Errors
    /// [`TtlvError::Missing`].
    pub fn one(&self, tag: Tag) -> Result<&Self, TtlvError> {
        self.perhaps(tag)?.ok_or(TtlvError::Missing(tag))
    }

    /// This item's number.
    ///
    /// # Errors
    /// [`TtlvError::Missing`] if it has another type.
    pub fn as_integer(&self) -> Result<i32, TtlvError> {
        match &self.value {
            Value::Integer(number) => Ok(*number),
            _ => Err(TtlvError::Missing(self.tag)),
        }
    }

    /// This item's number of a list.
    ///
    /// # Errors
    /// [`TtlvError::Missing`] if it has another type.
    pub fn as_enumeration(&self) -> Result<u32, TtlvError> {
        match &self.value {
            Value::Enumeration(number) => Ok(*number),
            _ => Err(TtlvError::Missing(self.tag)),
        }
    }

    /// This item's text.
    ///
    /// # Errors
    /// [`TtlvError::Missing`] if it has another type.
    pub fn as_text(&self) -> Result<&str, TtlvError> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(TtlvError::Missing(self.tag)),
        }
    }

    /// This item's bytes.
    ///
    /// # Errors
    /// [`TtlvError::Missing`] if it has another type.
    pub fn as_bytes(&self) -> Result<&[u8], TtlvError> {
        match &self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(TtlvError::Missing(self.tag)),
        }
    }
}

impl Value {
    /// The type's number.
    const fn kind(&self) -> u8 {
        match self {
            Self::Structure(_) => 1,
            Self::Integer(_) => 2,
            Self::LongInteger(_) => 3,
            Self::BigInteger(_) => 4,
            Self::Enumeration(_) => 5,
            Self::Boolean(_) => 6,
            Self::Text(_) => 7,
            Self::Bytes(_) => 8,
            Self::DateTime(_) => 9,
            Self::Interval(_) => 10,
        }
    }

    /// Without head and filling.
    fn length(&self) -> usize {
        match self {
            Self::Structure(items) => items
                .iter()
                .map(|item| filled(item.value.length()).saturating_add(HEAD))
                .fold(0, usize::saturating_add),
            Self::Integer(_) | Self::Enumeration(_) | Self::Interval(_) => 4,
            Self::LongInteger(_) | Self::Boolean(_) | Self::DateTime(_) => 8,
            Self::BigInteger(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

const fn filled(length: usize) -> usize {
    length.saturating_add(UNIT - 1) / UNIT * UNIT
}

/// How long a message is in all, by its head; `None` if it is no structure with this tag, or too long.
pub fn whole(head: [u8; HEAD], tag: Tag) -> Option<usize> {
    let [first, second, third, kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
    let fits = Tag(u32::from_be_bytes([0, first, second, third])) == tag
        && kind == 1
        && length.is_multiple_of(UNIT)
        && length <= LONGEST - HEAD;
    fits.then_some(length + HEAD)
}

/// The first item of these bytes, and what follows.
fn decode(bytes: &[u8], depth: usize) -> Result<(Item, &[u8]), TtlvError> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(TtlvError::Ends)?;
    let [first, second, third, kind, length @ ..] = *head;
    let tag = Tag(u32::from_be_bytes([0, first, second, third]));
    if !matches!(first, 0x42 | 0x54) {
        return Err(TtlvError::Tag(tag));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_long| TtlvError::Long)?;
    let value = rest.get(..length).ok_or(TtlvError::Ends)?;
    let filling = rest.get(length..filled(length)).ok_or(TtlvError::Ends)?;
    let rest = rest.get(filled(length)..).ok_or(TtlvError::Ends)?;
    if filling.iter().any(|byte| *byte != 0) {
        return Err(TtlvError::Filling(tag));
    }
    let wrong = |_length| TtlvError::Length(tag);
    let value = match kind {
        1 => Value::Structure(items(value, depth + 1)?),
        2 => Value::Integer(i32::from_be_bytes(value.try_into().map_err(wrong)?)),
        3 => Value::LongInteger(i64::from_be_bytes(value.try_into().map_err(wrong)?)),
        4 if !value.is_empty() && value.len().is_multiple_of(UNIT) => {
            Value::BigInteger(value.to_vec())
        }
        4 => return Err(TtlvError::Length(tag)),
        5 => Value::Enumeration(u32::from_be_bytes(value.try_into().map_err(wrong)?)),
        6 => match u64::from_be_bytes(value.try_into().map_err(wrong)?) {
            0 => Value::Boolean(false),
            1 => Value::Boolean(true),
            _ => return Err(TtlvError::Boolean(tag)),
        },
        7 => match std::str::from_utf8(value) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_invalid) => return Err(TtlvError::Text(tag)),
        },
        8 => Value::Bytes(Zeroizing::new(value.to_vec())),
        9 => Value::DateTime(i64::from_be_bytes(value.try_into().map_err(wrong)?)),
        10 => Value::Interval(u32::from_be_bytes(value.try_into().map_err(wrong)?)),
        kind => return Err(TtlvError::Type(tag, kind)),
    };
    Ok((Item { tag, value }, rest))
}

fn items(mut bytes: &[u8], depth: usize) -> Result<Vec<Item>, TtlvError> {
    if depth > DEEPEST {
        return Err(TtlvError::Deep);
    }
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (item, rest) = decode(bytes, depth)?;
        items.push(item);
        bytes = rest;
    }
    Ok(items)
}

#[cfg(test)]
mod tests;
