//! A key in the clear, as a type that can't be printed, compared or copied, and is wiped.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// 32 bytes of a key.
pub struct PlainKey(Zeroizing<[u8; 32]>);

/// The library failed: no randomness, or an impossible length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cryptographic library failed; restart, and look at the machine's source of randomness"
)]
pub struct CryptoFailed;

impl PlainKey {
    /// Takes the bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Takes bytes that came from outside; `None` unless they are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// A fresh random key.
    ///
    /// # Errors
    /// [`CryptoFailed`] when there is no randomness.
    pub fn random() -> Result<Self, CryptoFailed> {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_opaque| CryptoFailed)?;
        Ok(Self(key))
    }

    /// The bytes, for a cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Binds this key to a context, for a KMS that can't: the key to use in its place, and a value that tells whether the same key
    /// and context come again. `HKDF-SHA256(salt: none, key: this, info: domain ‖ context, 64 bytes)`, its two halves.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn bound_to(&self, domain: &str, context: &[u8]) -> Result<(Self, [u8; 32]), CryptoFailed> {
        let okm: Zeroizing<[u8; 64]> = self.derive(&[], &[domain.as_bytes(), context])?;
        let (key, rest) = okm.split_first_chunk::<32>().ok_or(CryptoFailed)?;
        let value = rest.first_chunk::<32>().ok_or(CryptoFailed)?;
        Ok((Self(Zeroizing::new(*key)), *value))
    }

    /// HKDF-SHA256 of this key.
    pub(crate) fn derive<const N: usize>(
        &self,
        salt: &[u8],
        info: &[&[u8]],
    ) -> Result<Zeroizing<[u8; N]>, CryptoFailed> {
        let mut derived = Zeroizing::new([0; N]);
        Salt::new(HKDF_SHA256, salt)
            .extract(self.0.as_slice())
            .expand(info, Length(N))
            .and_then(|okm| okm.fill(derived.as_mut_slice()))
            .map_err(|_opaque| CryptoFailed)?;
        Ok(derived)
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(redacted)")
    }
}

#[derive(Clone, Copy)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Random bytes that needn't be secret.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CryptoFailed> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_opaque| CryptoFailed)?;
    Ok(bytes)
}
