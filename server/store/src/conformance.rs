//! One suite for each trait, run by every implementation of it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tempfile::tempdir;

use crate::{
    StoreError,
    blobs::{BlobId, Blobs, files::FileBlobs, memory::MemoryBlobs},
    index::{
        Batch, Change, CommitError, Condition, Fold, Index, Row, Scan, Space,
        embedded::{EmbeddedIndex, Sizes},
        memory::MemoryIndex,
    },
};

fn embedded(folder: &std::path::Path) -> EmbeddedIndex {
    let sizes = Sizes { cache: 4 << 20, memtable: 1 << 20, journal: 64 << 20 };
    EmbeddedIndex::open(folder, sizes).unwrap()
}

#[tokio::test]
async fn memory_index_conforms() {
    index_suite(|| Arc::new(MemoryIndex::default()) as Arc<dyn Index>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_index_conforms() {
    let folder = tempdir().unwrap();
    let mut opened = 0;
    index_suite(|| {
        opened += 1;
        Arc::new(embedded(&folder.path().join(opened.to_string()))) as Arc<dyn Index>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_index_keeps_what_it_acknowledged() {
    let folder = tempdir().unwrap();
    let index = embedded(folder.path());
    put(&index, b"a", b"1").await;
    drop(index);
    let index = embedded(folder.path());
    assert_eq!(get(&index, b"a").await.as_deref(), Some(b"1".as_slice()));
}

async fn index_suite(mut fresh: impl FnMut() -> Arc<dyn Index>) {
    a_batch_is_all_or_nothing(&*fresh()).await;
    conditions_hold_at_the_commit(&*fresh()).await;
    counters_add_up_under_concurrency(fresh()).await;
    one_of_many_concurrent_creations_wins(fresh()).await;
    an_empty_range_stays_empty_or_conflicts(fresh()).await;
    spaces_are_apart(&*fresh()).await;
    scans_are_ordered_and_bounded(&*fresh()).await;
    scans_fold_at_the_delimiter(&*fresh()).await;
}

async fn put(index: &dyn Index, key: &[u8], value: &[u8]) {
    let mut batch = Batch::default();
    batch.put(Space::Records, key.to_vec(), value.to_vec());
    index.commit(batch).await.unwrap();
}

async fn get(index: &dyn Index, key: &[u8]) -> Option<Bytes> {
    index.get(Space::Records, key).await.unwrap()
}

async fn a_batch_is_all_or_nothing(index: &dyn Index) {
    let mut batch = Batch::default();
    batch.put(Space::Records, b"a".to_vec(), b"1".to_vec());
    batch.put(Space::Contents, b"a".to_vec(), b"2".to_vec());
    batch.delete(Space::Records, b"b".to_vec());
    index.commit(batch).await.unwrap();
    assert_eq!(get(index, b"a").await.as_deref(), Some(b"1".as_slice()));

    let mut batch = Batch::default();
    batch.require(Condition::Absent(b"x".to_vec()));
    batch.require(Condition::Absent(b"a".to_vec()));
    batch.put(Space::Records, b"x".to_vec(), b"1".to_vec());
    batch.put(Space::Contents, b"x".to_vec(), b"1".to_vec());
    batch.add(b"n".to_vec(), 1);
    assert!(matches!(index.commit(batch).await, Err(CommitError::Conflict)));
    assert_eq!(get(index, b"x").await, None);
    assert_eq!(index.get(Space::Contents, b"x").await.unwrap(), None);
    assert_eq!(get(index, b"n").await, None);
    index.commit(Batch::default()).await.unwrap();
}

async fn conditions_hold_at_the_commit(index: &dyn Index) {
    put(index, b"a", b"1").await;
    let a = || b"a".to_vec();
    for (name, condition, holds) in [
        ("present", Condition::Present(a()), true),
        ("absent but present", Condition::Absent(a()), false),
        ("is", Condition::Is(a(), "1".into()), true),
        ("is another", Condition::Is(a(), "2".into()), false),
        ("is, but absent", Condition::Is(b"b".to_vec(), "1".into()), false),
        ("absent", Condition::Absent(b"b".to_vec()), true),
        ("not present", Condition::Present(b"b".to_vec()), false),
        ("empty range", Condition::Empty(b"b".to_vec(), b"c".to_vec()), true),
        ("range with a key", Condition::Empty(b"a".to_vec(), b"b".to_vec()), false),
        ("end of a range is not in it", Condition::Empty(b"A".to_vec(), b"a".to_vec()), true),
        ("range upside down", Condition::Empty(b"b".to_vec(), b"a".to_vec()), true),
    ] {
        let mut batch = Batch::default();
        batch.require(condition);
        batch.put(Space::Records, b"z".to_vec(), name.as_bytes().to_vec());
        let result = index.commit(batch).await;
        assert_eq!(result.is_ok(), holds, "{name}");
        assert_eq!(get(index, b"z").await.as_deref() == Some(name.as_bytes()), holds, "{name}");
    }
}

async fn counters_add_up_under_concurrency(index: Arc<dyn Index>) {
    let tasks: Vec<_> = (0..64_i64)
        .map(|n| {
            let index = Arc::clone(&index);
            tokio::spawn(async move {
                let mut batch = Batch::default();
                batch.add(b"n".to_vec(), n);
                batch.add(b"n".to_vec(), -1);
                index.commit(batch).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(crate::index::counter(get(&*index, b"n").await.as_deref()), 63 * 64 / 2 - 64);
}

async fn one_of_many_concurrent_creations_wins(index: Arc<dyn Index>) {
    let tasks: Vec<_> = (0..64_u8)
        .map(|n| {
            let index = Arc::clone(&index);
            tokio::spawn(async move {
                let mut batch = Batch::default();
                batch.require(Condition::Absent(b"k".to_vec()));
                batch.put(Space::Records, b"k".to_vec(), vec![n]);
                (n, index.commit(batch).await)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (n, Ok(())) => winners.push(n),
            (_, Err(CommitError::Conflict)) => {}
            (_, Err(CommitError::Failed(cause))) => panic!("{cause}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(get(&*index, b"k").await.as_deref(), Some(winners.as_slice()));
}

/// What deleting a bucket relies on: in one group, a put and the emptiness check see each other.
async fn an_empty_range_stays_empty_or_conflicts(index: Arc<dyn Index>) {
    for round in 0..64_u8 {
        put(&*index, b"alive", b"").await;
        let delete = {
            let index = Arc::clone(&index);
            tokio::spawn(async move {
                let mut batch = Batch::default();
                batch.require(Condition::Empty(b"o".to_vec(), b"p".to_vec()));
                batch.delete(Space::Records, b"alive".to_vec());
                index.commit(batch).await.is_ok()
            })
        };
        let write = {
            let index = Arc::clone(&index);
            tokio::spawn(async move {
                let mut batch = Batch::default();
                batch.require(Condition::Present(b"alive".to_vec()));
                batch.put(Space::Records, b"o1".to_vec(), vec![round]);
                index.commit(batch).await.is_ok()
            })
        };
        let (deleted, written) = (delete.await.unwrap(), write.await.unwrap());
        assert!(deleted != written, "round {round}: deleted {deleted}, written {written}");
        let mut batch = Batch::default();
        batch.changes.push(Change::Delete(Space::Records, b"o1".to_vec()));
        index.commit(batch).await.unwrap();
    }
}

async fn spaces_are_apart(index: &dyn Index) {
    let mut batch = Batch::default();
    batch.put(Space::Contents, b"a".to_vec(), b"1".to_vec());
    index.commit(batch).await.unwrap();
    assert_eq!(get(index, b"a").await, None);
    assert_eq!(rows(index, scan(b"", b"z", 9, None)).await, Vec::<String>::new());
}

fn scan(start: &[u8], end: &[u8], limit: usize, fold: Option<(usize, &str)>) -> Scan {
    let fold = fold.map(|(offset, delimiter)| Fold { offset, delimiter: delimiter.into() });
    Scan { space: Space::Records, start: start.to_vec(), end: end.to_vec(), limit, fold }
}

async fn rows(index: &dyn Index, scan: Scan) -> Vec<String> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let rows = index.scan(scan).await.unwrap();
    rows.iter()
        .map(|row| match row {
            Row::Entry(key, value) => format!("{}={}", text(key), text(value)),
            Row::Fold(prefix) => format!("{}*", text(prefix)),
        })
        .collect()
}

async fn scans_are_ordered_and_bounded(index: &dyn Index) {
    for key in ["b", "a", "c", "aa", "a!"] {
        put(index, key.as_bytes(), b"v").await;
    }
    assert_eq!(rows(index, scan(b"a", b"c", 9, None)).await, ["a=v", "a!=v", "aa=v", "b=v"]);
    assert_eq!(rows(index, scan(b"a", b"c", 2, None)).await, ["a=v", "a!=v"]);
    assert_eq!(rows(index, scan(b"a", b"c", 0, None)).await, Vec::<String>::new());
    assert_eq!(rows(index, scan(b"c", b"a", 9, None)).await, Vec::<String>::new());
}

async fn scans_fold_at_the_delimiter(index: &dyn Index) {
    let mut batch = Batch::default();
    for n in 0..40 {
        batch.put(Space::Records, format!("xd/{n:02}").into_bytes(), b"v".to_vec());
    }
    for key in ["xd!", "xd", "xe/1", "x/", "xf", "y"] {
        batch.put(Space::Records, key.as_bytes().to_vec(), b"v".to_vec());
    }
    index.commit(batch).await.unwrap();
    let all = ["x/*", "xd=v", "xd!=v", "xd/*", "xe/*", "xf=v"];
    assert_eq!(rows(index, scan(b"x", b"y", 99, Some((1, "/")))).await, all);
    assert_eq!(rows(index, scan(b"x", b"y", 4, Some((1, "/")))).await, all[..4]);
    assert_eq!(rows(index, scan(b"x", b"y", 99, Some((2, "/")))).await[0], "x/=v");
    assert_eq!(rows(index, scan(b"xd/07", b"y", 2, Some((1, "/")))).await, ["xd/*", "xe/*"]);
}

#[tokio::test]
async fn memory_blobs_conform() {
    blobs_suite(&MemoryBlobs::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_blobs_conform() {
    let folder = tempdir().unwrap();
    blobs_suite(&FileBlobs::open(folder.path().join("blobs")).unwrap()).await;
}

async fn blobs_suite(blobs: &dyn Blobs) {
    a_blob_comes_back_in_any_range(blobs).await;
    an_unfinished_blob_goes_away(blobs).await;
    a_reader_outlives_the_deletion(blobs).await;
    assert!(blobs.room().unwrap().capacity > 0);
}

fn content(length: usize) -> Bytes {
    (0..length).map(|n| ((n * 7 + n / 251) % 256).try_into().unwrap_or(0)).collect()
}

async fn write(
    blobs: &dyn Blobs,
    id: BlobId,
    content: &Bytes,
    piece: usize,
    expected: Option<u64>,
) {
    let mut writer = blobs.create(id, expected).await.unwrap();
    let mut rest = content.clone();
    while !rest.is_empty() {
        writer.write(rest.split_to(piece.min(rest.len()))).await.unwrap();
    }
    writer.finish().await.unwrap();
}

async fn ids(blobs: &dyn Blobs) -> Vec<BlobId> {
    let mut ids = Vec::new();
    let mut shard = 0;
    while let Some(listed) = blobs.list(shard).await.unwrap() {
        ids.extend(listed.into_iter().map(|blob| blob.id));
        shard += 1;
    }
    ids
}

async fn a_blob_comes_back_in_any_range(blobs: &dyn Blobs) {
    for (length, piece) in
        [(0, 1), (1, 1), (70_000, 999), ((3 << 20) + 7, 64 << 10), (2 << 20, 2 << 20)]
    {
        let whole = content(length);
        let expected = (piece > 1).then_some(length as u64);
        let id = BlobId::random();
        write(blobs, id, &whole, piece, expected).await;
        assert_eq!(ids(blobs).await, [id]);
        for range in
            [0..length, 0..length.min(1), length / 3..length / 2, length - length.min(1)..length]
        {
            let stream = blobs.read(id, range.start as u64..range.end as u64).await.unwrap();
            let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= (3 << 20) + 7));
            assert!(pieces.concat() == whole[range.clone()], "{length} bytes, {range:?}");
        }
        blobs.delete(id).await.unwrap();
        blobs.delete(id).await.unwrap();
        assert!(matches!(blobs.read(id, 0..1).await, Err(StoreError::Gone)));
    }
}

async fn an_unfinished_blob_goes_away(blobs: &dyn Blobs) {
    for length in [10, 3 << 20] {
        let mut writer = blobs.create(BlobId::random(), None).await.unwrap();
        writer.write(content(length)).await.unwrap();
        drop(writer);
        for _ in 0..500 {
            if ids(blobs).await.is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        assert_eq!(ids(blobs).await, []);
    }
}

async fn a_reader_outlives_the_deletion(blobs: &dyn Blobs) {
    let whole = content(4 << 20);
    let id = BlobId::random();
    write(blobs, id, &whole, 1 << 20, None).await;
    let stream = blobs.read(id, 0..4 << 20).await.unwrap();
    blobs.delete(id).await.unwrap();
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    assert!(pieces.concat() == whole);
}
