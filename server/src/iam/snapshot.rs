//! Everything at one revision. Maps are persistent: a change shares all that it leaves as it is.

use std::sync::Arc;

use coffer_policy::{Named, Policy, built_in};
use coffer_signature::SecretKey;
use imbl::{HashMap, OrdMap, OrdSet};
use jiff::Timestamp;

use super::entity::{
    AccessKey, BucketPolicy, Entity, Group, Parent, Quota, Status, StoredPolicy, User,
};
use super::mark::{Mark, Marked};
use super::name::Name;

/// All identities and policies.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    revision: u64,
    pub(super) users: HashMap<Name, Arc<User>>,
    pub(super) groups: OrdMap<Name, Arc<Group>>,
    pub(super) policies: OrdMap<Name, Arc<StoredPolicy>>,
    pub(super) access_keys: HashMap<Name, Arc<AccessKey>>,
    pub(super) bucket_policies: HashMap<Name, Arc<BucketPolicy>>,
    pub(super) quotas: HashMap<Name, Arc<Quota>>,
    pub(super) marks: OrdMap<Marked, Arc<Mark>>,
    /// Group and member.
    pub(super) members: OrdSet<(Name, Name)>,
    /// Parent and access key.
    pub(super) children: OrdSet<(Parent, Name)>,
}

/// Whose signature a secret makes.
#[derive(Clone, Debug)]
pub enum Signer {
    /// A user's own.
    User(Arc<User>),
    /// An access key's; its parent, where that is a user.
    AccessKey(Arc<AccessKey>, Option<Arc<User>>),
}

impl Signer {
    /// What it signs with.
    pub fn secret_key(&self) -> &SecretKey {
        match self {
            Self::User(user) => &user.secret_key,
            Self::AccessKey(key, _) => &key.secret_key,
        }
    }
}

impl Snapshot {
    /// Grows with every change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Who signs by this access key, if it may be used now: enabled, not expired, and so its parent.
    pub fn signer(&self, access_key: &str, now: Timestamp) -> Option<Signer> {
        if let Some(user) = self.users.get(access_key) {
            return (user.status == Status::Enabled).then(|| Signer::User(Arc::clone(user)));
        }
        let key = self.access_keys.get(access_key).filter(|key| key.is_usable(now))?;
        let parent = match &key.parent {
            Parent::Root => None,
            Parent::User(name) => {
                let parent = self.users.get(name)?;
                Some(Arc::clone(parent)).filter(|parent| parent.status == Status::Enabled)?.into()
            }
        };
        Some(Signer::AccessKey(Arc::clone(key), parent))
    }

    /// A user.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// All users, in the order of their names.
    pub fn users(&self) -> Vec<&Arc<User>> {
        let mut users: Vec<_> = self.users.values().collect();
        users.sort_by(|a, b| a.name.cmp(&b.name));
        users
    }

    /// A group.
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.get(name)
    }

    /// All groups, in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The members of a group, in the order of their names.
    pub fn members(&self, group: &Name) -> impl Iterator<Item = &Name> {
        let first = (group.clone(), Name::kept(""));
        self.members.range(first..).take_while(move |(of, _)| of == group).map(|(_, member)| member)
    }

    /// A policy, stored or built in. A stored one goes before a built-in one of its name.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.get(name).map(|stored| &stored.policy).or_else(|| built_in::policy(name))
    }

    /// A stored policy.
    pub fn stored_policy(&self, name: &str) -> Option<&Arc<StoredPolicy>> {
        self.policies.get(name)
    }

    /// All stored policies, in the order of their names.
    pub fn stored_policies(&self) -> impl Iterator<Item = &Arc<StoredPolicy>> {
        self.policies.values()
    }

    /// An access key that isn't a user's own.
    pub fn access_key(&self, name: &str) -> Option<&Arc<AccessKey>> {
        self.access_keys.get(name)
    }

    /// The access keys of a parent, in their order.
    pub fn access_keys_of(&self, parent: &Parent) -> impl Iterator<Item = &Arc<AccessKey>> {
        let first = (parent.clone(), Name::kept(""));
        self.children
            .range(first..)
            .take_while(move |(of, _)| of == parent)
            .filter_map(|(_, key)| self.access_keys.get(key))
    }

    /// The policy that was put on a bucket of this name; whether it still is that bucket, its number says.
    pub fn bucket_policy(&self, bucket: &str) -> Option<&Arc<BucketPolicy>> {
        self.bucket_policies.get(bucket)
    }

    /// All policies of buckets, in no order.
    pub fn bucket_policies(&self) -> impl Iterator<Item = &Arc<BucketPolicy>> {
        self.bucket_policies.values()
    }

    /// Whether there is, or was, a bucket of this name with a quota.
    pub fn has_quota(&self, bucket: &str) -> bool {
        self.quotas.contains_key(bucket)
    }

    /// The most bytes that the bucket of this name may hold, if the one that was made then has a quota.
    pub fn quota(&self, bucket: &str, created: Timestamp) -> Option<u64> {
        self.quotas.get(bucket).filter(|quota| quota.created == created).map(|quota| quota.bytes)
    }

    /// For which resource something was made, if for any.
    pub fn mark(&self, of: &Marked) -> Option<&Arc<Mark>> {
        self.marks.get(of)
    }

    /// The name of the policy beyond which a user may nothing, if a resource that is held to one made it.
    pub fn ceiling_of(&self, user: &User) -> Option<&Name> {
        if self.marks.is_empty() {
            return None;
        }
        self.marks.get(&Marked::User(user.name.clone()))?.ceiling.as_ref()
    }

    /// The name of the policy beyond which this one gives nothing, if a resource that is held to one made it.
    pub fn ceiling_of_policy(&self, policy: &str) -> Option<&Name> {
        if self.marks.is_empty() {
            return None;
        }
        self.marks.get(&Marked::Policy(Name::kept(policy)))?.ceiling.as_ref()
    }

    /// The name of the policy beyond which the policy of this bucket gives nothing, if a resource that is held to one put it.
    pub fn ceiling_of_bucket(&self, bucket: &Name) -> Option<&Name> {
        self.marks.get(&Marked::Bucket(bucket.clone()))?.ceiling.as_ref()
    }

    /// The policies attached to a user itself.
    pub fn policies_of<'a>(&'a self, user: &'a User) -> Vec<Named<'a>> {
        self.named(&user.policies)
    }

    /// The policies that a user has by its groups. A disabled group gives none.
    pub fn group_policies_of<'a>(&'a self, user: &User) -> Vec<Named<'a>> {
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
        let enabled = groups.filter(|group| group.status == Status::Enabled);
        enabled.flat_map(|group| self.named(&group.policies)).collect()
    }

    fn named<'a>(&'a self, names: impl IntoIterator<Item = &'a Name>) -> Vec<Named<'a>> {
        let known = |name: &'a Name| {
            Some(Named { name: name.as_str(), policy: self.policy(name.as_str())? })
        };
        names.into_iter().filter_map(known).collect()
    }

    pub(super) fn put(&mut self, entity: Entity) {
        match entity {
            Entity::User(user) => {
                self.forget_user(&user.name);
                for group in &user.groups {
                    self.members.insert((group.clone(), user.name.clone()));
                }
                self.users.insert(user.name.clone(), user);
            }
            Entity::Group(group) => {
                self.groups.insert(group.name.clone(), group);
            }
            Entity::Policy(policy) => {
                self.policies.insert(policy.name.clone(), policy);
            }
            Entity::AccessKey(key) => {
                self.forget_access_key(&key.name);
                self.children.insert((key.parent.clone(), key.name.clone()));
                self.access_keys.insert(key.name.clone(), key);
            }
            Entity::BucketPolicy(policy) => {
                self.bucket_policies.insert(policy.bucket.clone(), policy);
            }
            Entity::Quota(quota) => {
                self.quotas.insert(quota.bucket.clone(), quota);
            }
            Entity::Mark(mark) => {
                self.marks.insert(mark.of.clone(), mark);
            }
        }
    }

    pub(super) fn forget_user(&mut self, name: &Name) {
        if let Some(user) = self.users.remove(name) {
            for group in &user.groups {
                self.members.remove(&(group.clone(), user.name.clone()));
            }
        }
    }

    pub(super) fn forget_access_key(&mut self, name: &Name) {
        if let Some(key) = self.access_keys.remove(name) {
            self.children.remove(&(key.parent.clone(), key.name.clone()));
        }
    }
}
