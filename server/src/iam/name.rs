//! Names of users, groups, policies and access keys: what may be one.
//!
//! Source: the limits that `mc` and `madmin` users know; AWS's where those are silent.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use coffer_store::BucketName;

use super::Refused;

/// The name of a user, group or policy, or an access key. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Bytes that a name may have.
const LONGEST: usize = 256;

impl Name {
    /// A user's name, which is an access key too: at least 3 characters.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidAccessKey`.
    pub fn user(text: &str) -> Result<Self, Refused> {
        let name = Self::any(text)?;
        if text.chars().count() < 3 || text.contains('/') {
            Err(Refused::InvalidAccessKey)
        } else {
            Ok(name)
        }
    }

    /// The access key of a service account: 3 to 20 characters.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidAccessKey`.
    pub fn access_key(text: &str) -> Result<Self, Refused> {
        let name = Self::user(text)?;
        if text.chars().count() > 20 { Err(Refused::InvalidAccessKey) } else { Ok(name) }
    }

    /// A group's name.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidGroupName`.
    pub fn group(text: &str) -> Result<Self, Refused> {
        Self::any(text).map_err(|refused| match refused {
            Refused::InvalidAccessKey => Refused::InvalidGroupName,
            other => other,
        })
    }

    /// A policy's name.
    ///
    /// # Errors
    /// `InvalidName`, `InvalidPolicyName`.
    pub fn policy(text: &str) -> Result<Self, Refused> {
        Self::any(text).map_err(|refused| match refused {
            Refused::InvalidAccessKey => Refused::InvalidPolicyName,
            other => other,
        })
    }

    /// A bucket's name.
    pub fn bucket(bucket: &BucketName) -> Self {
        Self(bucket.as_str().into())
    }

    fn any(text: &str) -> Result<Self, Refused> {
        if text.trim() != text {
            return Err(Refused::InvalidName);
        }
        // `=` and `,` separate what clients list names with; controls and too much text have no honest use.
        let is_odd = |char: char| matches!(char, '=' | ',') || char.is_control();
        if text.is_empty() || text.len() > LONGEST || text.contains(is_odd) {
            return Err(Refused::InvalidAccessKey);
        }
        Ok(Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that was read from a sealed row: it was checked when it was put there.
    pub(super) fn kept(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_names_are_taken() {
        for (text, user, access_key, group) in [
            ("alice", true, true, true),
            ("al", false, false, true),
            ("alice@example.com", true, true, true),
            ("a-name-longer-than-20-characters", true, false, true),
            (" alice", false, false, false),
            ("a=b", false, false, false),
            ("a,b", false, false, false),
            ("a/b", false, false, true),
            ("a\nb", false, false, false),
            ("", false, false, false),
        ] {
            assert_eq!(Name::user(text).is_ok(), user, "user {text:?}");
            assert_eq!(Name::access_key(text).is_ok(), access_key, "access key {text:?}");
            assert_eq!(Name::group(text).is_ok(), group, "group {text:?}");
        }
        assert!(Name::user(&"a".repeat(257)).is_err());
    }
}
