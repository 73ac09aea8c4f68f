//! Users.

use std::collections::BTreeMap;

use coffer_signature::SecretKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::call::{Call, Reach};
use super::{Admin, Answer, fault, json, sealed};
use crate::answer::Refusal;
use crate::iam::entity::{Parent, Status, User};
use crate::iam::name::Name;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewUser {
    secret_key: Zeroizing<String>,
    /// Ignored, as it always was: policies are attached.
    #[serde(rename = "policy")]
    _policy: Option<String>,
    status: Option<String>,
}

/// A user as clients see it; the secret is never among it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    policy_name: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    member_of: Vec<String>,
    updated_at: Timestamp,
}

pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Enabled => "enabled",
        Status::Disabled => "disabled",
    }
}

/// A status as clients write it.
pub(super) fn status(text: &str) -> Option<Status> {
    match text {
        "enabled" | "on" => Some(Status::Enabled),
        "disabled" | "off" => Some(Status::Disabled),
        _ => None,
    }
}

pub(super) fn comma_list<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    names.into_iter().map(Name::as_str).collect::<Vec<_>>().join(",")
}

impl From<&User> for UserInfo {
    fn from(user: &User) -> Self {
        Self {
            policy_name: comma_list(&user.policies),
            status: status_name(user.status),
            member_of: user.groups.iter().map(|group| group.as_str().to_owned()).collect(),
            updated_at: user.updated,
        }
    }
}

impl Admin {
    /// Makes a user, or gives one another secret. Everyone may give that to himself, by his own secret alone: an access key of
    /// his, which may be limited or lent, can't.
    pub(super) async fn add_user(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = call.one("accessKey")?;
        if self.is_root(name) {
            return Err(fault::invalid_credentials(
                "A user can't have the root access key's name.",
            ));
        }
        let is_self = matches!(call.parent(), Parent::User(own) if own.as_str() == name);
        if is_self && !call.is_own_secret() {
            return Err(fault::invalid_credentials(
                "An access key can't change the secret of the user that it belongs to.",
            ));
        }
        if call.reach == Reach::Own && !is_self {
            return Err(Refusal::access_denied());
        }
        if call.snapshot().access_key(name).is_some() {
            return Err(fault::invalid_credentials("An access key of this name exists."));
        }
        let NewUser { secret_key, _policy: _, status: wanted } = call.opened().await?;
        let name = Name::user(name)?;
        let wanted = wanted.as_deref().and_then(status).unwrap_or(Status::Disabled);
        let now = call.now;
        self.iam()?
            .attempt(|draft| {
                // Nobody locks himself out, or is back by his own doing.
                let status = match draft.snapshot().user(name.as_str()) {
                    Some(user) if is_self => user.status,
                    None if is_self => return Err(Refusal::access_denied()),
                    Some(_) | None => wanted,
                };
                let secret_key = SecretKey::new(secret_key.to_string());
                draft.put_user(&name, secret_key, status, now).map_err(Refusal::from)
            })
            .await?;
        Ok(Answer::Done)
    }

    /// Deletes a user with all that is its own.
    pub(super) async fn remove_user(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = self.user_name(call.one("accessKey")?)?;
        if call.parent() == Parent::User(name.clone()) {
            return Err(fault::not_allowed("Nobody can delete himself."));
        }
        self.iam()?.change(|draft| draft.delete_user(&name)).await?;
        Ok(Answer::Done)
    }

    /// All users.
    pub(super) fn list_users(&self, _call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let users: BTreeMap<&str, UserInfo> = snapshot
            .users()
            .into_iter()
            .map(|user| (user.name.as_str(), UserInfo::from(user.as_ref())))
            .collect();
        sealed(&users)
    }

    /// One user.
    pub(super) fn user_info(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = self.user_name(call.one("accessKey")?)?;
        if call.reach == Reach::Own && call.parent() != Parent::User(name.clone()) {
            return Err(Refusal::access_denied());
        }
        let snapshot = self.iam()?.snapshot();
        let user = snapshot
            .user(name.as_str())
            .ok_or_else(|| Refusal::from(crate::iam::Refused::NoSuchUser(name.clone())))?;
        json(&UserInfo::from(user.as_ref()))
    }

    /// Enables or disables a user.
    pub(super) async fn set_user_status(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = self.user_name(call.one("accessKey")?)?;
        let status = status(call.one("status")?)
            .ok_or_else(|| fault::invalid_argument("A status is `enabled` or `disabled`."))?;
        if call.parent() == Parent::User(name.clone()) {
            return Err(fault::invalid_argument("Nobody can enable or disable himself."));
        }
        let now = call.now;
        self.iam()?.change(|draft| draft.set_user_status(&name, status, now)).await?;
        Ok(Answer::Done)
    }
}
