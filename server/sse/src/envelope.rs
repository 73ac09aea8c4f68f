//! Seals one key under another, and commits to it. The form is in the crate's documentation.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::secret::{CryptoFailed, PlainKey, random};

/// A sealed key of 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub(crate) salt: [u8; 32],
    pub(crate) commitment: [u8; 32],
    pub(crate) sealed: [u8; 48],
}

/// Why an envelope doesn't open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The upper key, or what is associated, is another, or the envelope was changed.
    #[error("it wasn't sealed under this key for this place, or was changed")]
    Refused,
    /// The library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

/// What the upper key gives for one envelope.
struct Derived {
    key: LessSafeKey,
    commitment: Zeroizing<[u8; 32]>,
}

impl Derived {
    fn new(
        upper: &PlainKey,
        salt: &[u8],
        domain: &str,
        associated: &[u8],
    ) -> Result<Self, CryptoFailed> {
        let okm: Zeroizing<[u8; 64]> = upper.derive(salt, &[domain.as_bytes(), associated])?;
        let (key, rest) = okm.split_first_chunk::<32>().ok_or(CryptoFailed)?;
        let rest = rest.first_chunk::<32>().ok_or(CryptoFailed)?;
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_opaque| CryptoFailed)?;
        Ok(Self { key: LessSafeKey::new(key), commitment: Zeroizing::new(*rest) })
    }
}

/// The derived key is used once, so its nonce is a constant.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

impl Envelope {
    /// Its length, as bytes.
    pub const LENGTH: usize = 112;

    /// Seals `plain` under `upper`, under a fresh salt. `domain` tells uses apart and never is the beginning of another one.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn seal(
        upper: &PlainKey,
        domain: &str,
        associated: &[u8],
        plain: &PlainKey,
    ) -> Result<Self, CryptoFailed> {
        Self::seal_salted(random()?, upper, domain, associated, plain)
    }

    /// The same under a salt that the caller answers for: never twice with one upper key.
    pub(crate) fn seal_salted(
        salt: [u8; 32],
        upper: &PlainKey,
        domain: &str,
        associated: &[u8],
        plain: &PlainKey,
    ) -> Result<Self, CryptoFailed> {
        let derived = Derived::new(upper, &salt, domain, associated)?;
        let mut text = Zeroizing::new(*plain.expose());
        let tag = derived
            .key
            .seal_in_place_separate_tag(nonce(), Aad::from(associated), text.as_mut_slice())
            .map_err(|_opaque| CryptoFailed)?;
        let mut sealed = [0; 48];
        let (head, tail) = sealed.split_at_mut(32);
        head.copy_from_slice(text.as_slice());
        tail.copy_from_slice(tag.as_ref());
        Ok(Self { salt, commitment: *derived.commitment, sealed })
    }

    /// Opens it: only under the same key, domain and associated bytes.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn open(
        &self,
        upper: &PlainKey,
        domain: &str,
        associated: &[u8],
    ) -> Result<PlainKey, EnvelopeError> {
        let derived = Derived::new(upper, &self.salt, domain, associated)?;
        if !bool::from(derived.commitment.ct_eq(&self.commitment)) {
            return Err(EnvelopeError::Refused);
        }
        let mut text = Zeroizing::new(self.sealed);
        let plain = derived
            .key
            .open_in_place(nonce(), Aad::from(associated), text.as_mut_slice())
            .map_err(|_opaque| EnvelopeError::Refused)?;
        PlainKey::from_slice(plain).ok_or(EnvelopeError::Refused)
    }

    /// Salt, commitment, sealed key.
    pub fn encode(&self) -> Vec<u8> {
        [self.salt.as_slice(), &self.commitment, &self.sealed].concat()
    }

    /// Reads it; `None` unless there are exactly [`Self::LENGTH`] bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (salt, rest) = bytes.split_first_chunk()?;
        let (commitment, rest) = rest.split_first_chunk()?;
        let sealed = <[u8; 48]>::try_from(rest).ok()?;
        Some(Self { salt: *salt, commitment: *commitment, sealed })
    }
}
