//! What there is: users, groups, policies, access keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_policy::Policy;
use coffer_signature::SecretKey;
use jiff::Timestamp;

use super::mark::Mark;
use super::name::Name;

/// Any of them.
#[derive(Clone, Debug)]
pub enum Entity {
    /// A user.
    User(Arc<User>),
    /// A group.
    Group(Arc<Group>),
    /// A policy.
    Policy(Arc<StoredPolicy>),
    /// An access key.
    AccessKey(Arc<AccessKey>),
    /// A bucket's policy.
    BucketPolicy(Arc<BucketPolicy>),
    /// A bucket's quota.
    Quota(Arc<Quota>),
    /// For which resource something was made.
    Mark(Arc<Mark>),
}

/// Whether an identity may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It may.
    Enabled,
    /// It is kept, and signs nothing.
    Disabled,
}

/// A user: its name is its access key.
#[derive(Clone, Debug)]
pub struct User {
    /// Name and access key.
    pub name: Name,
    /// What it signs with.
    pub secret_key: SecretKey,
    /// Whether it may.
    pub status: Status,
    /// Attached policies.
    pub policies: BTreeSet<Name>,
    /// The groups that it is in.
    pub groups: BTreeSet<Name>,
    /// When it, or what is attached to it, was last changed.
    pub updated: Timestamp,
}

/// A group of users. Its members are told by the users.
#[derive(Clone, Debug)]
pub struct Group {
    /// Name.
    pub name: Name,
    /// Whether its policies count for its members.
    pub status: Status,
    /// Attached policies.
    pub policies: BTreeSet<Name>,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A policy that can be attached.
#[derive(Clone, Debug)]
pub struct StoredPolicy {
    /// Name.
    pub name: Name,
    /// The compiled document.
    pub policy: Policy,
    /// When it was made.
    pub created: Timestamp,
    /// When its document was last changed.
    pub updated: Timestamp,
}

/// The policy of a bucket.
#[derive(Clone, Debug)]
pub struct BucketPolicy {
    /// The bucket's name.
    pub bucket: Name,
    /// The bucket's number: one of the same name that is made later doesn't inherit it.
    pub number: u64,
    /// The compiled document.
    pub policy: Policy,
    /// When it was put.
    pub updated: Timestamp,
}

/// How much a bucket may hold.
#[derive(Clone, Debug)]
pub struct Quota {
    /// The bucket.
    pub bucket: Name,
    /// When that bucket was made: one that is made by its name later has no quota.
    pub created: Timestamp,
    /// The most bytes that its objects may have together.
    pub bytes: u64,
}

/// On whose behalf an access key acts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parent {
    /// The root identity.
    Root,
    /// A user.
    User(Name),
}

/// An access key beside its parent's own (a service account).
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// The access key.
    pub name: Name,
    /// What it signs with.
    pub secret_key: SecretKey,
    /// On whose behalf.
    pub parent: Parent,
    /// Whether it may be used.
    pub status: Status,
    /// What it may do of what its parent may; without it, all of that.
    pub policy: Option<Policy>,
    /// A name for people; empty if none.
    pub label: String,
    /// A description for people; empty if none.
    pub description: String,
    /// When it ends, if ever.
    pub expires: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

impl AccessKey {
    /// Whether it may be used at this time, as far as the key itself goes.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.status == Status::Enabled && self.expires.is_none_or(|expires| now < expires)
    }
}
