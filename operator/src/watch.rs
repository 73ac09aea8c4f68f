//! What wakes which Tenant.
//!
//! ```text
//! StatefulSet, Pod, Service, claim, ConfigMap, …  --label coffer.dev/tenant-->  Tenant
//! Secret (only in namespaces where the operator may)  -------------------->  each Tenant of the namespace
//! ```
//! Secrets elsewhere are read by name at each reconciliation: nothing may list them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use coffer_crds::Tenant;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::Api;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{Config, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::tenant::build::{MANAGED_BY_LABEL, MANAGER, TENANT_LABEL};

/// A Tenant as watched: one that can't be parsed must not stop the watch of all others.
pub type Watched = DeserializeGuard<Tenant>;

/// What the cluster holds of one kind, as last seen; reading from it sends no request.
///
/// kube's own `wait_until_ready` wakes only the last of several that wait for one store, and each controller waits for its
/// own: here any number may wait.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it would print the cluster")]
pub struct Seen<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    filled: tokio::sync::watch::Receiver<bool>,
    removals: tokio::sync::watch::Receiver<()>,
}

impl<K> Seen<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// What is in a store that is filled already.
    pub fn already(store: Store<K>) -> Self {
        let (_, filled) = tokio::sync::watch::channel(true);
        let (_, removals) = tokio::sync::watch::channel(());
        Self { store, filled, removals }
    }

    /// Returns once something that was there before may be gone.
    pub async fn removal(&mut self) {
        if self.removals.changed().await.is_err() {
            // Nobody watches, so nothing goes.
            std::future::pending::<()>().await;
        }
    }

    /// Returns once all that is there was seen. What was not seen before may be there nevertheless.
    pub async fn filled(&self) {
        // The sender is gone only with the watch, at the end of the process.
        drop(self.filled.clone().wait_for(|filled| *filled).await);
    }

    /// One object, by namespace and name.
    pub fn find(&self, namespace: &str, name: &str) -> Option<K> {
        let found = self.store.get(&ObjectRef::new(name).within(namespace))?;
        Some(found.as_ref().clone())
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// All objects of which this holds.
    pub fn all_that(&self, holds: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.store.state_filter(holds)
    }
}

/// What the cluster holds that belongs to Tenants.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it would print the cluster")]
pub struct Stores {
    /// Identities of pods.
    pub service_accounts: Seen<ServiceAccount>,
    /// Volume claims.
    pub claims: Seen<PersistentVolumeClaim>,
    /// Roots.
    pub config_maps: Seen<ConfigMap>,
    /// Services.
    pub services: Seen<Service>,
    /// Network policies.
    pub network_policies: Seen<NetworkPolicy>,
    /// Disruption budgets.
    pub disruption_budgets: Seen<PodDisruptionBudget>,
    /// Workloads.
    pub workloads: Seen<StatefulSet>,
    /// Pods.
    pub pods: Seen<Pod>,
}

/// Watches objects of one kind in all namespaces, and keeps them in a store; `strip` takes off what nobody reads.
pub fn seen<K>(
    client: &Client,
    which: watcher::Config,
    strip: impl FnMut(&mut K) + Send + 'static,
) -> (impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static, Seen<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let (fill, filled) = tokio::sync::watch::channel(false);
    let (remove, removals) = tokio::sync::watch::channel(());
    let changes = watcher(Api::<K>::all(client.clone()), which)
        .modify(strip)
        .default_backoff()
        .reflect(writer)
        // After the store has it.
        .inspect_ok(move |event| {
            match event {
                watcher::Event::InitDone => {
                    fill.send_replace(true);
                    // What went while nobody watched isn't in the store any more.
                    remove.send_replace(());
                }
                watcher::Event::Delete(_) => {
                    remove.send_replace(());
                }
                watcher::Event::Apply(_) | watcher::Event::Init | watcher::Event::InitApply(_) => {}
            }
        });
    (changes, Seen { store, filled, removals })
}

/// A controller of a kind, and the store that it fills.
pub fn controller_of<K>(client: &Client, concurrency: u16) -> (Controller<K>, Seen<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (changes, seen) = seen(client, watcher::Config::default(), |_: &mut K| {});
    let controller = Controller::for_stream(changes.applied_objects(), seen.store.clone())
        .with_config(Config::default().concurrency(concurrency));
    (controller, seen)
}

/// The controller of Tenants with all that wakes it, and the stores that it fills.
pub fn controller(
    client: &Client,
    secret_namespaces: &[String],
) -> (Controller<Watched>, Seen<Watched>, Stores) {
    let (controller, tenants) = controller_of(client, 16);

    let (controller, service_accounts) = owned(controller, client);
    let (controller, claims) = owned(controller, client);
    let (controller, config_maps) = owned(controller, client);
    let (controller, services) = owned(controller, client);
    let (controller, network_policies) = owned(controller, client);
    let (controller, disruption_budgets) = owned(controller, client);
    let (controller, workloads) = owned(controller, client);
    let (mut controller, pods) = owned(controller, client);
    for namespace in secret_namespaces {
        let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), namespace);
        let tenants = tenants.clone();
        let changes =
            watcher(secrets, watcher::Config::default()).default_backoff().touched_objects();
        controller = controller.watches_stream(changes, move |secret| {
            let namespace = secret.namespace();
            let here = tenants.all_that(|tenant| tenant.namespace() == namespace);
            here.into_iter().map(|tenant| ObjectRef::from_obj(tenant.as_ref())).collect::<Vec<_>>()
        });
    }
    let stores = Stores {
        service_accounts,
        claims,
        config_maps,
        services,
        network_policies,
        disruption_budgets,
        workloads,
        pods,
    };
    (controller, tenants, stores)
}

/// Watches our objects of one kind, keeps them in a store, and wakes the Tenant that each belongs to.
fn owned<K>(controller: Controller<Watched>, client: &Client) -> (Controller<Watched>, Seen<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
    let (changes, seen) = seen(client, ours, |object: &mut K| {
        object.managed_fields_mut().retain(|entry| entry.manager.as_deref() == Some(MANAGER));
    });
    let controller =
        controller.watches_stream(changes.touched_objects(), |object: K| tenant_of(&object));
    (controller, seen)
}

/// The Tenant whose label an object bears.
fn tenant_of(object: &impl Resource<DynamicType = ()>) -> Option<ObjectRef<Watched>> {
    let labels: &BTreeMap<String, String> = object.labels();
    Some(ObjectRef::new(labels.get(TENANT_LABEL)?).within(&object.namespace()?))
}

impl Stores {
    /// Returns once each store was filled: before, what is there already would be made anew.
    pub async fn filled(&self) {
        let Self {
            service_accounts,
            claims,
            config_maps,
            services,
            network_policies,
            disruption_budgets,
            workloads,
            pods,
        } = self;
        tokio::join!(
            service_accounts.filled(),
            claims.filled(),
            config_maps.filled(),
            services.filled(),
            network_policies.filled(),
            disruption_budgets.filled(),
            workloads.filled(),
            pods.filled(),
        );
    }
}

/// Drains a stream of reconciliations, handing each error on.
pub async fn drain<T, E>(stream: impl Stream<Item = Result<T, E>>, mut report: impl FnMut(E)) {
    let mut stream = std::pin::pin!(stream);
    while let Some(outcome) = stream.next().await {
        if let Err(error) = outcome {
            report(error);
        }
    }
}
