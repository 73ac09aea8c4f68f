//! The five steps of a Tenant: dereference → validate → build → apply → status. Whatever goes wrong becomes a condition
//! with one reason; only what can't even be said there is an error.

pub mod tenant;
pub mod managed;
mod by_name;
mod failure;
mod memory;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt as _};
use tracing::{Instrument as _, debug, error, info, info_span};

use crate::apply;
use crate::event::Events;
use crate::health::Health;
use crate::iam::{Key, Tenants};
use crate::kms_probe::Prober;
use crate::settings::Settings;
use crate::watch::{Seen, Stores, Watched};
pub use failure::Failure;
pub use memory::Memory;

/// The kind, in metrics.
const KIND: &str = "Tenant";

/// What each reconciliation needs.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Context {
    /// Speaks with the API server.
    pub client: Client,
    /// What holds for all Tenants.
    pub settings: Settings,
    /// What the cluster holds, as last seen.
    pub stores: Stores,
    /// What this process remembers of each Tenant.
    pub memory: Memory,
    /// Tries each Tenant's KMS.
    pub kms: Prober,
    /// What this process remembers of applied objects.
    pub applied: apply::Memory,
    /// Writes events.
    pub events: Events,
    /// The Tenants that answer, for the resources in them.
    pub tenants: Arc<Tenants>,
    /// Metrics.
    pub health: Arc<Health>,
    /// Namespaces whose Secrets are watched: there they needn't be read again and again.
    pub secret_namespaces: Vec<String>,
    /// How often Secrets are read by name elsewhere.
    pub poll: Duration,
}

/// A resource's status or finalizers couldn't be written: the only thing that can't be said in a status.
#[derive(Debug, thiserror::Error)]
#[error("the {what} of {kind} `{namespace}/{name}` can't be written")]
pub struct StatusError {
    /// `status` or `finalizers`.
    pub what: &'static str,
    /// The resource's kind.
    pub kind: &'static str,
    /// The resource's namespace.
    pub namespace: String,
    /// The resource's name.
    pub name: String,
    /// What the API server said.
    #[source]
    pub cause: Box<kube::Error>,
}

impl StatusError {
    /// What the API server said of a write.
    pub fn of(
        what: &'static str,
        kind: &'static str,
        namespace: &str,
        name: &str,
        cause: kube::Error,
    ) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self { what, kind, namespace, name, cause: Box::new(cause) }
    }

    /// Whether another hand wrote in between: the next turn starts from what that has written.
    pub fn is_conflict(&self) -> bool {
        matches!(self.cause.as_ref(), kube::Error::Api(answer) if answer.code == 409)
    }

    /// Logs and counts it.
    fn tell(&self, health: &Health) {
        let cause = apply::api_message(&self.cause);
        if self.is_conflict() {
            debug!(%cause, "{self}");
            return;
        }
        health.metrics.failed(self.kind, "StatusUnwritten");
        error!(%cause, "{self}");
    }
}

/// Whether the API server says that an object is gone, or another of its name is there.
fn is_gone(cause: &kube::Error) -> bool {
    let kube::Error::Api(answer) = cause else { return false };
    let says = |text: &str| answer.message.to_ascii_lowercase().contains(text);
    match answer.code {
        404 => true,
        // A name may have these letters too.
        409 => says("uid mismatch") || says("uid in precondition"),
        422 => says("metadata.uid: invalid value"),
        _ => false,
    }
}

impl Context {
    /// Counts what was done to an object of a Tenant, if anything was.
    fn wrote(&self, done: apply::Done) {
        if done != apply::Done::Unchanged {
            self.health.metrics.wrote(KIND);
        }
    }
}

/// Reconciles one Tenant.
///
/// # Errors
/// [`StatusError`] when the outcome can't be written.
pub async fn reconcile(
    watched: Arc<Watched>,
    context: Arc<Context>,
) -> Result<Action, StatusError> {
    let metrics = &context.health.metrics;
    metrics.begun(KIND);
    let begin = Instant::now();
    let (namespace, name) = (watched.namespace().unwrap_or_default(), watched.name_any());
    let uid = watched.uid().unwrap_or_default();
    let key = Key { namespace: namespace.clone(), name: name.clone() };
    context.memory.meet(&uid, &key);
    let id = context.memory.next_id();
    let span = info_span!("reconcile", kind = KIND, %namespace, %name, %uid, id);
    let outcome = match &watched.0 {
        Ok(tenant) => tenant::reconcile(tenant, &context).instrument(span).await,
        Err(invalid) => tenant::unreadable(invalid, &context).instrument(span).await,
    };
    metrics.ended(KIND, begin.elapsed());
    // It may have been forgotten meanwhile, and what was just learnt of it must be forgotten too.
    context.memory.meet(&uid, &key);
    outcome
}

/// Forgets each Tenant that is gone: what is remembered of it, its metrics, its place among those that answer.
pub fn forget_gone(seen: &Seen<Watched>, context: &Context) {
    for (uid, key) in context.memory.met() {
        let there = seen.find(&key.namespace, &key.name);
        if there.as_ref().and_then(kube::ResourceExt::uid).as_deref() == Some(uid.as_str()) {
            continue;
        }
        if there.is_some() {
            // Another one of its name is there, whose metrics and place these are by now.
            context.memory.forget(&uid);
            context.kms.forget(&uid);
            context.applied.forget(&uid);
        } else {
            forget(&uid, &key, context);
        }
        info!(namespace = key.namespace, name = key.name, uid, "forgotten");
        // What waited for its end, or can't be there without it.
        context.tenants.changed(&key);
    }
}

fn forget(uid: &str, key: &Key, context: &Context) {
    context.memory.forget(uid);
    context.kms.forget(uid);
    context.applied.forget(uid);
    context.tenants.withdraw(key);
    context.health.metrics.forget(&key.namespace, &key.name);
}

/// What to do after a status couldn't be written: wait longer each time.
pub fn on_error(
    watched: &Arc<DeserializeGuard<coffer_crds::Tenant>>,
    cause: &StatusError,
    context: &Arc<Context>,
) -> Action {
    cause.tell(&context.health);
    Action::requeue(context.memory.backoff(&watched.uid().unwrap_or_default(), rand::random()))
}
