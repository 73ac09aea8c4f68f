//! A disk that refuses writes: nothing is acknowledged, nothing acknowledged is lost, and the store comes back by itself.
//!
//! The refusal is the process's own file size limit, so this file has one test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_store::{
    BucketName, IndexHealth, ObjectAttributes, ObjectKey, Precondition, Settings, Store, StoreError,
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

fn bucket() -> BucketName {
    "bucket".parse().unwrap()
}

fn key(n: usize) -> ObjectKey {
    format!("{n:04}").parse().unwrap()
}

fn bytes(n: usize) -> Bytes {
    // Every third is a blob.
    let size = if n.is_multiple_of(3) { 50_000 } else { 500 };
    Bytes::from(vec![u8::try_from(n % 256).unwrap(); size])
}

async fn put(store: &Store, n: usize) -> Result<(), StoreError> {
    let mut writer = store.writer(None);
    writer.write(bytes(n)).await?;
    let content = writer.finish().await?;
    let attributes = ObjectAttributes::default();
    let now = Timestamp::UNIX_EPOCH;
    store.put_object(&bucket(), &key(n), content, attributes, &Precondition::NONE, now).await?;
    Ok(())
}

async fn holds(store: &Store, n: usize) -> bool {
    match store.object(&bucket(), &key(n)).await {
        Err(StoreError::NoSuchKey) => false,
        Err(cause) => panic!("{n}: {cause}"),
        Ok(object) => {
            let reader = store.read(&object, 0..object.size()).await.unwrap();
            assert_eq!(
                reader.try_collect::<Vec<Bytes>>().await.unwrap().concat(),
                bytes(n),
                "{n} is whole"
            );
            true
        }
    }
}

/// Lets no file be written, or all again.
fn limit_files(to: Option<u64>) {
    let Rlimit { current: _, maximum } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: to.or(maximum), maximum }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_refused_writes_the_store_reopens_and_has_all_it_acknowledged() {
    // The limit's signal would end the process; caught, the write fails instead.
    let _caught = signal(SignalKind::from_raw(25)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { reserve: 0, ..Settings::new(folder.path()) };
    let store = Store::open(settings.clone()).await.unwrap();
    store.create_bucket(&bucket(), "r", Timestamp::UNIX_EPOCH).await.unwrap();
    let mut acknowledged = Vec::new();
    let mut failed = Vec::new();
    for round in 0..3 {
        for n in round * 100..round * 100 + 30 {
            put(&store, n).await.unwrap();
            acknowledged.push(n);
        }

        limit_files(Some(1));
        let tasks: Vec<_> = (round * 100 + 30..round * 100 + 60)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move { (n, put(&store, n).await) })
            })
            .collect();
        for task in tasks {
            let (n, result) = task.await.unwrap();
            assert!(matches!(result, Err(StoreError::Unavailable(_))), "{n}: {result:?}");
            failed.push(n);
        }
        assert_eq!(store.health().await.index, IndexHealth::Reopening);
        let looked_up = store.object(&bucket(), &key(0)).await;
        assert!(matches!(looked_up, Err(StoreError::Unavailable(_))), "{looked_up:?}");

        limit_files(None);
        let began = Instant::now();
        while store.health().await.index != IndexHealth::Usable {
            assert!(began.elapsed() < Duration::from_secs(30), "it doesn't come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for n in &acknowledged {
            assert!(holds(&store, *n).await, "{n} was acknowledged");
        }
        for n in &failed {
            holds(&store, *n).await;
        }
    }

    let mut objects = 0;
    for n in acknowledged.iter().chain(&failed) {
        objects += u64::from(holds(&store, *n).await);
    }
    assert_eq!(store.usage(&bucket()).await.unwrap().objects, objects);
    store.close().await;
    let store = Store::open(settings).await.unwrap();
    let later = Timestamp::from_second(10_000_000_000).unwrap();
    store.sweep(Duration::ZERO, later).await.unwrap();
    for n in acknowledged {
        assert!(holds(&store, n).await, "{n} was acknowledged, and the store reopened");
    }
}
