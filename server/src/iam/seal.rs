//! Seals rows by the tenant's key: AES-256-GCM with a random nonce, the row's name as associated data.
//!
//! ```text
//! 1 byte   form: 1
//! 8 bytes  the key's id: the first of SHA-256("coffer iam key\0" + key)
//! 12 bytes nonce
//! rest     ciphertext and tag
//! ```
//! A row is a few hundred bytes and changes rarely: random nonces stay far below the 2^32 messages that one key may seal.

use std::fmt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The form's number.
const FORM: u8 = 1;
const ID_LEN: usize = 8;
const HEAD_LEN: usize = 1 + ID_LEN;

/// The tenant's key, and the one before it while rows are sealed anew.
pub struct SealingKeys {
    current: Key,
    previous: Option<Key>,
}

struct Key {
    id: [u8; ID_LEN],
    key: LessSafeKey,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeysError {
    /// A file can't be read.
    #[error("can't read `{file}`; mount the Secret with the key of identities and policies there")]
    Unreadable {
        /// The file's path.
        file: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file doesn't hold a key.
    #[error("`{0}` holds no key; give it 32 random bytes in base64")]
    NoKey(&'static str),
}

/// Why bytes can't be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// They are no sealed row.
    #[error("it isn't sealed in a form that this version knows")]
    Form,
    /// The key is another.
    #[error("it is sealed by another key; give the server the one that it had, as `previous`")]
    Key,
    /// The bytes, or the row's name, were changed.
    #[error("it was changed or moved from another row")]
    Changed,
}

impl SealingKeys {
    /// The files that hold the keys, within a folder; the second may be missing.
    pub const FILES: [&'static str; 2] = ["key", "previous"];

    /// Reads `key` and, if it is there, `previous` in `folder`: 32 bytes each, in base64.
    ///
    /// # Errors
    /// [`SealingKeysError`] when `key` is missing, or a file holds no key.
    pub fn read(folder: &Path) -> Result<Self, SealingKeysError> {
        let [name, previous_name] = Self::FILES;
        let unreadable = |name: &str, cause| SealingKeysError::Unreadable {
            file: folder.join(name).display().to_string(),
            cause,
        };
        let text = |name| std::fs::read_to_string(folder.join(name)).map(Zeroizing::new);
        let key = text(name).map_err(|cause| unreadable(name, cause))?;
        let current = Key::parse(&key).ok_or(SealingKeysError::NoKey(name))?;
        let previous = match text(previous_name) {
            Ok(key) => Some(Key::parse(&key).ok_or(SealingKeysError::NoKey(previous_name))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(cause) => return Err(unreadable(previous_name, cause)),
        };
        Ok(Self { current, previous })
    }

    /// Whether the current key sealed this row.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..HEAD_LEN) == Some(self.current.id.as_slice())
    }

    pub(super) fn seal(&self, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = Vec::with_capacity(HEAD_LEN + NONCE_LEN + plain.len() + 16);
        sealed.push(FORM);
        sealed.extend(self.current.id);
        sealed.extend(nonce);
        let mut text = plain.to_vec();
        let key = &self.current.key;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(row),
            &mut text,
        )
        .map_err(|_opaque| SealError::Form)?;
        sealed.append(&mut text);
        Ok(sealed)
    }

    pub(super) fn open(&self, row: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (head, rest) = sealed.split_at_checked(HEAD_LEN).ok_or(SealError::Form)?;
        let Some((&FORM, id)) = head.split_first() else { return Err(SealError::Form) };
        let keys = [Some(&self.current), self.previous.as_ref()];
        let key = keys.into_iter().flatten().find(|key| key.id == id).ok_or(SealError::Key)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Form)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_opaque| SealError::Form)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = key
            .key
            .open_in_place(nonce, Aad::from(row), &mut text)
            .map_err(|_opaque| SealError::Changed)?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        let named = Zeroizing::new([b"coffer iam key\0".as_slice(), &bytes].concat());
        let id = digest(&SHA256, &named).as_ref().first_chunk().copied()?;
        Some(Self { id, key })
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKeys(redacted)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn keys(current: u8, previous: Option<u8>) -> SealingKeys {
        let key = |byte: u8| Key::parse(&STANDARD.encode([byte; 32])).unwrap();
        SealingKeys { current: key(current), previous: previous.map(key) }
    }

    #[test]
    fn a_row_opens_only_as_it_was_sealed() {
        let keys_1 = keys(1, None);
        let sealed = keys_1.seal(b"ualice", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(keys_1.open(b"ualice", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(keys_1.open(b"ubob", &sealed).unwrap_err(), SealError::Changed);
        assert_eq!(keys(2, None).open(b"ualice", &sealed).unwrap_err(), SealError::Key);
        assert!(keys(2, Some(1)).open(b"ualice", &sealed).is_ok());
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(keys_1.open(b"ualice", &bent).is_err(), "byte {at}");
            assert!(keys_1.open(b"ualice", &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
