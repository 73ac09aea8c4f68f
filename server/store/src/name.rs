//! The names a client gives: buckets and keys, parsed once at the edge.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use thiserror::Error;

/// A bucket's name: 3 to 63 of `a-z`, `0-9`, `-` and `.`, as DNS could carry it.
///
/// Source: AWS, "General purpose bucket naming rules".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(Box<str>);

/// Why a text is no bucket's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BucketNameError {
    /// Not 3 to 63 bytes.
    #[error("a bucket's name has 3 to 63 characters, not {0}")]
    Length(usize),
    /// A character other than `a-z`, `0-9`, `-`, `.`.
    #[error("a bucket's name has only a-z, 0-9, `-` and `.`, not {0:?}")]
    Character(char),
    /// It starts or ends with `-` or `.`.
    #[error("a bucket's name starts and ends with a letter or digit, not {0:?}")]
    Edge(char),
    /// Two dots in a row.
    #[error("a bucket's name has no two dots in a row")]
    AdjacentDots,
    /// Four decimal numbers, as an IPv4 address is written.
    #[error("a bucket's name is not written like an IP address")]
    IpAddress,
    /// A prefix that AWS keeps for itself.
    #[error("a bucket's name doesn't start with the reserved `{0}`")]
    Prefix(&'static str),
    /// A suffix that AWS keeps for itself.
    #[error("a bucket's name doesn't end with the reserved `{0}`")]
    Suffix(&'static str),
}

const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

impl BucketName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketName {
    type Err = BucketNameError;

    fn from_str(text: &str) -> Result<Self, BucketNameError> {
        if !(3..=63).contains(&text.len()) {
            return Err(BucketNameError::Length(text.chars().count()));
        }
        for character in text.chars() {
            if !matches!(character, 'a'..='z' | '0'..='9' | '-' | '.') {
                return Err(BucketNameError::Character(character));
            }
        }
        for edge in [text.chars().next(), text.chars().next_back()].into_iter().flatten() {
            if matches!(edge, '-' | '.') {
                return Err(BucketNameError::Edge(edge));
            }
        }
        if text.contains("..") {
            return Err(BucketNameError::AdjacentDots);
        }
        // `Ipv4Addr` refuses numbers over 255 and leading zeros; AWS refuses the form.
        if text.parse::<Ipv4Addr>().is_ok() || is_dotted_decimal(text) {
            return Err(BucketNameError::IpAddress);
        }
        if let Some(prefix) = RESERVED_PREFIXES.into_iter().find(|p| text.starts_with(p)) {
            return Err(BucketNameError::Prefix(prefix));
        }
        if let Some(suffix) = RESERVED_SUFFIXES.into_iter().find(|s| text.ends_with(s)) {
            return Err(BucketNameError::Suffix(suffix));
        }
        Ok(Self(text.into()))
    }
}

fn is_dotted_decimal(text: &str) -> bool {
    let mut labels = 0_usize;
    let all_decimal = text.split('.').all(|label| {
        labels = labels.saturating_add(1);
        (1..=3).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_digit())
    });
    labels == 4 && all_decimal
}

impl TryFrom<String> for BucketName {
    type Error = BucketNameError;

    fn try_from(text: String) -> Result<Self, BucketNameError> {
        text.parse()
    }
}

impl AsRef<str> for BucketName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object's key: 1 to 1,024 bytes of UTF-8, kept exactly.
///
/// Nothing in it means anything to the store: `a//b`, `..`, a leading `/`, a line feed and NUL are
/// legal and all distinct, as on AWS; no file is ever named after a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

/// Why a text is no object's key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ObjectKeyError {
    /// No byte at all.
    #[error("an object's key has at least 1 byte")]
    Empty,
    /// More than 1,024 bytes.
    #[error("an object's key has at most 1024 bytes of UTF-8, not {0}")]
    TooLong(usize),
}

impl ObjectKey {
    /// The longest key, in bytes.
    pub const MAX_LENGTH: usize = 1024;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the index held is already a key.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text.into())
    }
}

impl FromStr for ObjectKey {
    type Err = ObjectKeyError;

    fn from_str(text: &str) -> Result<Self, ObjectKeyError> {
        match text.len() {
            0 => Err(ObjectKeyError::Empty),
            1..=Self::MAX_LENGTH => Ok(Self(text.into())),
            length => Err(ObjectKeyError::TooLong(length)),
        }
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = ObjectKeyError;

    fn try_from(text: String) -> Result<Self, ObjectKeyError> {
        text.parse()
    }
}

impl AsRef<str> for ObjectKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_aws() {
        let long = "a".repeat(64);
        for (name, input, expected) in [
            ("shortest", "abc", Ok(())),
            ("dots and dashes", "a.b-c.9", Ok(())),
            ("five numbers", "1.2.3.4.5", Ok(())),
            ("too short", "ab", Err(BucketNameError::Length(2))),
            ("too long", long.as_str(), Err(BucketNameError::Length(64))),
            ("upper case", "Photos", Err(BucketNameError::Character('P'))),
            ("underscore", "a_b", Err(BucketNameError::Character('_'))),
            ("slash", "a/b", Err(BucketNameError::Character('/'))),
            ("not ASCII", "bücher", Err(BucketNameError::Character('ü'))),
            ("dash first", "-ab", Err(BucketNameError::Edge('-'))),
            ("dot last", "ab.", Err(BucketNameError::Edge('.'))),
            ("two dots", "a..b", Err(BucketNameError::AdjacentDots)),
            ("address", "192.168.5.4", Err(BucketNameError::IpAddress)),
            ("address out of range", "999.168.5.04", Err(BucketNameError::IpAddress)),
            ("punycode", "xn--abc", Err(BucketNameError::Prefix("xn--"))),
            ("sthree", "sthree-abc", Err(BucketNameError::Prefix("sthree-"))),
            ("alias", "abc-s3alias", Err(BucketNameError::Suffix("-s3alias"))),
            ("object lambda", "abc--ol-s3", Err(BucketNameError::Suffix("--ol-s3"))),
            ("directory", "abc--x-s3", Err(BucketNameError::Suffix("--x-s3"))),
        ] {
            assert_eq!(input.parse::<BucketName>().map(|_| ()), expected, "{name}");
        }
    }

    #[test]
    fn keys_are_exact_and_bounded_in_bytes() {
        for key in ["a//b", "..", "/", "a/../../b", "\0", "\n", "a ", "\u{fffe}", "ü"] {
            assert_eq!(key.parse::<ObjectKey>().unwrap().as_str(), key);
        }
        assert_eq!("".parse::<ObjectKey>(), Err(ObjectKeyError::Empty));
        assert!("ü".repeat(512).parse::<ObjectKey>().is_ok());
        assert_eq!("ü".repeat(513).parse::<ObjectKey>(), Err(ObjectKeyError::TooLong(1026)));
    }
}
