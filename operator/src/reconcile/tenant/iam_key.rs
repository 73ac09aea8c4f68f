//! The Secret with the key of identities and policies: made once, and never written again but for its owner. A key that is
//! overwritten is lost with all that it sealed.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use super::super::{Context, Failure};
use crate::apply::{ApplyError, Done};
use crate::tenant::build::{MANAGER, owner};
use crate::tenant::validate::ValidTenant;

/// Makes the Secret where there is none. Of one that there is, only the owner follows `deletionPolicy`.
pub(super) async fn apply(
    tenant: &ValidTenant,
    built: &Secret,
    found: Option<Secret>,
    context: &Context,
) -> Result<(Secret, Done), Failure> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &tenant.namespace);
    let name = built.name_any();
    let failed = |cause| {
        let (kind, name) = ("Secret".to_owned(), name.clone());
        Failure::Apply(ApplyError::Api { kind, name, cause: Box::new(cause) })
    };
    let Some(found) = found else {
        // If there is one after all, this fails, and the next turn reads it.
        let post = PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) };
        let created = api.create(&post, built).await.map_err(failed)?;
        return Ok((created, Done::Created));
    };
    let shall = built.metadata.owner_references.is_some();
    let mut owners = found.metadata.owner_references.clone().unwrap_or_default();
    if shall == owners.iter().any(|owner| owner.uid == tenant.uid) {
        return Ok((found, Done::Unchanged));
    }
    owners.retain(|owner| owner.uid != tenant.uid);
    owners.extend(shall.then(|| owner(tenant)));
    let version = found.resource_version();
    let patch = json!({"metadata": {
        "uid": found.uid(), "resourceVersion": version, "ownerReferences": owners,
    }});
    let parameters =
        PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let patched = api.patch(&name, &parameters, &Patch::Merge(patch)).await.map_err(failed)?;
    Ok((patched, Done::Changed))
}
