//! The Tenants that answer, each with what it takes to speak with it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use tokio::sync::Notify;

use super::{Doors, Key};
use crate::authority::control::{self, CLIENT_LIFE};
use crate::authority::{AuthorityError, KeyedCertificate};
use crate::control::Target;
use crate::tenant::dereference::Material;
use crate::tenant::validate::ValidTenant;

/// A Tenant that answers.
#[derive(Clone, Debug)]
pub struct Access {
    /// Namespace and name.
    pub key: Key,
    /// Its server's run: another one is asked anew.
    pub run: String,
    /// Where it is.
    pub target: Target,
    /// The URL for clients.
    pub endpoint: String,
    /// The policy beyond which nothing that resources make can go.
    pub boundary: Option<String>,
    /// How long a key may live at most.
    pub max_key_lifetime: Option<Duration>,
    /// After how long drift is put back.
    pub resync: Duration,
    /// The client certificate of the control identity.
    pub identity: Arc<KeyedCertificate>,
    allowed: Option<LabelSelector>,
    authority: String,
    issued: Timestamp,
}

impl Access {
    /// Whom it lets in.
    pub fn doors(&self) -> Doors<'_> {
        Doors::Known(self.allowed.as_ref())
    }
}

/// All Tenants that answer; and by which everybody hears of changes.
#[derive(Debug, Default)]
pub struct Tenants {
    known: Mutex<HashMap<Key, Arc<Access>>>,
    listeners: Mutex<Vec<Weak<Pending>>>,
}

/// The Tenants in which something changed, as one listener hears of them: each once, however often it changed.
#[derive(Debug)]
pub struct Changes(Arc<Pending>);

#[derive(Debug, Default)]
struct Pending {
    keys: Mutex<BTreeSet<Key>>,
    more: Notify,
}

impl Changes {
    /// Those that changed since the last time; maybe none.
    pub fn take(&self) -> BTreeSet<Key> {
        std::mem::take(&mut *self.0.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those that changed since the last time; waits for one.
    pub async fn next(&self) -> BTreeSet<Key> {
        loop {
            let keys = self.take();
            if !keys.is_empty() {
                return keys;
            }
            self.0.more.notified().await;
        }
    }
}

impl Tenants {
    /// A Tenant answers. Its client certificate is made anew at half its life.
    ///
    /// # Errors
    /// When that can't be made.
    pub fn publish(
        &self,
        tenant: &ValidTenant,
        material: &Material,
        target: Target,
        endpoint: String,
        run: &str,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        let key = Key { namespace: tenant.namespace.clone(), name: tenant.name.clone() };
        let authority = &material.control.certificate;
        let before = self.get(&key);
        let fresh = |access: &&Arc<Access>| {
            let age = now.duration_since(access.issued).unsigned_abs();
            access.authority == *authority && age < CLIENT_LIFE / 2
        };
        let (identity, issued) = if let Some(before) = before.as_ref().filter(fresh) {
            (Arc::clone(&before.identity), before.issued)
        } else {
            let uri = control::name(&tenant.namespace, &tenant.name);
            let made = control::client_certificate(&material.control, &uri, now, &mut rand::rng())?;
            (Arc::new(made), now)
        };
        let access = Access {
            key: key.clone(),
            run: run.to_owned(),
            target,
            endpoint,
            boundary: tenant.policy_boundary.clone(),
            max_key_lifetime: tenant.max_key_lifetime,
            resync: tenant.resync,
            identity,
            allowed: tenant.allowed_namespaces.clone(),
            authority: authority.clone(),
            issued,
        };
        let same = before.is_some_and(|before| {
            before.run == access.run
                && before.target == access.target
                && before.endpoint == access.endpoint
                && before.boundary == access.boundary
                && before.max_key_lifetime == access.max_key_lifetime
                && before.resync == access.resync
                && before.allowed == access.allowed
        });
        self.lock().insert(key.clone(), Arc::new(access));
        if !same {
            self.changed(&key);
        }
        Ok(())
    }

    /// A Tenant doesn't answer, or is gone.
    pub fn withdraw(&self, key: &Key) {
        if self.lock().remove(key).is_some() {
            self.changed(key);
        }
    }

    /// A Tenant, if it answers.
    pub fn get(&self, key: &Key) -> Option<Arc<Access>> {
        self.lock().get(key).cloned()
    }

    /// Something changed in this Tenant that its resources may wait for.
    pub fn changed(&self, key: &Key) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| {
            let Some(pending) = listener.upgrade() else { return false };
            pending.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
            pending.more.notify_one();
            true
        });
    }

    /// By which changes from now on are heard of.
    pub fn changes(&self) -> Changes {
        let pending = Arc::new(Pending::default());
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Arc::downgrade(&pending));
        Changes(pending)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Access>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_listener_hears_of_each_tenant_once() {
        let key = |name: &str| Key { namespace: "team".to_owned(), name: name.to_owned() };
        let tenants = Tenants::default();
        let (first, second) = (tenants.changes(), tenants.changes());
        for name in ["photos", "videos", "photos"] {
            tenants.changed(&key(name));
        }
        let both = BTreeSet::from([key("photos"), key("videos")]);
        assert_eq!(first.next().await, both);
        assert_eq!(first.take(), BTreeSet::new());
        tenants.changed(&key("photos"));
        assert_eq!(first.next().await, BTreeSet::from([key("photos")]));
        assert_eq!(second.take(), both, "what it missed while it was busy");
        // A withdrawn Tenant that was never there is no change.
        tenants.withdraw(&key("photos"));
        assert_eq!(second.take(), BTreeSet::new());
        drop(first);
        tenants.changed(&key("music"));
        assert_eq!(tenants.listeners.lock().unwrap().len(), 1, "who is gone isn't told");
    }
}
