//! What wakes which Tenant.
//!
//! ```text
//! StatefulSet, Pod, Service, claim, ConfigMap, …  --label coffer.dev/tenant-->  Tenant
//! Secret (only in namespaces where the operator may)  -------------------->  each Tenant of the namespace
//! ```
//! Secrets elsewhere are read by name at each reconciliation: nothing may list them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use coffer_crds::Tenant;
use futures_util::{Stream, StreamExt as _, future};
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

/// What the cluster holds, as last seen; reading from it sends no request.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it would print the cluster")]
pub struct Stores {
    /// Identities of pods.
    pub service_accounts: Store<ServiceAccount>,
    /// Volume claims.
    pub claims: Store<PersistentVolumeClaim>,
    /// Roots.
    pub config_maps: Store<ConfigMap>,
    /// Services.
    pub services: Store<Service>,
    /// Network policies.
    pub network_policies: Store<NetworkPolicy>,
    /// Disruption budgets.
    pub disruption_budgets: Store<PodDisruptionBudget>,
    /// Workloads.
    pub workloads: Store<StatefulSet>,
    /// Pods.
    pub pods: Store<Pod>,
}

/// The controller of Tenants with all that wakes it, and the stores that it fills.
pub fn controller(client: &Client, secret_namespaces: &[String]) -> (Controller<Watched>, Stores) {
    let tenants: Api<Watched> = Api::all(client.clone());
    let controller = Controller::new(tenants, watcher::Config::default())
        .with_config(Config::default().concurrency(16));
    let tenants = controller.store();

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
            let here = tenants.state_filter(|tenant| tenant.namespace() == namespace);
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
    (controller, stores)
}

/// Watches our objects of one kind, keeps them in a store, and wakes the Tenant that each belongs to.
fn owned<K>(controller: Controller<Watched>, client: &Client) -> (Controller<Watched>, Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    (): Eq + Hash,
{
    let (store, writer) = reflector::store();
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGER}"));
    let changes = watcher(Api::<K>::all(client.clone()), ours)
        .modify(|object| {
            object.managed_fields_mut().retain(|entry| entry.manager.as_deref() == Some(MANAGER));
        })
        .default_backoff()
        .reflect(writer)
        .touched_objects();
    (controller.watches_stream(changes, |object: K| tenant_of(&object)), store)
}

/// The Tenant whose label an object bears.
fn tenant_of(object: &impl Resource<DynamicType = ()>) -> Option<ObjectRef<Watched>> {
    let labels: &BTreeMap<String, String> = object.labels();
    Some(ObjectRef::new(labels.get(TENANT_LABEL)?).within(&object.namespace()?))
}

impl Stores {
    /// Returns once each store was filled the first time. Only one may wait at a time.
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
        let waits: [future::BoxFuture<'_, bool>; 8] = [
            Box::pin(async { service_accounts.wait_until_ready().await.is_ok() }),
            Box::pin(async { claims.wait_until_ready().await.is_ok() }),
            Box::pin(async { config_maps.wait_until_ready().await.is_ok() }),
            Box::pin(async { services.wait_until_ready().await.is_ok() }),
            Box::pin(async { network_policies.wait_until_ready().await.is_ok() }),
            Box::pin(async { disruption_budgets.wait_until_ready().await.is_ok() }),
            Box::pin(async { workloads.wait_until_ready().await.is_ok() }),
            Box::pin(async { pods.wait_until_ready().await.is_ok() }),
        ];
        future::join_all(waits).await;
    }
}

/// One object of a store, by namespace and name.
pub fn find<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace)).map(|object| object.as_ref().clone())
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
