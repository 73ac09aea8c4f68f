//! Object keys, sealed again under another key of the KMS. Neither content nor ETag nor time is touched.

use coffer_sse::CryptoFailed;
use coffer_sse::kms::{KeyName, KmsError};
use coffer_sse::object_key::{OpenError, Opener, Protection, SealError, Upper, Write};
use coffer_store::{BucketName, ObjectKey, UploadId};

use super::default::Default;
use super::record::Record;
use super::{VERSION, place};
use crate::answer::Refusal;
use crate::encrypt::keys::Keys;

/// Which keys are sealed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Those under this external key; `None`: under any other than the new one.
    pub(crate) from: Option<KeyName>,
    /// The new one.
    pub(crate) to: KeyName,
}

/// What there is to do about one object or upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It isn't encrypted, or by another key.
    Other,
    /// Its key is with its customer.
    Customer,
    /// What its record is to keep from now on.
    Sealed(Vec<u8>),
}

/// Why a key can't be sealed again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResealError {
    #[error(transparent)]
    Kms(#[from] KmsError),
    #[error("the object's key doesn't open")]
    Open(#[source] OpenError),
    #[error("the object's key can't be sealed")]
    Seal(#[from] SealError),
    #[error(transparent)]
    Crypto(#[from] CryptoFailed),
    #[error("the record of the object's encryption can't be read")]
    Record,
}

impl Wanted {
    /// Whether what is under this key is sealed again.
    pub(crate) fn is(&self, name: &KeyName) -> bool {
        match &self.from {
            Some(from) => name == from,
            None => *name != self.to,
        }
    }
}

/// Seals the key of an object, or of an upload, again.
pub(crate) async fn reseal(
    keys: &Keys,
    tenant: &str,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: Option<UploadId>,
    bytes: Option<&[u8]>,
    wanted: &Wanted,
) -> Result<Outcome, ResealError> {
    let record = Record::of(key, bytes).map_err(|_told| ResealError::Record)?;
    let Some(record) = record else { return Ok(Outcome::Other) };
    let sealed = match record.sealed.protection() {
        Protection::Customer(_) => return Ok(Outcome::Customer),
        Protection::S3(sealed) | Protection::Kms(sealed) => sealed,
    };
    if !wanted.is(&sealed.name) {
        return Ok(Outcome::Other);
    }
    let upload = upload.map(|id| id.to_string());
    let write = upload.as_deref().map_or(Write::Version(VERSION), Write::Upload);
    let place = place(tenant, bucket, key, write);
    let old = keys.for_opening(sealed, bucket.as_str()).await?;
    let opened = record.sealed.open(Opener::BucketKey(&old), &place);
    let opened = opened.map_err(ResealError::Open)?;
    let new = keys.for_sealing(&wanted.to, bucket.as_str(), &sealed.client).await?;
    let upper = match record.sealed.protection() {
        Protection::S3(_) => Upper::S3(&new),
        Protection::Kms(_) | Protection::Customer(_) => Upper::Kms(&new),
    };
    let sealed = opened.seal(upper, &place, record.sealed.content())?;
    Ok(Outcome::Sealed(Record::new(sealed).encode()))
}

/// The key that a bucket's default names, if it names one.
pub(crate) fn default_key_of(bucket: &coffer_store::Bucket) -> Result<Option<KeyName>, Refusal> {
    let default = Default::of(&bucket.name, bucket.encryption.as_deref())?;
    Ok(default.and_then(Default::into_key))
}
