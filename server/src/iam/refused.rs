//! Why a change of identities or policies isn't made.

use std::fmt;

use super::name::Name;

/// A change that isn't made. Nothing of it took place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// White space at an end.
    #[error("the name begins or ends with white space")]
    InvalidName,
    /// No access key.
    #[error("an access key has at least 3 characters, and none of `=`, `,`, `/`")]
    InvalidAccessKey,
    /// No secret key.
    #[error("a secret key has 8 to 256 characters; that of an access key at most 40")]
    InvalidSecretKey,
    /// No group's name.
    #[error("a group's name holds none of `=`, `,` and isn't empty")]
    InvalidGroupName,
    /// No policy's name.
    #[error("a policy's name holds none of `=`, `,` and isn't empty")]
    InvalidPolicyName,
    /// A description of an access key that can't be kept.
    #[error("{0}")]
    InvalidDescription(&'static str),
    /// An expiry that is past, too near or too far.
    #[error(
        "an access key expires 15 minutes to 365 days from now, and not after `maxKeyLifetime`"
    )]
    InvalidExpiry,
    /// No such user.
    #[error("the user `{0}` doesn't exist")]
    NoSuchUser(Name),
    /// No such group.
    #[error("the group `{0}` doesn't exist")]
    NoSuchGroup(Name),
    /// No such policy.
    #[error("the policy `{0}` doesn't exist")]
    NoSuchPolicy(Name),
    /// No such access key.
    #[error("the access key `{0}` doesn't exist")]
    NoSuchAccessKey(Name),
    /// The name is the root access key's.
    #[error("`{0}` is the root access key")]
    IsRoot(Name),
    /// A name that another kind of identity has already.
    #[error("`{0}` is taken")]
    Taken(Name),
    /// A group that has members can't be deleted.
    #[error("the group `{0}` has members; remove them first")]
    GroupNotEmpty(Name),
    /// A disabled group takes no policies.
    #[error("the group `{0}` is disabled; enable it first")]
    GroupDisabled(Name),
    /// A policy that is attached can't be deleted.
    #[error("the policy `{policy}` is attached to {users}; detach it first")]
    PolicyInUse {
        /// The policy.
        policy: Name,
        /// To whom: the first few users and groups.
        users: String,
    },
    /// A built-in policy can't be deleted.
    #[error("the policy `{0}` is built in")]
    BuiltIn(Name),
    /// It was made by another hand, or for another resource.
    #[error("the {what} exists and was made {by}")]
    NotOwned {
        /// Kind and name.
        what: String,
        /// Whose it is.
        by: MadeBy,
    },
    /// What isn't held to the boundary gets nothing from a resource that is.
    #[error(
        "`{0}` wasn't made by a resource, so the tenant's policy boundary doesn't hold it; make it by a resource, or attach policies by an administrator's hand"
    )]
    Unbounded(Name),
    /// Nothing would change.
    #[error("the policies are so already")]
    AlreadyApplied,
    /// A row can't be sealed.
    #[error("a row can't be sealed")]
    Unsealable,
}

/// Whose it is that a resource may not have, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MadeBy {
    /// This resource of the same namespace.
    Resource(String),
    /// A resource of another namespace, which isn't told.
    Elsewhere,
    /// Another hand, and the resource may take it over if it says so.
    Hand,
    /// Another hand, and the resource's namespace isn't the Tenant's own.
    ForeignHand,
}

impl fmt::Display for MadeBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(resource) => write!(
                f,
                "for the resource `{resource}`; delete that (if it is gone already, make and delete it once more), or choose another name"
            ),
            Self::Elsewhere => {
                f.write_str("for a resource of another namespace; choose another name")
            }
            Self::Hand => f.write_str(
                "by another hand; set `spec.adopt: true` to take it over, or choose another name",
            ),
            Self::ForeignHand => f.write_str(
                "by another hand, and only a resource in the Tenant's own namespace may take it over; choose another name",
            ),
        }
    }
}
