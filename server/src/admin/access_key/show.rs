//! What is told of access keys: one by one, and in lists.

use std::collections::BTreeMap;

use coffer_policy::Action;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{NEVER, hidden};
use crate::admin::call::{Call, Reach};
use crate::admin::{Admin, Answer, account, fault, sealed};
use crate::answer::Refusal;
use crate::iam::Snapshot;
use crate::iam::entity::{AccessKey, Parent, Status};
use crate::iam::name::Name;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyInfo {
    #[serde(rename = "AccessKey", skip_serializing_if = "Option::is_none")]
    access_key: Option<String>,
    parent_user: String,
    account_status: &'static str,
    implied_policy: bool,
    policy: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_provider: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    parent_user: String,
    account_status: &'static str,
    implied_policy: bool,
    access_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    expiration: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeysOf {
    service_accounts: Vec<Value>,
    sts_keys: Vec<Value>,
}

pub(in crate::admin) fn no_such_access_key() -> Refusal {
    Refusal::new("XMinioAdminNoSuchAccessKey", 404, "The specified access key does not exist.")
}

/// What clients call a status here.
fn on_off(status: Status) -> &'static str {
    match status {
        Status::Enabled => "on",
        Status::Disabled => "off",
    }
}

impl Call {
    /// A key that the caller may see.
    fn visible<'a>(&self, snapshot: &'a Snapshot, name: &str) -> Option<&'a AccessKey> {
        let key = snapshot.access_key(name)?;
        (self.reach == Reach::All || key.parent == self.parent()).then_some(key.as_ref())
    }
}

impl Admin {
    /// One access key, without its secret.
    pub(in crate::admin) fn service_account_info(&self, call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let key = call.visible(&snapshot, call.one("accessKey")?).ok_or_else(hidden)?;
        sealed(&self.key_info(&snapshot, key)?)
    }

    /// The same for any access key; without a name, for the one that asks.
    pub(in crate::admin) fn access_key_info(&self, call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let name = match call.one("accessKey")? {
            "" => call.caller.access_key().map_or("", |key| key.name.as_str()),
            name => name,
        };
        let key = call.visible(&snapshot, name).ok_or_else(no_such_access_key)?;
        sealed(&KeyInfo {
            access_key: Some(key.name.as_str().to_owned()),
            user_type: Some("Service Account"),
            user_provider: Some("builtin"),
            ..self.key_info(&snapshot, key)?
        })
    }

    /// The access keys of the caller, or of another user.
    pub(in crate::admin) fn list_service_accounts(&self, call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let parent = match call.one("user")? {
            "" => call.parent(),
            name if self.is_root(name) => Parent::Root,
            name => Parent::User(Name::user(name)?),
        };
        if call.reach == Reach::Own && parent != call.parent() {
            return Err(Refusal::access_denied());
        }
        let accounts: Vec<Listed> = snapshot
            .access_keys_of(&parent)
            .map(|key| Listed {
                parent_user: self.parent_name(&key.parent),
                account_status: on_off(key.status),
                implied_policy: key.policy.is_none(),
                access_key: key.name.as_str().to_owned(),
                name: key.label.clone(),
                description: key.description.clone(),
                expiration: shown(key.expires),
            })
            .collect();
        sealed(&serde_json::json!({ "accounts": accounts }))
    }

    /// The access keys of many users. There are no temporary ones.
    pub(in crate::admin) fn list_access_keys(&self, call: &Call) -> Result<Answer, Refusal> {
        let kind = call.one("listType")?;
        if !matches!(kind, "users-only" | "sts-only" | "svcacc-only" | "all") {
            return Err(fault::invalid_request("There is no such list type."));
        }
        let (users, everybody) = (call.all("users"), call.one("all")? == "true");
        if everybody && !users.is_empty() {
            return Err(fault::invalid_request("Ask for all users or for some, not for both."));
        }
        let snapshot = self.iam()?.snapshot();
        let parents: Vec<Parent> = if everybody {
            if call.reach == Reach::Own || !call.may(Action::AdminListUsers) {
                return Err(Refusal::access_denied());
            }
            let users = snapshot.users().into_iter().map(|user| Parent::User(user.name.clone()));
            std::iter::once(Parent::Root).chain(users).collect()
        } else if users.is_empty() {
            vec![call.parent()]
        } else {
            let mut parents = Vec::new();
            for name in users {
                let parent = if self.is_root(name) {
                    Parent::Root
                } else {
                    let user = snapshot.user(name);
                    let own = call.parent();
                    let is_own = matches!(&own, Parent::User(own) if own.as_str() == name);
                    if call.reach == Reach::Own && !is_own {
                        return Err(Refusal::access_denied());
                    }
                    // Who isn't there has no keys.
                    let Some(user) = user else { continue };
                    Parent::User(user.name.clone())
                };
                if call.reach == Reach::Own && parent != call.parent() {
                    return Err(Refusal::access_denied());
                }
                parents.push(parent);
            }
            parents
        };
        let lists_keys = matches!(kind, "svcacc-only" | "all");
        let listed: BTreeMap<String, KeysOf> = parents
            .iter()
            .map(|parent| {
                let keys = snapshot.access_keys_of(parent).filter(|_| lists_keys);
                let service_accounts = keys
                    .map(|key| {
                        serde_json::json!({
                            "accessKey": key.name.as_str(),
                            "expiration": shown(key.expires),
                        })
                    })
                    .collect();
                (self.parent_name(parent), KeysOf { service_accounts, sts_keys: Vec::new() })
            })
            .collect();
        sealed(&listed)
    }

    fn key_info(&self, snapshot: &Snapshot, key: &AccessKey) -> Result<KeyInfo, Refusal> {
        let policy: Value = match (&key.policy, &key.parent) {
            (Some(policy), _) => serde_json::from_str(policy.document()),
            (None, Parent::Root) => Ok(account::everything()),
            (None, Parent::User(name)) => Ok(account::effective(snapshot, name.as_str())),
        }
        .map_err(|_error| Refusal::new("InternalError", 500, "A policy can't be read."))?;
        Ok(KeyInfo {
            access_key: None,
            parent_user: self.parent_name(&key.parent),
            account_status: on_off(key.status),
            implied_policy: key.policy.is_none(),
            policy: serde_json::to_string_pretty(&policy).unwrap_or_default(),
            name: key.label.clone(),
            description: key.description.clone(),
            expiration: key.expires,
            user_type: None,
            user_provider: None,
        })
    }

    pub(in crate::admin) fn parent_name(&self, parent: &Parent) -> String {
        match parent {
            Parent::Root => self.root_name(),
            Parent::User(name) => name.as_str().to_owned(),
        }
    }
}

pub(super) fn shown(expires: Option<Timestamp>) -> String {
    expires.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}
