//! Where resources live: a cluster, or the manifests of `play`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use coffer_crds::{Bucket, Policy, PolicyBinding, PolicyTest, Tenant, User};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use super::managed::tenant_of;
use super::{Access, Key, Managed};
use crate::tenant::found::SecretData;
use crate::tenant::status::Outcome;

/// The one label of namespaces that counts, since nobody can forge it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Whether a namespace is let in.
fn lets_in(selector: Option<&LabelSelector>, namespace: &str) -> bool {
    let labels = BTreeMap::from([(NAME_LABEL.to_owned(), namespace.to_owned())]);
    let Some(selector) = selector else { return false };
    Selector::try_from(selector.clone()).is_ok_and(|selector: Selector| selector.matches(&labels))
}

/// Whom a Tenant lets in, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Doors<'a> {
    /// Its own namespace, and those that this selects.
    Known(Option<&'a LabelSelector>),
    /// It isn't there to be asked, so nobody is kept out.
    Unknown,
}

impl<'a> Doors<'a> {
    /// Those of a Tenant that is there.
    pub fn of(tenant: &'a Tenant) -> Self {
        Self::Known(tenant.spec.allowed_namespaces.as_ref().map(|allowed| &allowed.selector))
    }

    /// Whether the resources of a namespace may name this Tenant.
    pub fn let_in(self, tenant: &Key, namespace: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::Known(selector) => tenant.namespace == namespace || lets_in(selector, namespace),
        }
    }
}

/// Which resource something is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Of {
    /// `Kind/namespace/name`, by which a server knows what is its own.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// How a Tenant that a resource names is.
#[derive(Clone, Debug)]
pub enum Standing {
    /// There is none.
    Gone,
    /// It doesn't let in the resource's namespace; what that had made before can be removed, if it answers.
    NotAllowed(Option<Arc<Access>>),
    /// It doesn't answer yet, or shall not.
    NotReady,
    /// It answers.
    Ready(Arc<Access>),
}

/// A Secret with keys, as found.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it holds keys")]
pub struct Kept {
    /// What it holds.
    pub data: SecretData,
    /// Whether it is the resource's own.
    pub owned: bool,
    /// Its uid and version, where there are such.
    pub version: Option<(String, String)>,
}

/// All resources that decisions may depend on.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Policies.
    pub policies: Vec<Policy>,
    /// Their tests.
    pub tests: Vec<PolicyTest>,
    /// Users.
    pub users: Vec<User>,
    /// Attachments.
    pub bindings: Vec<PolicyBinding>,
    /// Buckets.
    pub buckets: Vec<Bucket>,
}

/// The resources that name one Tenant from where it lets them in. Nothing else has a say in it.
#[derive(Clone, Debug, Default)]
pub struct Inhabitants(Resources);

impl Inhabitants {
    /// Those of all.
    pub fn of(tenant: &Key, doors: Doors<'_>, all: Resources) -> Self {
        let Resources { policies, tests, users, bindings, buckets } = all;
        Self(Resources {
            policies: inhabiting(policies, tenant, doors),
            tests: inhabiting(tests, tenant, doors),
            users: inhabiting(users, tenant, doors),
            bindings: inhabiting(bindings, tenant, doors),
            buckets: inhabiting(buckets, tenant, doors),
        })
    }

    /// As they are.
    pub fn all(&self) -> &Resources {
        &self.0
    }
}

fn inhabiting<K: Managed>(all: Vec<K>, tenant: &Key, doors: Doors<'_>) -> Vec<K> {
    all.into_iter().filter(|resource| inhabits(resource, tenant, doors)).collect()
}

/// Whether a resource names this Tenant, and from where it lets it in.
pub fn inhabits<K: Managed>(resource: &K, tenant: &Key, doors: Doors<'_>) -> bool {
    let namespace = resource.meta().namespace.as_deref().unwrap_or("default");
    tenant_of(resource.tenant_ref(), namespace) == *tenant && doors.let_in(tenant, namespace)
}

/// Where resources live.
#[async_trait]
pub trait World: Send + Sync {
    /// The Tenant of this key, for a resource of this namespace.
    async fn tenant(&self, key: &Key, from: &str) -> Standing;

    /// A Secret in the resource's namespace.
    async fn secret(&self, of: &Of, name: &str) -> Result<Option<Kept>, Outcome>;

    /// Makes a Secret in the resource's namespace hold this, as its own. `old` is what was found; nothing else is overwritten.
    async fn write_secret(
        &self,
        of: &Of,
        name: &str,
        data: SecretData,
        old: Option<&Kept>,
    ) -> Result<(), Outcome>;

    /// What a `ConfigMap` holds.
    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, Outcome>;

    /// The resources that name this Tenant from where it lets them in.
    fn inhabitants(&self, tenant: &Key) -> Inhabitants;

    /// What was called before.
    fn calls(&self) -> &Calls;
}

/// What each resource last called, and what was answered: called again only if it differs, or to put drift back.
#[derive(Debug, Default)]
pub struct Calls(Mutex<HashMap<String, Called>>);

#[derive(Clone, Debug)]
pub(super) struct Called {
    pub(super) hash: Vec<u8>,
    pub(super) answer: Value,
    pub(super) at: Instant,
}

impl Calls {
    pub(super) fn last(&self, of: &Of) -> Option<Called> {
        self.lock().get(&of.path()).cloned()
    }

    pub(super) fn learn(&self, of: &Of, called: Called) {
        self.lock().insert(of.path(), called);
    }

    /// The next call is made in any case.
    pub fn forget(&self, of: &Of) {
        self.lock().remove(&of.path());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Called>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_selected_namespaces_are_let_in() {
        let selector = |json: Value| serde_json::from_value::<LabelSelector>(json).unwrap();
        let named = selector(json!({"matchLabels": {NAME_LABEL: "team"}}));
        let some = selector(json!({"matchExpressions": [
            {"key": NAME_LABEL, "operator": "In", "values": ["team", "shop"]},
        ]}));
        let forged = selector(json!({"matchLabels": {"team": "yes"}}));
        let everyone = selector(json!({}));
        for (claim, selector, namespace, expected) in [
            ("nobody", None, "team", false),
            ("one", Some(&named), "team", true),
            ("not another", Some(&named), "shop", false),
            ("two", Some(&some), "shop", true),
            ("no other label counts", Some(&forged), "team", false),
            ("all", Some(&everyone), "team", true),
        ] {
            assert_eq!(lets_in(selector, namespace), expected, "{claim}");
        }
    }

    #[test]
    fn only_who_is_let_in_inhabits_a_tenant() {
        let named = json!({"matchLabels": {NAME_LABEL: "guest"}});
        let named: LabelSelector = serde_json::from_value(named).unwrap();
        let user = |namespace: &str, tenant: Value| -> User {
            serde_json::from_value(json!({
                "apiVersion": "coffer.dev/v1alpha1", "kind": "User",
                "metadata": {"name": "anna", "namespace": namespace}, "spec": {"tenantRef": tenant},
            }))
            .unwrap()
        };
        let key = Key { namespace: "team".to_owned(), name: "photos".to_owned() };
        let there = json!({"name": "photos", "namespace": "team"});
        for (claim, user, doors, expected) in [
            ("its own", user("team", json!({"name": "photos"})), Doors::Known(None), true),
            ("another's", user("team", json!({"name": "videos"})), Doors::Unknown, false),
            ("let in", user("guest", there.clone()), Doors::Known(Some(&named)), true),
            ("not let in", user("shop", there.clone()), Doors::Known(Some(&named)), false),
            ("nobody is", user("guest", there.clone()), Doors::Known(None), false),
            ("who knows", user("shop", there), Doors::Unknown, true),
            ("of its name", user("guest", json!({"name": "photos"})), Doors::Unknown, false),
        ] {
            let all = Resources { users: vec![user], ..Resources::default() };
            let inhabitants = Inhabitants::of(&key, doors, all);
            assert_eq!(inhabitants.all().users.len() == 1, expected, "{claim}");
        }
    }
}
