//! What this process remembers of each Tenant between reconciliations. All of it may be lost: then a proof is made once
//! more and a pause is short again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::iam::Key;

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// For how long the API server may be unavailable until it is told.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one Tenant's roll may hold up the next one's.
const LONGEST_ROLL: Duration = Duration::from_mins(5);

/// What is remembered.
#[derive(Debug)]
pub struct Memory {
    tenants: Mutex<HashMap<String, Remembered>>,
    /// Namespace and name of each Tenant that was met, by uid.
    met: Mutex<HashMap<String, Key>>,
    patience: Duration,
    /// The Tenant that is rolled for the operator's own sake, and since when.
    roll: Mutex<Option<(String, Instant)>>,
    ids: AtomicU64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

#[derive(Debug, Default)]
struct Remembered {
    /// What was proven: pod, certificate and credentials of the answered request.
    proven: Option<Proof>,
    /// Since when the proof fails.
    failing_since: Option<Instant>,
    /// Since when the API server can't do what is asked for this Tenant.
    unavailable_since: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

/// What a signed request was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The pod's uid and its container's id.
    pub pod: String,
    /// The Tenant's generation.
    pub generation: Option<i64>,
    /// Certificate and credentials, as versions of their Secrets.
    pub secrets: String,
}

/// Whether a proof stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Exactly this was proven.
    Proven,
    /// The same pod was proven, with an earlier certificate or other credentials.
    Renewing,
    /// It wasn't proven.
    Unproven,
}

impl Memory {
    /// A memory by which the API server may be unavailable for so long until it is told.
    pub fn with_patience(patience: Duration) -> Self {
        Self {
            tenants: Mutex::default(),
            met: Mutex::default(),
            patience,
            roll: Mutex::default(),
            ids: AtomicU64::default(),
        }
    }

    /// A Tenant was met.
    pub fn meet(&self, uid: &str, key: &Key) {
        self.lock_met().insert(uid.to_owned(), key.clone());
    }

    /// All Tenants that were met and not forgotten.
    pub fn met(&self) -> Vec<(String, Key)> {
        self.lock_met().iter().map(|(uid, key)| (uid.clone(), key.clone())).collect()
    }

    /// A number for the next reconciliation's log lines.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// How a proof stands.
    pub fn standing(&self, uid: &str, proof: &Proof) -> Standing {
        match self.lock().get(uid).and_then(|remembered| remembered.proven.as_ref()) {
            Some(proven) if proven == proof => Standing::Proven,
            Some(proven) if proven.pod == proof.pod => Standing::Renewing,
            Some(_) | None => Standing::Unproven,
        }
    }

    /// Whether this Tenant may be rolled now for the operator's own sake: after an upgrade they roll one by one.
    pub fn may_roll(&self, uid: &str) -> bool {
        let mut roll = self.roll.lock().unwrap_or_else(PoisonError::into_inner);
        let free = roll
            .as_ref()
            .is_none_or(|(holder, since)| holder == uid || since.elapsed() > LONGEST_ROLL);
        if free && roll.as_ref().is_none_or(|(holder, _)| holder != uid) {
            *roll = Some((uid.to_owned(), Instant::now()));
        }
        free
    }

    /// The Tenant's roll is over, or there is nothing to wait for.
    pub fn end_roll(&self, uid: &str) {
        let mut roll = self.roll.lock().unwrap_or_else(PoisonError::into_inner);
        if roll.as_ref().is_some_and(|(holder, _)| holder == uid) {
            *roll = None;
        }
    }

    /// A signed request was answered.
    pub fn prove(&self, uid: &str, proof: Proof) {
        self.end_roll(uid);
        let mut tenants = self.lock();
        let remembered = tenants.entry(uid.to_owned()).or_default();
        remembered.proven = Some(proof);
        remembered.failing_since = None;
        remembered.failures = 0;
    }

    /// A proof failed; answers for how long they do.
    pub fn failing(&self, uid: &str) -> Duration {
        let mut tenants = self.lock();
        tenants
            .entry(uid.to_owned())
            .or_default()
            .failing_since
            .get_or_insert_with(Instant::now)
            .elapsed()
    }

    /// The API server can't do what is asked for this Tenant; answers whether that lasts.
    pub fn unavailable(&self, uid: &str) -> bool {
        let mut tenants = self.lock();
        let remembered = tenants.entry(uid.to_owned()).or_default();
        let since = remembered.unavailable_since.get_or_insert_with(Instant::now);
        since.elapsed() >= self.patience
    }

    /// The API server did what was asked for this Tenant, or said why not.
    pub fn available(&self, uid: &str) {
        if let Some(remembered) = self.lock().get_mut(uid) {
            remembered.unavailable_since = None;
        }
    }

    /// Nothing failed, so that the next pause is short again.
    pub fn fine(&self, uid: &str) {
        if let Some(remembered) = self.lock().get_mut(uid) {
            remembered.failures = 0;
        }
    }

    /// The next pause: doubled with each failure in a row, and scattered by `random`, so that many don't come back at once.
    pub fn backoff(&self, uid: &str, random: u32) -> Duration {
        let mut tenants = self.lock();
        let remembered = tenants.entry(uid.to_owned()).or_default();
        let pause = FIRST_PAUSE.saturating_mul(1 << remembered.failures.min(16)).min(LONGEST_PAUSE);
        remembered.failures = remembered.failures.saturating_add(1);
        pause.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }

    /// A Tenant is gone.
    pub fn forget(&self, uid: &str) {
        self.end_roll(uid);
        self.lock().remove(uid);
        self.lock_met().remove(uid);
    }

    fn lock_met(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute_for_each_alone() {
        let memory = Memory::default();
        let middle = u32::MAX / 2;
        let about = |pause: Duration, expected: u64| {
            pause.abs_diff(Duration::from_millis(expected)) < Duration::from_millis(1)
        };
        for expected in [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000] {
            let pause = memory.backoff("a", middle);
            assert!(about(pause, expected), "{pause:?} is not {expected} ms");
        }
        assert!(about(memory.backoff("b", middle), 200));
        memory.fine("a");
        assert!(about(memory.backoff("a", middle), 200));
        assert!(memory.backoff("c", 0) < memory.backoff("d", u32::MAX));
    }

    #[test]
    fn only_what_lasts_is_told() {
        let (patient, impatient) = (Memory::default(), Memory::with_patience(Duration::ZERO));
        assert!(!patient.unavailable("a"));
        assert!(impatient.unavailable("a"));
        let memory = Memory::with_patience(Duration::from_millis(20));
        assert!(!memory.unavailable("a"));
        std::thread::sleep(Duration::from_millis(25));
        assert!(memory.unavailable("a"));
        assert!(!memory.unavailable("b"), "each for itself");
        memory.available("a");
        assert!(!memory.unavailable("a"), "it begins anew");
    }

    #[test]
    fn who_was_met_is_known_until_forgotten() {
        let memory = Memory::default();
        let key = Key { namespace: "shop".to_owned(), name: "photos".to_owned() };
        memory.meet("a", &key);
        memory.meet("a", &key);
        assert_eq!(memory.met(), [("a".to_owned(), key)]);
        memory.forget("a");
        assert_eq!(memory.met(), []);
    }

    #[test]
    fn tenants_roll_one_by_one() {
        let memory = Memory::default();
        assert!(memory.may_roll("a"));
        assert!(memory.may_roll("a"), "it goes on");
        assert!(!memory.may_roll("b"));
        memory.prove(
            "a",
            Proof { pod: "p".to_owned(), generation: Some(1), secrets: "1".to_owned() },
        );
        assert!(memory.may_roll("b"));
        memory.forget("b");
        assert!(memory.may_roll("a"));
    }

    #[test]
    fn a_proof_is_of_one_pod_and_its_secrets() {
        let memory = Memory::default();
        let proof = |pod: &str, secrets: &str| Proof {
            pod: pod.to_owned(),
            generation: Some(1),
            secrets: secrets.to_owned(),
        };
        assert_eq!(memory.standing("a", &proof("p", "1")), Standing::Unproven);
        memory.prove("a", proof("p", "1"));
        assert_eq!(memory.standing("a", &proof("p", "1")), Standing::Proven);
        assert_eq!(memory.standing("a", &proof("p", "2")), Standing::Renewing);
        assert_eq!(memory.standing("a", &proof("q", "1")), Standing::Unproven);
        assert_eq!(memory.standing("b", &proof("p", "1")), Standing::Unproven);
    }
}
