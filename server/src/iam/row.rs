//! Rows as they are kept: a letter and the name, and a sealed JSON record with the number of its form.
//!
//! | row | record |
//! |---|---|
//! | `u` + name | user |
//! | `g` + name | group |
//! | `p` + name | policy |
//! | `k` + access key | access key |
//! | `b` + bucket | bucket policy |
//! | `q` + bucket | the bucket's quota |
//! | `m` + letter + name | for which resource that was made |

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use coffer_policy::{Kind, ParseErrors, Policy};
use coffer_signature::SecretKey;
use coffer_store::IamChange;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::entity::{
    AccessKey, BucketPolicy, Entity, Group, Parent, Quota, Status, StoredPolicy, User,
};
use super::mark::{self, Marked};
use super::name::Name;
use super::seal::{SealError, SealingKeys};

/// The number of the records' form.
const FORM: u32 = 1;

/// Why a row can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// It can't be opened.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// It is no record of this form.
    #[error("it isn't a record that this version knows")]
    Record,
    /// Its policy is none.
    #[error("its policy isn't valid: {0}")]
    Policy(ParseErrors),
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row {
    User(Name),
    Group(Name),
    Policy(Name),
    AccessKey(Name),
    BucketPolicy(Name),
    Quota(Name),
    Mark(Marked),
}

impl Row {
    fn key(&self) -> Vec<u8> {
        let (letter, name) = match self {
            Self::User(name) => (b'u', name),
            Self::Group(name) => (b'g', name),
            Self::Policy(name) => (b'p', name),
            Self::AccessKey(name) => (b'k', name),
            Self::BucketPolicy(name) => (b'b', name),
            Self::Quota(name) => (b'q', name),
            Self::Mark(of) => return mark::key(of),
        };
        [&[letter], name.as_str().as_bytes()].concat()
    }
}

// Fields are named in full and never guessed: a lock, a limit or an expiry that is missing is an unreadable record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserRecord {
    form: u32,
    secret: Zeroizing<String>,
    enabled: bool,
    policies: Vec<String>,
    groups: Vec<String>,
    updated: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupRecord {
    form: u32,
    enabled: bool,
    policies: Vec<String>,
    updated: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyRecord {
    form: u32,
    document: String,
    created: Timestamp,
    updated: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessKeyRecord {
    form: u32,
    secret: Zeroizing<String>,
    parent: ParentRecord,
    enabled: bool,
    policy: PolicyField,
    label: String,
    description: String,
    expires: Expiry,
    created: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketPolicyRecord {
    form: u32,
    number: u64,
    document: String,
    updated: Timestamp,
}

#[derive(Serialize, Deserialize)]
enum ParentRecord {
    Root,
    User(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaRecord {
    form: u32,
    created: Timestamp,
    bytes: u64,
}

/// Whether an access key has a policy of its own. An absent field is an error, not "no".
#[derive(Serialize, Deserialize)]
enum PolicyField {
    Inherited,
    Own(String),
}

#[derive(Serialize, Deserialize)]
enum Expiry {
    Never,
    At(Timestamp),
}

/// The change that keeps an entity.
pub(super) fn put(entity: &Entity, keys: &SealingKeys) -> Result<IamChange, SealError> {
    let (row, record) = match entity {
        Entity::User(user) => (Row::User(user.name.clone()), json(&user_record(user))?),
        Entity::Group(group) => (Row::Group(group.name.clone()), json(&group_record(group))?),
        Entity::Policy(policy) => (Row::Policy(policy.name.clone()), json(&policy_record(policy))?),
        Entity::AccessKey(key) => (Row::AccessKey(key.name.clone()), json(&key_record(key))?),
        Entity::BucketPolicy(policy) => {
            (Row::BucketPolicy(policy.bucket.clone()), json(&bucket_policy_record(policy))?)
        }
        Entity::Mark(mark) => (Row::Mark(mark.of.clone()), json(&mark::record(mark, FORM))?),
        Entity::Quota(quota) => {
            let Quota { bucket, created, bytes } = quota.as_ref();
            let record = QuotaRecord { form: FORM, created: *created, bytes: *bytes };
            (Row::Quota(bucket.clone()), json(&record)?)
        }
    };
    let name = row.key();
    let sealed = keys.seal(&name, &record)?;
    Ok(IamChange::Put(name, Bytes::from(sealed)))
}

/// The change that removes a row.
pub(super) fn delete(row: &Row) -> IamChange {
    IamChange::Delete(row.key())
}

/// The changes that seal by the current key what another one sealed.
///
/// # Errors
/// The name of the first row that the keys don't open, and why.
pub(super) fn seal_anew(
    rows: &[(Vec<u8>, Bytes)],
    keys: &SealingKeys,
) -> Result<Vec<IamChange>, (String, RowError)> {
    let mut changes = Vec::new();
    for (name, value) in rows.iter().filter(|(_, value)| !keys.is_current(value)) {
        let unreadable = |why: SealError| (String::from_utf8_lossy(name).into_owned(), why.into());
        let plain = keys.open(name, value).map_err(unreadable)?;
        let sealed = keys.seal(name, &plain).map_err(unreadable)?;
        changes.push(IamChange::Put(name.clone(), sealed.into()));
    }
    Ok(changes)
}

/// Opens a row.
pub(super) fn open(name: &[u8], sealed: &[u8], keys: &SealingKeys) -> Result<Entity, RowError> {
    let record = keys.open(name, sealed)?;
    let (letter, name) = name.split_first().ok_or(RowError::Record)?;
    let name = Name::kept(str::from_utf8(name).map_err(|_not_text| RowError::Record)?);
    Ok(match letter {
        b'u' => Entity::User(Arc::new(into_user(name, parse(&record)?)?)),
        b'g' => Entity::Group(Arc::new(into_group(name, parse(&record)?)?)),
        b'p' => Entity::Policy(Arc::new(into_policy(name, parse(&record)?)?)),
        b'k' => Entity::AccessKey(Arc::new(into_key(name, parse(&record)?)?)),
        b'b' => Entity::BucketPolicy(Arc::new(into_bucket_policy(name, parse(&record)?)?)),
        b'q' => {
            let QuotaRecord { form, created, bytes } = parse(&record)?;
            is_known(form)?;
            Entity::Quota(Arc::new(Quota { bucket: name, created, bytes }))
        }
        b'm' => {
            let record: mark::Record = parse(&record)?;
            is_known(record.form)?;
            Entity::Mark(Arc::new(mark::opened(name.as_str(), record).ok_or(RowError::Record)?))
        }
        _ => return Err(RowError::Record),
    })
}

fn json(record: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, SealError> {
    serde_json::to_vec(record).map(Zeroizing::new).map_err(|_no_json| SealError::Form)
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RowError> {
    serde_json::from_slice(bytes).map_err(|_secret_text_inside| RowError::Record)
}

fn is_known(form: u32) -> Result<(), RowError> {
    if form == FORM { Ok(()) } else { Err(RowError::Record) }
}

fn texts(names: &BTreeSet<Name>) -> Vec<String> {
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

fn names(texts: &[String]) -> BTreeSet<Name> {
    texts.iter().map(|text| Name::kept(text)).collect()
}

fn status(enabled: bool) -> Status {
    if enabled { Status::Enabled } else { Status::Disabled }
}

fn policy(document: &str) -> Result<Policy, RowError> {
    Policy::parse(Kind::Identity, document.as_bytes()).map_err(RowError::Policy)
}

fn user_record(user: &User) -> UserRecord {
    let User { name: _, secret_key, status, policies, groups, updated } = user;
    UserRecord {
        form: FORM,
        secret: Zeroizing::new(secret_key.expose().to_owned()),
        enabled: *status == Status::Enabled,
        policies: texts(policies),
        groups: texts(groups),
        updated: *updated,
    }
}

fn into_user(name: Name, record: UserRecord) -> Result<User, RowError> {
    let UserRecord { form, secret, enabled, policies, groups, updated } = record;
    is_known(form)?;
    Ok(User {
        name,
        secret_key: SecretKey::new(secret.to_string()),
        status: status(enabled),
        policies: names(&policies),
        groups: names(&groups),
        updated,
    })
}

fn group_record(group: &Group) -> GroupRecord {
    let Group { name: _, status, policies, updated } = group;
    let enabled = *status == Status::Enabled;
    GroupRecord { form: FORM, enabled, policies: texts(policies), updated: *updated }
}

fn into_group(name: Name, record: GroupRecord) -> Result<Group, RowError> {
    let GroupRecord { form, enabled, policies, updated } = record;
    is_known(form)?;
    Ok(Group { name, status: status(enabled), policies: names(&policies), updated })
}

fn policy_record(stored: &StoredPolicy) -> PolicyRecord {
    let StoredPolicy { name: _, policy, created, updated } = stored;
    let document = policy.document().to_owned();
    PolicyRecord { form: FORM, document, created: *created, updated: *updated }
}

fn into_policy(name: Name, record: PolicyRecord) -> Result<StoredPolicy, RowError> {
    let PolicyRecord { form, document, created, updated } = record;
    is_known(form)?;
    Ok(StoredPolicy { name, policy: policy(&document)?, created, updated })
}

fn bucket_policy_record(stored: &BucketPolicy) -> BucketPolicyRecord {
    let BucketPolicy { bucket: _, number, policy, updated } = stored;
    let document = policy.document().to_owned();
    BucketPolicyRecord { form: FORM, number: *number, document, updated: *updated }
}

fn into_bucket_policy(bucket: Name, record: BucketPolicyRecord) -> Result<BucketPolicy, RowError> {
    let BucketPolicyRecord { form, number, document, updated } = record;
    is_known(form)?;
    let kind = Kind::Bucket(bucket.as_str());
    let policy = Policy::parse(kind, document.as_bytes()).map_err(RowError::Policy)?;
    Ok(BucketPolicy { bucket, number, policy, updated })
}

fn key_record(key: &AccessKey) -> AccessKeyRecord {
    let AccessKey {
        name: _,
        secret_key,
        parent,
        status,
        policy,
        label,
        description,
        expires,
        created,
    } = key;
    AccessKeyRecord {
        form: FORM,
        secret: Zeroizing::new(secret_key.expose().to_owned()),
        parent: match parent {
            Parent::Root => ParentRecord::Root,
            Parent::User(name) => ParentRecord::User(name.as_str().to_owned()),
        },
        enabled: *status == Status::Enabled,
        policy: match policy {
            None => PolicyField::Inherited,
            Some(policy) => PolicyField::Own(policy.document().to_owned()),
        },
        label: label.clone(),
        description: description.clone(),
        expires: expires.map_or(Expiry::Never, Expiry::At),
        created: *created,
    }
}

fn into_key(name: Name, record: AccessKeyRecord) -> Result<AccessKey, RowError> {
    let AccessKeyRecord {
        form,
        secret,
        parent,
        enabled,
        policy: field,
        label,
        description,
        expires,
        created,
    } = record;
    is_known(form)?;
    Ok(AccessKey {
        name,
        secret_key: SecretKey::new(secret.to_string()),
        parent: match parent {
            ParentRecord::Root => Parent::Root,
            ParentRecord::User(name) => Parent::User(Name::kept(&name)),
        },
        status: status(enabled),
        policy: match field {
            PolicyField::Inherited => None,
            PolicyField::Own(document) => Some(policy(&document)?),
        },
        label,
        description,
        expires: match expires {
            Expiry::Never => None,
            Expiry::At(time) => Some(time),
        },
        created,
    })
}
