//! Access keys beside a user's own: "service accounts" in the words of clients.
//!
//! What no call here does, whoever makes it: let an access key with a policy of its own make, change or take over a freer one; let
//! anybody but root touch root's; widen a key by leaving its policy out.

mod show;

pub(super) use show::no_such_access_key;

use coffer_policy::{Action, Key, Kind, Outcome, Policy};
use coffer_signature::SecretKey;
use jiff::Timestamp;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use self::show::shown;
use super::call::{Call, Reach};
use super::user::status;
use super::{Admin, Answer, fault, sealed};
use crate::answer::Refusal;
use crate::iam::Refused;
use crate::iam::draft::{AccessKeyChange, NewAccessKey};
use crate::iam::entity::{AccessKey, Parent};
use crate::iam::name::Name;

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
