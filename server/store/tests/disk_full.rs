//! A disk that fills up under the store, which the reserve can't prevent when others fill it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test's helpers fail the test")]

use std::{env, fs, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use coffer_store::{
    BucketName, IndexHealth, ObjectAttributes, ObjectKey, Precondition, Settings, Store, StoreError,
};
use jiff::Timestamp;
use tokio::{sync::Mutex, time::timeout};

fn bucket() -> BucketName {
    "bucket".parse().unwrap()
}

async fn put(store: &Store, key: &ObjectKey, size: usize) -> Result<(), StoreError> {
    let mut writer = store.writer(None);
    writer.write(Bytes::from(vec![7; size])).await?;
    let content = writer.finish().await?;
    let (attributes, now) = (ObjectAttributes::default(), Timestamp::UNIX_EPOCH);
    store.put_object(&bucket(), key, content, attributes, &Precondition::NONE, now).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs COFFER_STORE_SMALL_DISK: an empty folder on a file system of its own of 200 MiB, as tests/run makes it"]
async fn a_full_disk_loses_nothing_and_hangs_nobody() {
    let disk = PathBuf::from(env::var("COFFER_STORE_SMALL_DISK").unwrap());
    let settings = Settings { reserve: 0, memtable: 1 << 20, ..Settings::new(disk.join("data")) };
    let store = Store::open(settings).await.unwrap();
    store.create_bucket(&bucket(), "r", Timestamp::UNIX_EPOCH).await.unwrap();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..8_u64 {
        // Less and less is left: the journal, a flush or a blob meets the end first.
        let filler = disk.join("filler");
        let file = fs::File::create(&filler).unwrap();
        let free = store.health().await.free;
        let left = (8 - round) << 20;
        rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            free.saturating_sub(left).max(1),
        )
        .unwrap();
        let tasks: Vec<_> = (0..32)
            .map(|task| {
                let (store, acknowledged) = (store.clone(), Arc::clone(&acknowledged));
                tokio::spawn(async move {
                    // Empty objects are never refused for want of room: they meet the end itself.
                    for (n, size) in
                        [4096, 0, 40_000, 0, 30_000, 0].into_iter().cycle().enumerate().take(1200)
                    {
                        let key: ObjectKey = format!("{round}-{task}-{n}").parse().unwrap();
                        match put(&store, &key, size).await {
                            Ok(()) => acknowledged.lock().await.push((key, size)),
                            Err(StoreError::OutOfSpace) => {}
                            Err(StoreError::Unavailable(_)) => return,
                            Err(cause) => panic!("{cause}"),
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            timeout(Duration::from_mins(1), task).await.expect("no call hangs").unwrap();
        }
        let usable = store.health().await.index == IndexHealth::Usable;
        // An open file keeps its room.
        drop(file);
        fs::remove_file(&filler).unwrap();
        timeout(Duration::from_mins(1), async {
            while store.health().await.index != IndexHealth::Usable {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the store comes back");
        let acknowledged = acknowledged.lock().await;
        println!(
            "{left} bytes left: {} acknowledged so far, usable at the end: {usable}",
            acknowledged.len()
        );
        for (key, size) in acknowledged.iter() {
            let object = store.object(&bucket(), key).await.unwrap();
            assert_eq!(object.size(), *size as u64, "{key}");
        }
    }
    store.close().await;
}
