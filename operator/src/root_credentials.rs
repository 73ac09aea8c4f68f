//! A Tenant's root credentials: generated, or read from the Secret that the user brings.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use rand::distr::{Distribution, Uniform};
use zeroize::Zeroizing;

/// The key of the access key in a Secret.
pub const ACCESS_KEY: &str = "accessKey";
/// The key of the secret key in a Secret.
pub const SECRET_KEY: &str = "secretKey";

const ACCESS_KEY_LENGTH: usize = 20;
const SECRET_KEY_LENGTH: usize = 40;
const UPPER_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A secret key. It is shown nowhere; [`SecretKey::reveal`] is where it leaves.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// The key itself, to sign with or to write into a Secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

/// The root identity's keys.
#[derive(Clone, Debug)]
pub struct RootCredentials {
    /// The access key: a name, not a secret.
    pub access_key: String,
    /// The secret key.
    pub secret_key: SecretKey,
}

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
}

impl RootCredentials {
    /// New credentials from `rng`.
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Self {
        Self {
            access_key: random_text(UPPER_AND_DIGITS, ACCESS_KEY_LENGTH, rng),
            secret_key: SecretKey(Zeroizing::new(random_text(
                LETTERS_AND_DIGITS,
                SECRET_KEY_LENGTH,
                rng,
            ))),
        }
    }

    /// Credentials from the data of a Secret.
    ///
    /// # Errors
    /// [`RootCredentialsError`] names the key and what to do.
    pub fn parse(data: &BTreeMap<String, ByteString>) -> Result<Self, RootCredentialsError> {
        Ok(Self {
            access_key: value(data, ACCESS_KEY, 3)?,
            secret_key: SecretKey(Zeroizing::new(value(data, SECRET_KEY, 8)?)),
        })
    }

    /// The data of the Secret that holds these credentials.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        BTreeMap::from([
            (ACCESS_KEY.to_owned(), ByteString(self.access_key.clone().into_bytes())),
            (SECRET_KEY.to_owned(), ByteString(self.secret_key.reveal().as_bytes().to_vec())),
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
        let made = RootCredentials::generate(&mut StdRng::seed_from_u64(1));
        let read = RootCredentials::parse(&made.to_data()).unwrap();
        assert_eq!((made.access_key.len(), made.secret_key.reveal().len()), (20, 40));
        assert_eq!(read.access_key, made.access_key);
        assert_eq!(read.secret_key.reveal(), made.secret_key.reveal());
        assert!(!format!("{made:?}").contains(made.secret_key.reveal()));
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
