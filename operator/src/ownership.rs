//! Whose an object is. What another hand made is never overwritten.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::tenant::build::{MANAGED_BY_LABEL, MANAGER, TENANT_LABEL};
use crate::tenant::validate::ValidTenant;

/// By what an object is known to be a Tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// An owner reference with the Tenant's uid.
    Owner,
    /// The labels that outlive a Tenant: a Tenant of the same name adopts the object.
    Label,
}

/// An object of the needed name isn't the Tenant's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} `{name}` exists and wasn't made for this Tenant; rename or delete it, or choose another name for the Tenant"
)]
pub struct NotOwned {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
}

/// Whether an object is the Tenant's.
///
/// # Errors
/// [`NotOwned`] when it isn't.
pub fn check(
    kind: &str,
    metadata: &ObjectMeta,
    tenant: &ValidTenant,
    mark: Mark,
) -> Result<(), NotOwned> {
    let owned = metadata.owner_references.iter().flatten().any(|owner| owner.uid == tenant.uid);
    let label =
        |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    let marked = label(TENANT_LABEL) == Some(tenant.name.as_str())
        && label(MANAGED_BY_LABEL) == Some(MANAGER);
    let foreign_owner =
        metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true));
    let fine = match mark {
        Mark::Owner => owned,
        Mark::Label => owned || (marked && !foreign_owner),
    };
    if fine {
        return Ok(());
    }
    Err(NotOwned { kind: kind.to_owned(), name: metadata.name.clone().unwrap_or_default() })
}
