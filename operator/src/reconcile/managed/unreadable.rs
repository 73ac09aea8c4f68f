//! Resources that this version can't read: an older or newer schema let them in. They say so, and can be deleted.

use coffer_crds::condition::Reason;
use coffer_crds::reference::TenantRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::{info, warn};

use super::super::StatusError;
use super::cluster::failed;
use super::finalizer::{is_held, let_go};
use super::{Work, now, write};
use crate::iam::managed::tenant_of;
use crate::iam::{Managed, Of, release};
use crate::tenant::status::{self, Outcome, State};

/// Says that it can't be read; lets it go once it is deleted and what it has made is removed.
///
/// # Errors
/// [`StatusError`] when its status or its finalizers can't be written.
pub(super) async fn unreadable<K: Managed>(
    invalid: &InvalidObject,
    work: &Work,
) -> Result<Action, StatusError> {
    let metadata = &invalid.metadata;
    let of = Of {
        kind: K::KIND,
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
    };
    let leaves = metadata.deletion_timestamp.is_some();
    if leaves && !is_held(metadata) {
        work.memory.forget(&of.uid);
        return Ok(Action::await_change());
    }
    let (before, outcome) = match read::<K>(&of, work).await {
        Ok(Some(object)) if leaves => match removed(&of, &object, work).await {
            Ok(()) => {
                let_go::<K>(&of, metadata, work).await?;
                work.memory.forget(&of.uid);
                info!("removed");
                return Ok(Action::await_change());
            }
            Err(outcome) => (part(&object, "/status/conditions"), outcome),
        },
        Ok(Some(object)) => {
            let message = format!(
                "spec: can't be read: {}; correct it or install this version's definitions",
                invalid.error
            );
            warn!(why = message, "unreadable");
            let outcome = Outcome::new(State::Stalled, Reason::InvalidSpec, message);
            (part(&object, "/status/conditions"), outcome)
        }
        Ok(None) => {
            work.memory.forget(&of.uid);
            return Ok(Action::await_change());
        }
        Err(outcome) => {
            warn!(why = outcome.message, "it can't be read by name");
            let pause = work.memory.backoff(&of.uid, rand::random());
            return Ok(Action::requeue(pause.min(work.poll)));
        }
    };
    let before: Vec<Condition> = before.unwrap_or_default();
    let conditions = status::conditions(&before, &outcome, metadata.generation, now());
    if conditions != before {
        let status = json!({"observedGeneration": metadata.generation, "conditions": conditions});
        write::<K>(&of, &status, work).await?;
    }
    if outcome.state == State::Stalled && !leaves {
        work.health.metrics.failed(K::KIND, outcome.reason.as_str());
        return Ok(Action::await_change());
    }
    let pause = work.memory.backoff(&of.uid, rand::random());
    Ok(Action::requeue(pause.min(work.poll)))
}

/// Removes what it has made. Of what it says nothing counts but whose it is: a bucket stays.
async fn removed(of: &Of, object: &DynamicObject, work: &Work) -> Result<(), Outcome> {
    let Some(reference) = part::<TenantRef>(object, "/spec/tenantRef") else {
        warn!("it names no Tenant that could be read: what it may have made there stays");
        return Ok(());
    };
    work.cluster.filled().await;
    let tenant = tenant_of(&reference, &of.namespace);
    release(of.clone(), &tenant, None, &work.cluster, now()).await?;
    work.cluster.tenants().changed(&tenant);
    Ok(())
}

async fn read<K: Managed>(of: &Of, work: &Work) -> Result<Option<DynamicObject>, Outcome> {
    let kind = ApiResource::erase::<K>(&());
    let client = work.cluster.client();
    let api: Api<DynamicObject> = Api::namespaced_with(client, &of.namespace, &kind);
    let found = api.get_opt(&of.name).await;
    found.map_err(|cause| failed(format!("{} `{}`", of.kind, of.name), cause))
}

/// A part of an object, if that can be read.
fn part<T: DeserializeOwned>(object: &DynamicObject, path: &str) -> Option<T> {
    serde_json::from_value(object.data.pointer(path)?.clone()).ok()
}
