//! The resources in Tenants, in a cluster: a controller for each kind, all over one skeleton.

mod cluster;
mod finalizer;
mod unreadable;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_crds::condition::ConditionType;
use coffer_crds::{
    API_VERSION, AccessKey, Bucket, KeyRotation, Policy, PolicyBinding, PolicyTest, User,
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tracing::{Instrument as _, info, info_span, warn};

use super::{Memory, StatusError, is_gone};
use crate::event::{Events, Weight};
use crate::health::Health;
use crate::iam::managed::{deleting, tenant_of};
use crate::iam::{Changes, Key, Managed, Of, Released, Stepped, Tenants, release, step};
use crate::run::{Options, report};
use crate::tenant::build::MANAGER;
use crate::tenant::status::{self, Outcome, State};
use crate::watch::{Seen, Watched, controller_of, drain};
use cluster::Cluster;
pub use cluster::Stores;
use finalizer::{Finalizer, Held, is_held, let_go};
use unreadable::unreadable;

/// Changes that come together are looked at once.
const TOGETHER: Duration = Duration::from_millis(300);

/// What all these controllers share.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Shared {
    work: Arc<Work>,
    controllers: Controllers,
}

/// What a reconciliation needs.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Work {
    cluster: Cluster,
    memory: Memory,
    events: Events,
    health: Arc<Health>,
    poll: Duration,
}

impl Work {
    /// With what the cluster holds, as last seen, and the Tenants that answer. What is read by name is read anew after `poll`.
    pub fn new(
        client: &Client,
        stores: Stores,
        ready: Arc<Tenants>,
        events: Events,
        health: Arc<Health>,
        poll: Duration,
    ) -> Self {
        let cluster = Cluster::new(client, stores, ready);
        Self { cluster, memory: Memory::default(), events, health, poll }
    }
}

/// A controller of a kind, which doesn't run yet, with what it has seen.
struct One<K: Managed> {
    controller: Controller<DeserializeGuard<K>>,
    seen: Seen<DeserializeGuard<K>>,
}

struct Controllers {
    policies: One<Policy>,
    tests: One<PolicyTest>,
    users: One<User>,
    keys: One<AccessKey>,
    bindings: One<PolicyBinding>,
    buckets: One<Bucket>,
    rotations: One<KeyRotation>,
}

fn one<K: Managed>(client: &Client) -> One<K> {
    let (controller, seen) = controller_of(client, 8);
    One { controller, seen }
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
        let controllers = Controllers {
            policies: one(client),
            tests: one(client),
            users: one(client),
            keys: one(client),
            bindings: one(client),
            buckets: one(client),
            rotations: one(client),
        };
        let stores = Stores {
            tenants,
            policies: controllers.policies.seen.clone(),
            tests: controllers.tests.seen.clone(),
            users: controllers.users.seen.clone(),
            bindings: controllers.bindings.seen.clone(),
            buckets: controllers.buckets.seen.clone(),
        };
        let events = Events::new(client, &options.identity);
        let work = Work::new(client, stores, ready, events, Arc::clone(health), options.poll);
        Self { work: Arc::new(work), controllers }
    }

    /// Runs until told to stop; what has begun is finished.
    pub async fn run(self, stopped: Receiver<()>) {
        let Self { work, controllers } = self;
        let Controllers { policies, tests, users, keys, bindings, buckets, rotations } =
            controllers;
        futures_util::future::join_all([
            policies.run(&work, &stopped),
            tests.run(&work, &stopped),
            users.run(&work, &stopped),
            keys.run(&work, &stopped),
            bindings.run(&work, &stopped),
            buckets.run(&work, &stopped),
            rotations.run(&work, &stopped),
        ])
        .await;
    }
}

impl<K: Managed> One<K> {
    fn run(self, work: &Arc<Work>, stopped: &Receiver<()>) -> BoxFuture<'static, ()> {
        let Self { controller, seen } = self;
        let mut stopped = stopped.clone();
        let stream = controller
            .reconcile_on(woken(work.cluster.tenants().changes(), seen))
            .graceful_shutdown_on(async move { drop(stopped.changed().await) })
            .run(reconcile, on_error, Arc::clone(work));
        drain(stream, report).boxed()
    }
}

/// The resources of a kind that name a Tenant in which something changed: itself, or what others of its resources wait for.
fn woken<K: Managed>(
    changes: Changes,
    seen: Seen<DeserializeGuard<K>>,
) -> impl Stream<Item = ObjectRef<DeserializeGuard<K>>> + Send + 'static {
    let together = stream::unfold(changes, |changes| async move {
        let mut tenants = changes.next().await;
        tokio::time::sleep(TOGETHER).await;
        tenants.extend(changes.take());
        Some((tenants, changes))
    });
    together.flat_map(move |tenants| stream::iter(that_name(&seen, &tenants)))
}

fn that_name<K: Managed>(
    seen: &Seen<DeserializeGuard<K>>,
    tenants: &BTreeSet<Key>,
) -> Vec<ObjectRef<DeserializeGuard<K>>> {
    let named = |guard: &DeserializeGuard<K>| {
        let Ok(resource) = &guard.0 else { return false };
        let namespace = resource.namespace().unwrap_or_default();
        tenants.contains(&tenant_of(resource.tenant_ref(), &namespace))
    };
    let found = seen.all_that(named);
    found.iter().map(|resource| ObjectRef::from_obj(resource.as_ref())).collect()
}

/// Reconciles one of them.
///
/// # Errors
/// [`StatusError`] when its status or its finalizers can't be written.
pub async fn reconcile<K: Managed>(
    watched: Arc<DeserializeGuard<K>>,
    work: Arc<Work>,
) -> Result<Action, StatusError> {
    let metrics = &work.health.metrics;
    metrics.begun(K::KIND);
    let begin = Instant::now();
    let (namespace, name) = (watched.namespace().unwrap_or_default(), watched.name_any());
    let (uid, id) = (watched.uid().unwrap_or_default(), work.memory.next_id());
    let span = info_span!("reconcile", kind = K::KIND, %namespace, %name, %uid, id);
    let turn = async {
        match &watched.0 {
            Ok(resource) => turn(resource, &work).await,
            Err(invalid) => unreadable::<K>(invalid, &work).await,
        }
    };
    let outcome = Box::pin(turn.instrument(span)).await;
    metrics.ended(K::KIND, begin.elapsed());
    outcome
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
fn on_error<K: Managed>(
    watched: Arc<DeserializeGuard<K>>,
    cause: &StatusError,
    work: Arc<Work>,
) -> Action {
    cause.tell(&work.health);
    Action::requeue(work.memory.backoff(&watched.uid().unwrap_or_default(), rand::random()))
}

async fn turn<K: Managed>(resource: &K, work: &Work) -> Result<Action, StatusError> {
    work.cluster.filled().await;
    let of = resource.of();
    if resource.meta().deletion_timestamp.is_some() {
        return removal(resource, work).await;
    }
    let finalizer = Finalizer::new(resource, work);
    let stepped = step(resource, &work.cluster, &finalizer, now()).await;
    match finalizer.held() {
        Ok(Held::AsItShould) => {}
        // It was deleted meanwhile, and has made nothing.
        Ok(Held::Gone) => {
            work.memory.forget(&of.uid);
            return Ok(Action::await_change());
        }
        Err(cause) => return Err(cause),
    }
    tell(resource, &stepped, work).await?;
    let Stepped { outcome, status: _, again, tenant: _ } = stepped;
    let uid = &of.uid;
    Ok(Action::requeue(match outcome.state {
        State::Ready | State::AtRest => {
            work.memory.fine(uid);
            // What is read by name is looked at again and again.
            if matches!(K::KIND, "User" | "AccessKey" | "Policy") {
                again.min(work.poll)
            } else {
                again
            }
        }
        State::Reconciling => work.memory.backoff(uid, rand::random()).min(work.poll),
        State::Stalled => {
            work.health.metrics.failed(K::KIND, outcome.reason.as_str());
            work.memory.backoff(uid, rand::random()).max(work.poll)
        }
    }))
}

/// One that is being deleted: first what it has made.
async fn removal<K: Managed>(resource: &K, work: &Work) -> Result<Action, StatusError> {
    let of = resource.of();
    if !is_held(resource.meta()) {
        work.memory.forget(&of.uid);
        return Ok(Action::await_change());
    }
    let tenant = tenant_of(resource.tenant_ref(), &of.namespace);
    match release(of.clone(), &tenant, resource.deletes(), &work.cluster, now()).await {
        Ok(Released::All) => {
            let_go::<K>(&of, resource.meta(), work).await?;
            work.memory.forget(&of.uid);
            work.cluster.tenants().changed(&tenant);
            info!("removed");
            Ok(Action::await_change())
        }
        // At once, but in turn with the others.
        Ok(Released::Part) => {
            tell(resource, &leaving(resource, deleting()), work).await?;
            work.memory.fine(&of.uid);
            Ok(Action::requeue(Duration::ZERO))
        }
        Err(outcome) => {
            tell(resource, &leaving(resource, outcome), work).await?;
            let pause = work.memory.backoff(&of.uid, rand::random());
            Ok(Action::requeue(pause.min(work.poll)))
        }
    }
}

/// A resource that can't be removed yet.
fn leaving<K: Managed>(resource: &K, outcome: Outcome) -> Stepped {
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
    Stepped { outcome, status: Value::Object(status), again: Duration::ZERO, tenant: None }
}

/// Writes the status if it differs, and an event if it says something new.
async fn tell<K: Managed>(resource: &K, stepped: &Stepped, work: &Work) -> Result<(), StatusError> {
    let old = resource.status();
    if old == stepped.status {
        return Ok(());
    }
    write::<K>(&resource.of(), &stepped.status, work).await?;
    let conditions = |status: &Value| -> Vec<Condition> {
        let conditions = status.get("conditions").cloned();
        conditions.and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default()
    };
    let (before, after) = (conditions(&old), conditions(&stepped.status));
    let is_new = |status: &Value| status.get("observedGeneration").cloned();
    let ready = |conditions: &[Condition]| status::holds(conditions, ConditionType::Ready);
    if let Some(tenant) = &stepped.tenant
        && (is_new(&old) != is_new(&stepped.status) || ready(&before) != ready(&after))
    {
        // Others may wait for it.
        work.cluster.tenants().changed(tenant);
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

async fn write<K: Managed>(of: &Of, status: &Value, work: &Work) -> Result<(), StatusError> {
    let Of { kind, namespace, name, uid } = of;
    let api: Api<DeserializeGuard<K>> = Api::namespaced(work.cluster.client(), namespace);
    let body = json!({
        "apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "uid": uid}, "status": status,
    });
    work.health.metrics.wrote(kind);
    match api.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body)).await {
        Ok(_) => Ok(()),
        // Nothing to say.
        Err(cause) if is_gone(&cause) => Ok(()),
        Err(cause) => Err(StatusError::of("status", kind, namespace, name, cause)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use kube::runtime::{reflector, watcher};

    use super::*;

    fn seen(users: &[Value]) -> Seen<DeserializeGuard<User>> {
        let (store, mut writer) = reflector::store();
        for user in users {
            let user = serde_json::from_value(user.clone()).unwrap();
            writer.apply_watcher_event(&watcher::Event::Apply(user));
        }
        Seen::already(store)
    }

    fn user(namespace: &str, name: &str, tenant: &Value) -> Value {
        json!({
            "apiVersion": API_VERSION, "kind": "User",
            "metadata": {"name": name, "namespace": namespace, "uid": name},
            "spec": {"tenantRef": tenant},
        })
    }

    #[tokio::test]
    async fn only_the_resources_of_a_changed_tenant_are_woken_and_each_once() {
        let there = json!({"name": "photos", "namespace": "team"});
        let users = [
            user("team", "anna", &json!({"name": "photos"})),
            user("guest", "bert", &there),
            user("guest", "carl", &json!({"name": "photos"})),
            user("team", "dora", &json!({"name": "videos"})),
            user("team", "emil", &json!(7)),
        ];
        let tenants = Tenants::default();
        let mut woken = Box::pin(woken(tenants.changes(), seen(&users)));
        let key = |name: &str| Key { namespace: "team".to_owned(), name: name.to_owned() };
        for _ in 0..3 {
            tenants.changed(&key("photos"));
        }
        tenants.changed(&key("music"));
        let mut names = BTreeSet::new();
        for _ in 0..2 {
            names.insert(woken.next().await.unwrap().name);
        }
        assert_eq!(names, BTreeSet::from(["anna".to_owned(), "bert".to_owned()]));
        let more = tokio::time::timeout(TOGETHER * 3, woken.next()).await;
        assert!(more.is_err(), "{more:?}");
        tenants.changed(&key("videos"));
        assert_eq!(woken.next().await.unwrap().name, "dora");
    }
}
