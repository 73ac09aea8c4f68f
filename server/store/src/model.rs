//! The store against a model: whatever is done, it answers as a map would.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use proptest::prelude::*;
use tokio::sync::{Mutex, Notify};

use crate::{
    BucketName, Content, Deleted, EtagCondition, Inner, ObjectAttributes, ObjectKey,
    PartAttributes, Precondition, Settings, Store, StoreError, UploadAttributes, UploadId,
    UploadQuery, Usage,
    blobs::{Pins, memory::MemoryBlobs},
    index::memory::MemoryIndex,
};

mod listing;

/// Content over 16 bytes is a blob.
const INLINE_LIMIT: u64 = 16;
const KEYS: [&str; 16] = [
    "a", "a/", "a//b", "a!b", "a/b", "a/b/c", "a/c", "..", "/", "\0", "a\0", "a\0\0b", "ü/x",
    "\u{ffff}", "😀", "b",
];

pub(crate) fn in_memory() -> Store {
    let inner = Inner {
        index: Arc::new(MemoryIndex::default()),
        blobs: Arc::new(MemoryBlobs::default()),
        pins: Arc::new(Pins::default()),
        inline_limit: INLINE_LIMIT,
        reserve: 0,
        garbage: Arc::new(Notify::new()),
        garbage_lease: Mutex::new(()),
        _lock: None,
    };
    Store { inner: Arc::new(inner) }
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(KEYS.as_slice()).prop_map(str::to_owned)
}

fn any_key() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec!['a', 'b', '/', '!', '\0', '\u{1}', 'ü', '\u{ffff}']);
    prop_oneof![
        key(),
        prop::collection::vec(odd, 1..6).prop_map(|chars| chars.into_iter().collect())
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        6 => Just(Condition::None),
        1 => Just(Condition::Absent),
        1 => Just(Condition::Exists),
        2 => Just(Condition::Current),
        1 => Just(Condition::Other),
        1 => Just(Condition::NotCurrent),
        1 => (0_u64..40).prop_map(Condition::Size),
    ]
}

#[derive(Clone, Debug)]
enum Condition {
    None,
    Absent,
    Exists,
    Current,
    Other,
    NotCurrent,
    Size(u64),
}

impl Condition {
    fn precondition(&self, current: Option<&Bytes>) -> Precondition {
        let etags = || {
            let current = current.map_or_else(|| "none".to_owned(), |content| etag(content));
            Some(EtagCondition::OneOf(vec!["first".to_owned(), current]))
        };
        let other = Some(EtagCondition::OneOf(vec!["other".to_owned()]));
        match self {
            Self::None => Precondition::NONE,
            Self::Absent => Precondition::ABSENT,
            Self::Exists => {
                Precondition { if_match: Some(EtagCondition::Any), ..Precondition::NONE }
            }
            Self::Current => Precondition { if_match: etags(), ..Precondition::NONE },
            Self::Other => Precondition { if_match: other, ..Precondition::NONE },
            Self::NotCurrent => Precondition { if_none_match: etags(), ..Precondition::NONE },
            Self::Size(size) => Precondition { if_size: Some(*size), ..Precondition::NONE },
        }
    }

    fn holds(&self, current: Option<&Bytes>) -> bool {
        match self {
            Self::None => true,
            Self::Absent | Self::NotCurrent => current.is_none(),
            Self::Exists | Self::Current => current.is_some(),
            Self::Other => false,
            Self::Size(size) => current.is_some_and(|content| content.len() as u64 == *size),
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Put(String, usize, Condition),
    Delete(String, Condition),
    DeleteMany(Vec<String>),
    Begin(String),
    PutPart(prop::sample::Index, u16, usize),
    Complete(prop::sample::Index, u8, Condition),
    Abort(prop::sample::Index),
    Collect,
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        5 => (any_key(), 0_usize..40, condition()).prop_map(|(key, size, c)| Op::Put(key, size, c)),
        3 => (key(), condition()).prop_map(|(key, c)| Op::Delete(key, c)),
        1 => prop::collection::vec(key(), 0..6).prop_map(Op::DeleteMany),
        2 => key().prop_map(Op::Begin),
        6 => (index(), 1_u16..5, 0_usize..40).prop_map(|(upload, n, size)| Op::PutPart(upload, n, size)),
        3 => (index(), any::<u8>(), condition()).prop_map(|(upload, mask, c)| Op::Complete(upload, mask, c)),
        1 => index().prop_map(Op::Abort),
        1 => Just(Op::Collect),
    ]
}

type Uploads = BTreeMap<(String, UploadId), BTreeMap<u16, Bytes>>;

#[derive(Default)]
struct Model {
    objects: BTreeMap<String, Bytes>,
    uploads: Uploads,
}

fn bucket() -> BucketName {
    "bucket".parse().unwrap()
}

fn object_key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn etag(content: &[u8]) -> String {
    content.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn attributes(content: &[u8]) -> ObjectAttributes {
    ObjectAttributes { etag: etag(content), ..ObjectAttributes::default() }
}

async fn content(store: &Store, bytes: &Bytes) -> Content {
    let mut writer = store.writer(None);
    for piece in bytes.chunks(7) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

/// Carries an operation out in both and compares the answers.
async fn step(store: &Store, model: &mut Model, serial: usize, op: Op) {
    let now =
        Timestamp::from_millisecond(1_700_000_000_000 + i64::try_from(serial).unwrap()).unwrap();
    let bytes = |size: usize| {
        (0..size).map(|n| u8::try_from((serial * 31 + n) % 256).unwrap()).collect::<Bytes>()
    };
    let chosen = |index: prop::sample::Index, uploads: &Uploads| {
        let keys: Vec<_> = uploads.keys().cloned().collect();
        (!keys.is_empty()).then(|| keys[index.index(keys.len())].clone())
    };
    match op {
        Op::Put(key, size, condition) => {
            let new = bytes(size);
            let current = model.objects.get(&key);
            let precondition = condition.precondition(current);
            let content = content(store, &new).await;
            let key_of = object_key(&key);
            let result = store
                .put_object(&bucket(), &key_of, content, attributes(&new), &precondition, now)
                .await;
            assert_eq!(
                result.is_ok(),
                condition.holds(current),
                "put {key:?} {condition:?}: {result:?}"
            );
            if result.is_ok() {
                model.objects.insert(key, new);
            }
        }
        Op::Delete(key, condition) => {
            let current = model.objects.get(&key);
            let precondition = condition.precondition(current);
            let result =
                store.delete_object(&bucket(), &object_key(&key), &precondition, now).await;
            match (condition.holds(current), current) {
                (false, _) => {
                    assert!(matches!(result, Err(StoreError::PreconditionFailed)), "{result:?}");
                }
                (true, None) => assert_eq!(result.unwrap(), Deleted::Absent),
                (true, Some(_)) => {
                    assert_eq!(result.unwrap(), Deleted::Removed);
                    model.objects.remove(&key);
                }
            }
        }
        Op::DeleteMany(keys) => {
            let asked = keys.iter().map(|key| (object_key(key), Precondition::NONE)).collect();
            let answers = store.delete_objects(&bucket(), asked, now).await.unwrap();
            assert_eq!(answers.len(), keys.len());
            for (key, answer) in keys.iter().zip(answers) {
                let expected =
                    model.objects.remove(key).map_or(Deleted::Absent, |_| Deleted::Removed);
                assert_eq!(answer.unwrap(), expected, "{key:?}");
            }
        }
        Op::Begin(key) => {
            let begun = UploadAttributes::default();
            let upload =
                store.create_upload(&bucket(), &object_key(&key), begun, now).await.unwrap();
            model.uploads.insert((key, upload.id), BTreeMap::new());
        }
        Op::PutPart(index, number, size) => {
            let Some((key, id)) = chosen(index, &model.uploads) else { return };
            let new = bytes(size);
            let content = content(store, &new).await;
            let said = PartAttributes { etag: etag(&new), ..PartAttributes::default() };
            let key_of = object_key(&key);
            store.put_part(&bucket(), &key_of, id, number, content, said, now).await.unwrap();
            model.uploads.get_mut(&(key, id)).unwrap().insert(number, new);
        }
        Op::Complete(index, mask, condition) => {
            complete(store, model, chosen(index, &model.uploads), mask, condition, now).await;
        }
        Op::Abort(index) => {
            let Some((key, id)) = chosen(index, &model.uploads) else { return };
            store.abort_upload(&bucket(), &object_key(&key), id, now).await.unwrap();
            let again = store.abort_upload(&bucket(), &object_key(&key), id, now).await;
            assert!(matches!(again, Err(StoreError::NoSuchUpload)));
            model.uploads.remove(&(key, id));
        }
        Op::Collect => {
            store.collect_garbage().await.unwrap();
            assert_eq!(store.health().await.garbage, 0);
        }
    }
}

async fn complete(
    store: &Store,
    model: &mut Model,
    chosen: Option<(String, UploadId)>,
    mask: u8,
    condition: Condition,
    now: Timestamp,
) {
    let Some((key, id)) = chosen else { return };
    let put = &model.uploads[&(key.clone(), id)];
    let numbers: Vec<u16> = (1..5).filter(|n| mask & (1 << n) != 0).collect();
    let whole: Bytes = numbers.iter().filter_map(|n| put.get(n)).flatten().copied().collect();
    let current = model.objects.get(&key);
    let precondition = condition.precondition(current);
    let key_of = object_key(&key);
    let result = store
        .complete_upload(&bucket(), &key_of, id, &numbers, attributes(&whole), &precondition, now)
        .await;
    if numbers.is_empty() {
        assert!(matches!(result, Err(StoreError::InvalidPartOrder)));
        return;
    }
    if let Some(missing) = numbers.iter().find(|n| !put.contains_key(n)) {
        assert!(matches!(result, Err(StoreError::InvalidPart(n)) if n == *missing), "{result:?}");
        return;
    }
    assert_eq!(
        result.is_ok(),
        condition.holds(current),
        "complete {key:?} {condition:?}: {result:?}"
    );
    if let Ok(object) = result {
        let parts = store.parts(&object).await.unwrap();
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), numbers);
        model.uploads.remove(&(key.clone(), id));
        model.objects.insert(key, whole);
    }
}

/// Compares all that can be seen.
async fn compare(store: &Store, model: &Model) {
    let bytes = model.objects.values().map(|content| content.len() as u64).sum();
    let usage = store.usage(&bucket()).await.unwrap();
    assert_eq!(usage, Usage { objects: model.objects.len() as u64, bytes });
    for (key, content) in &model.objects {
        let object = store.object(&bucket(), &object_key(key)).await.unwrap();
        assert_eq!(
            (object.size(), &object.attributes().etag),
            (content.len() as u64, &etag(content))
        );
        let length = content.len();
        for range in [0..length, length / 3..length / 2, length / 2..length] {
            let reader = store.read(&object, range.start as u64..range.end as u64).await.unwrap();
            let read: Vec<Bytes> = reader.try_collect().await.unwrap();
            assert_eq!(read.concat(), content[range], "{key:?}");
        }
        assert!(matches!(
            store.read(&object, 0..length as u64 + 1).await,
            Err(StoreError::Range { .. })
        ));
    }
    for ((key, id), parts) in &model.uploads {
        let page = store.list_parts(&bucket(), &object_key(key), *id, 0, 100).await.unwrap();
        let listed: Vec<_> =
            page.parts.iter().map(|part| (part.number, part.attributes.etag.clone())).collect();
        assert_eq!(
            listed,
            parts.iter().map(|(n, content)| (*n, etag(content))).collect::<Vec<_>>()
        );
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn run(store: &Store, ops: Vec<Op>) {
    store.create_bucket(&bucket(), "r", Timestamp::UNIX_EPOCH).await.unwrap();
    let mut model = Model::default();
    for (serial, op) in ops.into_iter().enumerate() {
        step(store, &mut model, serial, op).await;
    }
    compare(store, &model).await;
    store.collect_garbage().await.unwrap();
    compare(store, &model).await;

    // A refused write's blob is removed beside its caller; then only what is named is left.
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    let later = Timestamp::from_second(10_000_000_000).unwrap();
    let big = |content: &&Bytes| content.len() as u64 > INLINE_LIMIT;
    if store.inner.inline_limit == INLINE_LIMIT {
        let swept = store.sweep(Duration::ZERO, later).await.unwrap();
        let parts = model.uploads.values().flat_map(BTreeMap::values).filter(big).count();
        assert_eq!(swept.removed, 0);
        assert!(swept.seen >= parts as u64);
    }
    compare(store, &model).await;

    // Emptied, the bucket can go, and nothing at all stays behind.
    let all = model.objects.keys().map(|key| (object_key(key), Precondition::NONE)).collect();
    if !model.objects.is_empty() {
        assert!(matches!(
            store.delete_bucket(&bucket(), later).await,
            Err(StoreError::BucketNotEmpty)
        ));
    }
    store.delete_objects(&bucket(), all, later).await.unwrap();
    store.delete_bucket(&bucket(), later).await.unwrap();
    store.collect_garbage().await.unwrap();
    assert_eq!(store.sweep(Duration::ZERO, later).await.unwrap().seen, 0);
    store.create_bucket(&bucket(), "r", later).await.unwrap();
    assert_eq!(store.usage(&bucket()).await.unwrap(), Usage::default());
    let uploads =
        store.list_uploads(&bucket(), &UploadQuery { limit: 9, ..UploadQuery::default() }).await;
    assert_eq!(uploads.unwrap().entries, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_operations_end_as_in_the_model(ops in prop::collection::vec(op(), 0..60)) {
        block_on(run(&in_memory(), ops));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn any_operations_end_as_in_the_model_on_disk(ops in prop::collection::vec(op(), 0..60)) {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let settings = Settings { inline_limit: INLINE_LIMIT, reserve: 0, ..Settings::new(folder.path()) };
            let store = Store::open(settings).await.unwrap();
            run(&store, ops).await;
            store.close().await;
        });
    }
}
