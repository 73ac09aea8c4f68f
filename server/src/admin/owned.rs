//! What the operator puts for resources, as the control identity: each call says how something shall be, is made whole or not at
//! all, and writes nothing where it is so already.
//!
//! | call | body, beside `owner {resource, uid}`, `adopt` or `reclaim`, `boundary` | answer |
//! |---|---|---|
//! | `PUT coffer/policy` | `name`, `document` | `document`, as it is in force |
//! | `PUT coffer/user` | `name`, `secretKey`, `enabled`, `policies`, `groups` | |
//! | `PUT coffer/access-keys` | `parent`, `keys [{accessKey, secretKey}]`, `policy`, `expires`, `description` | |
//! | `PUT coffer/binding` | `policies`, `users`, `groups` | |
//! | `PUT coffer/bucket` | `name`, `policy`, `quota`, `tags`, `encryption {type, key}`, `requireEncryption` | `bytes`, `objects`, `protected`, and `coverage` once there was a look |
//! | `PUT coffer/key-rotation` | `from`, `to`, `begin` | where it stands (`admin/rotation`) |
//! | `PUT coffer/release` | `bucket`, where that is to be deleted with all that it holds | `remaining`: ask again; `deleted`: how many objects and uploads this call has |
//! | `GET coffer/policies` | | the document of each policy by name |
//!
//! With `adopt` a resource takes over what another hand made and what a resource has let go of; with `reclaim`, which is for those of other
//! namespaces than the Tenant's, only what one of its own namespace has let go of. What another resource holds none takes.

use std::collections::{BTreeMap, BTreeSet};

use coffer_policy::{Kind, Policy};
use coffer_signature::SecretKey;
use coffer_store::{
    Bucket, BucketName, BucketSettings, Entry, ListQuery, Precondition, StoreError, UploadEntry,
    UploadQuery,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::call::Call;
use super::{Admin, Answer, fault, json as answer, rotation};
use crate::answer::Refusal;
use crate::encrypt::coverage::Covered;
use crate::iam::IamError;
use crate::iam::draft::Holder;
use crate::iam::entity::Status;
use crate::iam::mark::{Marked, Owner};
use crate::iam::name::Name;
use crate::iam::owned::{Adopt, For, OwnedBucket, OwnedKeys, OwnedUser};
use crate::s3::bucket_tags;
use crate::s3::encryption::asked::named_key;
use crate::s3::encryption::default::Mode;

/// How many objects of a bucket one call deletes.
const AT_ONCE: usize = 1000;

#[derive(Deserialize)]
pub(super) struct Whose {
    owner: Owner,
    #[serde(default)]
    adopt: bool,
    #[serde(default)]
    reclaim: bool,
    boundary: Option<String>,
}

impl Whose {
    pub(super) fn parse(self) -> Result<For, Refusal> {
        let Self { owner, adopt, reclaim, boundary } = self;
        let adopt = match (adopt, reclaim) {
            (true, _) => Adopt::Anything,
            (false, true) => Adopt::LetGo,
            (false, false) => Adopt::Nothing,
        };
        let ceiling = boundary.map(|name| Name::policy(&name)).transpose()?;
        Ok(For { owner, adopt, ceiling })
    }
}

#[derive(Deserialize)]
struct PolicyBody {
    #[serde(flatten)]
    whose: Whose,
    name: String,
    document: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserBody {
    #[serde(flatten)]
    whose: Whose,
    name: String,
    secret_key: Zeroizing<String>,
    enabled: bool,
    policies: Vec<String>,
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyBody {
    access_key: String,
    secret_key: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct KeysBody {
    #[serde(flatten)]
    whose: Whose,
    parent: String,
    keys: Vec<KeyBody>,
    policy: Option<String>,
    expires: Option<Timestamp>,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct BindingBody {
    #[serde(flatten)]
    whose: Whose,
    policies: Vec<String>,
    users: Vec<String>,
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BucketBody {
    #[serde(flatten)]
    whose: Whose,
    name: String,
    policy: Option<String>,
    #[serde(default)]
    quota: u64,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// None: the bucket's default encryption is what other hands set.
    encryption: Option<EncryptionBody>,
    #[serde(default)]
    require_encryption: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum EncryptionBody {
    #[serde(rename = "SSE-S3")]
    S3,
    #[serde(rename = "SSE-KMS")]
    Kms { key: Option<String> },
}

impl EncryptionBody {
    fn parse(&self) -> Result<Mode, Refusal> {
        Ok(match self {
            Self::S3 => Mode::S3,
            Self::Kms { key } => Mode::Kms(key.as_deref().map(named_key).transpose()?),
        })
    }
}

#[derive(Deserialize)]
struct ReleaseBody {
    #[serde(flatten)]
    whose: Whose,
    bucket: Option<String>,
}

/// How far the deletion of a bucket has come.
enum Deleted {
    /// It is gone, or wasn't there.
    All,
    /// There is more; so many objects and uploads went now.
    Part(usize),
}

fn policies(names: &[String]) -> Result<BTreeSet<Name>, Refusal> {
    Ok(names.iter().map(|name| Name::policy(name)).collect::<Result<_, _>>()?)
}

fn identity_policy(document: &str) -> Result<Policy, Refusal> {
    Policy::parse(Kind::Identity, document.as_bytes())
        .map_err(|errors| fault::malformed_policy(&errors))
}

impl Admin {
    pub(super) async fn own_policy(&self, call: &Call) -> Result<Answer, Refusal> {
        let PolicyBody { whose, name, document } = call.json()?;
        let (whose, name) = (whose.parse()?, Name::policy(&name)?);
        let policy = identity_policy(&document)?;
        let now = call.now;
        self.iam()?.change(|draft| draft.put_owned_policy(&name, &policy, &whose, now)).await?;
        let snapshot = self.iam()?.snapshot();
        answer(&json!({ "document": snapshot.policy(name.as_str()).map(Policy::document) }))
    }

    pub(super) async fn own_user(&self, call: &Call) -> Result<Answer, Refusal> {
        let UserBody { whose, name, secret_key, enabled, policies: attached, groups } =
            call.json()?;
        let whose = whose.parse()?;
        let wanted = OwnedUser {
            name: self.user_name(&name)?,
            secret_key: SecretKey::new(secret_key.to_string()),
            status: if enabled { Status::Enabled } else { Status::Disabled },
            policies: policies(&attached)?,
            groups: groups.iter().map(|name| Name::group(name)).collect::<Result<_, _>>()?,
        };
        let now = call.now;
        self.iam()?.change(|draft| draft.put_owned_user(&wanted, &whose, now)).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn own_access_keys(&self, call: &Call) -> Result<Answer, Refusal> {
        let KeysBody { whose, parent, keys, policy, expires, description } = call.json()?;
        let whose = whose.parse()?;
        let key = |key: KeyBody| {
            if self.is_root(&key.access_key) {
                return Err(fault::invalid_credentials("This is the root access key."));
            }
            let secret = key.secret_key.map(|secret| SecretKey::new(secret.to_string()));
            Ok((Name::access_key(&key.access_key)?, secret))
        };
        let wanted = OwnedKeys {
            parent: self.user_name(&parent)?,
            keys: keys.into_iter().map(key).collect::<Result<_, _>>()?,
            policy: policy.as_deref().map(identity_policy).transpose()?,
            expires,
            description,
        };
        let now = call.now;
        self.iam()?.change(|draft| draft.put_owned_keys(&wanted, &whose, now)).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn own_binding(&self, call: &Call) -> Result<Answer, Refusal> {
        let BindingBody { whose, policies: attached, users, groups } = call.json()?;
        let (whose, attached) = (whose.parse()?, policies(&attached)?);
        let users = users.iter().map(|name| Ok(Holder::User(self.user_name(name)?)));
        let groups = groups.iter().map(|name| Ok(Holder::Group(Name::group(name)?)));
        let holders = users.chain(groups).collect::<Result<BTreeSet<_>, Refusal>>()?;
        let now = call.now;
        self.iam()?
            .change(|draft| draft.put_owned_binding(&holders, &attached, &whose, now))
            .await?;
        Ok(Answer::Done)
    }

    pub(super) async fn own_bucket(&self, call: &Call) -> Result<Answer, Refusal> {
        let BucketBody { whose, name, policy, quota, tags, encryption, require_encryption } =
            call.json()?;
        let whose = whose.parse()?;
        let bucket = BucketName::try_from(name)
            .map_err(|invalid| Refusal::new("InvalidBucketName", 400, invalid.to_string()))?;
        let kind = Kind::Bucket(bucket.as_str());
        let policy = policy
            .map(|document| Policy::parse(kind, document.as_bytes()))
            .transpose()
            .map_err(|errors| Refusal::new("MalformedPolicy", 400, errors.to_string()))?;
        let tags = bucket_tags::checked(tags)?;
        let iam = self.iam()?;
        let failed = |error: StoreError| fault::store(&error);
        let default = encryption.as_ref().map(EncryptionBody::parse).transpose()?;
        let there = match self.store.bucket(&bucket).await {
            Ok(there) => Some(there),
            Err(StoreError::NoSuchBucket) => None,
            Err(error) => return Err(failed(error)),
        };
        let default = self.changed(&bucket, there.as_ref(), default).await?;
        let settings = BucketSettings {
            tags,
            encryption: default.map(|default| default.record()),
            requires_encryption: require_encryption,
        };
        let now = call.now;
        let wanted = |there: &Bucket, is_new| {
            let (name, policy) = (Name::bucket(&bucket), policy.clone());
            let (created, number) = (there.created, there.number);
            OwnedBucket { name, number, created, is_new, policy, quota }
        };
        let (there, is_new) = if let Some(there) = there {
            (there, false)
        } else {
            // With its mark, or not at all: one without would be another hand's for ever.
            let region = &self.region;
            let made = iam.create_bucket(&bucket, region, &settings, now, |draft, made| {
                draft.put_owned_bucket(&wanted(made, true), &whose, now)
            });
            match made.await {
                Ok(made) => (made, true),
                Err(IamError::Store(StoreError::BucketExists)) => {
                    (self.store.bucket(&bucket).await.map_err(failed)?, false)
                }
                Err(error) => return Err(error.into()),
            }
        };
        if !is_new {
            let as_it_is = wanted(&there, false);
            iam.change(|draft| draft.put_owned_bucket(&as_it_is, &whose, now)).await?;
            // Behind the mark: what isn't this resource's own isn't touched.
            let configured = self.store.configure_bucket(&bucket, there.number, &settings).await;
            configured.map_err(failed)?;
        }
        let used = self.store.usage(&bucket).await.map_err(failed)?;
        let coverage = self.looking.last();
        let covered = coverage.as_ref().and_then(|coverage| coverage.of(&there));
        answer(&json!({
            "bytes": used.bytes,
            "objects": used.objects,
            // An earlier version knows nothing of this, and says nothing.
            "protected": true,
            "coverage": covered.map(Covered::told),
        }))
    }

    /// The default encryption that a bucket is to get, once it was tried; `None`: it stays as it is.
    async fn changed(
        &self,
        bucket: &BucketName,
        there: Option<&Bucket>,
        mode: Option<Mode>,
    ) -> Result<Option<Mode>, Refusal> {
        let Some(mode) = mode else { return Ok(None) };
        let kms = self.kms.as_ref().ok_or_else(rotation::no_kms)?;
        if there.is_some_and(|there| mode.is_in(there.encryption.as_deref())) {
            // A KMS that is away changes nothing of what is so already.
            return Ok(None);
        }
        match mode.tried(&kms.keys, bucket).await {
            Ok(()) => Ok(Some(mode)),
            Err(Some(cause)) => Err(rotation::kms(&cause)),
            Err(None) => Err(rotation::no_default_key()),
        }
    }

    pub(super) async fn release(&self, call: &Call) -> Result<Answer, Refusal> {
        let ReleaseBody { whose, bucket } = call.json()?;
        let (iam, whose) = (self.iam()?, whose.parse()?);
        let mut gone = None;
        if let Some(bucket) = bucket
            && let Ok(bucket) = BucketName::try_from(bucket)
        {
            // Only what is marked as this resource's own is ever deleted.
            let snapshot = iam.snapshot();
            let mark = snapshot.mark(&Marked::Bucket(Name::bucket(&bucket)));
            let mark = mark.filter(|mark| mark.owner.resource == whose.owner.resource);
            if let Some(mark) = mark {
                match self.deletes(&bucket, mark.number, call.now).await? {
                    Deleted::All => gone = Some(Name::bucket(&bucket)),
                    Deleted::Part(count) => {
                        return answer(&json!({ "remaining": true, "deleted": count }));
                    }
                }
            }
        }
        let now = call.now;
        let released = self.rotation.release(&whose.owner.resource, now).await;
        released.map_err(|error| fault::store(&error))?;
        iam.change(|draft| draft.release(&whose.owner, gone.as_ref(), now)).await?;
        answer(&json!({ "remaining": false }))
    }

    /// Deletes a bucket with what is in it, a part at a time.
    async fn deletes(
        &self,
        bucket: &BucketName,
        number: u64,
        now: Timestamp,
    ) -> Result<Deleted, Refusal> {
        let failed = |error: StoreError| fault::store(&error);
        match self.store.bucket(bucket).await {
            Ok(there) if there.number == number => {}
            Ok(_) | Err(StoreError::NoSuchBucket) => return Ok(Deleted::All),
            Err(error) => return Err(failed(error)),
        }
        let mut count: usize = 0;
        let query = ListQuery { limit: AT_ONCE, ..ListQuery::default() };
        let listing = self.store.list_objects(bucket, &query).await.map_err(failed)?;
        let keys = listing.entries.into_iter().filter_map(|entry| match entry {
            Entry::Object(object) => Some((object.key, Precondition::default())),
            Entry::Prefix(_) => None,
        });
        for deleted in
            self.store.delete_objects(bucket, keys.collect(), now).await.map_err(failed)?
        {
            deleted.map_err(failed)?;
            count = count.saturating_add(1);
        }
        let query = UploadQuery { limit: AT_ONCE, ..UploadQuery::default() };
        let uploads = self.store.list_uploads(bucket, &query).await.map_err(failed)?;
        for entry in &uploads.entries {
            if let UploadEntry::Upload(upload) = entry {
                match self.store.abort_upload(bucket, &upload.key, upload.id, now).await {
                    Ok(()) => count = count.saturating_add(1),
                    Err(StoreError::NoSuchUpload) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        match self.store.delete_bucket(bucket, now).await {
            Ok(()) | Err(StoreError::NoSuchBucket) => {}
            Err(StoreError::BucketNotEmpty) => return Ok(Deleted::Part(count)),
            Err(error) => return Err(failed(error)),
        }
        let name = Name::bucket(bucket);
        self.iam()?.change(|draft| draft.delete_bucket_policy(&name, number)).await?;
        Ok(Deleted::All)
    }

    pub(super) fn own_policies(&self, _call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let documents: BTreeMap<&str, &str> = super::policy::all(&snapshot)
            .into_iter()
            .map(|(name, policy)| (name, policy.document()))
            .collect();
        answer(&documents)
    }
}
