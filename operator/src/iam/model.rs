//! Who would have which policies, from resources alone, and how requests would be decided then. Pure: no server is asked.

use std::collections::{BTreeMap, BTreeSet};

use coffer_crds::PolicyTest;
use coffer_crds::policy_binding::SubjectKind;
use coffer_crds::policy_test::{Case, Expected};
use coffer_policy::{
    Action, Context, ContextKey, Decision, Key as ConditionKey, Kind, Named, Outcome, Policies,
    Policy, Principal, PrincipalKind, Request, Resource, built_in, decide,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Inhabitants, Key, Resources, bucket, policy, user};

/// One Tenant, as its resources describe it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    policies: BTreeMap<String, Policy>,
    users: BTreeMap<String, Holder>,
    groups: BTreeMap<String, BTreeSet<String>>,
    buckets: BTreeMap<String, Policy>,
    boundary: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Holder {
    policies: BTreeSet<String>,
    groups: BTreeSet<String>,
    enabled: bool,
}

/// A case that isn't decided as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    test: Key,
    case: String,
    expected: &'static str,
    found: String,
    /// The policies of whoever asks.
    policies: BTreeSet<String>,
}

impl Failed {
    /// Whether this policy is one of those that decide it.
    pub fn involves(&self, policy: &str) -> bool {
        self.policies.contains(policy)
    }

    /// For who looks at a resource of this namespace: a test of another one is told with its own.
    pub fn told(&self, namespace: &str) -> String {
        let Self { test, case, expected, found, policies: _ } = self;
        let test = if test.namespace == namespace { test.name.clone() } else { test.to_string() };
        format!("PolicyTest `{test}`, case `{case}`: {expected} is expected, but {found}")
    }
}

impl Model {
    /// The Tenant of these. Documents are those in force, where there are such; with `wished`, those that resources wish for.
    pub fn new(inhabitants: &Inhabitants, in_force: &Map<String, Value>, wished: bool) -> Self {
        let Resources { policies, tests: _, users, bindings, buckets } = inhabitants.all();
        let mut model = Self::default();
        for (name, document) in in_force {
            if let Some(document) = document.as_str() {
                model.put(name, document);
            }
        }
        for policy in policies {
            let name = policy::name(policy);
            if let Some(document) = policy::document(policy)
                && (wished || !in_force.contains_key(&name))
            {
                model.put(&name, &document);
            }
        }
        for user in users {
            let holder = model.users.entry(user::name(user)).or_default();
            holder.policies.extend(user.spec.policies.iter().flatten().cloned());
            holder.groups.extend(user.spec.groups.iter().flatten().cloned());
            holder.enabled = user.spec.enabled;
        }
        for binding in bindings {
            for subject in &binding.spec.subjects {
                let policies = binding.spec.policies.iter().cloned();
                match subject.kind {
                    SubjectKind::Group => {
                        model.groups.entry(subject.name.clone()).or_default().extend(policies);
                    }
                    SubjectKind::User => {
                        if let Some(holder) = model.users.get_mut(&subject.name) {
                            holder.policies.extend(policies);
                        }
                    }
                }
            }
        }
        for bucket in buckets {
            if let Ok(Some(policy)) = bucket::policy(bucket) {
                model.buckets.insert(bucket::name(bucket), policy);
            }
        }
        model
    }

    /// This policy is of this document; one that can't be read says nothing.
    pub fn put(&mut self, name: &str, document: &str) {
        if let Ok(policy) = Policy::parse(Kind::Identity, document.as_bytes()) {
            self.policies.insert(name.to_owned(), policy);
        }
    }

    /// Nothing goes beyond this policy.
    pub fn bound(&mut self, boundary: Option<&str>) {
        self.boundary = boundary.map(str::to_owned);
    }

    fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.get(name).or_else(|| built_in::policy(name))
    }

    /// How a request of a user is decided, with who decided; or why it can't be.
    ///
    /// # Errors
    /// What isn't known.
    pub fn decide(
        &self,
        who: &Asking<'_>,
        action: &str,
        resource: &str,
        context: &BTreeMap<String, Vec<String>>,
        now: Timestamp,
    ) -> Result<(Outcome, String), String> {
        let action =
            Action::parse(action).ok_or_else(|| format!("there is no action `{action}`"))?;
        let on = Resource::parse(resource).ok_or_else(|| {
            format!("the resource `{resource}` is neither `*` nor an ARN of S3 or KMS")
        })?;
        let Held { own, groups } = self.held(who)?;
        let mut by_group = BTreeSet::new();
        for group in &groups {
            by_group.extend(self.groups.get(group).into_iter().flatten().cloned());
        }
        let (own, by_group) = (self.named(&own)?, self.named(&by_group)?);
        let boundary = match &self.boundary {
            None => None,
            Some(name) => {
                let unknown =
                    || format!("the boundary `{name}` is neither built in nor made by a resource");
                Some(Named { name, policy: self.policy(name).ok_or_else(unknown)? })
            }
        };
        let name = match who {
            Asking::User(name) => name,
            Asking::Group(_) => "somebody",
        };
        let arn = format!("arn:aws:iam:::user/{name}");
        let principal = Principal { kind: PrincipalKind::User, name, arn: &arn, parent: None };
        let mut known = Context::new();
        known.set(ConditionKey::AwsCurrentTime, now.to_string());
        known.set(ConditionKey::AwsEpochTime, now.as_second().to_string());
        known.set(ConditionKey::AwsSecureTransport, "true");
        known.set(ConditionKey::AwsPrincipalType, principal.kind.name());
        known.set_all(ConditionKey::AwsGroups, groups.iter().cloned());
        if let Asking::User(name) = who {
            known.set(ConditionKey::AwsUsername, (*name).to_owned());
            known.set(ConditionKey::AwsUserid, (*name).to_owned());
            known.set(ConditionKey::AwsPrincipalArn, arn.clone());
        }
        for (key, values) in context {
            let key = ContextKey::parse(key).map_err(|unknown| unknown.to_string())?;
            known.set_all(key, values.iter().cloned());
        }
        let bucket = match on {
            Resource::S3(path) => path.split('/').next(),
            Resource::All | Resource::Kms(_) => None,
        };
        let bucket = bucket.and_then(|name| self.buckets.get_key_value(name));
        let policies = Policies {
            identity: &own,
            groups: &by_group,
            boundary,
            bucket: bucket.map(|(name, policy)| Named { name, policy }),
            ..Policies::default()
        };
        let request = Request { principal: &principal, action, resource: on, context: &known };
        let decision = decide(&policies, &request);
        Ok((decision.outcome, told(&decision)))
    }

    fn named<'a>(&'a self, names: &'a BTreeSet<String>) -> Result<Vec<Named<'a>>, String> {
        let found = names.iter().map(|name| {
            let unknown =
                || format!("the policy `{name}` is neither built in nor made by a resource");
            Ok(Named { name, policy: self.policy(name).ok_or_else(unknown)? })
        });
        found.collect()
    }

    fn held(&self, who: &Asking<'_>) -> Result<Held, String> {
        match who {
            Asking::Group(name) => {
                Ok(Held { own: BTreeSet::new(), groups: BTreeSet::from([(*name).to_owned()]) })
            }
            Asking::User(name) => {
                let user = self
                    .users
                    .get(*name)
                    .ok_or_else(|| format!("there is no User of the name `{name}`"))?;
                if !user.enabled {
                    return Err(format!("the user `{name}` is disabled"));
                }
                Ok(Held { own: user.policies.clone(), groups: user.groups.clone() })
            }
        }
    }

    /// All policies that have a say for somebody.
    fn policies_of(&self, who: &Asking<'_>) -> BTreeSet<String> {
        let Ok(Held { mut own, groups }) = self.held(who) else { return BTreeSet::new() };
        for group in &groups {
            own.extend(self.groups.get(group).into_iter().flatten().cloned());
        }
        own.extend(self.boundary.clone());
        own
    }
}

struct Held {
    own: BTreeSet<String>,
    groups: BTreeSet<String>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Asking<'a> {
    /// A user.
    User(&'a str),
    /// Somebody who is in this group alone.
    Group(&'a str),
}

/// The decision in words.
fn told(decision: &Decision<'_>) -> String {
    let by = decision.by.map(|by| {
        let sid = by.sid.map(|sid| format!(" (`{sid}`)")).unwrap_or_default();
        format!("statement {}{sid} of the {} `{}`", by.statement, by.layer.name(), by.policy)
    });
    match (decision.outcome, by, decision.lacking) {
        (Outcome::Allow, Some(by), _) => format!("{by} allows it"),
        (Outcome::Deny, Some(by), _) => format!("{by} denies it"),
        (Outcome::DefaultDeny, _, Some(lacking)) => format!("no {} allows it", lacking.name()),
        (Outcome::Allow | Outcome::Deny | Outcome::DefaultDeny, _, _) => {
            "no statement decides it".to_owned()
        }
    }
}

/// The cases of a test that aren't decided as they should.
pub fn run(model: &Model, test: &PolicyTest, now: Timestamp) -> Vec<Failed> {
    let key = Key {
        namespace: test.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        name: test.metadata.name.clone().unwrap_or_default(),
    };
    test.spec.cases.iter().filter_map(|case| fails(model, &key, case, now)).collect()
}

fn fails(model: &Model, test: &Key, case: &Case, now: Timestamp) -> Option<Failed> {
    let Case { name, who, action, resource, context, expect } = case;
    let who = match (&who.user, &who.group) {
        (Some(user), _) => Asking::User(user),
        (None, group) => Asking::Group(group.as_deref().unwrap_or_default()),
    };
    let context = context.clone().unwrap_or_default();
    let (expected, found) = match (model.decide(&who, action, resource, &context, now), expect) {
        (Ok((Outcome::Allow, _)), Expected::Allow)
        | (Ok((Outcome::Deny | Outcome::DefaultDeny, _)), Expected::Deny) => return None,
        (Ok((_, why)) | Err(why), Expected::Allow) => ("Allow", why),
        (Ok((_, why)) | Err(why), Expected::Deny) => ("Deny", why),
    };
    let (test, case) = (test.clone(), name.clone());
    Some(Failed { test, case, expected, found, policies: model.policies_of(&who) })
}

/// All cases of a Tenant's tests that aren't decided as they should.
pub fn failing(model: &Model, inhabitants: &Inhabitants, now: Timestamp) -> Vec<Failed> {
    inhabitants.all().tests.iter().flat_map(|test| run(model, test, now)).collect()
}

#[cfg(test)]
mod tests;
