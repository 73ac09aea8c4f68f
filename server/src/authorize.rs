//! May this identity do that? One function answers for every operation, from one table, before any handler runs.
//!
//! Handlers ask again, by the same function, only for what they learn later: the source of a copy, each key of a multi-delete.

pub mod table;

use coffer_store::{BucketName, ObjectKey};

use crate::answer::Refusal;
use crate::authenticate::Identity;
use crate::operation::Operation;
use crate::route::Target;
use table::{Action, On};

/// What an action is done to.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// The tenant as a whole.
    Service,
    /// A bucket.
    Bucket(&'a BucketName),
    /// An object, there or not.
    Object(&'a BucketName, &'a ObjectKey),
}

/// The proof that an operation on a target was allowed. Only [`authorize`] makes one; the S3 service refuses a request without it.
#[derive(Clone, Debug)]
pub struct Authorized {
    operation: Operation,
    target: Target,
    identity: Identity,
}

impl Authorized {
    /// What was allowed.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// What it was allowed on.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Asks for what only the handler knows: another action on another resource, by the same caller.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub fn also(&self, action: Action, resource: Resource<'_>) -> Result<(), Refusal> {
        match decide(&self.identity, action, resource) {
            Decision::Allowed => Ok(()),
            Decision::Denied => Err(Refusal::access_denied()),
        }
    }
}

/// The answer of [`decide`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The identity may.
    Allowed,
    /// Nothing allows it.
    Denied,
}

/// Decides about all that the operation of `target` asks for.
///
/// # Errors
/// `AccessDenied` when one of the actions isn't allowed.
pub fn authorize(identity: &Identity, target: &Target) -> Result<Authorized, Refusal> {
    for need in table::needs(target.operation) {
        let resource = match (need.on, &target.bucket, &target.key) {
            (On::Service, _, _) => Resource::Service,
            (On::Bucket, Some(bucket), _) => Resource::Bucket(bucket),
            (On::Object, Some(bucket), Some(key)) => Resource::Object(bucket, key),
            // A route that doesn't name what its operation is for can't be decided, so it is denied.
            (On::Bucket, None, _) | (On::Object, _, _) => return Err(Refusal::access_denied()),
        };
        match decide(identity, need.action, resource) {
            Decision::Allowed => {}
            Decision::Denied => return Err(Refusal::access_denied()),
        }
    }
    Ok(Authorized {
        operation: target.operation,
        target: target.clone(),
        identity: identity.clone(),
    })
}

/// The one decision. The root identity may do everything, nobody else anything.
fn decide(identity: &Identity, _action: Action, _resource: Resource<'_>) -> Decision {
    match identity {
        Identity::Root => Decision::Allowed,
        Identity::Anonymous => Decision::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(operation: Operation, level: u8) -> Target {
        Target {
            operation,
            bucket: (level > 0).then(|| BucketName::try_from("photos".to_owned()).unwrap()),
            key: (level > 1).then(|| ObjectKey::try_from("k".to_owned()).unwrap()),
            path: "/photos/k".to_owned(),
        }
    }

    #[test]
    fn nobody_but_root_may_do_anything() {
        for operation in Operation::ALL {
            assert!(
                authorize(&Identity::Root, &target(*operation, 2)).is_ok(),
                "{}",
                operation.name()
            );
            assert!(
                authorize(&Identity::Anonymous, &target(*operation, 2)).is_err(),
                "{}",
                operation.name()
            );
        }
    }

    #[test]
    fn an_operation_without_its_resource_is_denied() {
        assert!(authorize(&Identity::Root, &target(Operation::GetObject, 1)).is_err());
        assert!(authorize(&Identity::Root, &target(Operation::ListObjects, 0)).is_err());
    }
}
