//! Groups.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::user::{comma_list, status, status_name};
use super::{Admin, Answer, fault, json};
use crate::answer::Refusal;
use crate::iam::Refused;
use crate::iam::name::Name;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    group: String,
    #[serde(rename = "members")]
    names: Option<Vec<String>>,
    #[serde(rename = "groupStatus")]
    _group_status: Option<String>,
    is_remove: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupInfo<'a> {
    name: &'a str,
    status: &'static str,
    members: Vec<&'a str>,
    policy: String,
    updated_at: Timestamp,
}

impl Admin {
    /// Adds members, which makes the group, or removes them; removing nobody deletes the group.
    pub(super) async fn update_group_members(&self, call: &Call) -> Result<Answer, Refusal> {
        let Members { group, names, _group_status: _, is_remove } = call.json()?;
        if group.is_empty() {
            return Err(fault::invalid_argument("The group has no name."));
        }
        let group = Name::group(&group)?;
        let members = names.unwrap_or_default();
        let members: Vec<Name> =
            members.iter().map(|name| self.member(name)).collect::<Result<_, _>>()?;
        let (removes, now) = (is_remove.unwrap_or(false), call.now);
        self.iam()?
            .change(|draft| {
                if !removes {
                    draft.add_members(&group, &members, now)
                } else if members.is_empty() {
                    draft.delete_group(&group)
                } else {
                    draft.remove_members(&group, &members)
                }
            })
            .await?;
        Ok(Answer::Done)
    }

    /// Who may be in a group. A name that no user can have is one that isn't there.
    fn member(&self, text: &str) -> Result<Name, Refusal> {
        match self.user_name(text) {
            Err(refusal) if refusal.code() != "XMinioIAMActionNotAllowed" => Err(Refusal::new(
                "XMinioAdminNoSuchUser",
                404,
                "The specified user does not exist.",
            )),
            found => found,
        }
    }

    /// One group.
    pub(super) fn group_info(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = Name::group(call.one("group")?)?;
        let snapshot = self.iam()?.snapshot();
        let group = snapshot
            .group(name.as_str())
            .ok_or_else(|| Refusal::from(Refused::NoSuchGroup(name.clone())))?;
        json(&GroupInfo {
            name: group.name.as_str(),
            status: status_name(group.status),
            members: snapshot.members(&group.name).map(Name::as_str).collect(),
            policy: comma_list(&group.policies),
            updated_at: group.updated,
        })
    }

    /// The names of all groups.
    pub(super) fn list_groups(&self, _call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        json(&snapshot.groups().map(|group| group.name.as_str()).collect::<Vec<_>>())
    }

    /// Enables or disables a group: disabled, its policies don't count; those of other groups do.
    pub(super) async fn set_group_status(&self, call: &Call) -> Result<Answer, Refusal> {
        let name = Name::group(call.one("group")?)?;
        let status = status(call.one("status")?)
            .ok_or_else(|| fault::invalid_argument("A status is `enabled` or `disabled`."))?;
        let now = call.now;
        self.iam()?.change(|draft| draft.set_group_status(&name, status, now)).await?;
        Ok(Answer::Done)
    }
}
