//! Condition keys: what a condition or a variable may ask about.

mod table;

use std::fmt;

pub use table::Key;

use crate::suggest;

/// What follows a key's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suffix {
    /// Nothing.
    None,
    /// A slash and a name, such as `aws:PrincipalTag/team`. Case doesn't count if no name of the same case is there, as on AWS.
    Slash,
    /// A colon and a name, such as `jwt:sub`. Case counts.
    Colon,
}

impl Key {
    /// Its name, without a suffix.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// What follows its name.
    pub fn suffix(self) -> Suffix {
        self.row().map_or(Suffix::None, |row| row.suffix)
    }

    /// Where its value comes from, for a person.
    pub fn source(self) -> &'static str {
        self.row().map_or("", |row| row.source)
    }

    /// One key of this family, such as `Key::S3ExistingObjectTag.of("team")`. For a key without suffix nothing ever asks for it.
    pub const fn of(self, suffix: &str) -> ContextKey<'_> {
        ContextKey { key: self, suffix }
    }

    #[expect(clippy::as_conversions, reason = "the number of a variant without fields")]
    pub(crate) const fn number(self) -> usize {
        self as usize
    }

    fn row(self) -> Option<&'static table::Row> {
        table::ROWS.get(self.number())
    }
}

const _: () = assert!(Key::ALL.len() < 255 && Key::ALL.len() == table::ROWS.len());

/// A key with its suffix, if it is one of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextKey<'a> {
    pub(crate) key: Key,
    pub(crate) suffix: &'a str,
}

impl<'a> ContextKey<'a> {
    /// Reads a key as policies write it. Case doesn't count in names, as on AWS.
    ///
    /// # Errors
    /// [`UnknownKey`], with what was likely meant.
    pub fn parse(text: &'a str) -> Result<Self, UnknownKey> {
        for key in Key::ALL {
            if key.suffix() == Suffix::None && key.name().eq_ignore_ascii_case(text) {
                return Ok(Self { key: *key, suffix: "" });
            }
        }
        for key in Key::ALL {
            let separator = match key.suffix() {
                Suffix::None => continue,
                Suffix::Slash => '/',
                Suffix::Colon => ':',
            };
            let name = key.name();
            if let (Some(start), Some(rest)) = (text.get(..name.len()), text.get(name.len()..))
                && start.eq_ignore_ascii_case(name)
                && let Some(suffix) = rest.strip_prefix(separator)
                && !suffix.is_empty()
            {
                return Ok(Self { key: *key, suffix });
            }
        }
        Err(UnknownKey { near: near(text), name: text.to_owned() })
    }

    /// The key, without its suffix.
    pub fn key(&self) -> Key {
        self.key
    }

    /// What follows the key's name; empty if nothing does.
    pub fn suffix(&self) -> &'a str {
        self.suffix
    }
}

/// The key that was likely meant.
fn near(text: &str) -> Option<String> {
    let names = || Key::ALL.iter().map(|key| key.name());
    let bare = names().find(|name| name.split_once(':').is_some_and(|(_, bare)| bare == text));
    let found = bare.map(ToOwned::to_owned).or_else(|| suggest::near(text, names()))?;
    let suffix = match Key::ALL.iter().find(|key| key.name() == found)?.suffix() {
        Suffix::None => "",
        Suffix::Slash => "/NAME",
        Suffix::Colon => ":NAME",
    };
    Some(format!("{found}{suffix}"))
}

impl From<Key> for ContextKey<'_> {
    fn from(key: Key) -> Self {
        Self { key, suffix: "" }
    }
}

impl fmt::Display for ContextKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.suffix() {
            Suffix::None => f.write_str(self.key.name()),
            Suffix::Slash => write!(f, "{}/{}", self.key.name(), self.suffix),
            Suffix::Colon => write!(f, "{}:{}", self.key.name(), self.suffix),
        }
    }
}

/// A key that doesn't exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown condition key `{name}`")]
pub struct UnknownKey {
    /// What was asked for.
    pub name: String,
    /// What was likely meant.
    pub near: Option<String>,
}

/// A key that a policy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedKey {
    pub(crate) key: Key,
    pub(crate) suffix: Box<str>,
}

impl OwnedKey {
    pub(crate) fn borrow(&self) -> ContextKey<'_> {
        ContextKey { key: self.key, suffix: &self.suffix }
    }
}

impl From<ContextKey<'_>> for OwnedKey {
    fn from(key: ContextKey<'_>) -> Self {
        Self { key: key.key, suffix: key.suffix.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_again() {
        for key in Key::ALL {
            assert!(!key.source().is_empty(), "{key:?}");
            let text = match key.suffix() {
                Suffix::None => key.name().to_owned(),
                Suffix::Slash | Suffix::Colon => {
                    ContextKey { key: *key, suffix: "Team" }.to_string()
                }
            };
            let parsed = ContextKey::parse(&text).unwrap();
            assert_eq!(parsed.key(), *key, "{text}");
            assert_eq!(parsed.to_string(), text);
            assert_eq!(
                ContextKey::parse(&text.to_uppercase()).map(|key| key.key()),
                Ok(*key),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_that_nothing_makes_is_unknown() {
        for (text, near) in [
            ("s3:prefx", Some("s3:prefix")),
            ("aws:SourceIP4", Some("aws:SourceIp")),
            ("aws:PrincipalTag", Some("aws:PrincipalTag/NAME")),
            ("jwt:", Some("jwt:NAME")),
            ("SourceIp", Some("aws:SourceIp")),
            ("", None),
        ] {
            let unknown = ContextKey::parse(text).unwrap_err();
            assert_eq!(unknown.near.as_deref(), near, "{text}");
        }
    }
}
