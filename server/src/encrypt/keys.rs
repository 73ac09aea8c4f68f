//! Bucket keys for requests: kept as `coffer-sse` says, and one call of the KMS for all who wait for the same one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::bucket_key::{BucketKey, Cache, Caching};
use coffer_sse::context::Context;
use coffer_sse::kms::{KeyName, Kms, KmsError};
use coffer_sse::object_key::SealedBucketKey;
use tokio::sync::watch;

/// The bucket keys of one tenant.
#[derive(Debug)]
pub struct Keys {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kms: Arc<dyn Kms>,
    tenant: String,
    default: Option<KeyName>,
    caching: Caching,
    cache: Mutex<Cache>,
    making: Flights<(KeyName, Context), BucketKey>,
    opening: Flights<(KeyName, Context, Bytes), Arc<PlainKey>>,
}

impl Keys {
    /// Asks `kms` for keys that are bound to `tenant`.
    pub fn new(
        kms: Arc<dyn Kms>,
        tenant: String,
        default: Option<KeyName>,
        caching: Caching,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                kms,
                tenant,
                default,
                caching,
                cache: Mutex::new(Cache::new(caching)),
                making: Flights::default(),
                opening: Flights::default(),
            }),
        }
    }

    /// A bucket key to seal one object with. `client` is the context that its writer gave.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn for_sealing(
        &self,
        name: &KeyName,
        bucket: &str,
        client: &Context,
    ) -> Result<BucketKey, KmsError> {
        let shared = &self.shared;
        let context = Context::of_bucket(&shared.tenant, bucket, client);
        if shared.caching == Caching::EveryRequest {
            return shared.make(name, client, &context).await;
        }
        loop {
            if let Some(key) = shared.cache(|cache, now| cache.for_sealing(name, &context, now)) {
                return Ok(key);
            }
            let (shared, name) = (Arc::clone(shared), name.clone());
            let (client, context) = (client.clone(), context.clone());
            let at = (name.clone(), context.clone());
            let landed = self.shared.making.join(at.clone(), async move {
                let made = shared.make(&name, &client, &context).await;
                if let Ok(key) = &made {
                    shared.cache(|cache, now| cache.made(&context, key, now));
                }
                shared.making.end(&at);
                made
            });
            match landed.await {
                // Its one use is taken.
                (Role::First, made) => return made,
                // Each use is counted: the others take theirs from the cache.
                (Role::Waiting, Ok(_made)) => {}
                (Role::Waiting, Err(error)) => return Err(error),
            }
        }
    }

    /// The key that opens what `sealed` protects.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn for_opening(
        &self,
        sealed: &SealedBucketKey,
        bucket: &str,
    ) -> Result<Arc<PlainKey>, KmsError> {
        let shared = &self.shared;
        let SealedBucketKey { name, sealed, client } = sealed;
        let context = Context::of_bucket(&shared.tenant, bucket, client);
        if shared.caching == Caching::EveryRequest {
            return shared.kms.open_data_key(name, sealed, &context).await.map(Arc::new);
        }
        let kept = shared.cache(|cache, now| cache.for_opening(name, &context, sealed, now));
        if let Some(key) = kept {
            return Ok(key);
        }
        let (shared, name, sealed) = (Arc::clone(shared), name.clone(), sealed.clone());
        let at = (name.clone(), context.clone(), sealed.clone());
        let landed = self.shared.opening.join(at.clone(), async move {
            let opened = shared.kms.open_data_key(&name, &sealed, &context).await.map(Arc::new);
            if let Ok(plain) = &opened {
                shared.cache(|cache, now| {
                    cache.opened(&name, &context, &sealed, Arc::clone(plain), now);
                });
            }
            shared.opening.end(&at);
            opened
        });
        landed.await.1
    }

    /// The key of SSE-S3, and of SSE-KMS where nothing else is named.
    pub fn default_key(&self) -> Option<&KeyName> {
        self.shared.default.as_ref()
    }

    /// The KMS itself.
    pub fn kms(&self) -> &Arc<dyn Kms> {
        &self.shared.kms
    }

    /// How many keys are kept, for sealing and for opening.
    pub fn kept(&self) -> usize {
        self.shared.cache(|cache, _now| cache.len())
    }

    /// Wipes the keys whose time is over: those that nobody asks for again go only by this.
    pub fn expire(&self) {
        self.shared.cache(Cache::expire);
    }

    /// Forgets all keys under this external key: the next use asks the KMS.
    pub fn forget(&self, name: &KeyName) {
        self.shared.cache(|cache, _now| cache.forget(name));
    }
}

impl Shared {
    async fn make(
        &self,
        name: &KeyName,
        client: &Context,
        context: &Context,
    ) -> Result<BucketKey, KmsError> {
        let key = self.kms.generate_data_key(name, context).await?;
        Ok(BucketKey::new(name.clone(), client.clone(), key))
    }

    fn cache<T>(&self, work: impl FnOnce(&mut Cache, Instant) -> T) -> T {
        let now = tokio::time::Instant::now().into_std();
        work(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

/// What comes of a call, once it has.
type Landing<T> = watch::Receiver<Option<Result<T, KmsError>>>;

/// Calls that are under way: whoever wants what is on its way already waits for it.
#[derive(Debug)]
struct Flights<K, T>(Mutex<HashMap<K, Landing<T>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

/// Whether this caller began the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    First,
    Waiting,
}

impl<K: Eq + Hash, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// Begins the call unless it is under way, and waits for it. It goes on although whoever began it goes away.
    async fn join(
        &self,
        at: K,
        call: impl Future<Output = Result<T, KmsError>> + Send + 'static,
    ) -> (Role, Result<T, KmsError>) {
        let (role, mut landing) = self.take_off(at, call);
        let outcome = match landing.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_gone) => None,
        };
        let gone = || Err(KmsError::Unreachable("the call was given up".to_owned()));
        (role, outcome.unwrap_or_else(gone))
    }

    fn take_off(
        &self,
        at: K,
        call: impl Future<Output = Result<T, KmsError>> + Send + 'static,
    ) -> (Role, Landing<T>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One whose task is gone without an outcome is none.
        if let Some(landing) = flights.get(&at).filter(|landing| landing.has_changed().is_ok()) {
            return (Role::Waiting, landing.clone());
        }
        let (land, landing) = watch::channel(None);
        flights.insert(at, landing.clone());
        tokio::spawn(async move {
            let outcome = call.await;
            drop(land.send(Some(outcome)));
        });
        (Role::First, landing)
    }

    fn end(&self, at: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(at);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use coffer_sse::bucket_key::Bounds;
    use coffer_sse::kms::{DataKey, KeyStatus};
    use futures_util::future::join_all;

    use super::*;

    /// Takes a second for each call, and counts them.
    #[derive(Debug, Default)]
    struct Slow {
        made: AtomicUsize,
        opened: AtomicUsize,
        fails: bool,
    }

    #[async_trait]
    impl Kms for Slow {
        async fn generate_data_key(
            &self,
            _key: &KeyName,
            context: &Context,
        ) -> Result<DataKey, KmsError> {
            let count = self.made.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.fails {
                return Err(KmsError::Unreachable("down".to_owned()));
            }
            let plain = PlainKey::random().unwrap();
            Ok(DataKey { plain, sealed: format!("{count} {}", context.to_json()).into() })
        }

        async fn open_data_key(
            &self,
            key: &KeyName,
            sealed: &[u8],
            context: &Context,
        ) -> Result<PlainKey, KmsError> {
            self.opened.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if !sealed.ends_with(context.to_json().as_bytes()) {
                return Err(KmsError::Invalid(key.clone()));
            }
            Ok(PlainKey::random().unwrap())
        }

        async fn create_key(&self, _key: &KeyName) -> Result<(), KmsError> {
            Err(KmsError::Unsupported("create keys"))
        }

        async fn key_status(&self, _key: &KeyName) -> Result<KeyStatus, KmsError> {
            Ok(KeyStatus::Enabled)
        }

        async fn list_keys(&self) -> Result<Vec<KeyName>, KmsError> {
            Ok(Vec::new())
        }
    }

    fn keys(kms: &Arc<Slow>, caching: Caching) -> Keys {
        let kms: Arc<dyn Kms> = Arc::<Slow>::clone(kms);
        Keys::new(kms, "acme".to_owned(), None, caching)
    }

    fn name() -> KeyName {
        "photos".parse().unwrap()
    }

    fn bounded(objects: u64) -> Caching {
        Caching::Bounded(Bounds { objects, ..Bounds::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_wait_for_a_key_cost_one_call() {
        let kms = Arc::new(Slow::default());
        let keys = keys(&kms, Caching::default());
        let (name, none) = (name(), Context::default());
        let all = join_all((0..100).map(|_| keys.for_sealing(&name, "b", &none))).await;
        let sealed: Vec<_> = all.into_iter().map(|key| key.unwrap().sealed()).collect();
        assert!(sealed.iter().all(|one| *one == sealed[0]));
        assert_eq!(kms.made.load(Ordering::Relaxed), 1);
        // What was made opens what it has sealed without a call.
        keys.for_opening(&sealed[0], "b").await.unwrap();
        assert_eq!(kms.opened.load(Ordering::Relaxed), 0);
        keys.forget(&name);
        let all = join_all((0..100).map(|_| keys.for_opening(&sealed[0], "b"))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(kms.opened.load(Ordering::Relaxed), 1);
        assert!(keys.for_opening(&sealed[0], "other").await.is_err(), "of another bucket");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_counts_as_a_use() {
        let kms = Arc::new(Slow::default());
        let keys = keys(&kms, bounded(10));
        let (name, none) = (name(), Context::default());
        let all = join_all((0..100).map(|_| keys.for_sealing(&name, "b", &none))).await;
        let mut uses: HashMap<Bytes, usize> = HashMap::new();
        for key in all {
            *uses.entry(key.unwrap().sealed().sealed).or_default() += 1;
        }
        assert!(uses.values().all(|uses| *uses <= 10), "{uses:?}");
        assert_eq!(kms.made.load(Ordering::Relaxed), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_who_wait_and_kept_for_nobody() {
        let kms = Arc::new(Slow { fails: true, ..Slow::default() });
        let keys = keys(&kms, Caching::default());
        let (name, none) = (name(), Context::default());
        for round in 1..3 {
            let all = join_all((0..50).map(|_| keys.for_sealing(&name, "b", &none))).await;
            assert!(all.iter().all(Result::is_err));
            assert_eq!(kms.made.load(Ordering::Relaxed), round);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_doesnt_take_the_call_along() {
        let kms = Arc::new(Slow::default());
        let keys = keys(&kms, Caching::default());
        let (name, none) = (name(), Context::default());
        let gone =
            tokio::time::timeout(Duration::from_millis(10), keys.for_sealing(&name, "b", &none));
        assert!(gone.await.is_err());
        keys.for_sealing(&name, "b", &none).await.unwrap();
        assert_eq!(kms.made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_asks_if_it_is_to() {
        let kms = Arc::new(Slow::default());
        let keys = keys(&kms, Caching::EveryRequest);
        let (name, none) = (name(), Context::default());
        let all = join_all((0..10).map(|_| keys.for_sealing(&name, "b", &none))).await;
        let sealed: Vec<_> = all.into_iter().map(|key| key.unwrap().sealed()).collect();
        assert_eq!(kms.made.load(Ordering::Relaxed), 10);
        for key in &sealed {
            keys.for_opening(key, "b").await.unwrap();
        }
        assert_eq!(kms.opened.load(Ordering::Relaxed), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_goes_when_its_time_is_over() {
        let kms = Arc::new(Slow::default());
        let keys = keys(&kms, Caching::default());
        let (name, none) = (name(), Context::default());
        keys.for_sealing(&name, "b", &none).await.unwrap();
        tokio::time::sleep(Duration::from_mins(5)).await;
        keys.expire();
        keys.for_sealing(&name, "b", &none).await.unwrap();
        assert_eq!(kms.made.load(Ordering::Relaxed), 2);
    }
}
