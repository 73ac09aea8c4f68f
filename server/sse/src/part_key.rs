//! The key of one part's frames, and the tag over all parts of an object.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use crate::object_key::ObjectKey;
use crate::secret::{CryptoFailed, random};

const PART_KEY: &str = "coffer/sse/part-key/1";
const PARTS_TAG: &str = "coffer/sse/parts-tag/1";
const FORM: u8 = 1;

/// The number of the only part of an object that was written whole.
pub const WHOLE: u32 = 0;

/// Tells one sending of a part from every other. Random; no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartId(pub(crate) [u8; 16]);

/// A part's key, for sealing. There is one for each sending of a part, and it can't be copied: a frame number never meets
/// the same key twice.
pub struct SealingKey(pub(crate) LessSafeKey);

/// A part's key, for opening.
pub struct OpeningKey(pub(crate) LessSafeKey);

/// A part as an object names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Which sending of it.
    pub id: PartId,
    /// Its length, in bytes of plaintext.
    pub plain_length: u64,
}

/// Holds which parts an object has: see [`ObjectKey::parts_tag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartsTag(pub(crate) [u8; 32]);

impl PartId {
    /// A part's record, to be kept beside its content.
    pub fn encode(&self) -> Vec<u8> {
        [[FORM].as_slice(), &self.0].concat()
    }

    /// Reads a part's record; `None` for bytes that are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&form, id) = bytes.split_first()?;
        (form == FORM).then_some(())?;
        id.try_into().ok().map(Self)
    }
}

impl ObjectKey {
    /// A fresh key for one sending of a part, and the id that leads back to it.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn new_part(&self, number: u32) -> Result<(SealingKey, PartId), CryptoFailed> {
        let id = PartId(random()?);
        Ok((SealingKey(self.part_key(number, id)?), id))
    }

    /// The key that opens what was sealed under this number and id.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn part(&self, number: u32, id: PartId) -> Result<OpeningKey, CryptoFailed> {
        Ok(OpeningKey(self.part_key(number, id)?))
    }

    pub(crate) fn part_key(&self, number: u32, id: PartId) -> Result<LessSafeKey, CryptoFailed> {
        let info = [PART_KEY.as_bytes(), &number.to_be_bytes(), &id.0];
        let key = self.0.derive::<32>(&[], &info)?;
        UnboundKey::new(&AES_256_GCM, key.as_slice())
            .map(LessSafeKey::new)
            .map_err(|_opaque| CryptoFailed)
    }

    /// The tag over an object's parts, in their order: to be kept in its record when an upload is completed.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn parts_tag(
        &self,
        parts: impl IntoIterator<Item = Part>,
    ) -> Result<PartsTag, CryptoFailed> {
        let key = self.0.derive::<32>(&[], &[PARTS_TAG.as_bytes()])?;
        let mut tag = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()));
        for Part { number, id, plain_length } in parts {
            let mut row = [0; 28];
            let bytes =
                number.to_be_bytes().into_iter().chain(id.0).chain(plain_length.to_be_bytes());
            for (place, byte) in row.iter_mut().zip(bytes) {
                *place = byte;
            }
            tag.update(&row);
        }
        tag.sign().as_ref().try_into().map(PartsTag).map_err(|_length| CryptoFailed)
    }

    /// Whether these are the parts that the tag was made over: none is missing, exchanged, or from another sending.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn has_parts(
        &self,
        tag: &PartsTag,
        parts: impl IntoIterator<Item = Part>,
    ) -> Result<bool, CryptoFailed> {
        Ok(self.parts_tag(parts)?.0.ct_eq(&tag.0).into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(redacted)")
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(redacted)")
    }
}
