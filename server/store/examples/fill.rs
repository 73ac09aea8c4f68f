//! Fills a data folder with small objects, for measurements that begin with many: `fill FOLDER OBJECTS`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a tool of measurements fails loudly")]

use std::{env, path::PathBuf};

use bytes::Bytes;
use coffer_store::{BucketName, ObjectAttributes, ObjectKey, Precondition, Settings, Store};
use jiff::Timestamp;

/// Writers at once: they share their commits.
const WRITERS: usize = 256;
/// Objects are spread over so many prefixes.
const FOLDERS: usize = 1000;

#[tokio::main]
async fn main() {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("fill FOLDER OBJECTS"));
    let objects: usize = arguments.next().expect("fill FOLDER OBJECTS").parse().unwrap();
    let store = Store::open(Settings { reserve: 0, ..Settings::new(&folder) }).await.unwrap();
    let bucket: BucketName = "filled".parse().unwrap();
    store.create_bucket(&bucket, "us-east-1", Timestamp::UNIX_EPOCH).await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, bucket) = (store.clone(), bucket.clone());
            tokio::spawn(async move {
                for n in (writer..objects).step_by(WRITERS) {
                    let key = format!("folder-{:04}/file-{:06}", n % FOLDERS, n / FOLDERS);
                    put(&store, &bucket, &key.parse().unwrap()).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    store.close().await;
}

async fn put(store: &Store, bucket: &BucketName, key: &ObjectKey) {
    let bytes = Bytes::from_static(&[7; 100]);
    let mut writer = store.writer(Some(100));
    writer.write(bytes).await.unwrap();
    let content = writer.finish().await.unwrap();
    let attributes = ObjectAttributes {
        etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        content_type: Some("application/octet-stream".to_owned()),
        ..ObjectAttributes::default()
    };
    let now = Timestamp::UNIX_EPOCH;
    store.put_object(bucket, key, content, attributes, &Precondition::NONE, now).await.unwrap();
}
