//! Makes objects in the cluster what was built: created by POST, afterwards applied with the uid that is known, never
//! where nothing differs.
//!
//! A forced apply would silently take over what another hand made; a POST can't. The uid in an apply makes it fail when
//! the object was replaced in between.

pub mod difference;
mod managed_fields;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ownership::{self, Mark, NotOwned};
use crate::tenant::build::MANAGER;
use crate::tenant::validate::ValidTenant;

/// The annotation with the hash of what was built.
pub const HASH_ANNOTATION: &str = "coffer.dev/built";

/// Why an object couldn't be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It is another's.
    #[error(transparent)]
    NotOwned(#[from] NotOwned),
    /// The API server refused.
    #[error("{kind} `{name}`: {}", api_message(.cause))]
    Api {
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
        /// What the API server said.
        cause: Box<kube::Error>,
    },
    /// An object can't be turned into JSON.
    #[error("an object can't be turned into JSON")]
    Json(#[from] serde_json::Error),
}

/// The API server's sentence, without the debug form that the library adds.
pub fn api_message(cause: &kube::Error) -> String {
    match cause {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// What an apply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// The object is new.
    Created,
    /// The object was changed.
    Changed,
    /// Nothing differed, nothing was sent.
    Unchanged,
}

/// Remembers what the API server made of an object, where it writes values in a form of its own: comparing with what
/// was built would differ for ever.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, Learnt>>);

/// Hash and version of each object of one Tenant, by uid.
type Learnt = HashMap<String, (String, String)>;

impl Memory {
    fn holds(&self, tenant: &str, uid: &str, hash: &str, version: &str) -> bool {
        let memory = self.lock();
        let known = memory.get(tenant).and_then(|objects| objects.get(uid));
        known.is_some_and(|(known_hash, known)| known_hash == hash && known == version)
    }

    fn learn(&self, tenant: &str, uid: String, hash: String, version: String) {
        self.lock().entry(tenant.to_owned()).or_default().insert(uid, (hash, version));
    }

    /// A Tenant of this uid is gone.
    pub fn forget(&self, tenant: &str) {
        self.lock().remove(tenant);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Learnt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies the objects of one Tenant.
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Applier<'a> {
    /// Speaks with the API server.
    pub client: &'a Client,
    /// Whose objects they are.
    pub tenant: &'a ValidTenant,
    /// What is remembered of earlier applies.
    pub memory: &'a Memory,
}

impl Applier<'_> {
    /// Makes `built` so. `live` is what the cluster is known to hold.
    ///
    /// # Errors
    /// [`ApplyError`] with the object's kind and name.
    pub async fn apply<K>(
        &self,
        built: &K,
        live: Option<K>,
        mark: Mark,
    ) -> Result<(K, Done), ApplyError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.tenant.namespace);
        let name = built.name_any();
        let failed = |cause| ApplyError::Api {
            kind: K::kind(&()).into_owned(),
            name: name.clone(),
            cause: Box::new(cause),
        };
        let (json, hash) = stamped(built)?;

        let live = match live {
            Some(live) => live,
            None => match api.create(&post(), &serde_json::from_value(json.clone())?).await {
                Ok(created) => return Ok((created, Done::Created)),
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    api.get(&name).await.map_err(failed)?
                }
                Err(cause) => return Err(failed(cause)),
            },
        };
        ownership::check(&K::kind(&()), live.meta(), self.tenant, mark)?;
        let uid = live.uid().unwrap_or_default();
        let version = live.resource_version().unwrap_or_default();
        let known_hash = live.annotations().get(HASH_ANNOTATION);
        let same =
            known_hash == Some(&hash) && difference::contains(&serde_json::to_value(&live)?, &json);
        if same || self.memory.holds(&self.tenant.uid, &uid, &hash, &version) {
            return Ok((live, Done::Unchanged));
        }
        let takes = |fields: Value, version: Option<String>| {
            let patch = json!({"metadata": {"managedFields": fields, "resourceVersion": version}});
            let api = api.clone();
            let name = name.clone();
            async move { api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await }
        };
        if let Some(fields) = managed_fields::adopted(live.meta())? {
            takes(fields, Some(version)).await.map_err(failed)?;
        }
        let mut body = json.clone();
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("uid".to_owned(), json!(uid));
        }
        let parameters = PatchParams::apply(MANAGER).force();
        let mut applied =
            api.patch(&name, &parameters, &Patch::Apply(body.clone())).await.map_err(failed)?;
        // What others added to our lists and selectors stays theirs until it is taken over; the next apply removes it.
        if mark == Mark::Owner
            && !difference::contains(&serde_json::to_value(&applied)?, &json)
            && let Some(fields) = managed_fields::taken_over(applied.meta())?
        {
            takes(fields, applied.resource_version()).await.map_err(failed)?;
            applied = api.patch(&name, &parameters, &Patch::Apply(body)).await.map_err(failed)?;
        }
        let version = applied.resource_version().unwrap_or_default();
        self.memory.learn(&self.tenant.uid, uid, hash, version);
        Ok((applied, Done::Changed))
    }
}

fn post() -> PostParams {
    PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) }
}

/// What was built as JSON, with its hash as an annotation.
fn stamped<K: Resource<DynamicType = ()> + Serialize>(
    built: &K,
) -> Result<(Value, String), serde_json::Error> {
    let mut json = serde_json::to_value(built)?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, json.to_string().as_bytes());
    let hash = hex::encode(digest.as_ref().get(..16).unwrap_or_default());
    if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(HASH_ANNOTATION.to_owned(), json!(hash));
        }
    }
    Ok((json, hash))
}
