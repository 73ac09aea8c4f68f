//! The caller of a request: who signed it, and what was known of all identities at that moment.

use std::sync::Arc;

use coffer_policy::{Parent as ParentOf, Principal, PrincipalKind};

use crate::iam::Snapshot;
use crate::iam::entity::{AccessKey, User};
use crate::iam::snapshot::Signer;

/// Who a request comes from.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The holder of the root access key.
    Root,
    /// The tenant's operator, known by its certificate. It may what is made for it, by [`super::control`], and nothing else.
    Control,
    /// Nobody: the request isn't signed.
    Anonymous,
    /// A user, or an access key.
    Signer(Signer),
}

/// Who a request comes from, among all that there were when it was authenticated: one request is decided by one state.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    snapshot: Arc<Snapshot>,
    /// The ARN of who signed; empty for who didn't.
    arn: String,
}

/// The ARN of the root identity.
const ROOT_ARN: &str = "arn:aws:iam:::root";

impl Caller {
    /// A caller.
    pub fn new(identity: Identity, snapshot: Arc<Snapshot>) -> Self {
        let arn = match &identity {
            Identity::Root | Identity::Signer(Signer::AccessKey(_, None)) => ROOT_ARN.to_owned(),
            Identity::Anonymous | Identity::Control => String::new(),
            Identity::Signer(Signer::User(user) | Signer::AccessKey(_, Some(user))) => {
                format!("arn:aws:iam:::user/{}", user.name)
            }
        };
        Self { identity, snapshot, arn }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// All that there was when it was authenticated.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The user that signed, by its own key or by one of its access keys.
    pub fn user(&self) -> Option<&Arc<User>> {
        match &self.identity {
            Identity::Signer(Signer::User(user) | Signer::AccessKey(_, Some(user))) => Some(user),
            Identity::Root
            | Identity::Control
            | Identity::Anonymous
            | Identity::Signer(Signer::AccessKey(_, None)) => None,
        }
    }

    /// The access key that signed, where it isn't a user's own.
    pub fn access_key(&self) -> Option<&Arc<AccessKey>> {
        match &self.identity {
            Identity::Signer(Signer::AccessKey(key, _)) => Some(key),
            Identity::Root
            | Identity::Control
            | Identity::Anonymous
            | Identity::Signer(Signer::User(_)) => None,
        }
    }

    /// Whether no policy is asked: the root identity, and access keys of it without a policy of their own.
    pub fn is_owner(&self) -> bool {
        match &self.identity {
            Identity::Root => true,
            Identity::Signer(Signer::AccessKey(key, None)) => key.policy.is_none(),
            Identity::Control | Identity::Anonymous | Identity::Signer(_) => false,
        }
    }

    /// The caller as policies see it. An access key is its parent.
    pub fn principal(&self) -> Principal<'_> {
        let (kind, name) = match (&self.identity, self.user()) {
            // What policies say is not about the control identity.
            (Identity::Anonymous | Identity::Control, _) => return Principal::ANONYMOUS,
            (Identity::Root | Identity::Signer(_), None) => (PrincipalKind::Account, "root"),
            (Identity::Root | Identity::Signer(_), Some(user)) => {
                (PrincipalKind::User, user.name.as_str())
            }
        };
        let parent: Option<ParentOf<'_>> = None;
        Principal { kind, name, arn: &self.arn, parent }
    }
}
