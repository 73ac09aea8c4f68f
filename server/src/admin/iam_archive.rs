//! All identities and policies as one zip archive, and back.
//!
//! An archive says who may do what, so it is taken whole or not at all: one entry that can't be meant, and nothing is changed.
//! Secrets leave sealed by the tenant's key, good for this tenant alone; in clear only for who may see them so. MinIO's archives, which
//! have them in clear, are taken too.

mod foreign;
mod form;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_policy::{Action, Kind, ParseErrors, Policy};
use coffer_signature::SecretKey;
use form::{Archive, ArchivedGroup, ArchivedKey, ArchivedUser, Mapping};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::call::Call;
use super::user::{comma_list, status, status_name};
use super::{Admin, Answer, fault, policy};
use crate::answer::Refusal;
use crate::iam::draft::{AccessKeyChange, Draft, Holder, NewAccessKey, expiry_is_sound};
use crate::iam::entity::{Parent, Status};
use crate::iam::name::Name;
use crate::iam::{Iam, Refused};

/// What an import did, in the shape that `mc` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Imported {
    skipped: Kinds,
    removed: Kinds,
    added: Kinds,
    failed: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kinds {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_accounts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    user_policies: Vec<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    group_policies: Vec<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sts_policies: Vec<BTreeMap<String, Vec<String>>>,
}

fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::new("InvalidRequest", 400, format!("The archive was refused whole: {why}."))
}

impl Admin {
    /// Everything as an archive.
    pub(super) fn export_iam(&self, call: &Call) -> Result<Answer, Refusal> {
        let in_clear = match call.one("secrets")? {
            "" | "sealed" => false,
            "clear" if call.may(Action::AdminExportIAMSecrets) => true,
            "clear" => return Err(Refusal::access_denied()),
            _ => return Err(fault::invalid_argument("`secrets` is `sealed` or `clear`.")),
        };
        let iam = self.iam()?;
        let snapshot = iam.snapshot();
        let secrets = |name: &str, secret: &SecretKey| -> Result<_, Refusal> {
            if in_clear {
                return Ok((Some(Zeroizing::new(secret.expose().to_owned())), None));
            }
            let sealed = iam.seal(name, secret.expose().as_bytes())?;
            Ok((None, Some(STANDARD.encode(sealed))))
        };
        let mapping = |policies: &BTreeSet<Name>, updated: Timestamp| Mapping {
            _version: 1,
            policy: comma_list(policies),
            _updated_at: updated.to_string(),
        };
        let policies = snapshot
            .stored_policies()
            .map(|stored| Ok((stored.name.as_str(), policy::raw(stored.policy.document())?)))
            .collect::<Result<BTreeMap<_, _>, Refusal>>()?;
        let (mut users, mut user_mappings) = (BTreeMap::new(), BTreeMap::new());
        let mut keys = BTreeMap::new();
        let mut parents = vec![Parent::Root];
        for user in snapshot.users() {
            let name = user.name.as_str();
            let (secret_key, sealed_secret_key) = secrets(name, &user.secret_key)?;
            let status = status_name(user.status).to_owned();
            users.insert(name, ArchivedUser { secret_key, sealed_secret_key, status });
            if !user.policies.is_empty() {
                user_mappings.insert(name, mapping(&user.policies, user.updated));
            }
            parents.push(Parent::User(user.name.clone()));
        }
        for key in parents.iter().flat_map(|parent| snapshot.access_keys_of(parent)) {
            let name = key.name.as_str();
            let (secret_key, sealed_secret_key) = secrets(name, &key.secret_key)?;
            let session_policy = match &key.policy {
                Some(policy) => serde_json::from_str(policy.document()).ok(),
                None => None,
            };
            let archived = ArchivedKey {
                parent: self.parent_name(&key.parent),
                access_key: name.to_owned(),
                secret_key,
                sealed_secret_key,
                claims: None,
                session_policy,
                status: match key.status {
                    Status::Enabled => "on".to_owned(),
                    Status::Disabled => "off".to_owned(),
                },
                name: key.label.clone(),
                description: key.description.clone(),
                expiration: key.expires.map(|time| time.to_string()),
            };
            keys.insert(name, archived);
        }
        let (mut groups, mut group_mappings) = (BTreeMap::new(), BTreeMap::new());
        for group in snapshot.groups() {
            let name = group.name.as_str();
            let members = snapshot.members(&group.name).map(|name| name.as_str().to_owned());
            let archived = ArchivedGroup {
                _version: 1,
                status: status_name(group.status).to_owned(),
                members: Some(members.collect()),
                _updated_at: group.updated.to_string(),
            };
            groups.insert(name, archived);
            if !group.policies.is_empty() {
                group_mappings.insert(name, mapping(&group.policies, group.updated));
            }
        }
        let none: BTreeMap<&str, Mapping> = BTreeMap::new();
        let files = [
            ("policies.json", super::text(&policies)?),
            ("users.json", super::text(&users)?),
            ("groups.json", super::text(&groups)?),
            ("svcaccts.json", super::text(&keys)?),
            ("user_mappings.json", super::text(&user_mappings)?),
            ("group_mappings.json", super::text(&group_mappings)?),
            ("stsuser_mappings.json", super::text(&none)?),
        ];
        form::zipped(&files.map(|(name, text)| (name, Zeroizing::new(text))))
            .map(Answer::Zip)
            .map_err(|_error| Refusal::new("InternalError", 500, "The archive can't be written."))
    }

    /// Takes an archive, whole.
    pub(super) async fn import_iam(&self, call: &Call) -> Result<Imported, Refusal> {
        let archive = form::read(&call.body)?;
        let iam = self.iam()?;
        iam.attempt(|draft| self.take(call, iam, draft, &archive)).await
    }

    fn take(
        &self,
        call: &Call,
        iam: &Iam,
        draft: &mut Draft,
        archive: &Archive,
    ) -> Result<Imported, Refusal> {
        let mut imported = Imported::default();
        let now = call.now;
        let whole = |name: &str| {
            let name = name.to_owned();
            move |refused: Refused| self::refused(format!("`{name}`: {refused}"))
        };
        let mut removed = Vec::new();
        for (text, document) in &archive.policies {
            let name = Name::policy(text).map_err(whole(text))?;
            if is_empty(document) {
                removed.push(name);
                continue;
            }
            let policy = parsed(document)
                .map_err(|errors| refused(format!("the policy `{text}`: {errors}")))?;
            if foreign::is_built_in(text, &policy) && draft.snapshot().stored_policy(text).is_none()
            {
                imported.skipped.policies.push(text.clone());
                continue;
            }
            draft.put_policy(&name, policy, now).map_err(whole(text))?;
            imported.added.policies.push(text.clone());
        }
        for (text, user) in &archive.users {
            let ArchivedUser { secret_key, sealed_secret_key, status: state } = user;
            if self.is_root(text) {
                return Err(refused("a user has the name of the root identity"));
            }
            let name = Name::user(text).map_err(whole(text))?;
            let secret = secret(iam, text, secret_key.as_ref(), sealed_secret_key.as_deref())?;
            let state = state_of(text, state)?;
            draft.put_user(&name, secret, state, now).map_err(whole(text))?;
            imported.added.users.push(text.clone());
        }
        for (text, group) in &archive.groups {
            let ArchivedGroup { _version: _, status: state, members, _updated_at: _ } = group;
            let name = Name::group(text).map_err(whole(text))?;
            let members: Vec<Name> = members
                .iter()
                .flatten()
                .map(|member| Name::user(member).map_err(whole(member)))
                .collect::<Result<_, _>>()?;
            draft.add_members(&name, &members, now).map_err(whole(text))?;
            // Disabled ones take no policies: that comes last.
            state_of(text, state)?;
            draft.set_group_status(&name, Status::Enabled, now).map_err(whole(text))?;
            imported.added.groups.push(text.clone());
        }
        for (text, key) in &archive.keys {
            if self.take_key(call, iam, draft, text, key)? {
                imported.added.service_accounts.push(text.clone());
            } else {
                imported.skipped.service_accounts.push(text.clone());
            }
        }
        for (text, mapping) in &archive.user_mappings {
            let holder = Holder::User(Name::user(text).map_err(whole(text))?);
            let policies = mapped(mapping).map_err(whole(text))?;
            draft.set_policies(&holder, &policies, now).map_err(whole(text))?;
            imported.added.user_policies.push(said(text, mapping));
        }
        for (text, mapping) in &archive.group_mappings {
            let holder = Holder::Group(Name::group(text).map_err(whole(text))?);
            let policies = mapped(mapping).map_err(whole(text))?;
            draft.set_policies(&holder, &policies, now).map_err(whole(text))?;
            imported.added.group_policies.push(said(text, mapping));
        }
        for (text, mapping) in &archive.session_mappings {
            // Identities of other providers: there is nobody here that they could be.
            imported.skipped.sts_policies.push(said(text, mapping));
        }
        for (text, group) in &archive.groups {
            let name = Name::group(text).map_err(whole(text))?;
            let status = state_of(text, &group.status)?;
            draft.set_group_status(&name, status, now).map_err(whole(text))?;
        }
        for name in removed {
            match draft.delete_policy(&name) {
                Ok(()) => imported.removed.policies.push(name.as_str().to_owned()),
                Err(Refused::NoSuchPolicy(_) | Refused::BuiltIn(_)) => {
                    imported.skipped.policies.push(name.as_str().to_owned());
                }
                Err(other) => return Err(whole(name.as_str())(other)),
            }
        }
        Ok(imported)
    }

    /// Takes an access key. Says whether it was taken: one that has expired, or whose parent isn't there, is left out.
    fn take_key(
        &self,
        call: &Call,
        iam: &Iam,
        draft: &mut Draft,
        text: &str,
        key: &ArchivedKey,
    ) -> Result<bool, Refusal> {
        let ArchivedKey {
            parent,
            access_key,
            secret_key,
            sealed_secret_key,
            claims,
            session_policy,
            status: state,
            name: label,
            description,
            expiration,
        } = key;
        let whole = |refused: Refused| self::refused(format!("`{text}`: {refused}"));
        if access_key != text {
            return Err(refused(format!("`{text}` says that it is `{access_key}`")));
        }
        if self.is_root(text) {
            return Err(refused("an access key is that of the root identity"));
        }
        let name = Name::access_key(text).map_err(whole)?;
        let parent = if self.is_root(parent) {
            if !call.caller.is_owner() {
                return Err(refused(format!("`{text}` is an access key of the root identity")));
            }
            Parent::Root
        } else {
            Parent::User(Name::user(parent).map_err(whole)?)
        };
        let claim =
            |name| claims.as_ref().and_then(|claims| claims.get(name)).and_then(Value::as_str);
        let policy = match session_policy.as_ref().filter(|policy| !is_empty(policy)) {
            Some(document) => Some(
                parsed(document)
                    .map_err(|errors| refused(format!("the policy of `{text}`: {errors}")))?,
            ),
            // Without its policy it would be freer than it was.
            None if claim("sa-policy") == Some("embedded-policy") => {
                return Err(refused(format!("`{text}` lacks the policy that limits it")));
            }
            None => None,
        };
        let status = state_of(text, state)?;
        let secret_key = secret(iam, text, secret_key.as_ref(), sealed_secret_key.as_deref())?;
        let expires =
            match expiration.as_deref() {
                None | Some("" | "1970-01-01T00:00:00Z" | "0001-01-01T00:00:00Z") => None,
                Some(time) => Some(time.parse::<Timestamp>().map_err(|_error| {
                    refused(format!("the expiration of `{text}` isn't a time"))
                })?),
            };
        let present = draft.snapshot().access_key(text);
        if present.is_some_and(|present| present.parent != parent) {
            return Err(refused(format!("the access key `{text}` belongs to somebody else")));
        }
        let is_orphan =
            matches!(&parent, Parent::User(user) if draft.snapshot().user(user.as_str()).is_none());
        // Minutes before its end it isn't worth the move. What is there stays.
        if is_orphan || expiry_is_sound(expires, call.now).is_err() {
            return Ok(false);
        }
        if present.is_some() {
            draft.delete_access_key(&name).map_err(whole)?;
        }
        let new = NewAccessKey {
            name: name.clone(),
            secret_key,
            parent,
            policy,
            label: label.clone(),
            description: description.clone(),
            expires,
        };
        draft.put_access_key(new, call.now).map_err(whole)?;
        let change = AccessKeyChange { status: Some(status), ..AccessKeyChange::default() };
        draft.change_access_key(&name, change, call.now).map_err(whole)?;
        Ok(true)
    }
}

fn parsed(document: &Value) -> Result<Policy, ParseErrors> {
    Policy::parse(Kind::Identity, foreign::as_meant(document).to_string().as_bytes())
}

fn state_of(name: &str, text: &str) -> Result<Status, Refusal> {
    status(text).ok_or_else(|| refused(format!("`{name}` is neither enabled nor disabled")))
}

/// Whether a document has no statements: then the policy is to be deleted, or there is none.
fn is_empty(document: &Value) -> bool {
    let statements = document.get("Statement");
    document.is_null()
        || document.as_str() == Some("")
        || statements.is_none_or(|statements| {
            statements.is_null() || statements.as_array().is_some_and(Vec::is_empty)
        })
}

fn secret(
    iam: &Iam,
    name: &str,
    clear: Option<&Zeroizing<String>>,
    sealed: Option<&str>,
) -> Result<SecretKey, Refusal> {
    match (clear, sealed) {
        (Some(clear), None) => Ok(SecretKey::new(clear.to_string())),
        (None, Some(sealed)) => {
            let opened = STANDARD.decode(sealed).ok();
            let opened = opened.and_then(|bytes| iam.open_sealed(name, &bytes));
            let text = opened.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
            text.map(SecretKey::new).ok_or_else(|| {
                refused(format!("the secret of `{name}` wasn't sealed by this tenant"))
            })
        }
        (Some(_), Some(_)) | (None, None) => Err(refused(format!("`{name}` needs one secret key"))),
    }
}

fn mapped(mapping: &Mapping) -> Result<Vec<Name>, Refused> {
    let names = mapping.policy.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(Name::policy).collect()
}

fn said(name: &str, mapping: &Mapping) -> BTreeMap<String, Vec<String>> {
    let policies = mapping.policy.split(',').map(str::to_owned).collect();
    BTreeMap::from([(name.to_owned(), policies)])
}
