//! The caller of a request: who signed it, and what was known of all identities at that moment.

use std::sync::Arc;

use clap::ValueEnum;
use coffer_policy::{Action, Family, Parent as ParentOf, Principal, PrincipalKind};

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

/// Whether root's keys are good for S3: its own, and the access keys that belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RootS3 {
    /// They are, and no policy is asked.
    #[default]
    On,
    /// They are for the admin API alone.
    Off,
}

/// Who a request comes from, among all that there were when it was authenticated: one request is decided by one state.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    snapshot: Arc<Snapshot>,
    root_s3: RootS3,
    /// The ARN of who signed; empty for who didn't.
    arn: String,
}

/// The ARN of the root identity.
const ROOT_ARN: &str = "arn:aws:iam:::root";

impl Caller {
    /// A caller.
    pub fn new(identity: Identity, snapshot: Arc<Snapshot>, root_s3: RootS3) -> Self {
        let arn = match &identity {
            Identity::Root | Identity::Signer(Signer::AccessKey(_, None)) => ROOT_ARN.to_owned(),
            Identity::Anonymous | Identity::Control => String::new(),
            Identity::Signer(Signer::User(user) | Signer::AccessKey(_, Some(user))) => {
                format!("arn:aws:iam:::user/{}", user.name)
            }
        };
        Self { identity, snapshot, root_s3, arn }
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

    /// Whether root's keys are good for S3, for a caller of the same server.
    pub fn root_s3(&self) -> RootS3 {
        self.root_s3
    }

    /// Whether an action is out of reach because it is root's key that signs, whatever policies say.
    pub fn is_shut_out_of(&self, action: Action) -> bool {
        let of_root = match &self.identity {
            Identity::Root | Identity::Signer(Signer::AccessKey(_, None)) => true,
            Identity::Control | Identity::Anonymous | Identity::Signer(_) => false,
        };
        of_root && self.root_s3 == RootS3::Off && action.family() == Family::S3
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
