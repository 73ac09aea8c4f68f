//! Access keys in a change: made, changed, deleted.

use std::sync::Arc;

use coffer_policy::Policy;
use coffer_signature::SecretKey;
use jiff::{SignedDuration, Timestamp};

use super::{Draft, secret_is_sound};
use crate::iam::Refused;
use crate::iam::entity::{AccessKey, Entity, Parent, Status};
use crate::iam::name::Name;
use crate::iam::row::Row;

/// The shortest and the longest life of an access key that expires.
const LIFE: [SignedDuration; 2] =
    [SignedDuration::from_mins(15), SignedDuration::from_hours(365 * 24)];

/// What an access key is to be.
#[derive(Clone, Debug)]
pub struct NewAccessKey {
    /// The access key.
    pub name: Name,
    /// Its secret.
    pub secret_key: SecretKey,
    /// On whose behalf it acts.
    pub parent: Parent,
    /// What it may do of what its parent may.
    pub policy: Option<Policy>,
    /// A name for people; empty if none.
    pub label: String,
    /// A description for people; empty if none.
    pub description: String,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// What is to change of an access key; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AccessKeyChange {
    /// Its secret.
    pub secret_key: Option<SecretKey>,
    /// Whether it may be used.
    pub status: Option<Status>,
    /// Its policy; inside, `None` lets it inherit.
    pub policy: Option<Option<Policy>>,
    /// Its name for people.
    pub label: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its end; inside, `None` is never.
    pub expires: Option<Option<Timestamp>>,
}

impl Draft {
    /// Makes an access key.
    ///
    /// # Errors
    /// `Taken`, `NoSuchUser` for its parent, `InvalidSecretKey`, `InvalidDescription`, `InvalidExpiry`.
    pub fn put_access_key(&mut self, new: NewAccessKey, now: Timestamp) -> Result<(), Refused> {
        let NewAccessKey { name, secret_key, parent, policy, label, description, expires } = new;
        if self.after.access_keys.contains_key(&name) || self.after.users.contains_key(&name) {
            return Err(Refused::Taken(name));
        }
        if let Parent::User(parent) = &parent {
            self.user(parent)?;
        }
        secret_is_sound(&secret_key, 40)?;
        told_is_sound(&label, &description)?;
        expiry_is_sound(expires, now)?;
        self.put(Entity::AccessKey(Arc::new(AccessKey {
            name,
            secret_key,
            parent,
            status: Status::Enabled,
            policy,
            label,
            description,
            expires,
            created: now,
        })));
        Ok(())
    }

    /// Changes an access key. What isn't named stays as it is: nothing widens by being left out.
    ///
    /// # Errors
    /// `NoSuchAccessKey`, and as [`Draft::put_access_key`].
    pub fn change_access_key(
        &mut self,
        name: &Name,
        change: AccessKeyChange,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let AccessKeyChange { secret_key, status, policy, label, description, expires } = change;
        let mut key = AccessKey::clone(self.access_key(name)?);
        if let Some(secret_key) = secret_key {
            secret_is_sound(&secret_key, 256)?;
            key.secret_key = secret_key;
        }
        if let Some(expires) = expires {
            expiry_is_sound(expires, now)?;
            key.expires = expires;
        }
        key.status = status.unwrap_or(key.status);
        key.policy = policy.unwrap_or(key.policy);
        key.label = label.unwrap_or(key.label);
        key.description = description.unwrap_or(key.description);
        told_is_sound(&key.label, &key.description)?;
        self.put(Entity::AccessKey(Arc::new(key)));
        Ok(())
    }

    /// Deletes an access key.
    ///
    /// # Errors
    /// `NoSuchAccessKey`.
    pub fn delete_access_key(&mut self, name: &Name) -> Result<(), Refused> {
        self.access_key(name)?;
        self.after.forget_access_key(name);
        self.rows.insert(Row::AccessKey(name.clone()), None);
        Ok(())
    }
}

fn told_is_sound(label: &str, description: &str) -> Result<(), Refused> {
    let mut chars = label.chars();
    let begins = chars.next().is_none_or(|first| first.is_ascii_alphabetic());
    let is_sound = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    if label.len() > 32 || !begins || !chars.all(is_sound) {
        return Err(Refused::InvalidDescription(
            "an access key's name has at most 32 letters, digits, `-` and `_`, the first a letter",
        ));
    }
    if description.len() > 256 {
        return Err(Refused::InvalidDescription(
            "an access key's description has at most 256 bytes",
        ));
    }
    Ok(())
}

/// Whether an access key may end then: after 15 minutes at least, and a year at most.
///
/// # Errors
/// `InvalidExpiry`.
pub(crate) fn expiry_is_sound(expires: Option<Timestamp>, now: Timestamp) -> Result<(), Refused> {
    let [shortest, longest] = LIFE;
    match expires {
        Some(expires) if !(shortest..=longest).contains(&expires.duration_since(now)) => {
            Err(Refused::InvalidExpiry)
        }
        Some(_) | None => Ok(()),
    }
}
