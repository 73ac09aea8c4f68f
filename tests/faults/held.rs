//! What a data folder holds once its server is gone, read by the store itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use coffer_store::{
    BucketName, Entry, ListQuery, Precondition, Settings, Store, UploadEntry, UploadQuery,
};
use futures_util::TryStreamExt;
use jiff::Timestamp;

/// Name → content. An object is `key`, a part `upload of key, part n`; content is `size x byte`.
pub(crate) type Held = BTreeMap<String, String>;

/// Content of one byte over and over tells at a glance whether it is whole and whose it is.
pub(crate) fn content(byte: u8, size: usize) -> Vec<u8> {
    vec![byte; size]
}

/// How [`Held`] tells it.
pub(crate) fn told(byte: u8, size: usize) -> String {
    format!("{size} x {byte}")
}

pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    match bytes.first() {
        None => told(0, 0),
        Some(first) if bytes.iter().all(|byte| byte == first) => told(*first, bytes.len()),
        Some(_) => format!("{} bytes of several", bytes.len()),
    }
}

fn later() -> Timestamp {
    Timestamp::from_second(10_000_000_000).unwrap()
}

pub(crate) async fn open(folder: &Path) -> Store {
    Store::open(Settings { reserve: 0, ..Settings::new(folder) }).await.unwrap()
}

/// Reads all objects and the sizes of all parts of the bucket `photos`.
pub(crate) async fn read(store: &Store) -> Held {
    let mut held = Held::new();
    let photos: BucketName = "photos".parse().unwrap();
    let mut query = ListQuery { limit: 1000, ..ListQuery::default() };
    loop {
        let page = store.list_objects(&photos, &query).await.unwrap();
        for entry in page.entries {
            let Entry::Object(listed) = entry else { panic!("nothing was to be folded") };
            let object = store.object(&photos, &listed.key).await.unwrap();
            let reader = store.read(&object, 0..object.size()).await.unwrap();
            let pieces: Vec<Bytes> = reader.try_collect().await.unwrap();
            let bytes = pieces.concat();
            assert_eq!(bytes.len() as u64, object.size(), "{}", listed.key);
            held.insert(listed.key.as_str().to_owned(), of_bytes(&bytes));
        }
        match page.next {
            Some(next) => query.start = next,
            None => break,
        }
    }
    let objects = held.len() as u64;
    let query = UploadQuery { limit: 1000, ..UploadQuery::default() };
    for entry in store.list_uploads(&photos, &query).await.unwrap().entries {
        let UploadEntry::Upload(upload) = entry else { panic!("nothing was to be folded") };
        let parts = store.list_parts(&photos, &upload.key, upload.id, 0, 1000).await.unwrap();
        let name = format!("upload of {}", upload.key);
        held.insert(name.clone(), "begun".to_owned());
        for part in parts.parts {
            held.insert(format!("{name}, part {}", part.number), part.attributes.etag);
        }
    }
    let usage = store.usage(&photos).await.unwrap();
    assert_eq!(usage.objects, objects, "the counters are exact");
    held
}

/// Deletes everything and asserts that no blob is left, neither of what was kept nor of what a crash cut off.
pub(crate) async fn empty_out(store: &Store) {
    let photos: BucketName = "photos".parse().unwrap();
    let query = ListQuery { limit: 1000, ..ListQuery::default() };
    let mut keys = Vec::new();
    for entry in store.list_objects(&photos, &query).await.unwrap().entries {
        let Entry::Object(listed) = entry else { panic!("nothing was to be folded") };
        keys.push((listed.key, Precondition::NONE));
    }
    // First the sweep alone: it must leave what records name.
    store.collect_garbage().await.unwrap();
    store.sweep(Duration::ZERO, later()).await.unwrap();
    for (key, _) in &keys {
        let object = store.object(&photos, key).await.unwrap();
        let reader = store.read(&object, 0..object.size()).await.unwrap();
        reader.try_collect::<Vec<Bytes>>().await.unwrap();
    }
    store.delete_objects(&photos, keys, later()).await.unwrap();
    let query = UploadQuery { limit: 1000, ..UploadQuery::default() };
    for entry in store.list_uploads(&photos, &query).await.unwrap().entries {
        let UploadEntry::Upload(upload) = entry else { panic!("nothing was to be folded") };
        store.abort_upload(&photos, &upload.key, upload.id, later()).await.unwrap();
    }
    store.collect_garbage().await.unwrap();
    let left = store.sweep(Duration::ZERO, later()).await.unwrap();
    assert_eq!(left.seen, 0, "a blob stayed behind");
    assert_eq!(store.health().await.garbage, 0);
}

/// Asserts that a folder holds one of these states: what was acknowledged, or, of a request that wasn't, nothing or all.
pub(crate) async fn assert_one_of(folder: &Path, allowed: &[&Held], why: &str) {
    let store = open(folder).await;
    let held = read(&store).await;
    assert!(allowed.contains(&&held), "{why}: holds {held:#?}, none of {allowed:#?}");
    empty_out(&store).await;
    store.close().await;
}
