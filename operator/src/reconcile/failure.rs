//! Everything that can stop a reconciliation: each maps to one reason, and is either permanent (a person must act) or
//! transient (the operator tries again).

use coffer_crds::condition::Reason;

use crate::apply::{ApplyError, api_message};
use crate::ownership::NotOwned;
use crate::tenant::build::{MANAGED_BY_LABEL, TENANT_LABEL};
use crate::tenant::dereference::MaterialError;
use crate::tenant::invalid::Invalid;
use crate::tenant::status::{Outcome, State};

/// On a Tenant: the uid of a volume claim whose data a person gave up, so that an empty one may take its place.
pub(super) const ABANDONED_ANNOTATION: &str = "coffer.dev/abandoned-claim";

/// Why a reconciliation stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The spec can't be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// What the spec names or the operator keeps can't be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// An object is another's.
    #[error(transparent)]
    NotOwned(#[from] NotOwned),
    /// The volume claim that held the data is gone.
    #[error(
        "the PersistentVolumeClaim `{name}` with the data (uid {uid}) is gone, and no empty one is made in its place; \
         restore it under its name with the labels `{TENANT_LABEL}` and `{MANAGED_BY_LABEL}`, or give the data up: `kubectl annotate tenant {tenant} {ABANDONED_ANNOTATION}={uid}`"
    )]
    VolumeLost {
        /// The Tenant's name.
        tenant: String,
        /// The claim's name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// An object couldn't be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// An object couldn't be read or deleted.
    #[error("{what}: {}", api_message(.cause))]
    Api {
        /// Kind and name of the object.
        what: String,
        /// What the API server said.
        cause: Box<kube::Error>,
    },
}

impl Failure {
    /// The failure as it stands in conditions.
    pub fn outcome(&self) -> Outcome {
        let (state, reason) = self.class();
        let message = match reason {
            Reason::Forbidden => format!("{self}; give the operator this right"),
            _ => self.to_string(),
        };
        Outcome::new(state, reason, message)
    }

    fn class(&self) -> (State, Reason) {
        match self {
            Self::Invalid(_) => (State::Stalled, Reason::InvalidSpec),
            Self::Material(MaterialError::RootMissing(_)) => {
                (State::Stalled, Reason::ReferenceNotFound)
            }
            Self::Material(MaterialError::Kms(cause)) if cause.is_missing() => {
                (State::Stalled, Reason::ReferenceNotFound)
            }
            Self::Material(MaterialError::Audit(cause)) if cause.is_missing() => {
                (State::Stalled, Reason::ReferenceNotFound)
            }
            Self::Material(
                MaterialError::RootInvalid { .. }
                | MaterialError::IamKey { .. }
                | MaterialError::Kms(_)
                | MaterialError::Audit(_),
            ) => (State::Stalled, Reason::ReferenceInvalid),
            Self::Material(MaterialError::Authority { .. }) => {
                (State::Stalled, Reason::AuthorityInvalid)
            }
            Self::NotOwned(cause) | Self::Apply(ApplyError::NotOwned(cause)) => match cause {
                NotOwned::Foreign { .. } => (State::Stalled, Reason::NotOwned),
                NotOwned::Leftover { .. } => (State::Reconciling, Reason::WaitingForDeletion),
            },
            Self::VolumeLost { .. } => (State::Stalled, Reason::VolumeLost),
            Self::Apply(ApplyError::Api { cause, .. }) | Self::Api { cause, .. } => of_api(cause),
            Self::Apply(ApplyError::Json(_)) => (State::Reconciling, Reason::Internal),
        }
    }
}

fn of_api(cause: &kube::Error) -> (State, Reason) {
    let kube::Error::Api(status) = cause else {
        return (State::Reconciling, Reason::ApiUnavailable);
    };
    match status.code {
        // Authorization and admission both answer 403; only the former speaks of a user.
        403 if status.message.contains("User \"") => (State::Stalled, Reason::Forbidden),
        403 if status.message.contains("being terminated") => {
            (State::Reconciling, Reason::Deleting)
        }
        400 | 403 | 413 | 422 => (State::Stalled, Reason::Refused),
        _ => (State::Reconciling, Reason::ApiUnavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn an_answer_of_the_api_server_has_one_meaning() {
        for (code, message, expected) in [
            (422, "StatefulSet.apps \"a\" is invalid", (State::Stalled, Reason::Refused)),
            (
                403,
                "pods \"a\" is forbidden: User \"x\" cannot patch",
                (State::Stalled, Reason::Forbidden),
            ),
            (
                403,
                "only dynamically provisioned pvc can be resized",
                (State::Stalled, Reason::Refused),
            ),
            (403, "because it is being terminated", (State::Reconciling, Reason::Deleting)),
            (409, "the object has been modified", (State::Reconciling, Reason::ApiUnavailable)),
            (404, "not found", (State::Reconciling, Reason::ApiUnavailable)),
            (429, "too many requests", (State::Reconciling, Reason::ApiUnavailable)),
            (500, "etcd is away", (State::Reconciling, Reason::ApiUnavailable)),
        ] {
            let status = Status { code, message: message.to_owned(), ..Status::default() };
            assert_eq!(of_api(&kube::Error::Api(Box::new(status))), expected, "{code} {message}");
        }
    }
}
