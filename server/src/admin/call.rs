//! One call: who makes it, how far it may reach, and its parameters.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use coffer_policy::{Action, Context, Outcome, Resource};
use coffer_signature::SecretKey;
use http::request::Parts;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::fault;
use super::payload;
use crate::answer::Refusal;
use crate::authorize::{self, Caller, Decision, Identity};
use crate::iam::Snapshot;
use crate::iam::entity::{AccessKey, Parent};
use crate::iam::snapshot::Signer;
use crate::route::admin::{Permission, Row};
use crate::route::parameters;

/// How far a call may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To everything that it is about.
    All,
    /// To what belongs to the caller.
    Own,
}

/// A call that was authorized.
pub(super) struct Call {
    pub(super) caller: Caller,
    /// What its bodies are encrypted by; the control identity has none, and encrypts nothing.
    pub(super) secret: Option<SecretKey>,
    pub(super) now: Timestamp,
    pub(super) reach: Reach,
    pub(super) body: Bytes,
    context: Context<'static>,
    parameters: BTreeMap<String, Vec<String>>,
    content_type: Option<String>,
    /// The last decision that was made about it.
    told: Mutex<Option<Decision>>,
}

impl Call {
    /// Authorizes a request by its head. `told` is the decision, for the audit record.
    ///
    /// # Errors
    /// `AccessDenied`; `XMinioInvalidUTF` for parameters that aren't text.
    pub(super) fn new(
        row: &'static Row,
        head: &Parts,
        caller: Caller,
        secret: Option<SecretKey>,
        context: Context<'static>,
        now: Timestamp,
        told: &mut Option<Decision>,
    ) -> Result<Self, Refusal> {
        let mut call = Self {
            caller,
            secret,
            now,
            reach: Reach::Own,
            body: Bytes::new(),
            context,
            parameters: BTreeMap::new(),
            content_type: head
                .headers
                .get(http::header::CONTENT_TYPE)
                .and_then(|kind| kind.to_str().ok())
                .map(str::to_owned),
            told: Mutex::default(),
        };
        let reach = call.reach_of(row.permission);
        *told = call.told();
        call.reach = reach?;
        for (name, value) in parameters(head.uri.query().unwrap_or_default()) {
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8().map_err(|_error| {
                Refusal::new("XMinioInvalidUTF", 400, "A parameter of the query isn't UTF-8.")
            })?;
            call.parameters.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Ok(call)
    }

    fn reach_of(&self, permission: Permission) -> Result<Reach, Refusal> {
        match permission {
            Permission::Any(first, more) => {
                let mut any = std::iter::once(&first).chain(more);
                if any.any(|action| self.may(*action)) {
                    Ok(Reach::All)
                } else {
                    Err(Refusal::access_denied())
                }
            }
            Permission::OwnUnlessDenied(action) => {
                if self.may(action) {
                    Ok(Reach::All)
                } else if self.is_not_denied(action) {
                    Ok(Reach::Own)
                } else {
                    Err(Refusal::access_denied())
                }
            }
            Permission::OwnOr(action) => Ok(if self.may(action) { Reach::All } else { Reach::Own }),
            // Which key, only the handler knows.
            Permission::Everyone | Permission::OnKey => Ok(Reach::Own),
            Permission::Control => match authorize::control(&self.caller).outcome {
                Outcome::Allow => Ok(Reach::All),
                Outcome::Deny | Outcome::DefaultDeny => Err(Refusal::access_denied()),
            },
        }
    }

    /// Whether the caller's policies allow this.
    pub(super) fn may(&self, action: Action) -> bool {
        self.decided(action, &self.context) == Outcome::Allow
    }

    /// Whether the caller's policies allow this on one thing.
    pub(super) fn may_on(&self, action: Action, resource: Resource<'_>) -> bool {
        authorize::decide(&self.caller, action, resource, &self.context).outcome == Outcome::Allow
    }

    /// What the caller's policies say, in a context that knows more.
    pub(super) fn decided(&self, action: Action, context: &Context<'_>) -> Outcome {
        let decision = authorize::decide(&self.caller, action, Resource::All, context);
        let outcome = decision.outcome;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(decision);
        outcome
    }

    /// The last decision that was made about it.
    pub(super) fn told(&self) -> Option<Decision> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of the request, for a decision that knows more.
    pub(super) fn context(&self) -> Context<'static> {
        self.context.clone()
    }

    /// Whether the caller may do this to what is its own. An access key with a policy of its own may do what that allows, no more;
    /// and who has no policy at all may nothing.
    fn is_not_denied(&self, action: Action) -> bool {
        let snapshot = self.caller.snapshot();
        let has_policies = self.caller.user().is_some_and(|user| {
            !snapshot.policies_of(user).is_empty() || !snapshot.group_policies_of(user).is_empty()
        });
        let is_limited = self.limit().is_some();
        has_policies && !is_limited && self.decided(action, &self.context) != Outcome::Deny
    }

    /// The access key by which the caller signed, if that has a policy of its own.
    pub(super) fn limit(&self) -> Option<&AccessKey> {
        self.caller.access_key().filter(|key| key.policy.is_some()).map(AsRef::as_ref)
    }

    /// On whose behalf the caller acts.
    pub(super) fn parent(&self) -> Parent {
        match self.caller.user() {
            Some(user) => Parent::User(user.name.clone()),
            None => Parent::Root,
        }
    }

    /// Whether it was a user's own secret, or root's, that signed: not that of an access key.
    pub(super) fn is_own_secret(&self) -> bool {
        match self.caller.identity() {
            Identity::Root | Identity::Signer(Signer::User(_)) => true,
            Identity::Control | Identity::Anonymous | Identity::Signer(Signer::AccessKey(_, _)) => {
                false
            }
        }
    }

    /// Everything as it was when the caller was authenticated.
    pub(super) fn snapshot(&self) -> &Snapshot {
        self.caller.snapshot()
    }

    /// The one value of a parameter; empty if it isn't there.
    ///
    /// # Errors
    /// `XMinioAdminInvalidArgument` if there are more.
    pub(super) fn one(&self, name: &str) -> Result<&str, Refusal> {
        match self.all(name) {
            [] => Ok(""),
            [one] => Ok(one),
            [_, ..] => Err(fault::invalid_argument("A parameter is given more than once.")),
        }
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.parameters.get(name).map_or(&[], Vec::as_slice)
    }

    /// The body, which is JSON as it is.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|_error| {
            fault::invalid_request("The body isn't the JSON that this call takes.")
        })
    }

    /// The body, which is encrypted JSON.
    ///
    /// # Errors
    /// `XMinioAdminConfigBadJSON`.
    pub(super) async fn opened<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let secret = self.secret.as_ref().ok_or_else(Refusal::access_denied)?;
        let plain = payload::open(secret, &self.body).await?;
        serde_json::from_slice(&plain)
            .map_err(|_error| fault::bad_json("the body isn't the JSON that this call takes"))
    }

    /// Whether the body says that it is encrypted.
    pub(super) fn is_octets(&self) -> bool {
        self.content_type.as_deref() == Some("application/octet-stream")
    }
}
