//! What is said of a Tenant: its status, and events where it changes.

use coffer_crds::condition::Reason;
use coffer_crds::tenant::TenantStatus;
use coffer_crds::{API_VERSION, Tenant};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::{info, warn};

use super::super::{Context, KIND, StatusError, is_gone};
use super::now;
use crate::event::Weight;
use crate::tenant::build::MANAGER;
use crate::tenant::status::{self, Outcome, State};
use crate::tenant::validate::ValidTenant;

pub(super) fn conditions(tenant: &Tenant, outcome: &Outcome) -> Vec<Condition> {
    let old =
        tenant.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    status::conditions(&old, outcome, tenant.metadata.generation, now())
}

/// Writes the status if it differs, and an event if the Tenant got ready, stuck, or into another state.
pub(super) async fn write_status(
    tenant: &Tenant,
    status: TenantStatus,
    outcome: &Outcome,
    context: &Context,
) -> Result<(), StatusError> {
    let old = tenant.status.clone().unwrap_or_default();
    if old == status {
        return Ok(());
    }
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    patch_status(&namespace, &name, tenant.metadata.uid.as_deref(), &status, context).await?;
    context.health.metrics.wrote(KIND);
    let before = status::told(old.conditions.as_deref().unwrap_or_default());
    for (reason, message) in status::told(status.conditions.as_deref().unwrap_or_default()) {
        if before.iter().any(|(known, _)| *known == reason) {
            continue;
        }
        info!(reason, why = message, "now");
        let kms_is_fine =
            [Reason::KmsAnswering, Reason::KmsUntried].iter().any(|fine| fine.as_str() == reason);
        let good = outcome.state != State::Stalled
            && outcome.reason != Reason::PodFailing
            && (reason == outcome.reason.as_str() || kms_is_fine);
        let weight = if good { Weight::Normal } else { Weight::Warning };
        publish(tenant, weight, reason, message, context).await;
    }
    Ok(())
}

pub(super) async fn patch_status(
    namespace: &str,
    name: &str,
    uid: Option<&str>,
    status: &TenantStatus,
    context: &Context,
) -> Result<(), StatusError> {
    let api: Api<kube::core::DeserializeGuard<Tenant>> =
        Api::namespaced(context.client.clone(), namespace);
    let body = json!({
        "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "uid": uid}, "status": status,
    });
    match api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body)).await {
        Ok(_) => Ok(()),
        // Nothing to say.
        Err(cause) if is_gone(&cause) => Ok(()),
        Err(cause) => Err(StatusError::of("status", KIND, namespace, name, cause)),
    }
}

pub(super) fn tenant_reference(tenant: &ValidTenant) -> ObjectReference {
    ObjectReference {
        api_version: Some(API_VERSION.to_owned()),
        kind: Some(KIND.to_owned()),
        name: Some(tenant.name.clone()),
        namespace: Some(tenant.namespace.clone()),
        uid: Some(tenant.uid.clone()),
        ..Default::default()
    }
}

pub(super) async fn publish(
    tenant: &Tenant,
    weight: Weight,
    reason: &str,
    note: &str,
    context: &Context,
) {
    publish_to(tenant.object_ref(&()), weight, reason, note, context).await;
}

pub(super) async fn publish_to(
    reference: ObjectReference,
    weight: Weight,
    reason: &str,
    note: &str,
    context: &Context,
) {
    // An event is a courtesy: without it everything still works, and the status says the same.
    if let Err(cause) = context.events.write(reference, weight, reason, note, now()).await {
        warn!(%cause, "an event couldn't be written");
    }
}
