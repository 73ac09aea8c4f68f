//! A resource of any kind that lives in a Tenant.

use coffer_crds::{AccessKey, Bucket, KeyRotation, Policy, PolicyBinding, PolicyTest, User};
use jiff::Timestamp;
use serde_json::Value;

use super::schema;
use crate::iam::managed::tenant_of;
use crate::iam::{Hold, Key, Managed, Of, Released, Resources, Stepped, World, release, step};
use crate::tenant::status::Outcome;

/// A resource of any kind that lives in a Tenant, in the order in which they are best made.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is the kind of that name")]
pub enum AnyResource {
    Policy(Box<Policy>),
    PolicyTest(Box<PolicyTest>),
    User(Box<User>),
    PolicyBinding(Box<PolicyBinding>),
    AccessKey(Box<AccessKey>),
    Bucket(Box<Bucket>),
    KeyRotation(Box<KeyRotation>),
}

/// Does the same with a resource of whatever kind.
macro_rules! each {
    ($any:expr, $one:ident => $what:expr) => {
        match $any {
            AnyResource::Policy($one) => $what,
            AnyResource::PolicyTest($one) => $what,
            AnyResource::User($one) => $what,
            AnyResource::PolicyBinding($one) => $what,
            AnyResource::AccessKey($one) => $what,
            AnyResource::Bucket($one) => $what,
            AnyResource::KeyRotation($one) => $what,
        }
    };
}

fn valid<K: Managed>(
    value: &Value,
    old: Option<&Value>,
    namespace: &str,
) -> Result<Box<K>, Vec<String>> {
    let mut resource = schema::valid::<K>(K::KIND, value, old)?;
    resource.meta_mut().namespace = Some(namespace.to_owned());
    Ok(resource)
}

impl AnyResource {
    /// The kinds.
    pub const KINDS: [&str; 7] =
        ["Policy", "PolicyTest", "User", "PolicyBinding", "AccessKey", "Bucket", "KeyRotation"];

    /// A valid resource from its manifest.
    ///
    /// # Errors
    /// All that isn't valid.
    pub(super) fn read(
        kind: &str,
        value: &Value,
        old: Option<&Value>,
        namespace: &str,
    ) -> Result<Self, Vec<String>> {
        Ok(match kind {
            "Policy" => Self::Policy(valid(value, old, namespace)?),
            "PolicyTest" => Self::PolicyTest(valid(value, old, namespace)?),
            "User" => Self::User(valid(value, old, namespace)?),
            "PolicyBinding" => Self::PolicyBinding(valid(value, old, namespace)?),
            "AccessKey" => Self::AccessKey(valid(value, old, namespace)?),
            "Bucket" => Self::Bucket(valid(value, old, namespace)?),
            "KeyRotation" => Self::KeyRotation(valid(value, old, namespace)?),
            other => return Err(vec![format!("no kind `{other}`")]),
        })
    }

    /// One that was accepted before.
    pub fn accepted(kind: &str, value: Value) -> Option<Self> {
        Some(match kind {
            "Policy" => Self::Policy(serde_json::from_value(value).ok()?),
            "PolicyTest" => Self::PolicyTest(serde_json::from_value(value).ok()?),
            "User" => Self::User(serde_json::from_value(value).ok()?),
            "PolicyBinding" => Self::PolicyBinding(serde_json::from_value(value).ok()?),
            "AccessKey" => Self::AccessKey(serde_json::from_value(value).ok()?),
            "Bucket" => Self::Bucket(serde_json::from_value(value).ok()?),
            "KeyRotation" => Self::KeyRotation(serde_json::from_value(value).ok()?),
            _ => return None,
        })
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        each!(self, one => serde_json::to_value(one)).unwrap_or_default()
    }

    /// Which one it is.
    pub fn of(&self) -> Of {
        each!(self, one => one.of())
    }

    /// The Tenant that it names.
    pub fn tenant(&self) -> Key {
        each!(self, one => tenant_of(one.tenant_ref(), &one.of().namespace))
    }

    /// With the status that it had.
    pub fn set_status(&mut self, status: Value) {
        each!(self, one => one.status = serde_json::from_value(status).ok());
    }

    /// Brings it one step further.
    pub async fn step(&self, world: &dyn World, hold: &dyn Hold, now: Timestamp) -> Stepped {
        each!(self, one => Box::pin(step(one.as_ref(), world, hold, now)).await)
    }

    /// Removes what it has made.
    ///
    /// # Errors
    /// Why it isn't removed yet.
    pub async fn release(&self, world: &dyn World, now: Timestamp) -> Result<Released, Outcome> {
        let bucket = each!(self, one => one.deletes());
        Box::pin(release(self.of(), &self.tenant(), bucket, world, now)).await
    }
}

/// What decisions may depend on.
pub fn resources<'a>(all: impl IntoIterator<Item = &'a AnyResource>) -> Resources {
    let mut resources = Resources::default();
    for resource in all {
        match resource {
            AnyResource::Policy(policy) => resources.policies.push(policy.as_ref().clone()),
            AnyResource::PolicyTest(test) => resources.tests.push(test.as_ref().clone()),
            AnyResource::User(user) => resources.users.push(user.as_ref().clone()),
            AnyResource::PolicyBinding(binding) => {
                resources.bindings.push(binding.as_ref().clone());
            }
            AnyResource::Bucket(bucket) => resources.buckets.push(bucket.as_ref().clone()),
            AnyResource::AccessKey(_) | AnyResource::KeyRotation(_) => {}
        }
    }
    resources
}
