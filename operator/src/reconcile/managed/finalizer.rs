//! By which a resource waits for its end until what it has made is removed.
//!
//! It is set just before the first call that makes something. So whoever has none has made nothing, and goes at once: a resource that its
//! Tenant doesn't let in waits for nobody.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use coffer_crds::condition::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams};
use kube::core::DeserializeGuard;
use serde_json::json;

use super::super::{StatusError, is_gone};
use super::Work;
use crate::iam::managed::waiting;
use crate::iam::{Hold, Managed, Of};
use crate::tenant::build::MANAGER;
use crate::tenant::status::Outcome;

const FINALIZER: &str = "coffer.dev/owned";

/// How a resource is held after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It was, is now, or had no need to.
    AsItShould,
    /// It is gone, or another one of its name is there.
    Gone,
}

/// Holds one resource of a cluster.
pub(super) struct Finalizer<'a, K> {
    resource: &'a K,
    work: &'a Work,
    /// What came of the last try in this turn; none: there was no need for one.
    tried: Mutex<Option<Result<Held, StatusError>>>,
}

impl<'a, K: Managed> Finalizer<'a, K> {
    pub(super) fn new(resource: &'a K, work: &'a Work) -> Self {
        Self { resource, work, tried: Mutex::default() }
    }

    /// What came of it.
    ///
    /// # Errors
    /// It couldn't be set.
    pub(super) fn held(self) -> Result<Held, StatusError> {
        let tried = self.tried.into_inner().unwrap_or_else(PoisonError::into_inner);
        tried.unwrap_or(Ok(Held::AsItShould))
    }
}

#[async_trait]
impl<K: Managed> Hold for Finalizer<'_, K> {
    async fn hold(&self) -> Result<(), Outcome> {
        let already = matches!(
            *self.tried.lock().unwrap_or_else(PoisonError::into_inner),
            Some(Ok(Held::AsItShould))
        );
        if already || is_held(self.resource.meta()) {
            return Ok(());
        }
        let mut finalizers = others(self.resource.meta());
        finalizers.push(FINALIZER);
        let tried =
            write::<K>(&self.resource.of(), self.resource.meta(), &finalizers, self.work).await;
        let outcome = match &tried {
            Ok(Held::AsItShould) => Ok(()),
            Ok(Held::Gone) => Err(waiting(Reason::Deleting, "it is gone")),
            Err(cause) => Err(waiting(Reason::ApiUnavailable, cause.to_string())),
        };
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = Some(tried);
        outcome
    }
}

/// Whether it is set.
pub(super) fn is_held(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// Lets a resource go.
///
/// # Errors
/// It couldn't be written. That it is gone already is none.
pub(super) async fn let_go<K: Managed>(
    of: &Of,
    metadata: &ObjectMeta,
    work: &Work,
) -> Result<(), StatusError> {
    write::<K>(of, metadata, &others(metadata), work).await.map(drop)
}

fn others(metadata: &ObjectMeta) -> Vec<&str> {
    let all = metadata.finalizers.iter().flatten().map(String::as_str);
    all.filter(|finalizer| *finalizer != FINALIZER).collect()
}

/// Writes the list whole, so only over the one that it was made of.
async fn write<K: Managed>(
    of: &Of,
    metadata: &ObjectMeta,
    finalizers: &[&str],
    work: &Work,
) -> Result<Held, StatusError> {
    let Of { kind, namespace, name, uid } = of;
    let patch = json!({"metadata": {
        "uid": uid, "resourceVersion": metadata.resource_version, "finalizers": finalizers,
    }});
    let api: Api<DeserializeGuard<K>> = Api::namespaced(work.cluster.client(), namespace);
    let parameters =
        PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    work.health.metrics.wrote(kind);
    match api.patch(name, &parameters, &Patch::Merge(patch)).await {
        Ok(_) => Ok(Held::AsItShould),
        Err(cause) if is_gone(&cause) => Ok(Held::Gone),
        Err(cause) => Err(StatusError::of("finalizers", kind, namespace, name, cause)),
    }
}
