//! How what a request writes is encrypted: as it asks, else as its bucket says, else as the tenant does.

use std::fmt;

use coffer_policy::Action;
use coffer_sse::bucket_key::BucketKey;
use coffer_sse::context::Context as KmsContext;
use coffer_sse::kms::KeyName;
use coffer_sse::mode::Mode;
use coffer_sse::object_key::{Content, ObjectKey as Key, SealError, Upper, Write};
use coffer_sse::part_key::{PartsTag, SealingKey, WHOLE};
use coffer_store::{Bucket, BucketName, ObjectKey, UploadId};

use super::asked::{Customer, Form};
use super::default::Default;
use super::record::Record;
use super::{VERSION, fault, place};
use crate::answer::Refusal;
use crate::encrypt::keys::Keys;
use crate::s3::{Context, Handlers};

/// An object's key, and what seals it.
pub(in crate::s3) struct Sealing {
    pub(super) key: Key,
    pub(super) upper: Protector,
}

/// What seals an object's key.
pub(super) enum Protector {
    S3(BucketKey),
    Kms(BucketKey),
    Customer(Customer),
}

/// Content that is about to be written whole: its key, and what its object's record keeps.
pub(in crate::s3) struct Whole {
    pub(in crate::s3) key: SealingKey,
    pub(in crate::s3) record: Record,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealing({:?}, redacted)", self.mode())
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole(redacted)")
    }
}

/// What a write is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::s3) enum For {
    /// An object that is written by this request.
    Object,
    /// An upload, whose parts come by other requests: its key is opened again by the same caller.
    Upload,
}

/// The key for what a request writes into `bucket`; `None`: it is stored plain.
///
/// # Errors
/// `AccessDenied` where the key may not be used, or what is plain not be stored; the KMS's.
pub(in crate::s3) async fn for_write(
    handlers: &Handlers,
    context: &Context,
    bucket: &Bucket,
    purpose: For,
) -> Result<Option<Sealing>, Refusal> {
    let encryption = &handlers.encryption;
    let asked = &context.encryption;
    let by_default = || Default::of(&bucket.name, bucket.encryption.as_deref());
    let form = match (&asked.customer, &asked.form) {
        (Some(customer), _) => {
            let upper = Protector::Customer(customer.clone());
            return Ok(Some(Sealing { key: Key::random().map_err(fault::crypto)?, upper }));
        }
        (None, Some(form)) => form.clone(),
        (None, None) => match by_default()? {
            Some(default) => default.form(),
            None if encryption.automatic => Form::S3,
            None if encryption.required => return Err(plain(By::Tenant)),
            None if bucket.requires_encryption => return Err(plain(By::Bucket)),
            None => return Ok(None),
        },
    };
    let keys = encryption.keys.as_deref().ok_or_else(fault::no_kms)?;
    let default_key = || keys.default_key().cloned().ok_or_else(fault::no_default_key);
    let upper = match form {
        Form::S3 => {
            let none = KmsContext::default();
            Protector::S3(bucket_key(keys, &default_key()?, bucket, &none).await?)
        }
        Form::Kms { key, context: client } => {
            let name = match key {
                Some(name) => name,
                None => match by_default()?.and_then(Default::into_key) {
                    Some(name) => name,
                    None => default_key()?,
                },
            };
            let authorized = &context.authorized;
            authorized.may_use(Action::KmsGenerateDataKey, &name, &client)?;
            if purpose == For::Upload {
                authorized.may_use(Action::KmsDecrypt, &name, &client)?;
            }
            Protector::Kms(bucket_key(keys, &name, bucket, &client).await?)
        }
    };
    Ok(Some(Sealing { key: Key::random().map_err(fault::crypto)?, upper }))
}

async fn bucket_key(
    keys: &Keys,
    name: &KeyName,
    bucket: &Bucket,
    client: &KmsContext,
) -> Result<BucketKey, Refusal> {
    keys.for_sealing(name, bucket.name.as_str(), client).await.map_err(|error| fault::kms(&error))
}

/// Who stores nothing plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::s3) enum By {
    /// The tenant, in all of its buckets.
    Tenant,
    /// The bucket.
    Bucket,
}

/// Refuses what would be stored plain.
pub(in crate::s3) fn plain(by: By) -> Refusal {
    let message = match by {
        By::Tenant => {
            "This tenant stores nothing that isn't encrypted: ask for an encryption, or set the bucket's default."
        }
        By::Bucket => {
            "This bucket stores nothing that isn't encrypted: ask for an encryption, or set the bucket's default."
        }
    };
    Refusal::new("AccessDenied", 403, message)
}

impl Sealing {
    /// The form of encryption.
    pub(in crate::s3) fn mode(&self) -> Mode {
        match self.upper {
            Protector::S3(_) => Mode::S3,
            Protector::Kms(_) => Mode::Kms,
            Protector::Customer(_) => Mode::Customer,
        }
    }

    /// The customer's key, for SSE-C.
    pub(in crate::s3) fn customer(&self) -> Option<&Customer> {
        match &self.upper {
            Protector::S3(_) | Protector::Kms(_) => None,
            Protector::Customer(customer) => Some(customer),
        }
    }

    /// For an object that is written whole.
    pub(in crate::s3) fn whole(
        &self,
        tenant: &str,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Whole, Refusal> {
        let (sealing, id) = self.key.new_part(WHOLE).map_err(fault::crypto)?;
        let write = Write::Version(VERSION);
        let record = self.seal(tenant, bucket, key, write, Content::Whole(id))?;
        Ok(Whole { key: sealing, record })
    }

    /// For an upload.
    pub(in crate::s3) fn upload(
        &self,
        tenant: &str,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
    ) -> Result<Record, Refusal> {
        self.seal(tenant, bucket, key, Write::Upload(&id.to_string()), Content::Upload)
    }

    /// For an object of these parts.
    pub(super) fn parts(
        &self,
        tenant: &str,
        bucket: &BucketName,
        key: &ObjectKey,
        tag: PartsTag,
    ) -> Result<Record, Refusal> {
        self.seal(tenant, bucket, key, Write::Version(VERSION), Content::Parts(tag))
    }

    fn seal(
        &self,
        tenant: &str,
        bucket: &BucketName,
        key: &ObjectKey,
        write: Write<'_>,
        content: Content,
    ) -> Result<Record, Refusal> {
        let upper = match &self.upper {
            Protector::S3(key) => Upper::S3(key),
            Protector::Kms(key) => Upper::Kms(key),
            Protector::Customer(customer) => Upper::Customer(&customer.key),
        };
        let sealed = self.key.seal(upper, &place(tenant, bucket, key, write), content);
        sealed.map(Record::new).map_err(|error: SealError| fault::crypto(error))
    }
}
