//! A change in the making: what would hold after it, and the rows that it touches.

mod access_key;

pub(crate) use access_key::expiry_is_sound;
pub use access_key::{AccessKeyChange, NewAccessKey};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coffer_policy::{Policy, built_in};
use coffer_signature::SecretKey;
use coffer_store::IamChange;
use jiff::Timestamp;

use super::entity::{
    AccessKey, BucketPolicy, Entity, Group, Parent, Quota, Status, StoredPolicy, User,
};
use super::name::Name;
use super::row::{self, Row};
use super::seal::SealingKeys;
use super::{Refused, Snapshot};

/// The most users and groups that a refusal names.
const NAMED: usize = 5;

/// A change in the making. Each function checks and changes; after an error the draft must not be committed.
#[derive(Debug)]
pub struct Draft {
    pub(super) after: Snapshot,
    /// What becomes of each touched row.
    pub(super) rows: BTreeMap<Row, Option<Entity>>,
}

/// To whom policies are attached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A user.
    User(Name),
    /// A group.
    Group(Name),
}

impl Draft {
    pub(crate) fn of(before: &Snapshot) -> Self {
        Self { after: before.clone(), rows: BTreeMap::new() }
    }

    /// What would hold.
    pub fn snapshot(&self) -> &Snapshot {
        &self.after
    }

    pub(super) fn finish(self, keys: &SealingKeys) -> Result<(Snapshot, Vec<IamChange>), Refused> {
        let changes = self.rows.iter().map(|(row, entity)| match entity {
            Some(entity) => row::put(entity, keys).map_err(|_opaque| Refused::Unsealable),
            None => Ok(row::delete(row)),
        });
        let changes = changes.collect::<Result<_, _>>()?;
        Ok((self.after, changes))
    }

    /// Makes a user, or gives one another secret and status. Its policies and groups stay.
    ///
    /// # Errors
    /// `InvalidSecretKey`, `Taken`.
    pub fn put_user(
        &mut self,
        name: &Name,
        secret_key: SecretKey,
        status: Status,
        now: Timestamp,
    ) -> Result<(), Refused> {
        secret_is_sound(&secret_key, 256)?;
        if self.after.access_keys.contains_key(name) {
            return Err(Refused::Taken(name.clone()));
        }
        let (policies, groups) = match self.after.users.get(name) {
            Some(user) => (user.policies.clone(), user.groups.clone()),
            None => (BTreeSet::new(), BTreeSet::new()),
        };
        let name = name.clone();
        self.put(Entity::User(Arc::new(User {
            name,
            secret_key,
            status,
            policies,
            groups,
            updated: now,
        })));
        Ok(())
    }

    /// Enables or disables a user.
    ///
    /// # Errors
    /// `NoSuchUser`.
    pub fn set_user_status(
        &mut self,
        name: &Name,
        status: Status,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let user = User { status, updated: now, ..User::clone(self.user(name)?) };
        self.put(Entity::User(Arc::new(user)));
        Ok(())
    }

    /// Deletes a user with its access keys and memberships. One that is made by its name later inherits nothing.
    ///
    /// # Errors
    /// `NoSuchUser`.
    pub fn delete_user(&mut self, name: &Name) -> Result<(), Refused> {
        self.user(name)?;
        let parent = Parent::User(name.clone());
        let keys: Vec<Name> =
            self.after.access_keys_of(&parent).map(|key| key.name.clone()).collect();
        for key in keys {
            self.delete_access_key(&key)?;
        }
        self.after.forget_user(name);
        self.rows.insert(Row::User(name.clone()), None);
        Ok(())
    }

    /// Makes a policy, or gives one another document.
    ///
    /// # Errors
    /// Never yet; a policy is checked by its type.
    pub fn put_policy(
        &mut self,
        name: &Name,
        policy: Policy,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let created = self.after.policies.get(name).map_or(now, |stored| stored.created);
        let name = name.clone();
        self.put(Entity::Policy(Arc::new(StoredPolicy { name, policy, created, updated: now })));
        Ok(())
    }

    /// Deletes a policy that nobody has. A built-in one that was replaced is as before afterwards.
    ///
    /// # Errors
    /// `NoSuchPolicy`, `BuiltIn`, `PolicyInUse`.
    pub fn delete_policy(&mut self, name: &Name) -> Result<(), Refused> {
        let is_built_in = built_in::policy(name.as_str()).is_some();
        if !self.after.policies.contains_key(name) {
            let name = name.clone();
            return Err(if is_built_in {
                Refused::BuiltIn(name)
            } else {
                Refused::NoSuchPolicy(name)
            });
        }
        if !is_built_in {
            let users = self.after.users.values().filter(|user| user.policies.contains(name));
            let groups = self.after.groups.values().filter(|group| group.policies.contains(name));
            let mut holders: Vec<String> = users
                .map(|user| format!("user `{}`", user.name))
                .chain(groups.map(|group| format!("group `{}`", group.name)))
                .collect();
            if !holders.is_empty() {
                holders.sort();
                let more = holders.len().saturating_sub(NAMED);
                holders.truncate(NAMED);
                let mut users = holders.join(", ");
                if more > 0 {
                    users = format!("{users} and {more} more");
                }
                return Err(Refused::PolicyInUse { policy: name.clone(), users });
            }
        }
        self.after.policies.remove(name);
        self.rows.insert(Row::Policy(name.clone()), None);
        Ok(())
    }

    /// Adds users to a group, which is made if it isn't there.
    ///
    /// # Errors
    /// `NoSuchUser`, `Taken` for an access key.
    pub fn add_members(
        &mut self,
        group: &Name,
        members: &[Name],
        now: Timestamp,
    ) -> Result<(), Refused> {
        if !self.after.groups.contains_key(group) {
            self.put(Entity::Group(Arc::new(Group {
                name: group.clone(),
                status: Status::Enabled,
                policies: BTreeSet::new(),
                updated: now,
            })));
        }
        for member in members {
            let mut user = User::clone(self.user(member)?);
            if user.groups.insert(group.clone()) {
                self.put(Entity::User(Arc::new(user)));
            }
        }
        Ok(())
    }

    /// Takes users out of a group.
    ///
    /// # Errors
    /// `NoSuchGroup`, `NoSuchUser`.
    pub fn remove_members(&mut self, group: &Name, members: &[Name]) -> Result<(), Refused> {
        self.group(group)?;
        for member in members {
            let mut user = User::clone(self.user(member)?);
            if user.groups.remove(group) {
                self.put(Entity::User(Arc::new(user)));
            }
        }
        Ok(())
    }

    /// Deletes a group without members.
    ///
    /// # Errors
    /// `NoSuchGroup`, `GroupNotEmpty`.
    pub fn delete_group(&mut self, name: &Name) -> Result<(), Refused> {
        self.group(name)?;
        if self.after.members(name).next().is_some() {
            return Err(Refused::GroupNotEmpty(name.clone()));
        }
        self.after.groups.remove(name);
        self.rows.insert(Row::Group(name.clone()), None);
        Ok(())
    }

    /// Enables or disables a group.
    ///
    /// # Errors
    /// `NoSuchGroup`.
    pub fn set_group_status(
        &mut self,
        name: &Name,
        status: Status,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let group = Group { status, updated: now, ..Group::clone(self.group(name)?) };
        self.put(Entity::Group(Arc::new(group)));
        Ok(())
    }

    /// Attaches policies. Answers those that weren't attached before.
    ///
    /// # Errors
    /// `NoSuchUser`, `NoSuchGroup`, `GroupDisabled`, `NoSuchPolicy`; `AlreadyApplied` if all of them were.
    pub fn attach(
        &mut self,
        holder: &Holder,
        policies: &[Name],
        now: Timestamp,
    ) -> Result<Vec<Name>, Refused> {
        self.all_known(policies)?;
        let mut held = self.held(holder)?;
        let new: Vec<Name> =
            policies.iter().filter(|name| held.insert((*name).clone())).cloned().collect();
        self.hold(holder, held, !new.is_empty(), now)?;
        Ok(new)
    }

    /// Detaches policies. Answers those that were attached.
    ///
    /// # Errors
    /// As [`Draft::attach`]; an unknown policy was not attached.
    pub fn detach(
        &mut self,
        holder: &Holder,
        policies: &[Name],
        now: Timestamp,
    ) -> Result<Vec<Name>, Refused> {
        let mut held = self.held(holder)?;
        let gone: Vec<Name> = policies.iter().filter(|name| held.remove(*name)).cloned().collect();
        self.hold(holder, held, !gone.is_empty(), now)?;
        Ok(gone)
    }

    /// Attaches exactly these policies.
    ///
    /// # Errors
    /// As [`Draft::attach`], without `AlreadyApplied`.
    pub fn set_policies(
        &mut self,
        holder: &Holder,
        policies: &[Name],
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.all_known(policies)?;
        self.held(holder)?;
        self.hold(holder, policies.iter().cloned().collect(), true, now)
    }

    /// Puts a policy on the bucket of this name and number, in the place of what was there.
    ///
    /// # Errors
    /// Never yet; a policy is checked by its type.
    pub fn put_bucket_policy(&mut self, policy: BucketPolicy) -> Result<(), Refused> {
        self.put(Entity::BucketPolicy(Arc::new(policy)));
        Ok(())
    }

    /// Removes the policy of the bucket of this name and number; fine where there is none.
    ///
    /// # Errors
    /// Never yet.
    pub fn delete_bucket_policy(&mut self, bucket: &Name, number: u64) -> Result<(), Refused> {
        let there = self.after.bucket_policies.get(bucket);
        if there.is_some_and(|policy| policy.number == number) {
            self.after.bucket_policies.remove(bucket);
            self.rows.insert(Row::BucketPolicy(bucket.clone()), None);
        }
        Ok(())
    }

    /// Sets the quota of a bucket that was made at `created`; no bytes are no quota.
    pub fn set_quota(&mut self, bucket: &Name, created: Timestamp, bytes: u64) {
        if bytes > 0 {
            self.put(Entity::Quota(Arc::new(Quota { bucket: bucket.clone(), created, bytes })));
        } else if self.after.quotas.remove(bucket).is_some() {
            self.rows.insert(Row::Quota(bucket.clone()), None);
        }
    }

    pub(super) fn put(&mut self, entity: Entity) {
        let row = match &entity {
            Entity::User(user) => Row::User(user.name.clone()),
            Entity::Group(group) => Row::Group(group.name.clone()),
            Entity::Policy(policy) => Row::Policy(policy.name.clone()),
            Entity::AccessKey(key) => Row::AccessKey(key.name.clone()),
            Entity::BucketPolicy(policy) => Row::BucketPolicy(policy.bucket.clone()),
            Entity::Quota(quota) => Row::Quota(quota.bucket.clone()),
            Entity::Mark(mark) => Row::Mark(mark.of.clone()),
        };
        self.after.put(entity.clone());
        self.rows.insert(row, Some(entity));
    }

    pub(super) fn user(&self, name: &Name) -> Result<&Arc<User>, Refused> {
        if self.after.access_keys.contains_key(name) {
            return Err(Refused::Taken(name.clone()));
        }
        self.after.users.get(name).ok_or_else(|| Refused::NoSuchUser(name.clone()))
    }

    pub(super) fn group(&self, name: &Name) -> Result<&Arc<Group>, Refused> {
        self.after.groups.get(name).ok_or_else(|| Refused::NoSuchGroup(name.clone()))
    }

    pub(super) fn access_key(&self, name: &Name) -> Result<&Arc<AccessKey>, Refused> {
        self.after.access_keys.get(name).ok_or_else(|| Refused::NoSuchAccessKey(name.clone()))
    }

    pub(super) fn all_known(&self, policies: &[Name]) -> Result<(), Refused> {
        let unknown = policies.iter().find(|name| self.after.policy(name.as_str()).is_none());
        unknown.map_or(Ok(()), |name| Err(Refused::NoSuchPolicy(name.clone())))
    }

    fn held(&self, holder: &Holder) -> Result<BTreeSet<Name>, Refused> {
        match holder {
            Holder::User(name) => Ok(self.user(name)?.policies.clone()),
            Holder::Group(name) => {
                let group = self.group(name)?;
                match group.status {
                    Status::Enabled => Ok(group.policies.clone()),
                    Status::Disabled => Err(Refused::GroupDisabled(name.clone())),
                }
            }
        }
    }

    fn hold(
        &mut self,
        holder: &Holder,
        policies: BTreeSet<Name>,
        changes: bool,
        updated: Timestamp,
    ) -> Result<(), Refused> {
        if !changes {
            return Err(Refused::AlreadyApplied);
        }
        let entity = match holder {
            Holder::User(name) => {
                Entity::User(Arc::new(User { policies, updated, ..User::clone(self.user(name)?) }))
            }
            Holder::Group(name) => Entity::Group(Arc::new(Group {
                policies,
                updated,
                ..Group::clone(self.group(name)?)
            })),
        };
        self.put(entity);
        Ok(())
    }
}

fn secret_is_sound(secret_key: &SecretKey, longest: usize) -> Result<(), Refused> {
    let length = secret_key.expose().chars().count();
    if (8..=longest).contains(&length) { Ok(()) } else { Err(Refused::InvalidSecretKey) }
}
