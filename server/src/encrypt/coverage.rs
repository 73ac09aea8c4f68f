//! Which keys protect what is there: a look over the records of all objects, now and then, in the background.
//!
//! No request counts anything, and none waits. A look takes a tenth of one thread's time at most ([`SHARE`]), so what it found is as old as
//! the look took and the pause after it; what changed behind it meanwhile is in the next one. Nothing of it is kept over a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use coffer_sse::kms::KeyName;
use coffer_sse::object_key::Protection;
use coffer_store::{Bucket, Store, StoreError};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::uploads;
use crate::metrics::Metrics;
use crate::s3::encryption::record::Record;

/// Objects read at once.
const PAGE: usize = 512;
/// Buckets read at once.
const BUCKETS: usize = 100;
/// After so many times of what a page took the next one is read.
const SHARE: u32 = 9;
/// Keys of one bucket that are told by their names at most; the others are told together, as [`OTHERS`].
const MOST_KEYS: usize = 16;
/// What all that isn't told by its name is told as. Neither a bucket nor a key can have that name.
pub const OTHERS: &str = "*";

/// What one key protects, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// So many objects.
    pub objects: u64,
    /// So many uploads in progress.
    pub uploads: u64,
    /// When the oldest of the objects was written.
    pub oldest: Option<Timestamp>,
    /// When the newest was.
    pub newest: Option<Timestamp>,
}

/// What protects what a bucket holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// [`Bucket::number`]: another bucket of the name isn't this one.
    pub(crate) number: u64,
    /// What is stored plain.
    pub plain: Share,
    /// What is under keys of customers (SSE-C).
    pub customers: Share,
    /// What is under external keys.
    pub keys: BTreeMap<KeyName, Share>,
    /// What can't be told, because its record is damaged.
    pub damaged: Share,
}

/// What protects all that a tenant holds, as one look has found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// When the look began: everything that was written before is in it.
    pub began: Timestamp,
    /// Each bucket by its name.
    pub buckets: BTreeMap<String, Covered>,
}

/// Who looks.
#[derive(Debug)]
pub struct Looking {
    store: Store,
    metrics: Arc<Metrics>,
    /// The pause between two looks; zero: there are none.
    pause: Duration,
    /// Told when what was found is likely to be outdated.
    wake: Arc<Notify>,
    last: ArcSwapOption<Coverage>,
}

impl Share {
    fn add(&mut self, written: Timestamp) {
        self.objects = self.objects.saturating_add(1);
        self.oldest = Some(self.oldest.map_or(written, |oldest| oldest.min(written)));
        self.newest = Some(self.newest.map_or(written, |newest| newest.max(written)));
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let earlier = |one: Option<Timestamp>, two: Option<Timestamp>| match (one, two) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self {
            objects: self.objects.saturating_add(other.objects),
            uploads: self.uploads.saturating_add(other.uploads),
            oldest: earlier(self.oldest, other.oldest),
            newest: self.newest.max(other.newest),
        }
    }
}

impl Covered {
    fn of(&mut self, bytes: Option<&[u8]>) -> &mut Share {
        let Some(bytes) = bytes else { return &mut self.plain };
        let Ok(record) = Record::decode(bytes) else { return &mut self.damaged };
        match record.sealed.protection() {
            Protection::Customer(_) => &mut self.customers,
            Protection::S3(sealed) | Protection::Kms(sealed) => {
                self.keys.entry(sealed.name.clone()).or_default()
            }
        }
    }

    /// The objects under external keys, the most first; what is beyond `most` keys together as [`OTHERS`].
    pub fn by_key(&self, most: usize) -> Vec<(&str, Share)> {
        let mut keys: Vec<(&str, Share)> =
            self.keys.iter().map(|(name, share)| (name.as_str(), *share)).collect();
        keys.sort_by_key(|(_, share)| std::cmp::Reverse(share.objects));
        let others = keys.split_off(keys.len().min(most));
        if !others.is_empty() {
            let together = others.iter().fold(Share::default(), |all, (_, share)| all.with(*share));
            keys.push((OTHERS, together));
        }
        keys
    }

    /// All objects.
    pub fn objects(&self) -> u64 {
        let keys = self.keys.values().map(|share| share.objects);
        let rest = [self.plain.objects, self.customers.objects, self.damaged.objects];
        keys.chain(rest).fold(0, u64::saturating_add)
    }

    /// As the operator is told.
    pub(crate) fn told(&self) -> Value {
        let key = |(name, share): (&str, Share)| {
            let Share { objects, uploads: _, oldest, newest } = share;
            let told = |time: Option<Timestamp>| time.map(|time| time.to_string());
            json!({ "name": name, "objects": objects, "oldest": told(oldest), "newest": told(newest) })
        };
        let keys: Vec<Value> = self.by_key(MOST_KEYS).into_iter().map(key).collect();
        json!({
            "plain": self.plain.objects,
            "customers": self.customers.objects,
            "damaged": self.damaged.objects,
            "keys": keys,
        })
    }
}

impl Coverage {
    /// What a bucket holds, if it was there when the look came by.
    pub fn of(&self, bucket: &Bucket) -> Option<&Covered> {
        self.buckets.get(bucket.name.as_str()).filter(|covered| covered.number == bucket.number)
    }

    /// What is under external keys that are `old`, uploads in progress included. What can't be told counts as such.
    pub fn under(&self, old: impl Fn(&KeyName) -> bool) -> u64 {
        let of = |covered: &Covered| {
            let keys = covered.keys.iter().filter(|(name, _)| old(name)).map(|(_, share)| *share);
            let all = keys.fold(covered.damaged, Share::with);
            all.objects.saturating_add(all.uploads)
        };
        self.buckets.values().map(of).fold(0, u64::saturating_add)
    }
}

impl Looking {
    /// Over what `store` holds.
    pub fn new(store: Store, metrics: Arc<Metrics>, pause: Duration, wake: Arc<Notify>) -> Self {
        Self { store, metrics, pause, wake, last: ArcSwapOption::empty() }
    }

    /// What the last look has found, once there was one.
    pub fn last(&self) -> Option<Arc<Coverage>> {
        self.last.load_full()
    }

    /// Looks, now and then. Ends with whoever drops it.
    pub async fn work(&self) {
        if self.pause.is_zero() {
            return;
        }
        loop {
            #[expect(clippy::disallowed_methods, reason = "the edge: a worker has no request")]
            let now = Timestamp::now();
            match self.look(now).await {
                Ok(coverage) => {
                    debug!(buckets = coverage.buckets.len(), "looked over what protects objects");
                    self.metrics.covers(&coverage);
                    self.last.store(Some(Arc::new(coverage)));
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(error, "can't look over what protects objects; tried again");
                }
            }
            drop(tokio::time::timeout(self.pause, self.wake.notified()).await);
        }
    }

    /// One look over everything.
    ///
    /// # Errors
    /// The store's.
    pub async fn look(&self, now: Timestamp) -> Result<Coverage, StoreError> {
        let mut coverage = Coverage { began: now, buckets: BTreeMap::new() };
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list_buckets("", after.as_deref(), BUCKETS).await?;
            for bucket in &page.buckets {
                if let Some(covered) = self.bucket(bucket).await? {
                    coverage.buckets.insert(bucket.name.as_str().to_owned(), covered);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(coverage),
            }
        }
    }

    async fn bucket(&self, bucket: &Bucket) -> Result<Option<Covered>, StoreError> {
        let mut covered = Covered { number: bucket.number, ..Covered::default() };
        let mut after = String::new();
        loop {
            let begin = tokio::time::Instant::now();
            let objects = match self.store.objects_after(&bucket.name, &after, PAGE).await {
                Ok(objects) => objects,
                Err(StoreError::NoSuchBucket) => return Ok(None),
                Err(error) => return Err(error),
            };
            for object in &objects {
                covered.of(object.attributes().encryption.as_deref()).add(object.modified());
            }
            // Behind the last page of a bucket too: a tenant may have many small ones.
            tokio::time::sleep(begin.elapsed().saturating_mul(SHARE)).await;
            let last = objects.last().filter(|_| objects.len() == PAGE);
            let Some(last) = last else { break };
            last.key().as_str().clone_into(&mut after);
        }
        for upload in uploads::of(&self.store, &bucket.name).await? {
            let share = covered.of(upload.attributes.object.encryption.as_deref());
            share.uploads = share.uploads.saturating_add(1);
        }
        Ok(Some(covered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(objects: u64, second: i64) -> Share {
        let time = Timestamp::from_second(second).unwrap();
        Share { objects, uploads: 1, oldest: Some(time), newest: Some(time) }
    }

    fn covered(keys: &[(&str, u64)]) -> Covered {
        let keys = keys.iter().map(|(name, n)| (name.parse().unwrap(), share(*n, 5))).collect();
        Covered { keys, ..Covered::default() }
    }

    #[test]
    fn a_share_knows_its_oldest_and_newest() {
        let mut one = Share::default();
        for second in [7, 3, 5] {
            one.add(Timestamp::from_second(second).unwrap());
        }
        let seconds = |share: Share| {
            let second = |time: Option<Timestamp>| time.map(Timestamp::as_second);
            (share.objects, second(share.oldest), second(share.newest))
        };
        assert_eq!(seconds(one), (3, Some(3), Some(7)));
        assert_eq!(seconds(one.with(Share::default())), (3, Some(3), Some(7)));
        assert_eq!(seconds(Share::default().with(one)), (3, Some(3), Some(7)));
        assert_eq!(seconds(one.with(share(2, 1))), (5, Some(1), Some(7)));
        assert_eq!(seconds(one.with(share(2, 9))), (5, Some(3), Some(9)));
    }

    #[test]
    fn keys_beyond_the_most_are_told_together() {
        let bucket = covered(&[("a", 1), ("b", 5), ("c", 3), ("d", 2)]);
        let told = |most| -> Vec<(&str, u64)> {
            bucket.by_key(most).into_iter().map(|(name, share)| (name, share.objects)).collect()
        };
        assert_eq!(told(4), [("b", 5), ("c", 3), ("d", 2), ("a", 1)]);
        assert_eq!(told(2), [("b", 5), ("c", 3), (OTHERS, 3)]);
        assert_eq!(told(0), [(OTHERS, 11)]);
        assert_eq!(bucket.objects(), 11);
        assert!(
            OTHERS.parse::<KeyName>().is_err()
                && OTHERS.parse::<coffer_store::BucketName>().is_err()
        );
    }

    #[test]
    fn uploads_and_what_cant_be_told_are_under_an_old_key_too() {
        let damaged = Share { objects: 1, ..Share::default() };
        let one = Covered { damaged, ..covered(&[("old", 4), ("new", 7)]) };
        let buckets = [("a".to_owned(), one), ("b".to_owned(), covered(&[("old", 0)]))].into();
        let coverage = Coverage { began: Timestamp::UNIX_EPOCH, buckets };
        // Four objects and an upload, an upload, and what is damaged.
        assert_eq!(coverage.under(|name| name.as_str() == "old"), 7);
        assert_eq!(coverage.under(|name| name.as_str() == "none"), 1);
    }
}
