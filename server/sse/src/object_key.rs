//! The object key: random for each write, sealed for one place. The record's form is in the crate's documentation.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use crate::PlainKey;
use crate::bucket_key::BucketKey;
use crate::context::Context;
use crate::customer_key::{CheckValue, CustomerKey};
use crate::envelope::{Envelope, EnvelopeError};
use crate::kms::KeyName;
use crate::mode::{Algorithm, Mode};
use crate::part_key::{PartId, PartsTag};
use crate::secret::{CryptoFailed, random};

const DOMAIN: &str = "coffer/sse/object-key/1";
const FORM: u8 = 1;
const DIGEST: usize = 8;

/// The key of one written object.
pub struct ObjectKey(pub(crate) PlainKey);

/// Where an object key may be used, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// The object's key.
    pub key: &'a str,
    /// Which write of that object.
    pub write: Write<'a>,
}

/// A write of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write<'a> {
    /// What became this version, by its id.
    Version(&'a str),
    /// What is being uploaded in parts, by the upload's id.
    Upload(&'a str),
}

/// What the object key encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One content, written whole: part [`crate::part_key::WHOLE`] under this id.
    Whole(PartId),
    /// Parts that are still coming.
    Upload,
    /// Parts that were put together.
    Parts(PartsTag),
}

/// What seals an object key.
#[derive(Clone, Copy, Debug)]
pub enum Upper<'a> {
    /// SSE-S3.
    S3(&'a BucketKey),
    /// SSE-KMS.
    Kms(&'a BucketKey),
    /// SSE-C.
    Customer(&'a CustomerKey),
}

/// What opens an object key.
#[derive(Clone, Copy, Debug)]
pub enum Opener<'a> {
    /// The bucket key, as the KMS has opened it.
    BucketKey(&'a PlainKey),
    /// The key of the request.
    Customer(&'a CustomerKey),
}

/// An object key as it is kept: the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedObjectKey {
    algorithm: Algorithm,
    protection: Protection,
    content: Content,
    envelope: Envelope,
}

/// Under what an object key is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// SSE-S3.
    S3(SealedBucketKey),
    /// SSE-KMS.
    Kms(SealedBucketKey),
    /// SSE-C.
    Customer(CheckValue),
}

/// A bucket key as it is kept: what the KMS needs to open it, beside tenant and bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBucketKey {
    /// The external key.
    pub name: KeyName,
    /// The data key as the KMS has sealed it.
    pub sealed: Bytes,
    /// What the client added to the encryption context.
    pub client: Context,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A form that this version doesn't know.
    #[error("the record of the object's key has the unknown form {0}; a newer program wrote it")]
    Form(u8),
    /// Changed or cut off.
    #[error("the record of the object's key is damaged")]
    Damaged,
}

/// Why an object key doesn't open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The object has another form of encryption than what was given to open it.
    #[error("the object is encrypted in another form, {0:?}")]
    Mode(Mode),
    /// The client's key isn't the one that the object was written with.
    #[error("the customer key isn't the one that the object was written with")]
    WrongCustomerKey,
    /// The record was changed, or comes from another place; or the KMS gave another bucket key.
    #[error("the record of the object's key was changed, or isn't this object's")]
    Damaged,
    /// The library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

/// Why an object key can't be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than a record holds.
    #[error("a part of the key's record has more than 4 GiB")]
    Length,
    /// The library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
}

impl ObjectKey {
    /// A fresh random key.
    ///
    /// # Errors
    /// [`CryptoFailed`].
    pub fn random() -> Result<Self, CryptoFailed> {
        PlainKey::random().map(Self)
    }

    /// Seals it for a place. Sealing again, for another place or under another key, touches no content.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(
        &self,
        upper: Upper<'_>,
        place: &Place<'_>,
        content: Content,
    ) -> Result<SealedObjectKey, SealError> {
        let check = match upper {
            Upper::Customer(key) => Some(key.check_value()?),
            Upper::S3(_) | Upper::Kms(_) => None,
        };
        self.seal_salted(random()?, check, upper, place, content)
    }

    /// The same under salts that the caller answers for.
    pub(crate) fn seal_salted(
        &self,
        salt: [u8; 32],
        check: Option<CheckValue>,
        upper: Upper<'_>,
        place: &Place<'_>,
        content: Content,
    ) -> Result<SealedObjectKey, SealError> {
        let (protection, key) = match (upper, check) {
            (Upper::S3(key), _) => (Protection::S3(key.sealed()), key.plain()),
            (Upper::Kms(key), _) => (Protection::Kms(key.sealed()), key.plain()),
            (Upper::Customer(key), Some(check)) => (Protection::Customer(check), &key.0),
            (Upper::Customer(_), None) => return Err(CryptoFailed.into()),
        };
        let algorithm = Algorithm::Aes256GcmFrames64K;
        let head = head(algorithm, &protection, content).ok_or(SealError::Length)?;
        let associated = associated(place, algorithm, &head).ok_or(SealError::Length)?;
        let envelope = Envelope::seal_salted(salt, key, DOMAIN, &associated, &self.0)?;
        Ok(SealedObjectKey { algorithm, protection, content, envelope })
    }
}

impl SealedObjectKey {
    /// The form of encryption.
    pub fn mode(&self) -> Mode {
        match self.protection {
            Protection::S3(_) => Mode::S3,
            Protection::Kms(_) => Mode::Kms,
            Protection::Customer(_) => Mode::Customer,
        }
    }

    /// Under what it is sealed.
    pub fn protection(&self) -> &Protection {
        &self.protection
    }

    /// The bucket key to open first; `None` with SSE-C.
    pub fn bucket_key(&self) -> Option<&SealedBucketKey> {
        match &self.protection {
            Protection::S3(key) | Protection::Kms(key) => Some(key),
            Protection::Customer(_) => None,
        }
    }

    /// How the content is encrypted.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What the key encrypts. Proven only once [`Self::open`] succeeds.
    pub fn content(&self) -> Content {
        self.content
    }

    /// Opens it at the place that it was sealed for.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, opener: Opener<'_>, place: &Place<'_>) -> Result<ObjectKey, OpenError> {
        let key = match (&self.protection, opener) {
            (Protection::S3(_) | Protection::Kms(_), Opener::BucketKey(key)) => key,
            (Protection::Customer(check), Opener::Customer(key)) => {
                if !key.gives(check)? {
                    return Err(OpenError::WrongCustomerKey);
                }
                &key.0
            }
            (Protection::S3(_) | Protection::Kms(_), Opener::Customer(_))
            | (Protection::Customer(_), Opener::BucketKey(_)) => {
                return Err(OpenError::Mode(self.mode()));
            }
        };
        let associated = head(self.algorithm, &self.protection, self.content)
            .and_then(|head| associated(place, self.algorithm, &head))
            .ok_or(OpenError::Damaged)?;
        match self.envelope.open(key, DOMAIN, &associated) {
            Ok(key) => Ok(ObjectKey(key)),
            Err(EnvelopeError::Refused) => Err(OpenError::Damaged),
            Err(EnvelopeError::Crypto(error)) => Err(OpenError::Crypto(error)),
        }
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        // What was sealed or decoded has a head.
        let mut bytes = head(self.algorithm, &self.protection, self.content).unwrap_or_default();
        bytes.extend(self.envelope.encode());
        bytes.extend(checksum(&bytes));
        bytes
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let damaged = RecordError::Damaged;
        let at = bytes.len().checked_sub(DIGEST).ok_or(damaged)?;
        let (body, digest) = bytes.split_at_checked(at).ok_or(damaged)?;
        if checksum(body) != digest {
            return Err(damaged);
        }
        match body.first() {
            Some(&FORM) => {}
            Some(&form) => return Err(RecordError::Form(form)),
            None => return Err(damaged),
        }
        let mut reader = Reader(body.get(1..).ok_or(damaged)?);
        reader.record().ok_or(damaged)
    }
}

/// The record up to the envelope.
fn head(algorithm: Algorithm, protection: &Protection, content: Content) -> Option<Vec<u8>> {
    let mode = match protection {
        Protection::S3(_) => Mode::S3,
        Protection::Kms(_) => Mode::Kms,
        Protection::Customer(_) => Mode::Customer,
    };
    let mut out = vec![FORM, mode.number(), algorithm.number()];
    match protection {
        Protection::S3(key) | Protection::Kms(key) => {
            let SealedBucketKey { name, sealed, client } = key;
            let client = if client.is_empty() { String::new() } else { client.to_json() };
            text(&mut out, name.as_str().as_bytes())?;
            text(&mut out, sealed)?;
            text(&mut out, client.as_bytes())?;
        }
        Protection::Customer(CheckValue { salt, value }) => {
            out.extend(salt);
            out.extend(value);
        }
    }
    match content {
        Content::Whole(PartId(id)) => {
            out.push(1);
            out.extend(id);
        }
        Content::Upload => out.push(2),
        Content::Parts(PartsTag(tag)) => {
            out.push(3);
            out.extend(tag);
        }
    }
    Some(out)
}

/// What is sealed beside the key without being in the record.
fn associated(place: &Place<'_>, algorithm: Algorithm, head: &[u8]) -> Option<Vec<u8>> {
    let Place { tenant, bucket, key, write } = place;
    let mut out = Vec::new();
    for part in [tenant, bucket, key] {
        text(&mut out, part.as_bytes())?;
    }
    let (kind, id) = match write {
        Write::Version(id) => (b'V', id),
        Write::Upload(id) => (b'U', id),
    };
    out.push(kind);
    text(&mut out, id.as_bytes())?;
    text(&mut out, algorithm.name().as_bytes())?;
    out.extend(head);
    Some(out)
}

/// A length of 4 bytes, then the bytes.
fn text(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend(bytes);
    Some(())
}

fn checksum(bytes: &[u8]) -> [u8; DIGEST] {
    let mut out = [0; DIGEST];
    for (place, byte) in out.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *place = *byte;
    }
    out
}

/// What is left of a record.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn record(&mut self) -> Option<SealedObjectKey> {
        let mode = self.byte()?;
        let algorithm = Algorithm::from_number(self.byte()?)?;
        let protection = match mode {
            1 => Protection::S3(self.bucket_key()?),
            2 => Protection::Kms(self.bucket_key()?),
            3 => Protection::Customer(CheckValue { salt: self.array()?, value: self.array()? }),
            _ => return None,
        };
        let content = match self.byte()? {
            1 => Content::Whole(PartId(self.array()?)),
            2 => Content::Upload,
            3 => Content::Parts(PartsTag(self.array()?)),
            _ => return None,
        };
        let envelope = Envelope::decode(self.0)?;
        Some(SealedObjectKey { algorithm, protection, content, envelope })
    }

    fn bucket_key(&mut self) -> Option<SealedBucketKey> {
        let name = std::str::from_utf8(self.text()?).ok()?.parse().ok()?;
        let sealed = Bytes::copy_from_slice(self.text()?);
        let json = self.text()?;
        let client =
            if json.is_empty() { Context::default() } else { Context::from_client(json).ok()? };
        // One context has one form, so that a record has one too.
        let same = client.is_empty() == json.is_empty()
            && (json.is_empty() || client.to_json().as_bytes() == json);
        same.then_some(SealedBucketKey { name, sealed, client })
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectKey(redacted)")
    }
}
