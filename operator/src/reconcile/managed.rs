//! The resources in Tenants, in a cluster: a controller for each kind, all over one skeleton.

mod cluster;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use coffer_crds::condition::{ConditionType, Reason};
use coffer_crds::{
    API_VERSION, AccessKey, Bucket, KeyRotation, Policy, PolicyBinding, PolicyTest, User,
};
use futures_util::{FutureExt as _, Stream, future::BoxFuture};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Controller};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tracing::{Instrument as _, error, info, info_span, warn};

use super::{Memory, StatusError};
use crate::apply::api_message;
use crate::event::{Events, Weight};
use crate::health::Health;
use crate::iam::{Managed, Stepped, Tenants, release, step};
use crate::run::{Options, report};
use crate::tenant::build::MANAGER;
use crate::tenant::status::{self, Outcome, State};
use crate::watch::{Seen, Watched, controller_of, drain};
use cluster::{Cluster, Stores};

/// By which a resource waits for its end until what it has made is removed.
const FINALIZER: &str = "coffer.dev/owned";
/// Changes that come together are looked at once.
const TOGETHER: Duration = Duration::from_millis(300);

/// What all these controllers share.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Shared {
    cluster: Cluster,
    controllers: Controllers,
}

/// What a reconciliation needs.
struct Work {
    cluster: Cluster,
    memory: Memory,
    events: Events,
    health: Arc<Health>,
    poll: Duration,
}

struct Controllers {
    policies: Controller<DeserializeGuard<Policy>>,
    tests: Controller<DeserializeGuard<PolicyTest>>,
    users: Controller<DeserializeGuard<User>>,
    keys: Controller<DeserializeGuard<AccessKey>>,
    bindings: Controller<DeserializeGuard<PolicyBinding>>,
    buckets: Controller<DeserializeGuard<Bucket>>,
    rotations: Controller<DeserializeGuard<KeyRotation>>,
    work: (Events, Arc<Health>, Duration),
}

fn controller<K: Managed>(
    client: &Client,
) -> (Controller<DeserializeGuard<K>>, Seen<DeserializeGuard<K>>) {
    controller_of(client, 8)
}

/// Hears of each change of a Tenant, or of a resource that others may wait for.
fn changes(tenants: &Tenants) -> impl Stream<Item = ()> + Send + Sync + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let mut changes = tenants.changes();
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            tokio::time::sleep(TOGETHER).await;
            changes.mark_unchanged();
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Heard(receiver)
}

/// A channel as a stream.
struct Heard(tokio::sync::mpsc::Receiver<()>);

impl Stream for Heard {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<()>> {
        self.0.poll_recv(context)
    }
}

impl Shared {
    /// The controllers, which don't run yet.
    pub fn new(
        client: &Client,
        tenants: Seen<Watched>,
        ready: Arc<Tenants>,
        options: &Options,
        health: &Arc<Health>,
    ) -> Self {
        let (policies, seen_policies) = controller(client);
        let (tests, seen_tests) = controller(client);
        let (users, seen_users) = controller(client);
        let (keys, _seen_keys) = controller(client);
        let (bindings, seen_bindings) = controller(client);
        let (buckets, seen_buckets) = controller(client);
        let (rotations, _seen_rotations) = controller(client);
        let work = (Events::new(client, &options.identity), Arc::clone(health), options.poll);
        let controllers =
            Controllers { policies, tests, users, keys, bindings, buckets, rotations, work };
        let stores = Stores {
            tenants,
            policies: seen_policies,
            tests: seen_tests,
            users: seen_users,
            bindings: seen_bindings,
            buckets: seen_buckets,
        };
        Self { cluster: Cluster::new(client, stores, ready), controllers }
    }

    /// Runs until told to stop; what has begun is finished.
    pub async fn run(self, stopped: Receiver<()>) {
        let Self { cluster, controllers } = self;
        let Controllers { policies, tests, users, keys, bindings, buckets, rotations, work } =
            controllers;
        let (events, health, poll) = work;
        let memory = Memory::default();
        let work = Arc::new(Work { cluster, memory, events, health, poll });
        futures_util::future::join_all([
            one(policies, &work, &stopped),
            one(tests, &work, &stopped),
            one(users, &work, &stopped),
            one(keys, &work, &stopped),
            one(bindings, &work, &stopped),
            one(buckets, &work, &stopped),
            one(rotations, &work, &stopped),
        ])
        .await;
    }
}

fn one<K: Managed>(
    controller: Controller<DeserializeGuard<K>>,
    work: &Arc<Work>,
    stopped: &Receiver<()>,
) -> BoxFuture<'static, ()> {
    let mut stopped = stopped.clone();
    let stream = controller
        .reconcile_all_on(changes(work.cluster.tenants()))
        .graceful_shutdown_on(async move { drop(stopped.changed().await) })
        .run(reconcile, on_error, Arc::clone(work));
    drain(stream, report).boxed()
}

async fn reconcile<K: Managed>(
    watched: Arc<DeserializeGuard<K>>,
    work: Arc<Work>,
) -> Result<Action, StatusError> {
    let metrics = &work.health.metrics;
    metrics.begun(K::KIND);
    let begin = Instant::now();
    let (namespace, name) = (watched.namespace().unwrap_or_default(), watched.name_any());
    let (uid, id) = (watched.uid().unwrap_or_default(), work.memory.next_id());
    let span = info_span!("reconcile", kind = K::KIND, %namespace, %name, %uid, id);
    let outcome = Box::pin(turn(&watched, &work).instrument(span)).await;
    metrics.ended(K::KIND, begin.elapsed());
    outcome
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
fn on_error<K: Managed>(
    watched: Arc<DeserializeGuard<K>>,
    cause: &StatusError,
    work: Arc<Work>,
) -> Action {
    work.health.metrics.failed(K::KIND, "StatusUnwritten");
    let pause = work.memory.backoff(&watched.uid().unwrap_or_default(), rand::random());
    error!(cause = %api_message(&cause.cause), "{cause}");
    Action::requeue(pause)
}

async fn turn<K: Managed>(
    watched: &DeserializeGuard<K>,
    work: &Work,
) -> Result<Action, StatusError> {
    let resource = match &watched.0 {
        Ok(resource) => resource,
        Err(invalid) => {
            let message = format!(
                "spec: can't be read: {}; correct it or install this version's definitions",
                invalid.error
            );
            warn!(why = message, "unreadable");
            let outcome = Outcome::new(State::Stalled, Reason::InvalidSpec, message);
            let generation = invalid.metadata.generation;
            let conditions = status::conditions(&[], &outcome, generation, now());
            let status = json!({"observedGeneration": generation, "conditions": conditions});
            let of = (invalid.metadata.namespace.clone(), invalid.metadata.name.clone());
            let (namespace, name) = (of.0.unwrap_or_default(), of.1.unwrap_or_default());
            let uid = invalid.metadata.uid.as_deref();
            write::<K>(&namespace, &name, uid, &status, work).await?;
            return Ok(Action::await_change());
        }
    };
    work.cluster.filled().await;
    let uid = resource.uid().unwrap_or_default();
    let holds = resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    if resource.meta().deletion_timestamp.is_some() {
        if !holds {
            work.memory.forget(&uid);
            return Ok(Action::await_change());
        }
        if let Err(outcome) = release(resource, &work.cluster, now()).await {
            let stepped = deleting(resource, outcome);
            tell(resource, &stepped, work).await?;
            let pause = work.memory.backoff(&uid, rand::random());
            return Ok(Action::requeue(pause.min(work.poll)));
        }
        hold(resource, Holds::No, work).await?;
        work.memory.forget(&uid);
        work.cluster.tenants().changed();
        info!("removed");
        return Ok(Action::await_change());
    }
    if K::MAKES && !holds {
        // Before anything is made: its change wakes this resource again.
        hold(resource, Holds::Yes, work).await?;
    }
    let stepped = step(resource, &work.cluster, now()).await;
    tell(resource, &stepped, work).await?;
    let Stepped { outcome, status: _, again } = stepped;
    Ok(Action::requeue(match outcome.state {
        State::Ready | State::AtRest => {
            work.memory.fine(&uid);
            // What is read by name is looked at again and again.
            if matches!(K::KIND, "User" | "AccessKey" | "Policy") {
                again.min(work.poll)
            } else {
                again
            }
        }
        State::Reconciling => work.memory.backoff(&uid, rand::random()).min(work.poll),
        State::Stalled => {
            work.health.metrics.failed(K::KIND, outcome.reason.as_str());
            work.memory.backoff(&uid, rand::random()).max(work.poll)
        }
    }))
}

/// A resource that can't be removed yet.
fn deleting<K: Managed>(resource: &K, outcome: Outcome) -> Stepped {
    let old = resource.status();
    let before: Vec<Condition> = old
        .get("conditions")
        .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
        .unwrap_or_default();
    let generation = resource.meta().generation;
    let mut status = old.as_object().cloned().unwrap_or_default();
    let conditions = status::conditions(&before, &outcome, generation, now());
    status.insert("observedGeneration".to_owned(), json!(generation));
    status.insert("conditions".to_owned(), json!(conditions));
    Stepped { outcome, status: Value::Object(status), again: Duration::ZERO }
}

/// Whether a resource waits for what it has made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
}

async fn hold<K: Managed>(resource: &K, holds: Holds, work: &Work) -> Result<(), StatusError> {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let mut finalizers: Vec<&str> = resource.finalizers().iter().map(String::as_str).collect();
    finalizers.retain(|finalizer| *finalizer != FINALIZER);
    if holds == Holds::Yes {
        finalizers.push(FINALIZER);
    }
    let patch = json!({"metadata": {
        "uid": resource.uid(), "resourceVersion": resource.resource_version(), "finalizers": finalizers,
    }});
    let api: Api<DeserializeGuard<K>> = Api::namespaced(work.cluster.client(), &namespace);
    let parameters =
        PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    work.health.metrics.wrote(K::KIND);
    match api.patch(&name, &parameters, &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
        Err(cause) => Err(StatusError { namespace, name, cause: Box::new(cause) }),
    }
}

/// Writes the status if it differs, and an event if it says something new.
async fn tell<K: Managed>(resource: &K, stepped: &Stepped, work: &Work) -> Result<(), StatusError> {
    let old = resource.status();
    if old == stepped.status {
        return Ok(());
    }
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    write::<K>(&namespace, &name, resource.meta().uid.as_deref(), &stepped.status, work).await?;
    let conditions = |status: &Value| -> Vec<Condition> {
        let conditions = status.get("conditions").cloned();
        conditions.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
    };
    let (before, after) = (conditions(&old), conditions(&stepped.status));
    let is_new = |status: &Value| status.get("observedGeneration").cloned();
    let ready = |conditions: &[Condition]| status::holds(conditions, ConditionType::Ready);
    if is_new(&old) != is_new(&stepped.status) || ready(&before) != ready(&after) {
        // Others may wait for it.
        work.cluster.tenants().changed();
    }
    let told = status::told(&before);
    let Outcome { state, reason, message } = &stepped.outcome;
    if told.iter().any(|(known, _)| *known == reason.as_str()) {
        return Ok(());
    }
    info!(reason = reason.as_str(), why = message, "now");
    let weight = if *state == State::Stalled { Weight::Warning } else { Weight::Normal };
    let about = resource.object_ref(&());
    // An event is a courtesy: the status says the same.
    if let Err(cause) = work.events.write(about, weight, reason.as_str(), message, now()).await {
        warn!(%cause, "an event couldn't be written");
    }
    Ok(())
}

async fn write<K: Managed>(
    namespace: &str,
    name: &str,
    uid: Option<&str>,
    status: &Value,
    work: &Work,
) -> Result<(), StatusError> {
    let api: Api<DeserializeGuard<K>> = Api::namespaced(work.cluster.client(), namespace);
    let body = json!({
        "apiVersion": API_VERSION, "kind": K::KIND, "metadata": {"name": name, "uid": uid}, "status": status,
    });
    work.health.metrics.wrote(K::KIND);
    match api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body)).await {
        Ok(_) => Ok(()),
        // It is gone, or another of its name is there: nothing to say.
        Err(kube::Error::Api(answer))
            if answer.code == 404 || (answer.code == 409 && answer.message.contains("uid")) =>
        {
            Ok(())
        }
        Err(cause) => Err(StatusError {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            cause: Box::new(cause),
        }),
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
fn now() -> Timestamp {
    Timestamp::now()
}
