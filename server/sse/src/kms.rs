//! The KMS: makes data keys under an external key, and opens them again.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;

use crate::PlainKey;
use crate::context::Context;

/// A service that holds external keys.
///
/// Every implementation retries what may pass by itself, within a bounded time, and passes one suite of behaviours.
#[async_trait]
pub trait Kms: fmt::Debug + Send + Sync {
    /// Makes a data key under an external key. It opens with the same context only.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn generate_data_key(
        &self,
        key: &KeyName,
        context: &Context,
    ) -> Result<DataKey, KmsError>;

    /// Opens a data key that [`Self::generate_data_key`] has sealed.
    ///
    /// # Errors
    /// [`KmsError`]; [`KmsError::Invalid`] for another context, another key or changed bytes.
    async fn open_data_key(
        &self,
        key: &KeyName,
        sealed: &[u8],
        context: &Context,
    ) -> Result<PlainKey, KmsError>;

    /// Creates an external key.
    ///
    /// # Errors
    /// [`KmsError`]; [`KmsError::Exists`] if the name is taken, [`KmsError::Unsupported`] where keys come from elsewhere.
    async fn create_key(&self, key: &KeyName) -> Result<(), KmsError>;

    /// What the service says of an external key, without using it.
    ///
    /// # Errors
    /// [`KmsError`]; [`KmsError::NoSuchKey`] for an unknown one.
    async fn key_status(&self, key: &KeyName) -> Result<KeyStatus, KmsError>;

    /// The names of all external keys that this service shows, in order. Keys whose names aren't [`KeyName`]s are left out.
    ///
    /// # Errors
    /// [`KmsError`].
    async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError>;
}

/// A data key: in the clear, and as it may be kept.
#[derive(Debug)]
pub struct DataKey {
    /// For use now.
    pub plain: PlainKey,
    /// Sealed by the service; opaque.
    pub sealed: Bytes,
}

/// Whether an external key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It makes and opens data keys.
    Enabled,
    /// It is there, but switched off or about to be deleted.
    Disabled,
}

/// What went wrong with the KMS. No text of the service is in it but what an operator may read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KmsError {
    /// There is no such external key.
    #[error("the KMS has no key `{0}`; create it, or name another")]
    NoSuchKey(KeyName),
    /// The key is switched off, or about to be deleted.
    #[error("the KMS's key `{0}` is disabled; enable it to read what it protects")]
    Disabled(KeyName),
    /// The service refuses this server.
    #[error("the KMS refuses access ({0}); check the credentials and what they may do")]
    Denied(String),
    /// The service can't be reached, or fails, or is too slow. Passes by itself once the service is back.
    #[error("the KMS can't be reached ({0}); check its address, its CA and that it runs")]
    Unreachable(String),
    /// A key of this name is there already.
    #[error("the KMS has a key `{0}` already; choose another name")]
    Exists(KeyName),
    /// This service can't do it.
    #[error("this KMS can't {0}")]
    Unsupported(&'static str),
    /// The sealed data key is not what this key and context have sealed.
    #[error(
        "the sealed data key doesn't open under `{0}` and its context; it was changed, or belongs elsewhere"
    )]
    Invalid(KeyName),
    /// The provider's settings can't be used.
    #[error("the KMS's settings can't be used: {0}")]
    Settings(String),
    /// The service answered what it shouldn't.
    #[error(
        "the KMS gave an answer that can't be understood ({0}); is it the service that the settings say?"
    )]
    Answer(String),
}

impl KmsError {
    /// Whether the same call may succeed later, with nothing changed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::NoSuchKey(_)
            | Self::Disabled(_)
            | Self::Denied(_)
            | Self::Exists(_)
            | Self::Unsupported(_)
            | Self::Invalid(_)
            | Self::Settings(_)
            | Self::Answer(_) => false,
        }
    }
}

/// The name of an external key: 1 to 128 of `A-Z a-z 0-9 _ . -`, the first and the last a letter, a digit or `_`.
///
/// So it is one segment of a path as it stands, in every provider's URL, and a file's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(Box<str>);

/// Why a text is no key's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyNameError {
    /// Too short or too long.
    #[error("a key's name has 1 to 128 characters, not {0}")]
    Length(usize),
    /// A character that it can't have, or not there.
    #[error(
        "a key's name can't have `{0}` there; use letters, digits, `_`, and between them `.` and `-`"
    )]
    Character(char),
}

impl KeyName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        if !(1..=128).contains(&text.len()) {
            return Err(KeyNameError::Length(text.len()));
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if let Some(c) = text.chars().find(|c| !word(*c) && !matches!(c, '.' | '-')) {
            return Err(KeyNameError::Character(c));
        }
        for end in [text.chars().next(), text.chars().next_back()].into_iter().flatten() {
            if !word(end) {
                return Err(KeyNameError::Character(end));
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_one_segment_of_a_path_is_a_name() {
        for good in ["a", "photos", "_x", "a.b-c_9", &"k".repeat(128)] {
            let name = good.parse::<KeyName>().unwrap();
            assert_eq!((name.as_str(), &*name.to_string()), (good, good));
        }
        for (bad, error) in [
            ("", KeyNameError::Length(0)),
            (&*"k".repeat(129), KeyNameError::Length(129)),
            ("..", KeyNameError::Character('.')),
            (".a", KeyNameError::Character('.')),
            ("a.", KeyNameError::Character('.')),
            ("-a", KeyNameError::Character('-')),
            ("a-", KeyNameError::Character('-')),
            ("a/b", KeyNameError::Character('/')),
            ("../sys/seal", KeyNameError::Character('/')),
            ("a%2fb", KeyNameError::Character('%')),
            ("a?b", KeyNameError::Character('?')),
            ("a#b", KeyNameError::Character('#')),
            ("a b", KeyNameError::Character(' ')),
            ("a\nb", KeyNameError::Character('\n')),
            ("schlüssel", KeyNameError::Character('ü')),
            ("a:b", KeyNameError::Character(':')),
        ] {
            assert_eq!(bad.parse::<KeyName>(), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn only_a_service_that_is_away_is_worth_another_try() {
        let name: KeyName = "k".parse().unwrap();
        assert!(KmsError::Unreachable("timeout".to_owned()).is_retryable());
        assert!(!KmsError::NoSuchKey(name.clone()).is_retryable());
        assert!(!KmsError::Invalid(name).is_retryable());
        assert!(!KmsError::Denied("403".to_owned()).is_retryable());
    }
}
