//! The Tenants that answer, each with what it takes to speak with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Key;
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
    authority: String,
    issued: Timestamp,
}

/// All Tenants that answer; and by which everybody hears of changes.
#[derive(Debug)]
pub struct Tenants {
    known: Mutex<HashMap<Key, Arc<Access>>>,
    changes: watch::Sender<u64>,
}

impl Default for Tenants {
    fn default() -> Self {
        Self { known: Mutex::default(), changes: watch::Sender::new(0) }
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
        });
        self.lock().insert(key, Arc::new(access));
        if !same {
            self.changed();
        }
        Ok(())
    }

    /// A Tenant doesn't answer, or is gone.
    pub fn withdraw(&self, key: &Key) {
        if self.lock().remove(key).is_some() {
            self.changed();
        }
    }

    /// A Tenant, if it answers.
    pub fn get(&self, key: &Key) -> Option<Arc<Access>> {
        self.lock().get(key).cloned()
    }

    /// Something changed that other resources may wait for.
    pub fn changed(&self) {
        self.changes.send_modify(|number| *number = number.wrapping_add(1));
    }

    /// By which changes are heard of.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Access>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
