//! Access keys beside a user's own: "service accounts" in the words of clients.
//!
//! What no call here does, whoever makes it: let an access key with a policy of its own make, change or take over a freer one; let
//! anybody but root touch root's; widen a key by leaving its policy out.

use std::collections::BTreeMap;

use coffer_policy::{Action, Key, Kind, Outcome, Policy};
use coffer_signature::SecretKey;
use jiff::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::call::{Call, Reach};
use super::user::status;
use super::{Admin, Answer, fault, sealed};
use crate::answer::Refusal;
use crate::iam::draft::{AccessKeyChange, NewAccessKey};
use crate::iam::entity::{AccessKey, Parent, Status};
use crate::iam::name::Name;
use crate::iam::{Refused, Snapshot};

/// The longest policy of an access key, in bytes of its canonical text.
const MAX_POLICY: usize = 4096;
/// What "never" looks like in lists.
const NEVER: &str = "1970-01-01T00:00:00Z";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NewKey {
    policy: Option<Value>,
    target_user: Option<String>,
    access_key: Option<String>,
    secret_key: Option<Zeroizing<String>>,
    name: Option<String>,
    description: Option<String>,
    expiration: Option<String>,
    /// What the description was called once.
    comment: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ChangedKey {
    #[serde(rename = "newPolicy")]
    policy: Option<Value>,
    #[serde(rename = "newSecretKey")]
    secret_key: Option<Zeroizing<String>>,
    #[serde(rename = "newStatus")]
    status: Option<String>,
    #[serde(rename = "newName")]
    name: Option<String>,
    #[serde(rename = "newDescription")]
    description: Option<String>,
    #[serde(rename = "newExpiration")]
    expiration: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    access_key: &'a str,
    secret_key: &'a str,
    expiration: String,
}

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

pub(super) fn no_such_access_key() -> Refusal {
    Refusal::new("XMinioAdminNoSuchAccessKey", 404, "The specified access key does not exist.")
}

/// What clients call a status here.
fn on_off(status: Status) -> &'static str {
    match status {
        Status::Enabled => "on",
        Status::Disabled => "off",
    }
}

/// What a request says about something that may be or not.
enum Said<T> {
    /// Nothing.
    Nothing,
    /// That there is to be none.
    None,
    /// That it is to be this.
    This(T),
}

impl<T> Said<T> {
    fn this(self) -> Option<T> {
        match self {
            Self::Nothing | Self::None => None,
            Self::This(this) => Some(this),
        }
    }
}

/// A policy as it came. `null` and `{}` are what clients send who have nothing to say; that there is to be none is said by an
/// empty list of statements.
fn said(policy: Option<&Value>) -> Result<Said<Policy>, Refusal> {
    let Some(value) = policy else { return Ok(Said::Nothing) };
    match value {
        Value::Null => return Ok(Said::Nothing),
        Value::String(text) if text.is_empty() => return Ok(Said::Nothing),
        Value::Object(members) => {
            let named = |name| members.get(name).filter(|value| *value != "" && !value.is_null());
            let has_version = ["Version", "ID", "Id"].into_iter().any(|name| named(name).is_some());
            match named("Statement") {
                None if !has_version => return Ok(Said::Nothing),
                Some(Value::Array(statements)) if statements.is_empty() => return Ok(Said::None),
                Some(_) | None => {}
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
    }
    let policy = Policy::parse(Kind::Identity, value.to_string().as_bytes())
        .map_err(|errors| fault::malformed_policy(&errors))?;
    if policy.document().len() > MAX_POLICY {
        return Err(Refusal::new(
            "XMinioIAMServiceAccountSessionPolicyTooLarge",
            400,
            "The policy of an access key has at most 4096 bytes.",
        ));
    }
    Ok(Said::This(policy))
}

/// An expiry as it came, to the second.
fn expiry(text: Option<&str>, now: Timestamp) -> Result<Said<Timestamp>, Refusal> {
    let invalid = |why| Refusal::new("XMinioInvalidResource", 400, why);
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Said::Nothing) };
    if text.starts_with("0001-01-01T00:00:00") || text == NEVER {
        return Ok(Said::None);
    }
    let time: Timestamp = text
        .parse()
        .map_err(|_error| invalid("The expiration isn't a time as RFC 3339 writes it."))?;
    if time <= now {
        return Err(invalid("The expiration is past."));
    }
    let whole = Timestamp::from_second(time.as_second())
        .map_err(|_error| invalid("The expiration is too far."))?;
    Ok(Said::This(whole))
}

/// A new secret: 40 characters of base64, without the one that hinders in URLs.
fn new_secret() -> Zeroizing<String> {
    use base64::Engine as _;
    let bytes: Zeroizing<[u8; 30]> = Zeroizing::new(std::array::from_fn(|_| rand::random()));
    let text = base64::engine::general_purpose::STANDARD.encode(bytes.as_slice());
    Zeroizing::new(text.replace('/', "+"))
}

fn new_access_key() -> String {
    const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut random = rand::rng();
    let letter = |_| LETTERS.get(random.random_range(0..LETTERS.len())).copied().unwrap_or(b'0');
    (0..20).map(letter).map(char::from).collect()
}

impl Call {
    /// Whether the caller may do `action` to a key that is to live so long.
    fn may_for(&self, action: Action, expires: Option<Timestamp>) -> Result<(), Refusal> {
        let Some(expires) = expires else { return Ok(()) };
        let mut context = self.context();
        let seconds = expires.duration_since(self.now).as_secs();
        context.set(Key::SvcDurationSeconds, seconds.to_string());
        match (self.decided(action, &context), self.reach) {
            (Outcome::Allow, _) | (Outcome::DefaultDeny, Reach::Own) => Ok(()),
            (Outcome::Deny, _) | (Outcome::DefaultDeny, Reach::All) => {
                Err(Refusal::access_denied())
            }
        }
    }

    /// Whether the caller may make or change keys of this parent at all: root's are root's alone.
    fn may_reach(&self, parent: &Parent) -> Result<(), Refusal> {
        let is_own = self.parent() == *parent;
        match (self.reach, parent) {
            (Reach::Own, _) | (Reach::All, Parent::Root) if !is_own => {
                Err(Refusal::access_denied())
            }
            (Reach::Own | Reach::All, _) => Ok(()),
        }
    }

    /// The policy that a key may get: one made by an access key with a policy has that one too.
    fn held_to(&self, wanted: Option<Policy>) -> Result<Option<Policy>, Refusal> {
        match (self.limit().and_then(|key| key.policy.clone()), wanted) {
            (None, wanted) => Ok(wanted),
            (Some(own), None) => Ok(Some(own)),
            (Some(own), Some(wanted)) if own == wanted => Ok(Some(wanted)),
            (Some(_), Some(_)) => Err(Refusal::new(
                "AccessDenied",
                403,
                "Access Denied: what an access key with a policy makes has the same policy; leave it out.",
            )),
        }
    }

    /// Whether the caller may change this key: it must not be freer than the caller.
    fn may_change(&self, key: &AccessKey) -> Result<(), Refusal> {
        self.may_reach(&key.parent)?;
        match self.limit() {
            Some(own) if own.policy != key.policy => Err(Refusal::access_denied()),
            Some(_) | None => Ok(()),
        }
    }

    /// A key that the caller may see.
    fn visible<'a>(&self, snapshot: &'a Snapshot, name: &str) -> Option<&'a AccessKey> {
        let key = snapshot.access_key(name)?;
        (self.reach == Reach::All || key.parent == self.parent()).then_some(key.as_ref())
    }
}

impl Admin {
    /// Makes an access key for the caller, or for another user.
    pub(super) async fn add_access_key(&self, call: &Call) -> Result<Answer, Refusal> {
        let NewKey {
            policy,
            target_user,
            access_key,
            secret_key,
            name: label,
            description,
            expiration,
            comment,
        } = call.opened().await?;
        let parent = match target_user.as_deref().unwrap_or("") {
            "" => call.parent(),
            name if self.is_root(name) => Parent::Root,
            name if call.snapshot().access_key(name).is_some() => {
                // A key names itself: what it makes belongs to its parent.
                if call.caller.access_key().is_none_or(|own| own.name.as_str() != name) {
                    return Err(not_for_keys());
                }
                call.parent()
            }
            name => Parent::User(Name::user(name)?),
        };
        call.may_reach(&parent)?;
        let policy = call.held_to(said(policy.as_ref())?.this())?;
        let expires = expiry(expiration.as_deref(), call.now)?.this();
        call.may_for(Action::AdminCreateServiceAccount, expires)?;
        let given = access_key.filter(|text| !text.is_empty());
        let secret = secret_key.filter(|text| !text.is_empty());
        let (name, secret) = match (given, secret) {
            (Some(name), Some(secret)) => (name, secret),
            (None, None) => (new_access_key(), new_secret()),
            (Some(_), None) => {
                return Err(Refusal::new(
                    "XMinioAdminNoSecretKey",
                    400,
                    "No secret key was provided.",
                ));
            }
            (None, Some(_)) => {
                return Err(Refusal::new(
                    "XMinioAdminNoAccessKey",
                    400,
                    "No access key was provided.",
                ));
            }
        };
        if self.is_root(&name) {
            return Err(fault::invalid_credentials("This is the root access key."));
        }
        if matches!(&parent, Parent::User(parent) if parent.as_str() == name) {
            return Err(fault::not_allowed("An access key can't have its user's name."));
        }
        let name = Name::access_key(&name)?;
        let description = description.filter(|text| !text.is_empty()).or(comment);
        let now = call.now;
        self.iam()?
            .attempt(|draft| {
                let new = NewAccessKey {
                    name: name.clone(),
                    secret_key: SecretKey::new(secret.to_string()),
                    parent: parent.clone(),
                    policy: policy.clone(),
                    label: label.clone().unwrap_or_default(),
                    description: description.clone().unwrap_or_default(),
                    expires,
                };
                draft.put_access_key(new, now).map_err(|refused| match refused {
                    Refused::Taken(_) => not_for_keys(),
                    other => other.into(),
                })
            })
            .await?;
        sealed(&serde_json::json!({ "credentials": Credentials {
            access_key: name.as_str(),
            secret_key: &secret,
            expiration: shown(expires),
        } }))
    }

    /// Changes an access key. What isn't named stays: an update without a policy widens nothing.
    pub(super) async fn update_access_key(&self, call: &Call) -> Result<Answer, Refusal> {
        let Ok(name) = Name::user(call.one("accessKey")?) else { return Err(hidden()) };
        let ChangedKey { policy, secret_key, status: wanted, name: label, description, expiration } =
            call.opened().await?;
        let policy = match said(policy.as_ref())? {
            Said::Nothing => None,
            Said::None => Some(call.held_to(None)?),
            Said::This(policy) => Some(call.held_to(Some(policy))?),
        };
        let expires = match expiry(expiration.as_deref(), call.now)? {
            Said::Nothing => None,
            Said::None => Some(None),
            Said::This(time) => Some(Some(time)),
        };
        call.may_for(Action::AdminUpdateServiceAccount, expires.flatten())?;
        let status =
            match wanted.as_deref().unwrap_or("") {
                "" => None,
                text => Some(status(text).ok_or_else(|| {
                    fault::invalid_argument("A status is `enabled` or `disabled`.")
                })?),
            };
        let secret = secret_key.filter(|text| !text.is_empty());
        let now = call.now;
        self.iam()?
            .attempt(|draft| {
                let key = draft.snapshot().access_key(name.as_str()).ok_or_else(hidden)?;
                call.may_change(key)?;
                let change = AccessKeyChange {
                    secret_key: secret.as_ref().map(|text| SecretKey::new(text.to_string())),
                    status,
                    policy: policy.clone(),
                    label: label.clone().filter(|text| !text.is_empty()),
                    description: description.clone().filter(|text| !text.is_empty()),
                    expires,
                };
                draft.change_access_key(&name, change, now).map_err(Refusal::from)
            })
            .await?;
        Ok(Answer::NoContent)
    }

    /// Deletes an access key.
    pub(super) async fn delete_access_key(&self, call: &Call) -> Result<Answer, Refusal> {
        let Ok(name) = Name::user(call.one("accessKey")?) else { return Err(hidden()) };
        self.iam()?
            .attempt(|draft| {
                let key = draft.snapshot().access_key(name.as_str()).ok_or_else(hidden)?;
                // Whose it isn't is told that it isn't there.
                call.may_reach(&key.parent).map_err(|_denied| hidden())?;
                draft.delete_access_key(&name).map_err(Refusal::from)
            })
            .await?;
        Ok(Answer::NoContent)
    }

    /// One access key, without its secret.
    pub(super) fn service_account_info(&self, call: &Call) -> Result<Answer, Refusal> {
        let snapshot = self.iam()?.snapshot();
        let key = call.visible(&snapshot, call.one("accessKey")?).ok_or_else(hidden)?;
        sealed(&self.key_info(&snapshot, key)?)
    }

    /// The same for any access key; without a name, for the one that asks.
    pub(super) fn access_key_info(&self, call: &Call) -> Result<Answer, Refusal> {
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
    pub(super) fn list_service_accounts(&self, call: &Call) -> Result<Answer, Refusal> {
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
    pub(super) fn list_access_keys(&self, call: &Call) -> Result<Answer, Refusal> {
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
            (None, Parent::Root) => Ok(super::account::everything()),
            (None, Parent::User(name)) => Ok(super::account::effective(snapshot, name.as_str())),
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

    pub(super) fn parent_name(&self, parent: &Parent) -> String {
        match parent {
            Parent::Root => self.root_name(),
            Parent::User(name) => name.as_str().to_owned(),
        }
    }
}

fn shown(expires: Option<Timestamp>) -> String {
    expires.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

/// Who may not see a key is told the same as who names one that isn't there.
fn hidden() -> Refusal {
    Refusal::new("XMinioInvalidIAMCredentials", 404, "The specified service account is not found.")
}

fn not_for_keys() -> Refusal {
    Refusal::new(
        "XMinioIAMServiceAccountNotAllowed",
        400,
        "The access key is taken, or the target user is an access key itself.",
    )
}
