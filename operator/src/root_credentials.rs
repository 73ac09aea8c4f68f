//! A Tenant's root credentials: generated, or read from the Secret that the user brings.

use std::collections::BTreeMap;

use coffer_signature::{AccessKeyIdError, Credentials, SecretKey};
use k8s_openapi::ByteString;
use rand::distr::{Distribution, Uniform};

/// The key of the access key in a Secret.
pub const ACCESS_KEY: &str = "accessKey";
/// The key of the secret key in a Secret.
pub const SECRET_KEY: &str = "secretKey";

const ACCESS_KEY_LENGTH: usize = 20;
const SECRET_KEY_LENGTH: usize = 40;
const UPPER_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The root identity's keys.
#[derive(Clone, Debug)]
pub struct RootCredentials(Credentials);

/// What is wrong with a Secret that should hold root credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootCredentialsError {
    /// A key isn't in the Secret.
    #[error("key `{0}` is missing; add it")]
    Missing(&'static str),
    /// A value has the wrong length.
    #[error("key `{key}` has {length} characters; give it {min} to 128")]
    Length {
        /// The Secret's key.
        key: &'static str,
        /// How long the value is.
        length: usize,
        /// How long it must be.
        min: usize,
    },
    /// A value has characters that a signature can't carry.
    #[error(
        "key `{0}` holds a character that isn't printable ASCII; use letters and digits, without a line end"
    )]
    Characters(&'static str),
    /// The access key isn't one.
    #[error("key `accessKey`: {0}")]
    AccessKey(AccessKeyIdError),
}

impl RootCredentials {
    /// New credentials from `rng`.
    ///
    /// # Errors
    /// Never in truth: the generated access key is of letters and digits.
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Result<Self, RootCredentialsError> {
        let access_key = random_text(UPPER_AND_DIGITS, ACCESS_KEY_LENGTH, rng);
        Self::new(&access_key, random_text(LETTERS_AND_DIGITS, SECRET_KEY_LENGTH, rng))
    }

    /// Credentials from the data of a Secret.
    ///
    /// # Errors
    /// [`RootCredentialsError`] names the key and what to do.
    pub fn parse(data: &BTreeMap<String, ByteString>) -> Result<Self, RootCredentialsError> {
        Self::new(&value(data, ACCESS_KEY, 3)?, value(data, SECRET_KEY, 8)?)
    }

    /// A new secret for this access key.
    ///
    /// # Errors
    /// [`RootCredentialsError`] if it isn't one.
    pub fn generate_for(
        access_key: &str,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Self, RootCredentialsError> {
        Self::new(access_key, random_text(LETTERS_AND_DIGITS, SECRET_KEY_LENGTH, rng))
    }

    /// An access key and its secret.
    ///
    /// # Errors
    /// [`RootCredentialsError`] if they can't be such.
    pub fn of(access_key: &str, secret_key: String) -> Result<Self, RootCredentialsError> {
        Self::new(access_key, secret_key)
    }

    fn new(access_key: &str, secret_key: String) -> Result<Self, RootCredentialsError> {
        Ok(Self(Credentials {
            access_key_id: access_key.parse().map_err(RootCredentialsError::AccessKey)?,
            secret_key: SecretKey::new(secret_key),
            session_token: None,
        }))
    }

    /// What to sign with.
    pub fn credentials(&self) -> &Credentials {
        &self.0
    }

    /// The access key: a name, not a secret.
    pub fn access_key(&self) -> &str {
        self.0.access_key_id.as_str()
    }

    /// The secret key, to hand it to its owner.
    pub fn secret_key(&self) -> &str {
        self.0.secret_key.expose()
    }

    /// The data of the Secret that holds these credentials.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        BTreeMap::from([
            (ACCESS_KEY.to_owned(), ByteString(self.access_key().as_bytes().to_vec())),
            (SECRET_KEY.to_owned(), ByteString(self.secret_key().as_bytes().to_vec())),
        ])
    }
}

fn value(
    data: &BTreeMap<String, ByteString>,
    key: &'static str,
    min: usize,
) -> Result<String, RootCredentialsError> {
    let bytes = &data.get(key).ok_or(RootCredentialsError::Missing(key))?.0;
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(RootCredentialsError::Characters(key));
    }
    if bytes.len() < min || bytes.len() > 128 {
        return Err(RootCredentialsError::Length { key, length: bytes.len(), min });
    }
    // All of it is ASCII, so nothing is replaced.
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn random_text(alphabet: &[u8], length: usize, rng: &mut impl rand::CryptoRng) -> String {
    Uniform::new(0, alphabet.len())
        .into_iter()
        .flat_map(|index| index.sample_iter(&mut *rng).take(length).collect::<Vec<_>>())
        .filter_map(|index| alphabet.get(index))
        .map(|&byte| char::from(byte))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn generated_credentials_are_read_back() {
        let made = RootCredentials::generate(&mut StdRng::seed_from_u64(1)).unwrap();
        let read = RootCredentials::parse(&made.to_data()).unwrap();
        assert_eq!((made.access_key().len(), made.secret_key().len()), (20, 40));
        assert_eq!(read.access_key(), made.access_key());
        assert_eq!(read.secret_key(), made.secret_key());
        assert!(!format!("{made:?}").contains(made.secret_key()));
    }

    #[test]
    fn unusable_secrets_are_refused() {
        let data = |access: &str, secret: &str| {
            BTreeMap::from([
                (ACCESS_KEY.to_owned(), ByteString(access.into())),
                (SECRET_KEY.to_owned(), ByteString(secret.into())),
            ])
        };
        for (name, data, expected) in [
            ("nothing", BTreeMap::new(), RootCredentialsError::Missing(ACCESS_KEY)),
            (
                "empty",
                data("", "secretsecret"),
                RootCredentialsError::Length { key: ACCESS_KEY, length: 0, min: 3 },
            ),
            (
                "short",
                data("abc", "secret"),
                RootCredentialsError::Length { key: SECRET_KEY, length: 6, min: 8 },
            ),
            (
                "line end",
                data("abc", "secretsecret\n"),
                RootCredentialsError::Characters(SECRET_KEY),
            ),
        ] {
            assert_eq!(RootCredentials::parse(&data).unwrap_err(), expected, "{name}");
        }
    }
}
