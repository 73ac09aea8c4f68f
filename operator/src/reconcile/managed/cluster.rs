//! A cluster, as the resources in Tenants see it: Secrets and `ConfigMap`s by name, everything else as last seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use coffer_crds::{API_VERSION, Bucket, Policy, PolicyBinding, PolicyTest, User};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::DeserializeGuard;
use kube::{Client, ResourceExt as _};
use serde_json::{Map, Value, json};

use super::super::Failure;
use super::super::by_name::by_name;
use crate::iam::world::inhabits;
use crate::iam::{
    Calls, Doors, Inhabitants, Kept, Key, Managed, Of, Resources, Standing, Tenants, World,
};
use crate::tenant::build::{MANAGED_BY_LABEL, MANAGER};
use crate::tenant::found::SecretData;
use crate::tenant::status::Outcome;
use crate::watch::{Seen, Watched};

/// What the cluster holds, as last seen.
#[expect(missing_debug_implementations, reason = "it would print the cluster")]
pub struct Stores {
    /// Tenants.
    pub tenants: Seen<Watched>,
    /// Policies.
    pub policies: Seen<DeserializeGuard<Policy>>,
    /// Their tests.
    pub tests: Seen<DeserializeGuard<PolicyTest>>,
    /// Users.
    pub users: Seen<DeserializeGuard<User>>,
    /// Attachments.
    pub bindings: Seen<DeserializeGuard<PolicyBinding>>,
    /// Buckets.
    pub buckets: Seen<DeserializeGuard<Bucket>>,
}

pub(super) struct Cluster {
    client: Client,
    stores: Stores,
    ready: Arc<Tenants>,
    calls: Calls,
}

impl Cluster {
    pub(super) fn new(client: &Client, stores: Stores, ready: Arc<Tenants>) -> Self {
        Self { client: client.clone(), stores, ready, calls: Calls::default() }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn tenants(&self) -> &Tenants {
        &self.ready
    }

    /// Returns once each store was filled: before, what is there would seem to be gone.
    pub(super) async fn filled(&self) {
        let Stores { tenants, policies, tests, users, bindings, buckets } = &self.stores;
        tokio::join!(
            tenants.filled(),
            policies.filled(),
            tests.filled(),
            users.filled(),
            bindings.filled(),
            buckets.filled(),
        );
    }
}

/// What a failure of the API server means.
pub(super) fn failed(what: String, cause: kube::Error) -> Outcome {
    Failure::Api { what, cause: Box::new(cause) }.outcome()
}

/// Those that name this Tenant from where it lets them in.
fn inhabiting<K: Managed>(
    seen: &Seen<DeserializeGuard<K>>,
    tenant: &Key,
    doors: Doors<'_>,
) -> Vec<K> {
    let that = |guard: &DeserializeGuard<K>| {
        guard.0.as_ref().is_ok_and(|resource| inhabits(resource, tenant, doors))
    };
    let found = seen.all_that(that);
    let mut all: Vec<K> = found.iter().filter_map(|guard| guard.0.as_ref().ok().cloned()).collect();
    // The store's order is another in each process: what is told of the first of several would change with it.
    all.sort_by_cached_key(|resource| (resource.namespace(), resource.name_any()));
    all
}

#[async_trait]
impl World for Cluster {
    async fn tenant(&self, key: &Key, from: &str) -> Standing {
        self.filled().await;
        let guard = self.stores.tenants.find(&key.namespace, &key.name);
        let Some(guard) = guard else { return Standing::Gone };
        let tenant = match &guard.0 {
            Ok(tenant) => tenant,
            Err(_unreadable) if key.namespace == from => return Standing::NotReady,
            Err(_unreadable) => return Standing::NotAllowed(None),
        };
        if !Doors::of(tenant).let_in(key, from) {
            return Standing::NotAllowed(self.ready.get(key));
        }
        if tenant.metadata.deletion_timestamp.is_some() {
            return Standing::Gone;
        }
        self.ready.get(key).map_or(Standing::NotReady, Standing::Ready)
    }

    async fn secret(&self, of: &Of, name: &str) -> Result<Option<Kept>, Outcome> {
        let found = by_name::<Secret>(&self.client, &of.namespace, name).await;
        let found = found.map_err(|failure| failure.outcome())?;
        Ok(found.map(|secret| Kept {
            owned: secret.owner_references().iter().any(|owner| owner.uid == of.uid),
            version: secret.uid().zip(secret.resource_version()),
            data: secret.data.unwrap_or_default(),
        }))
    }

    async fn write_secret(
        &self,
        of: &Of,
        name: &str,
        data: SecretData,
        old: Option<&Kept>,
    ) -> Result<(), Outcome> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &of.namespace);
        let written = if let Some(Kept { data: before, version, owned: _ }) = old {
            // Only what was found is changed.
            let (uid, version) = version.clone().unzip();
            let kept = data.iter().map(|(key, value)| (key.clone(), json!(value)));
            let gone = before.keys().filter(|key| !data.contains_key(*key));
            let gone = gone.map(|key| (key.clone(), Value::Null));
            let fields: Map<String, Value> = kept.chain(gone).collect();
            let patch =
                json!({"metadata": {"uid": uid, "resourceVersion": version}, "data": fields});
            let parameters =
                PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
            api.patch(name, &parameters, &Patch::Merge(patch)).await
        } else {
            let owner = OwnerReference {
                api_version: API_VERSION.to_owned(),
                kind: of.kind.to_owned(),
                name: of.name.clone(),
                uid: of.uid.clone(),
                controller: Some(true),
                block_owner_deletion: None,
            };
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    namespace: Some(of.namespace.clone()),
                    labels: Some([(MANAGED_BY_LABEL.to_owned(), MANAGER.to_owned())].into()),
                    owner_references: Some(vec![owner]),
                    ..ObjectMeta::default()
                },
                type_: Some("Opaque".to_owned()),
                data: Some(data),
                ..Secret::default()
            };
            let post = PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) };
            api.create(&post, &secret).await
        };
        written.map(drop).map_err(|cause| failed(format!("Secret `{name}`"), cause))
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, Outcome> {
        let found = by_name::<ConfigMap>(&self.client, namespace, name).await;
        let found = found.map_err(|failure| failure.outcome())?;
        Ok(found.map(|found| found.data.unwrap_or_default()))
    }

    fn inhabitants(&self, tenant: &Key) -> Inhabitants {
        let Stores { tenants, policies, tests, users, bindings, buckets } = &self.stores;
        let guard = tenants.find(&tenant.namespace, &tenant.name);
        let found = guard.as_ref().and_then(|guard| guard.0.as_ref().ok());
        // One that can't be read lets in nobody else.
        let doors = found.map_or(Doors::Known(None), Doors::of);
        let all = Resources {
            policies: inhabiting(policies, tenant, doors),
            tests: inhabiting(tests, tenant, doors),
            users: inhabiting(users, tenant, doors),
            bindings: inhabiting(bindings, tenant, doors),
            buckets: inhabiting(buckets, tenant, doors),
        };
        Inhabitants::of(tenant, doors, all)
    }

    fn calls(&self) -> &Calls {
        &self.calls
    }
}
