//! The key by which a Tenant's server seals identities and policies. It is made once, and lives as long as the data: without
//! it, users, access keys and policies can't be read again.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use zeroize::Zeroizing;

/// The key in a Secret.
pub const KEY: &str = "key";
/// The one before it, while it is being replaced.
pub const PREVIOUS: &str = "previous";

const LENGTH: usize = 32;

/// The data of a Secret that holds a usable key, as it is: what a person put there is never written again.
#[derive(Clone)]
pub struct IamKey(BTreeMap<String, ByteString>);

/// What is wrong with the Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IamKeyError {
    /// The key isn't in it.
    #[error("key `key` is missing; restore the Secret from a backup")]
    Missing,
    /// A value is no key.
    #[error("key `{0}` isn't 32 bytes in base64; restore the Secret from a backup")]
    NoKey(&'static str),
}

impl IamKey {
    /// A new key from `rng`.
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        rng.fill_bytes(bytes.as_mut());
        let text = STANDARD.encode(bytes.as_slice());
        Self(BTreeMap::from([(KEY.to_owned(), ByteString(text.into_bytes()))]))
    }

    /// The key in the data of a Secret.
    ///
    /// # Errors
    /// [`IamKeyError`] says what is wrong and what to do.
    pub fn parse(data: &BTreeMap<String, ByteString>) -> Result<Self, IamKeyError> {
        for name in [KEY, PREVIOUS] {
            match data.get(name) {
                None if name == KEY => return Err(IamKeyError::Missing),
                Some(value) if !is_key(&value.0) => return Err(IamKeyError::NoKey(name)),
                None | Some(_) => {}
            }
        }
        Ok(Self(data.clone()))
    }

    /// The data of the Secret that holds it.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        self.0.clone()
    }
}

impl std::fmt::Debug for IamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IamKey(redacted)")
    }
}

fn is_key(text: &[u8]) -> bool {
    STANDARD.decode(text.trim_ascii()).map(Zeroizing::new).is_ok_and(|key| key.len() == LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn a_generated_key_is_read_back_and_not_shown() {
        let made = IamKey::generate(&mut StdRng::seed_from_u64(1));
        let data = made.to_data();
        assert_eq!(IamKey::parse(&data).unwrap().to_data(), data);
        let text = String::from_utf8(data[KEY].0.clone()).unwrap();
        assert!(!format!("{made:?}").contains(&text));
        let other = IamKey::generate(&mut StdRng::seed_from_u64(2));
        assert_ne!(other.to_data(), data);
    }

    #[test]
    fn only_keys_are_taken() {
        let good = STANDARD.encode([7; 32]);
        let with = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect::<BTreeMap<_, _>>()
        };
        for (name, data, expected) in [
            ("nothing", with(&[]), Some(IamKeyError::Missing)),
            ("another name", with(&[("Key", &good)]), Some(IamKeyError::Missing)),
            ("short", with(&[(KEY, "YWJj")]), Some(IamKeyError::NoKey(KEY))),
            ("no base64", with(&[(KEY, "!")]), Some(IamKeyError::NoKey(KEY))),
            (
                "a bad previous",
                with(&[(KEY, &good), (PREVIOUS, "")]),
                Some(IamKeyError::NoKey(PREVIOUS)),
            ),
            ("both", with(&[(KEY, &good), (PREVIOUS, &good)]), None),
            ("a line end", with(&[(KEY, &format!("{good}\n"))]), None),
        ] {
            assert_eq!(IamKey::parse(&data).err(), expected, "{name}");
        }
    }
}
