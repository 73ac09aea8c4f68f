//! A bucket's default encryption: GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption.
//!
//! Kept in the bucket's record as: 1 form: 1 ‖ 1 mode: 1 SSE-S3, 2 SSE-KMS ‖ 1 whether bucket keys were asked for ‖ the key's name.
//! A change says nothing of the objects that are there.

use coffer_sse::context::Context as KmsContext;
use coffer_sse::kms::{KeyName, KmsError};
use coffer_store::BucketName;
use http::{HeaderMap, StatusCode};
use s3s::{S3Response, S3Result, dto, s3_error};
use tracing::error;

use super::asked::{Form, named_key};
use super::{arn, fault};
use crate::answer::Refusal;
use crate::encrypt::keys::Keys;
use crate::s3::{Context, Handlers};

/// What a bucket does with objects whose writers choose nothing. A customer's key can be no default: nobody but its owner has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Default {
    mode: Mode,
    bucket_key: BucketKeys,
}

/// How a bucket's objects are encrypted unless their writers choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// SSE-S3.
    S3,
    /// SSE-KMS; `None`: the tenant's default key.
    Kms(Option<KeyName>),
}

impl Mode {
    /// What a bucket's record keeps of it.
    pub(crate) fn record(&self) -> Vec<u8> {
        Default { mode: self.clone(), bucket_key: BucketKeys::Unasked }.encode()
    }

    /// Whether a bucket has exactly this, whatever else was asked with it.
    pub(crate) fn is_in(&self, bytes: Option<&[u8]>) -> bool {
        bytes.and_then(Default::decode).is_some_and(|default| default.mode == *self)
    }

    /// Makes a key for it: one that doesn't work would be found out by those who write, one after another.
    ///
    /// # Errors
    /// [`KmsError`]; `None` where it names no key and the tenant has no default one.
    pub(crate) async fn tried(
        &self,
        keys: &Keys,
        bucket: &BucketName,
    ) -> Result<(), Option<KmsError>> {
        let named = match self {
            Self::S3 | Self::Kms(None) => None,
            Self::Kms(Some(key)) => Some(key),
        };
        let name = named.or(keys.default_key()).ok_or(None)?;
        keys.for_sealing(name, bucket.as_str(), &KmsContext::default())
            .await
            .map(drop)
            .map_err(Some)
    }
}

/// Whether the rule asked for bucket keys, which this server always uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BucketKeys {
    Asked,
    Unasked,
}

impl Default {
    /// A bucket's, if it has one.
    ///
    /// # Errors
    /// `InternalError` for a damaged record: it is never taken for none.
    pub(super) fn of(bucket: &BucketName, bytes: Option<&[u8]>) -> Result<Option<Self>, Refusal> {
        let Some(bytes) = bytes else { return Ok(None) };
        Self::decode(bytes).map(Some).ok_or_else(|| {
            error!(bucket = bucket.as_str(), "the record of the bucket's encryption is damaged");
            Refusal::new(
                "InternalError",
                500,
                "The bucket's default encryption can't be read back.",
            )
        })
    }

    /// What it does.
    pub(super) fn form(self) -> Form {
        match self.mode {
            Mode::S3 => Form::S3,
            Mode::Kms(key) => Form::Kms { key, context: KmsContext::default() },
        }
    }

    /// Its key, if it names one.
    pub(super) fn into_key(self) -> Option<KeyName> {
        match self.mode {
            Mode::S3 => None,
            Mode::Kms(key) => key,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let (mode, key) = match &self.mode {
            Mode::S3 => (1, ""),
            Mode::Kms(key) => (2, key.as_ref().map_or("", KeyName::as_str)),
        };
        let asked = u8::from(self.bucket_key == BucketKeys::Asked);
        [[1, mode, asked].as_slice(), key.as_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let ([form, mode, asked], key) = bytes.split_first_chunk()?;
        let bucket_key = match (form, asked) {
            (1, 0) => BucketKeys::Unasked,
            (1, 1) => BucketKeys::Asked,
            (_, _) => return None,
        };
        let mode = match (mode, key) {
            (1, []) => Mode::S3,
            (2, []) => Mode::Kms(None),
            (2, key) => Mode::Kms(Some(std::str::from_utf8(key).ok()?.parse().ok()?)),
            (_, _) => return None,
        };
        Some(Self { mode, bucket_key })
    }

    /// Reads a document.
    fn parse(document: &dto::ServerSideEncryptionConfiguration) -> S3Result<Self> {
        let [rule] = document.rules.as_slice() else {
            return Err(s3_error!(
                MalformedXML,
                "An encryption configuration has exactly one rule."
            ));
        };
        let Some(by_default) = &rule.apply_server_side_encryption_by_default else {
            return Err(s3_error!(
                MalformedXML,
                "The rule has no ApplyServerSideEncryptionByDefault."
            ));
        };
        let bucket_key = match rule.bucket_key_enabled {
            Some(true) => BucketKeys::Asked,
            Some(false) | None => BucketKeys::Unasked,
        };
        let key = by_default.kms_master_key_id.as_deref().filter(|key| !key.is_empty());
        let mode = match (by_default.sse_algorithm.as_str(), key) {
            ("AES256", None) => Mode::S3,
            ("AES256", Some(_)) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
                ));
            }
            ("aws:kms", key) => Mode::Kms(key.map(named_key).transpose()?),
            ("aws:kms:dsse", _) => {
                return Err(Refusal::not_implemented(
                    "Dual-layer encryption (aws:kms:dsse) isn't part of Coffer; use aws:kms. Nothing was changed.",
                )
                .into());
            }
            (_, _) => {
                return Err(s3_error!(
                    MalformedXML,
                    "A bucket's default encryption is AES256 or aws:kms."
                ));
            }
        };
        Ok(Self { mode, bucket_key })
    }

    fn document(&self) -> dto::ServerSideEncryptionConfiguration {
        let (algorithm, key) = match &self.mode {
            Mode::S3 => ("AES256", None),
            Mode::Kms(key) => ("aws:kms", key.as_ref().map(arn)),
        };
        dto::ServerSideEncryptionConfiguration {
            rules: vec![dto::ServerSideEncryptionRule {
                apply_server_side_encryption_by_default: Some(dto::ServerSideEncryptionByDefault {
                    kms_master_key_id: key,
                    sse_algorithm: dto::ServerSideEncryption::from_static(algorithm),
                }),
                bucket_key_enabled: Some(self.bucket_key == BucketKeys::Asked),
            }],
        }
    }
}

pub(in crate::s3) async fn get(
    handlers: &Handlers,
    context: Context,
    _input: dto::GetBucketEncryptionInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::GetBucketEncryptionOutput>> {
    let bucket = handlers.store.bucket(context.bucket()?).await.map_err(crate::s3::fault::s3)?;
    let default = match Default::of(&bucket.name, bucket.encryption.as_deref())? {
        Some(default) => default,
        // What the bucket does, whoever has said so.
        None if handlers.encryption.automatic => {
            Default { mode: Mode::S3, bucket_key: BucketKeys::Unasked }
        }
        None => {
            return Err(Refusal::new(
                "ServerSideEncryptionConfigurationNotFoundError",
                404,
                "The server side encryption configuration was not found.",
            )
            .into());
        }
    };
    Ok(S3Response::new(dto::GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(default.document()),
    }))
}

pub(in crate::s3) async fn put(
    handlers: &Handlers,
    context: Context,
    input: dto::PutBucketEncryptionInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::PutBucketEncryptionOutput>> {
    let bucket = handlers.store.bucket(context.bucket()?).await.map_err(crate::s3::fault::s3)?;
    let default = Default::parse(&input.server_side_encryption_configuration)?;
    let keys = handlers.encryption.keys.as_deref().ok_or_else(fault::no_kms)?;
    default.mode.tried(keys, &bucket.name).await.map_err(|error| match error {
        Some(error) => fault::kms(&error),
        None => fault::no_default_key(),
    })?;
    handlers
        .store
        .set_bucket_encryption(&bucket.name, Some(default.encode()))
        .await
        .map_err(crate::s3::fault::s3)?;
    Ok(S3Response::new(dto::PutBucketEncryptionOutput {}))
}

pub(in crate::s3) async fn delete(
    handlers: &Handlers,
    context: Context,
    _input: dto::DeleteBucketEncryptionInput,
    _headers: &HeaderMap,
) -> S3Result<S3Response<dto::DeleteBucketEncryptionOutput>> {
    let bucket = context.bucket()?;
    handlers.store.set_bucket_encryption(bucket, None).await.map_err(crate::s3::fault::s3)?;
    let done = dto::DeleteBucketEncryptionOutput {};
    Ok(S3Response::with_status(done, StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_the_same_whatever_bucket_keys_were_asked_with_it() {
        let archive: KeyName = "archive".parse().unwrap();
        let modes = [Mode::S3, Mode::Kms(None), Mode::Kms(Some(archive))];
        for mode in &modes {
            let asked = Default { mode: mode.clone(), bucket_key: BucketKeys::Asked };
            for bytes in [mode.record(), asked.encode()] {
                let same: Vec<&Mode> = modes.iter().filter(|one| one.is_in(Some(&bytes))).collect();
                assert_eq!(same, [mode]);
            }
            assert!(!mode.is_in(None) && !mode.is_in(Some(b"damaged")));
        }
    }

    #[test]
    fn a_default_is_kept_as_it_was_set_or_found_damaged() {
        let key: KeyName = "photos".parse().unwrap();
        for mode in [Mode::S3, Mode::Kms(None), Mode::Kms(Some(key))] {
            for bucket_key in [BucketKeys::Asked, BucketKeys::Unasked] {
                let default = Default { mode: mode.clone(), bucket_key };
                let bytes = default.encode();
                assert_eq!(Default::decode(&bytes), Some(default.clone()));
                assert_eq!(Default::parse(&default.document()).unwrap(), default);
            }
        }
        for bad in [
            &b""[..],
            b"\x01",
            b"\x01\x01",
            b"\x02\x01\x00",
            b"\x01\x03\x00",
            b"\x01\x01\x02",
            b"\x01\x01\x00a",
            b"\x01\x02\x00../a",
        ] {
            assert_eq!(Default::decode(bad), None, "{bad:?}");
        }
    }
}
