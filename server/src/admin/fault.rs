//! How the admin API says no: the codes that `madmin` knows.

use coffer_policy::ParseErrors;
use coffer_store::StoreError;
use tracing::error;

use super::payload::PayloadError;
use crate::answer::Refusal;
use crate::iam::{IamError, Refused};

/// A sentence of an error's text.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let (code, status) = match &refused {
            Refused::InvalidName | Refused::InvalidDescription(_) => ("XMinioInvalidResource", 400),
            Refused::InvalidAccessKey => ("XMinioAdminInvalidAccessKey", 400),
            Refused::InvalidSecretKey => ("XMinioAdminInvalidSecretKey", 400),
            Refused::InvalidGroupName => ("XMinioInvalidGroupName", 400),
            Refused::InvalidPolicyName => ("PolicyInvalidName", 400),
            Refused::InvalidExpiry => ("XMinioAdminInvalidArgument", 400),
            Refused::NoSuchUser(_) => ("XMinioAdminNoSuchUser", 404),
            Refused::NoSuchGroup(_) => ("XMinioAdminNoSuchGroup", 404),
            Refused::NoSuchPolicy(_) => ("XMinioAdminNoSuchPolicy", 404),
            // Who may not see a key isn't told that it is there: one answer for both.
            Refused::NoSuchAccessKey(_) => ("XMinioInvalidIAMCredentials", 404),
            Refused::IsRoot(_) => ("XMinioInvalidIAMCredentials", 403),
            Refused::Taken(_) | Refused::BuiltIn(_) => ("XMinioIAMActionNotAllowed", 403),
            Refused::GroupNotEmpty(_) => ("XMinioAdminGroupNotEmpty", 400),
            Refused::GroupDisabled(_) => ("XMinioAdminGroupDisabled", 400),
            Refused::PolicyInUse { policy: _, users: _ } => ("XMinioIAMPolicyInUse", 400),
            Refused::NotOwned { what: _, by: _ } => ("CofferNotOwned", 409),
            Refused::Unbounded(_) => ("CofferUnbounded", 403),
            Refused::AlreadyApplied => ("XMinioAdminPolicyChangeAlreadyApplied", 400),
            Refused::Unsealable => ("InternalError", 500),
        };
        Self::new(code, status, sentence(&refused.to_string()))
    }
}

impl From<IamError> for Refusal {
    fn from(failed: IamError) -> Self {
        match failed {
            IamError::Refused(refused) => refused.into(),
            IamError::Store(cause) => store(&cause),
            unreadable @ IamError::Unreadable { row: _, why: _ } => {
                error!(error = &unreadable as &dyn std::error::Error, "identities can't be read");
                Self::new(
                    "XMinioIAMNotInitialized",
                    503,
                    "Identities and policies can't be read; the server's log says why.",
                )
            }
        }
    }
}

impl From<PayloadError> for Refusal {
    fn from(failed: PayloadError) -> Self {
        match failed {
            PayloadError::Form | PayloadError::Changed => bad_json(&failed.to_string()),
            PayloadError::Failed => Self::new("InternalError", 500, sentence(&failed.to_string())),
        }
    }
}

/// The store's failure, logged where it is answered.
pub(super) fn store(failed: &StoreError) -> Refusal {
    match failed {
        StoreError::NoSuchBucket => no_such_bucket(),
        StoreError::OutOfSpace => {
            Refusal::new("XMinioStorageFull", 507, "The server has no space left.")
        }
        failed => {
            error!(error = failed as &dyn std::error::Error, "the store failed");
            Refusal::new("ServiceUnavailable", 503, "Please try again: the store failed.")
        }
    }
}

pub(super) fn no_such_bucket() -> Refusal {
    Refusal::new("NoSuchBucket", 404, "The specified bucket does not exist")
}

pub(super) fn bad_json(why: &str) -> Refusal {
    Refusal::new("XMinioAdminConfigBadJSON", 400, sentence(why))
}

pub(super) fn invalid_argument(why: &'static str) -> Refusal {
    Refusal::new("XMinioAdminInvalidArgument", 400, why)
}

pub(super) fn invalid_request(why: &'static str) -> Refusal {
    Refusal::new("InvalidRequest", 400, why)
}

pub(super) fn not_allowed(why: &'static str) -> Refusal {
    Refusal::new("XMinioIAMActionNotAllowed", 403, why)
}

/// `403`: the identity isn't one that this can be done to.
pub(super) fn invalid_credentials(why: &'static str) -> Refusal {
    Refusal::new("XMinioInvalidIAMCredentials", 403, why)
}

pub(super) fn malformed_policy(errors: &ParseErrors) -> Refusal {
    Refusal::new("XMinioMalformedIAMPolicy", 400, sentence(&errors.to_string()))
}
