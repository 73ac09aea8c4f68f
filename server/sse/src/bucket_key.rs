//! Bucket keys, and which of them are kept for a while.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::PlainKey;
use crate::context::Context;
use crate::kms::{DataKey, KeyName};
use crate::object_key::SealedBucketKey;

/// A data key of the KMS, for one tenant and bucket.
#[derive(Clone)]
pub struct BucketKey {
    name: KeyName,
    client: Context,
    plain: Arc<PlainKey>,
    sealed: Bytes,
}

impl BucketKey {
    /// Takes a data key that the KMS has made under this external key, for [`Context::of_bucket`] with this client's context.
    pub fn new(name: KeyName, client: Context, key: DataKey) -> Self {
        let DataKey { plain, sealed } = key;
        Self { name, client, plain: Arc::new(plain), sealed }
    }

    /// Takes one that the KMS has opened again.
    pub fn reopened(sealed: SealedBucketKey, plain: Arc<PlainKey>) -> Self {
        let SealedBucketKey { name, sealed, client } = sealed;
        Self { name, client, plain, sealed }
    }

    /// What is kept of it.
    pub fn sealed(&self) -> SealedBucketKey {
        let Self { name, client, plain: _, sealed } = self;
        SealedBucketKey { name: name.clone(), sealed: sealed.clone(), client: client.clone() }
    }

    /// What seals and opens object keys.
    pub fn plain(&self) -> &PlainKey {
        &self.plain
    }
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketKey({}, redacted)", self.name)
    }
}

/// Whether bucket keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// For a while, as [`Bounds`] says.
    Bounded(Bounds),
    /// Never: each write and each read asks the KMS.
    EveryRequest,
}

/// For how long, for how much, and how many bucket keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From when the KMS gave it.
    pub life: Duration,
    /// Objects that one data key seals at most.
    pub objects: u64,
    /// Keys for sealing, and keys for opening, at most.
    pub keys: usize,
}

impl Default for Bounds {
    /// 5 minutes, 65,536 objects, 10,000 keys.
    fn default() -> Self {
        Self { life: Duration::from_mins(5), objects: 65_536, keys: 10_000 }
    }
}

impl Default for Caching {
    fn default() -> Self {
        Self::Bounded(Bounds::default())
    }
}

/// The bucket keys that are kept. Holds no clock and asks no KMS: whoever finds nothing asks, and tells.
#[derive(Debug)]
pub struct Cache {
    caching: Caching,
    sealing: HashMap<(KeyName, Context), Sealing>,
    opening: HashMap<(KeyName, Context, Bytes), Opening>,
}

#[derive(Debug)]
struct Sealing {
    key: BucketKey,
    since: Instant,
    left: u64,
}

#[derive(Debug)]
struct Opening {
    plain: Arc<PlainKey>,
    since: Instant,
}

impl Cache {
    /// An empty one.
    pub fn new(caching: Caching) -> Self {
        Self { caching, sealing: HashMap::new(), opening: HashMap::new() }
    }

    /// A key to seal one more object with; `None`: have one made.
    ///
    /// `context` is the whole one, of the bucket.
    pub fn for_sealing(
        &mut self,
        name: &KeyName,
        context: &Context,
        now: Instant,
    ) -> Option<BucketKey> {
        let bounds = self.bounds()?;
        let at = (name.clone(), context.clone());
        let entry = self.sealing.get_mut(&at)?;
        let left = entry.left.checked_sub(1);
        match left {
            Some(left) if is_fresh(entry.since, bounds.life, now) => {
                entry.left = left;
                Some(entry.key.clone())
            }
            Some(_) | None => {
                self.sealing.remove(&at);
                None
            }
        }
    }

    /// Keeps a key that the KMS has just made, of which one use is taken already.
    pub fn made(&mut self, context: &Context, key: &BucketKey, now: Instant) {
        let Some(bounds) = self.bounds() else { return };
        let at = (key.name.clone(), context.clone(), key.sealed.clone());
        self.keep_opening(bounds, at, Opening { plain: key.plain.clone(), since: now }, now);
        let at = (key.name.clone(), context.clone());
        if !self.sealing.contains_key(&at) {
            make_room(&mut self.sealing, bounds, now, |entry| entry.since);
        }
        let left = bounds.objects.saturating_sub(1);
        self.sealing.insert(at, Sealing { key: key.clone(), since: now, left });
    }

    /// The key that opens what this sealed data key protects; `None`: have it opened.
    pub fn for_opening(
        &mut self,
        name: &KeyName,
        context: &Context,
        sealed: &Bytes,
        now: Instant,
    ) -> Option<Arc<PlainKey>> {
        let bounds = self.bounds()?;
        let at = (name.clone(), context.clone(), sealed.clone());
        let entry = self.opening.get(&at)?;
        if is_fresh(entry.since, bounds.life, now) {
            return Some(entry.plain.clone());
        }
        self.opening.remove(&at);
        None
    }

    /// Keeps a key that the KMS has just opened.
    pub fn opened(
        &mut self,
        name: &KeyName,
        context: &Context,
        sealed: &Bytes,
        plain: Arc<PlainKey>,
        now: Instant,
    ) {
        let Some(bounds) = self.bounds() else { return };
        let at = (name.clone(), context.clone(), sealed.clone());
        self.keep_opening(bounds, at, Opening { plain, since: now }, now);
    }

    /// Forgets all keys under an external key.
    pub fn forget(&mut self, name: &KeyName) {
        self.sealing.retain(|(of, _), _| of != name);
        self.opening.retain(|(of, _, _), _| of != name);
    }

    /// Wipes what is too old. Keys that nobody asks for again go only by this.
    pub fn expire(&mut self, now: Instant) {
        let Some(bounds) = self.bounds() else { return };
        self.sealing.retain(|_, entry| is_fresh(entry.since, bounds.life, now));
        self.opening.retain(|_, entry| is_fresh(entry.since, bounds.life, now));
    }

    /// How many keys are kept, for sealing and for opening.
    pub fn len(&self) -> usize {
        self.sealing.len().saturating_add(self.opening.len())
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bounds(&self) -> Option<Bounds> {
        match self.caching {
            Caching::Bounded(bounds) => Some(bounds),
            Caching::EveryRequest => None,
        }
    }

    fn keep_opening(
        &mut self,
        bounds: Bounds,
        at: (KeyName, Context, Bytes),
        entry: Opening,
        now: Instant,
    ) {
        if !self.opening.contains_key(&at) {
            make_room(&mut self.opening, bounds, now, |entry| entry.since);
        }
        self.opening.insert(at, entry);
    }
}

fn is_fresh(since: Instant, life: Duration, now: Instant) -> bool {
    now.saturating_duration_since(since) < life
}

/// Drops what is too old, and if that isn't enough the older half: that happens once for many insertions.
fn make_room<K: Eq + std::hash::Hash, V>(
    map: &mut HashMap<K, V>,
    bounds: Bounds,
    now: Instant,
    since: impl Fn(&V) -> Instant,
) {
    if map.len() < bounds.keys {
        return;
    }
    map.retain(|_, entry| is_fresh(since(entry), bounds.life, now));
    if map.len() < bounds.keys {
        return;
    }
    let mut times: Vec<Instant> = map.values().map(&since).collect();
    times.sort_unstable();
    let Some(middle) = times.get(times.len().div_euclid(2)).copied() else { return };
    map.retain(|_, entry| since(entry) > middle);
}
