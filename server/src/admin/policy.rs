//! Policies, and to whom they are attached.

use std::collections::{BTreeMap, BTreeSet};

use coffer_policy::{Kind, Policy, built_in};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::Call;
use super::{Admin, Answer, fault, sealed};
use crate::answer::Refusal;
use crate::iam::draft::Holder;
use crate::iam::entity::{Group, User};
use crate::iam::name::Name;
use crate::iam::{Refused, Snapshot};

/// What "never" looks like to clients.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What is to become of attachments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They are added.
    Attach,
    /// They are removed.
    Detach,
}

#[derive(Deserialize)]
struct Association {
    policies: Vec<String>,
    user: Option<String>,
    group: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Associated {
    #[serde(skip_serializing_if = "Option::is_none")]
    policies_attached: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policies_detached: Option<Vec<String>>,
    updated_at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entities {
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    user_mappings: Vec<UserPolicies>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    group_mappings: Vec<GroupPolicies>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policy_mappings: Vec<PolicyHolders>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserPolicies {
    user: String,
    policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    member_of_mappings: Vec<GroupPolicies>,
}

#[derive(Serialize)]
struct GroupPolicies {
    group: String,
    policies: Vec<String>,
}

#[derive(Serialize)]
struct PolicyHolders {
    policy: String,
    users: Vec<String>,
    groups: Vec<String>,
}

fn names<'a>(names: impl IntoIterator<Item = &'a Name>) -> Vec<String> {
    names.into_iter().map(|name| name.as_str().to_owned()).collect()
}

/// A document as JSON within JSON.
pub(super) fn raw(document: &str) -> Result<Box<RawValue>, Refusal> {
    RawValue::from_string(document.to_owned())
        .map_err(|_error| Refusal::new("InternalError", 500, "A policy can't be written."))
}

fn indented(value: &impl Serialize) -> Result<Answer, Refusal> {
    serde_json::to_vec_pretty(value)
        .map(Answer::Json)
        .map_err(|_error| Refusal::new("InternalError", 500, "A policy can't be written."))
}

/// A policy's name in a request: one that no policy can have isn't there.
fn known(text: &str) -> Result<Name, Refusal> {
    Name::policy(text).map_err(|_invalid| {
        Refusal::new("XMinioAdminNoSuchPolicy", 404, "The canned policy does not exist.")
    })
}

impl Admin {
    /// Makes a policy, or gives one another document. A document that isn't valid changes nothing.
    pub(super) async fn add_policy(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = call.one("name")?;
        if name.is_empty() {
            return Err(fault::invalid_argument("The policy has no name."));
        }
        let name = Name::policy(name)?;
        let policy = Policy::parse(Kind::Identity, &call.body)
            .map_err(|errors| fault::malformed_policy(&errors))?;
        let now = call.now;
        self.iam()?.change(|draft| draft.put_policy(&name, policy.clone(), now)).await?;
        Ok(Answer::Done)
    }

    /// One policy, bare or with its times.
    pub(super) fn policy_info(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = call.one("name")?;
        if name.is_empty() || name.contains(',') {
            return Err(Refusal::new("XMinioAdminInvalidRequest", 400, "Name one policy."));
        }
        let with_times = match call.one("v")? {
            "" => false,
            "2" => true,
            _ => return Err(fault::invalid_argument("There is no such version; ask for `v=2`.")),
        };
        let name = known(name)?;
        let snapshot = self.iam()?.snapshot();
        let policy = snapshot
            .policy(name.as_str())
            .ok_or_else(|| Refusal::from(Refused::NoSuchPolicy(name.clone())))?;
        let document: Value = serde_json::from_str(policy.document())
            .map_err(|_error| Refusal::new("InternalError", 500, "A policy can't be read."))?;
        if !with_times {
            return indented(&document);
        }
        let stored = snapshot.stored_policy(name.as_str());
        let time = |time: Option<Timestamp>| {
            time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
        };
        indented(&serde_json::json!({
            "PolicyName": name.as_str(),
            "Policy": document,
            "CreateDate": time(stored.map(|policy| policy.created)),
            "UpdateDate": time(stored.map(|policy| policy.updated)),
        }))
    }

    /// All policies with their documents.
    pub(super) fn list_policies(&self, _call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let documents = all(&snapshot)
            .into_iter()
            .map(|(name, policy)| Ok((name, raw(policy.document())?)))
            .collect::<Result<BTreeMap<_, _>, Refusal>>()?;
        let mut text = super::text(&documents)?;
        text.push(b'\n');
        Ok(Answer::Json(text))
    }

    /// Deletes a policy that nobody has. One that isn't there is gone already.
    pub(super) async fn remove_policy(&self, call: &Call) -> Result<Answer, Refusal> {
        let Ok(name) = Name::policy(call.one("name")?) else { return Ok(Answer::Done) };
        let deleted = self.iam()?.change(|draft| draft.delete_policy(&name)).await;
        match deleted {
            Err(crate::iam::IamError::Refused(Refused::NoSuchPolicy(_))) => Ok(Answer::Done),
            other => Ok(other.map(|()| Answer::Done)?),
        }
    }

    /// Attaches exactly these policies. Source: the call of earlier `mc`.
    pub(super) async fn set_policy(&self, call: &Call) -> Result<Answer, Refusal> {
        let holder = match call.one("isGroup")? {
            "true" => Holder::Group(Name::group(call.one("userOrGroup")?)?),
            "false" => Holder::User(self.user_name(call.one("userOrGroup")?)?),
            _ => return Err(fault::invalid_argument("`isGroup` is `true` or `false`.")),
        };
        let policies = call.one("policyName")?;
        let policies: Vec<Name> = policies
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(known)
            .collect::<Result<_, _>>()?;
        let now = call.now;
        self.iam()?.change(|draft| draft.set_policies(&holder, &policies, now)).await?;
        Ok(Answer::Done)
    }

    /// Attaches policies to a user or a group, or detaches them. Only what changes is answered.
    pub(super) async fn attach_policy(
        &self,
        call: &Call,
        change: Change,
    ) -> Result<Answer, Refusal> {
        if !call.is_octets() {
            return Err(Refusal::new("BadRequest", 400, "Send `application/octet-stream`."));
        }
        let Association { policies, user, group } = call.opened().await?;
        let holder = match (user.as_deref().unwrap_or(""), group.as_deref().unwrap_or("")) {
            (user, "") if !user.is_empty() => Holder::User(self.user_name(user)?),
            ("", group) if !group.is_empty() => Holder::Group(Name::group(group)?),
            _ => return Err(fault::bad_json("name a user or a group, and not both")),
        };
        if policies.is_empty() {
            return Err(fault::bad_json("name a policy"));
        }
        let policies: Vec<Name> =
            policies.iter().map(|name| known(name)).collect::<Result<_, _>>()?;
        let now = call.now;
        let changed = self
            .iam()?
            .change(|draft| match change {
                Change::Attach => draft.attach(&holder, &policies, now),
                Change::Detach => draft.detach(&holder, &policies, now),
            })
            .await?;
        let changed = Some(names(&changed));
        let (policies_attached, policies_detached) = match change {
            Change::Attach => (changed, None),
            Change::Detach => (None, changed),
        };
        sealed(&Associated { policies_attached, policies_detached, updated_at: now })
    }

    /// Who has which policies.
    pub(super) fn policy_entities(&self, call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let (users, groups) = (sorted(call.all("user")), sorted(call.all("group")));
        let mut policies: BTreeSet<&str> = sorted(call.all("policy"));
        let everything = all(&snapshot);
        if users.is_empty() && groups.is_empty() && policies.is_empty() {
            policies = everything.keys().copied().collect();
        }
        let user_mappings = users
            .into_iter()
            .filter_map(|name| snapshot.user(name))
            .map(|user| user_policies(&snapshot, user))
            .filter(|user| !user.policies.is_empty() || !user.member_of_mappings.is_empty())
            .collect();
        let group_mappings = groups
            .into_iter()
            .filter_map(|name| snapshot.group(name))
            .filter(|group| !group.policies.is_empty())
            .map(|group| group_policies(group))
            .collect();
        let policy_mappings = policies
            .into_iter()
            .map(|policy| holders(&snapshot, policy))
            .filter(|one| !one.users.is_empty() || !one.groups.is_empty())
            .collect();
        sealed(&Entities { timestamp: call.now, user_mappings, group_mappings, policy_mappings })
    }
}

fn sorted(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

fn user_policies(snapshot: &Snapshot, user: &User) -> UserPolicies {
    let groups = user.groups.iter().filter_map(|group| snapshot.group(group.as_str()));
    UserPolicies {
        user: user.name.as_str().to_owned(),
        policies: names(&user.policies),
        member_of_mappings: groups
            .filter(|group| !group.policies.is_empty())
            .map(|group| group_policies(group))
            .collect(),
    }
}

fn group_policies(group: &Group) -> GroupPolicies {
    GroupPolicies { group: group.name.as_str().to_owned(), policies: names(&group.policies) }
}

fn holders(snapshot: &Snapshot, policy: &str) -> PolicyHolders {
    let users = snapshot.users();
    let users = users.iter().filter(|user| user.policies.contains(policy));
    let groups = snapshot.groups().filter(|group| group.policies.contains(policy));
    PolicyHolders {
        policy: policy.to_owned(),
        users: names(users.map(|user| &user.name)),
        groups: names(groups.map(|group| &group.name)),
    }
}

/// All policies, stored and built in.
pub(super) fn all(snapshot: &Snapshot) -> BTreeMap<&str, &Policy> {
    let mut all: BTreeMap<&str, &Policy> = BTreeMap::new();
    for (name, policy) in built_in::policies() {
        all.insert(name, policy);
    }
    for stored in snapshot.stored_policies() {
        all.insert(stored.name.as_str(), &stored.policy);
    }
    all
}
