//! What resources make: put as they say, marked as theirs, put back where another hand changed it, and gone with them.
//!
//! Each function here says how something shall be; where it is so already nothing is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_policy::Policy;
use coffer_signature::SecretKey;
use jiff::Timestamp;

use super::draft::{AccessKeyChange, Draft, Holder, NewAccessKey};
use super::entity::{BucketPolicy, Entity, Group, Parent, Status, User};
use super::mark::{Mark, Marked, Owner};
use super::name::Name;
use super::refused::{MadeBy, Refused};
use super::row::Row;

/// What a resource takes over that isn't its own. What is another resource's it never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopt {
    /// Nothing.
    Nothing,
    /// What a resource of its namespace has let go of; it says so, but isn't of the Tenant's own namespace.
    LetGo,
    /// That, what resources of other namespaces have let go of, and what another hand made.
    Anything,
}

/// For whom something is put, and how far it may go.
#[derive(Clone, Debug)]
pub struct For {
    /// The resource.
    pub owner: Owner,
    /// What it takes over.
    pub adopt: Adopt,
    /// The policy beyond which it may give nothing.
    pub ceiling: Option<Name>,
}

/// How a user shall be.
#[derive(Clone, Debug)]
pub struct OwnedUser {
    /// Name and access key.
    pub name: Name,
    /// What it signs with.
    pub secret_key: SecretKey,
    /// Whether it may.
    pub status: Status,
    /// The policies that its resource attaches.
    pub policies: BTreeSet<Name>,
    /// The groups that it is in, and no others.
    pub groups: BTreeSet<Name>,
}

/// How the access keys of one resource shall be.
#[derive(Clone, Debug)]
pub struct OwnedKeys {
    /// The user on whose behalf they act.
    pub parent: Name,
    /// All that there shall be; one without its secret stays as it is, and isn't made anew.
    pub keys: Vec<(Name, Option<SecretKey>)>,
    /// What they may do of what the user may.
    pub policy: Option<Policy>,
    /// When they end.
    pub expires: Option<Timestamp>,
    /// For people.
    pub description: String,
}

/// How a bucket shall be.
#[derive(Clone, Debug)]
pub struct OwnedBucket {
    /// Its name.
    pub name: Name,
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it was made just now, for this resource.
    pub is_new: bool,
    /// Its policy.
    pub policy: Option<Policy>,
    /// The most bytes that it may hold; 0: as many as there is room for.
    pub quota: u64,
}

impl Draft {
    /// A policy.
    ///
    /// # Errors
    /// `NotOwned`.
    pub fn put_owned_policy(
        &mut self,
        name: &Name,
        policy: &Policy,
        whose: &For,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let there = self.after.policies.get(name).map(|stored| stored.policy.clone());
        // A built-in one is there too: whoever has it would have another.
        let exists = self.after.policy(name.as_str()).is_some();
        let mark = self.mark(Marked::Policy(name.clone()), exists, whose)?;
        if there.is_none_or(|there| there.document() != policy.document()) {
            self.put_policy(name, policy.clone(), now)?;
        }
        self.put_mark(mark);
        Ok(())
    }

    /// A user. Its policies are those that resources attach, by itself and by bindings, and no others.
    ///
    /// # Errors
    /// `NotOwned`, `NoSuchPolicy`, `Taken`, `InvalidSecretKey`.
    pub fn put_owned_user(
        &mut self,
        wanted: &OwnedUser,
        whose: &For,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let OwnedUser { name, secret_key, status, policies, groups } = wanted;
        let names: Vec<Name> = policies.iter().chain(&whose.ceiling).cloned().collect();
        self.all_known(&names)?;
        let there = self.after.users.get(name).cloned();
        let mut mark = self.mark(Marked::User(name.clone()), there.is_some(), whose)?;
        let holder = Holder::User(name.clone());
        mark.attached = policies.iter().map(|policy| (holder.clone(), policy.clone())).collect();
        self.put_mark(mark);
        let same = there.is_some_and(|user| {
            user.status == *status && user.secret_key.expose() == secret_key.expose()
        });
        if !same {
            self.put_user(name, secret_key.clone(), *status, now)?;
        }
        self.settle(name, now)?;
        let current = self.user(name)?.groups.clone();
        for group in groups.difference(&current) {
            self.needs_group(group, &whose.owner, now);
            self.add_members(group, std::slice::from_ref(name), now)?;
        }
        for group in current.difference(groups) {
            self.remove_members(group, std::slice::from_ref(name))?;
            self.tidy(group)?;
        }
        Ok(())
    }

    /// The access keys of one resource: these, and no others.
    ///
    /// # Errors
    /// `NoSuchUser`, `NotOwned`, `Unbounded`, and as [`Draft::put_access_key`].
    pub fn put_owned_keys(
        &mut self,
        wanted: &OwnedKeys,
        whose: &For,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let OwnedKeys { parent, keys, policy, expires, description } = wanted;
        self.user(parent)?;
        self.is_bounded(&Marked::User(parent.clone()), parent, whose)?;
        for mark in self.marks_of(&whose.owner) {
            if let Marked::AccessKey(name) = &mark.of
                && !keys.iter().any(|(wanted, _)| wanted == name)
            {
                self.drop_key(name)?;
            }
        }
        let parent = Parent::User(parent.clone());
        for (name, secret_key) in keys {
            let there = self.after.access_keys.get(name).cloned();
            let mark = self.mark(Marked::AccessKey(name.clone()), there.is_some(), whose)?;
            // On another's behalf it is another key.
            let there = match there {
                Some(key) if key.parent != parent => {
                    self.delete_access_key(name)?;
                    None
                }
                there => there,
            };
            match (there, secret_key) {
                (Some(key), secret_key) => {
                    let secret_key =
                        secret_key.clone().filter(|new| new.expose() != key.secret_key.expose());
                    let status = (key.status == Status::Disabled).then_some(Status::Enabled);
                    let document = |policy: &Option<Policy>| {
                        policy.as_ref().map(|policy| policy.document().to_owned())
                    };
                    let change = AccessKeyChange {
                        policy: (document(&key.policy) != document(policy)).then(|| policy.clone()),
                        expires: (key.expires != *expires).then_some(*expires),
                        secret_key,
                        status,
                        label: None,
                        description: (key.description != *description).then(|| description.clone()),
                    };
                    if !change.is_nothing() {
                        self.change_access_key(name, change, now)?;
                    }
                }
                (None, Some(secret_key)) => {
                    let new = NewAccessKey {
                        name: name.clone(),
                        secret_key: secret_key.clone(),
                        parent: parent.clone(),
                        policy: policy.clone(),
                        label: String::new(),
                        description: description.clone(),
                        expires: *expires,
                    };
                    self.put_access_key(new, now)?;
                }
                (None, None) => continue,
            }
            self.put_mark(mark);
        }
        Ok(())
    }

    /// The attachments of one resource. What another hand attached before stays that one's.
    ///
    /// # Errors
    /// `NoSuchUser`, `NoSuchPolicy`, `GroupDisabled`, `Unbounded`.
    pub fn put_owned_binding(
        &mut self,
        holders: &BTreeSet<Holder>,
        policies: &BTreeSet<Name>,
        whose: &For,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let names: Vec<Name> = policies.iter().cloned().collect();
        self.all_known(&names)?;
        let of = Marked::Binding(Name::kept(&whose.owner.resource));
        let before = self.after.marks.get(&of).map(|mark| mark.attached.clone());
        let before = before.unwrap_or_default();
        let mut mark = self.mark(of, false, whose)?;
        for holder in holders {
            match holder {
                Holder::User(name) => {
                    self.user(name)?;
                    self.is_bounded(&Marked::User(name.clone()), name, whose)?;
                }
                Holder::Group(name) => {
                    self.needs_group(name, &whose.owner, now);
                    self.is_bounded(&Marked::Group(name.clone()), name, whose)?;
                }
            }
            let held = self.policies_of(holder)?;
            let claimed = |policy: &Name| {
                let one = (holder.clone(), policy.clone());
                !held.contains(policy) || before.contains(&one) || self.is_attached(&one)
            };
            let claims = policies.iter().filter(|policy| claimed(policy));
            mark.attached.extend(claims.map(|policy| (holder.clone(), policy.clone())));
            let missing: Vec<Name> = policies.difference(&held).cloned().collect();
            if !missing.is_empty() {
                self.attach(holder, &missing, now)?;
            }
        }
        let after = mark.attached.clone();
        self.put_mark(mark);
        self.let_go(before.difference(&after), now)
    }

    /// A bucket's policy and quota.
    ///
    /// # Errors
    /// `NotOwned`.
    pub fn put_owned_bucket(
        &mut self,
        wanted: &OwnedBucket,
        whose: &For,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let OwnedBucket { name, number, created, is_new, policy, quota } = wanted;
        let of = Marked::Bucket(name.clone());
        // A mark on a bucket of an earlier number says nothing of this one.
        let known = self.after.marks.get(&of).is_some_and(|mark| mark.number == *number);
        if !known {
            self.unmark(&of);
        }
        let mut mark = self.mark(of, !is_new, whose)?;
        mark.number = *number;
        self.put_mark(mark);
        let there = self.after.bucket_policies.get(name).filter(|there| there.number == *number);
        let there = there.map(|there| there.policy.document().to_owned());
        match policy {
            Some(policy) if there.as_deref() != Some(policy.document()) => {
                let (bucket, number, policy) = (name.clone(), *number, policy.clone());
                self.put_bucket_policy(BucketPolicy { bucket, number, policy, updated: now })?;
            }
            None if there.is_some() => self.delete_bucket_policy(name, *number)?,
            Some(_) | None => {}
        }
        if self.after.quota(name.as_str(), *created).unwrap_or(0) != *quota {
            self.set_quota(name, *created, *quota);
        }
        Ok(())
    }

    /// Removes all that was made for a resource, but its buckets: those it lets go of. `deleted` is one that is gone already.
    ///
    /// # Errors
    /// `PolicyInUse`.
    pub fn release(
        &mut self,
        owner: &Owner,
        deleted: Option<&Name>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        for mark in self.marks_of(owner) {
            match &mark.of {
                Marked::AccessKey(name) => self.drop_key(name)?,
                Marked::User(name) => {
                    if let Some(user) = self.after.users.get(name).cloned() {
                        self.delete_user(name)?;
                        for group in &user.groups {
                            self.tidy(group)?;
                        }
                    }
                    self.unmark(&mark.of);
                }
                Marked::Policy(name) => {
                    // What was let go of has nobody who could remove it: without its boundary it gives nothing.
                    let bounds = |mark: &&Arc<Mark>| {
                        mark.ceiling.as_ref() == Some(name) && !mark.owner.has_let_go()
                    };
                    if let Some(bound) = self.after.marks.values().find(bounds) {
                        let users = format!("the {} as its boundary", bound.of.shown());
                        return Err(Refused::PolicyInUse { policy: name.clone(), users });
                    }
                    match self.delete_policy(name) {
                        Ok(()) | Err(Refused::NoSuchPolicy(_) | Refused::BuiltIn(_)) => {}
                        Err(refused) => return Err(refused),
                    }
                    self.unmark(&mark.of);
                }
                Marked::Binding(_) => {
                    self.unmark(&mark.of);
                    self.let_go(mark.attached.iter(), now)?;
                }
                Marked::Bucket(name) if deleted == Some(name) => self.unmark(&mark.of),
                // What it put there is held to its boundary still: without a mark nothing would hold it.
                Marked::Bucket(_) => {
                    self.put_mark(Mark { owner: mark.owner.let_go(), ..Mark::clone(&mark) });
                }
                // It goes with the last that names it.
                Marked::Group(_) => {}
            }
        }
        Ok(())
    }

    /// The mark to put on something that is there or not, if this resource may.
    fn mark(&self, of: Marked, exists: bool, whose: &For) -> Result<Mark, Refused> {
        let mark = self.after.marks.get(&of).map(|mark| &mark.owner);
        if let Some(by) = is_anothers(mark, exists, whose) {
            return Err(Refused::NotOwned { what: of.shown(), by });
        }
        let For { owner, adopt: _, ceiling } = whose;
        let (owner, ceiling) = (owner.clone(), ceiling.clone());
        Ok(Mark { of, owner, ceiling, number: 0, attached: BTreeSet::new() })
    }

    fn put_mark(&mut self, mark: Mark) {
        if self.after.marks.get(&mark.of).map(AsRef::as_ref) != Some(&mark) {
            self.put(Entity::Mark(Arc::new(mark)));
        }
    }

    pub(super) fn unmark(&mut self, of: &Marked) {
        if self.after.marks.remove(of).is_some() {
            self.rows.insert(Row::Mark(of.clone()), None);
        }
    }

    fn marks_of(&self, owner: &Owner) -> Vec<Arc<Mark>> {
        let own = |mark: &&Arc<Mark>| mark.owner.resource == owner.resource;
        self.after.marks.values().filter(own).cloned().collect()
    }

    fn is_attached(&self, one: &(Holder, Name)) -> bool {
        self.after.marks.values().any(|mark| mark.attached.contains(one))
    }

    /// Where there is a boundary, nothing is given to what it doesn't hold.
    fn is_bounded(&self, of: &Marked, name: &Name, whose: &For) -> Result<(), Refused> {
        let marked = self.after.marks.contains_key(of);
        if whose.ceiling.is_some() && !marked {
            return Err(Refused::Unbounded(name.clone()));
        }
        Ok(())
    }

    fn policies_of(&self, holder: &Holder) -> Result<BTreeSet<Name>, Refused> {
        Ok(match holder {
            Holder::User(name) => self.user(name)?.policies.clone(),
            Holder::Group(name) => self.group(name)?.policies.clone(),
        })
    }

    /// Gives a user of a resource exactly what marks attach to it.
    fn settle(&mut self, name: &Name, now: Timestamp) -> Result<(), Refused> {
        let holder = Holder::User(name.clone());
        let attached = self.after.marks.values().flat_map(|mark| &mark.attached);
        let policies: BTreeSet<Name> =
            attached.filter(|(of, _)| *of == holder).map(|(_, policy)| policy.clone()).collect();
        let user = self.user(name)?;
        if user.policies != policies {
            let user = User { policies, updated: now, ..User::clone(user) };
            self.put(Entity::User(Arc::new(user)));
        }
        Ok(())
    }

    /// Detaches what no mark attaches any more.
    fn let_go<'a>(
        &mut self,
        attachments: impl Iterator<Item = &'a (Holder, Name)>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        for one in attachments {
            let (holder, policy) = one;
            let is_there = self.policies_of(holder).is_ok_and(|held| held.contains(policy));
            if is_there && !self.is_attached(one) {
                match self.detach(holder, std::slice::from_ref(policy), now) {
                    Ok(_) | Err(Refused::GroupDisabled(_)) => {}
                    Err(refused) => return Err(refused),
                }
            }
            if let Holder::Group(group) = holder {
                self.tidy(group)?;
            }
        }
        Ok(())
    }

    /// A group that a resource names is there.
    fn needs_group(&mut self, name: &Name, owner: &Owner, now: Timestamp) {
        if self.after.groups.contains_key(name) {
            return;
        }
        self.put(Entity::Group(Arc::new(Group {
            name: name.clone(),
            status: Status::Enabled,
            policies: BTreeSet::new(),
            updated: now,
        })));
        // Nobody's in particular: it goes with the last that names it.
        let owner = Owner { resource: String::new(), uid: owner.uid.clone() };
        let of = Marked::Group(name.clone());
        self.put_mark(Mark { of, owner, ceiling: None, number: 0, attached: BTreeSet::new() });
    }

    /// Removes a group that resources made and none needs any more.
    fn tidy(&mut self, name: &Name) -> Result<(), Refused> {
        let of = Marked::Group(name.clone());
        let holder = Holder::Group(name.clone());
        let mut attached = self.after.marks.values().flat_map(|mark| &mark.attached);
        let needed = attached.any(|(of, _)| *of == holder);
        let has_members = self.after.members(name).next().is_some();
        if self.after.marks.contains_key(&of) && !needed && !has_members {
            if self.after.groups.contains_key(name) {
                self.delete_group(name)?;
            }
            self.unmark(&of);
        }
        Ok(())
    }

    fn drop_key(&mut self, name: &Name) -> Result<(), Refused> {
        if self.after.access_keys.contains_key(name) {
            self.delete_access_key(name)?;
        }
        self.unmark(&Marked::AccessKey(name.clone()));
        Ok(())
    }
}

/// Whose something is that a resource may not have; `None`: it may.
fn is_anothers(mark: Option<&Owner>, exists: bool, whose: &For) -> Option<MadeBy> {
    let For { owner, adopt, ceiling: _ } = whose;
    let is_near = |mark: &Owner| mark.namespace() == owner.namespace();
    match mark {
        Some(mark) if mark.resource == owner.resource => None,
        Some(mark) if !mark.has_let_go() && is_near(mark) => {
            Some(MadeBy::Resource(mark.resource.clone()))
        }
        Some(mark) if !mark.has_let_go() => Some(MadeBy::Elsewhere),
        Some(mark) if is_near(mark) => (*adopt == Adopt::Nothing).then_some(MadeBy::Hand),
        Some(_) => (*adopt != Adopt::Anything).then_some(MadeBy::Elsewhere),
        None if !exists => None,
        None => match adopt {
            Adopt::Nothing => Some(MadeBy::Hand),
            Adopt::LetGo => Some(MadeBy::ForeignHand),
            Adopt::Anything => None,
        },
    }
}

#[cfg(test)]
mod tests;
