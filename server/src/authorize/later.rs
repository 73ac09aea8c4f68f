//! What becomes known of a request only while its operation is carried out: what else it had to be asked for, and which keys its
//! document named. The audit record tells of both.

use std::sync::{Mutex, PoisonError};

use coffer_policy::Outcome;
use serde::Serialize;

use super::Decision;
use crate::answer::Refusal;

/// See the module.
#[derive(Debug, Default)]
pub struct Later(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    denied: Option<Decision>,
    keys: Vec<NamedKey>,
}

/// A key that a document named, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedKey {
    /// The key.
    pub key: String,
    /// The code of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Later {
    /// Remembers a decision that denies.
    ///
    /// # Errors
    /// `AccessDenied`, if it does.
    pub(super) fn note(&self, decision: Decision) -> Result<(), Refusal> {
        if decision.outcome == Outcome::Allow {
            return Ok(());
        }
        let refusal = decision.refusal();
        self.known().denied = Some(decision);
        Err(refusal)
    }

    /// Remembers the keys that were named.
    pub fn names(&self, keys: impl IntoIterator<Item = NamedKey>) {
        self.known().keys.extend(keys);
    }

    /// The last decision that denied, and the keys that were named.
    pub fn take(&self) -> (Option<Decision>, Vec<NamedKey>) {
        let Known { denied, keys } = std::mem::take(&mut *self.known());
        (denied, keys)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
