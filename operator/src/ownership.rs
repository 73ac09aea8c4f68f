//! Whose an object is. What another hand made is never overwritten.

use coffer_crds::API_VERSION;
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
pub enum NotOwned {
    /// Another hand made it.
    #[error(
        "{kind} `{name}` exists and wasn't made for this Tenant; rename or delete it, or choose another name for the Tenant"
    )]
    Foreign {
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
    },
    /// An earlier Tenant of the same name had it: the cluster is about to delete it.
    #[error(
        "{kind} `{name}`: waiting for what the earlier Tenant of this name left to be deleted by the cluster"
    )]
    Leftover {
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
    },
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
    let (kind, name) = (kind.to_owned(), metadata.name.clone().unwrap_or_default());
    let leaves = metadata.owner_references.iter().flatten().any(|owner| {
        let group = owner.api_version.split_once('/').map(|(group, _)| group);
        let ours = API_VERSION.split_once('/').map(|(group, _)| group);
        group == ours
            && owner.kind == "Tenant"
            && owner.name == tenant.name
            && owner.uid != tenant.uid
    });
    Err(if leaves { NotOwned::Leftover { kind, name } } else { NotOwned::Foreign { kind, name } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    #[test]
    fn what_an_earlier_tenant_left_is_waited_for() {
        let tenant = crate::tenant::build::tests::valid("photos", |_| {});
        let owned_by = |api_version: &str, kind: &str, name: &str, uid: &str| ObjectMeta {
            name: Some("photos-tls".to_owned()),
            labels: Some(BTreeMap::from([
                (TENANT_LABEL.to_owned(), "photos".to_owned()),
                (MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned()),
            ])),
            owner_references: Some(vec![OwnerReference {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                name: name.to_owned(),
                uid: uid.to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        };
        let (kind, name) = ("Secret".to_owned(), "photos-tls".to_owned());
        let leftover = NotOwned::Leftover { kind: kind.clone(), name: name.clone() };
        let foreign = NotOwned::Foreign { kind, name };
        for (claim, metadata, expected) in [
            ("its own", owned_by(API_VERSION, "Tenant", "photos", &tenant.uid), Ok(())),
            (
                "the Tenant's before it",
                owned_by(API_VERSION, "Tenant", "photos", "earlier"),
                Err(leftover.clone()),
            ),
            (
                "the Tenant's before it, of another version",
                owned_by("coffer.dev/v1", "Tenant", "photos", "earlier"),
                Err(leftover),
            ),
            (
                "another Tenant's",
                owned_by(API_VERSION, "Tenant", "videos", "other"),
                Err(foreign.clone()),
            ),
            (
                "another program's",
                owned_by("example.com/v1", "Tenant", "photos", "other"),
                Err(foreign.clone()),
            ),
            ("another kind's", owned_by(API_VERSION, "Bucket", "photos", "other"), Err(foreign)),
        ] {
            for mark in [Mark::Owner, Mark::Label] {
                assert_eq!(
                    check("Secret", &metadata, &tenant, mark),
                    expected,
                    "{claim}, {mark:?}"
                );
            }
        }
    }
}
