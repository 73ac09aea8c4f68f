//! Nothing that was acknowledged is lost by a kill at any moment, and nothing half-written is seen.
//!
//! The test starts itself as a child that writes under 24 tasks and prints a line before each call and after each
//! answer; it is killed at random moments; what it printed is compared with what the reopened store holds.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's helpers fail the test"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use coffer_store::{
    BucketName, Content, Entry, ListQuery, ObjectAttributes, ObjectKey, PartAttributes,
    Precondition, Settings, Start, Store, StoreError, UploadAttributes, UploadEntry, UploadQuery,
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng};

const WRITERS: u32 = 24;
const KEYS: u32 = 6;
const FOLDER: &str = "COFFER_STORE_KILL_FOLDER";
const SEED: &str = "COFFER_STORE_KILL_SEED";
/// After so many steps a writer ends.
const STEPS: &str = "COFFER_STORE_KILL_STEPS";

fn rounds() -> u64 {
    env::var("COFFER_STORE_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

fn settings(folder: &Path) -> Settings {
    // A small write buffer, so that kills also meet flushes and compactions.
    Settings { reserve: 0, memtable: 1 << 20, ..Settings::new(folder) }
}

fn bucket() -> BucketName {
    "bucket".parse().unwrap()
}

fn key(writer: u32, n: u32) -> ObjectKey {
    format!("{writer:02}/{n}").parse().unwrap()
}

/// Content that tells what it is: the serial number, over and over.
fn content_of(serial: u64, size: usize) -> Bytes {
    serial.to_le_bytes().into_iter().cycle().take(size).collect()
}

async fn content(store: &Store, bytes: Bytes) -> Content {
    let mut writer = store.writer(Some(bytes.len() as u64));
    let mut rest = bytes;
    while !rest.is_empty() {
        writer.write(rest.split_to(rest.len().min(64 << 10))).await.unwrap();
    }
    writer.finish().await.unwrap()
}

/// What a key holds: absent, or a serial number and a size.
type State = Option<(u64, usize)>;

fn say(word: &str, key: &ObjectKey, state: State) {
    let state = state.map_or_else(|| "-".to_owned(), |(serial, size)| format!("{serial} {size}"));
    let line = format!("{word} {key} {state}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

/// The child: each writer owns its keys, so that the order of its answers is the order of its writes.
#[test]
#[ignore = "the child of the test below"]
fn child_writes_until_killed() {
    let folder = env::var(FOLDER).expect("is started by the test below");
    let seed: u64 = env::var(SEED).unwrap().parse().unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(settings(Path::new(&folder))).await.unwrap();
        drop(store.create_bucket(&bucket(), "r", Timestamp::UNIX_EPOCH).await);
        println!("ready");
        let tasks: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer, seed))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn write(store: Store, writer: u32, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed * 1000 + u64::from(writer));
    let bucket = bucket();
    let steps = env::var(STEPS).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    for step in 0..steps {
        let serial = seed * 1_000_000_000 + u64::from(writer) * 1_000_000 + step;
        let now = Timestamp::from_microsecond(
            1_700_000_000_000_000 + i64::try_from(serial % 1_000_000_000).unwrap(),
        )
        .unwrap();
        let key = key(writer, random.random_range(0..KEYS));
        let size = match random.random_range(0..10) {
            0 => 0,
            1..7 => random.random_range(1..8 << 10),
            7..9 => random.random_range(33 << 10..200 << 10),
            _ => random.random_range(1 << 20..3 << 20),
        };
        match random.random_range(0..10) {
            0..6 => {
                let content = content(&store, content_of(serial, size)).await;
                say("try", &key, Some((serial, size)));
                let none = &Precondition::NONE;
                store
                    .put_object(&bucket, &key, content, ObjectAttributes::default(), none, now)
                    .await
                    .unwrap();
                say("did", &key, Some((serial, size)));
            }
            6..8 => {
                say("try", &key, None);
                store.delete_object(&bucket, &key, &Precondition::NONE, now).await.unwrap();
                say("did", &key, None);
            }
            _ => {
                let begun = UploadAttributes::default();
                let upload = store.create_upload(&bucket, &key, begun, now).await.unwrap();
                let whole = content_of(serial, size + 16);
                let (first, second) = (whole.slice(..size / 16 * 8), whole.slice(size / 16 * 8..));
                // Put one of them twice, and one that the completion doesn't name.
                for (number, bytes) in
                    [(7, first.clone()), (7, first), (8, second.clone()), (9, second)]
                {
                    let content = content(&store, bytes).await;
                    let said = PartAttributes::default();
                    store
                        .put_part(&bucket, &key, upload.id, number, content, said, now)
                        .await
                        .unwrap();
                }
                if step % 5 == 0 {
                    store.abort_upload(&bucket, &key, upload.id, now).await.unwrap();
                    continue;
                }
                say("try", &key, Some((serial, size + 16)));
                let (attributes, none) = (ObjectAttributes::default(), &Precondition::NONE);
                store
                    .complete_upload(&bucket, &key, upload.id, &[7, 8], attributes, none, now)
                    .await
                    .unwrap();
                say("did", &key, Some((serial, size + 16)));
            }
        }
    }
}

/// For each key, what it may hold: what was last acknowledged, and what was tried since.
type Expected = BTreeMap<String, Vec<State>>;

/// Who ends a child, and when.
enum End {
    /// This test, after so long.
    Time(Duration),
    /// The kernel, at the n-th such call of a thread, by `strace`; or the child itself.
    Call(&'static str, u32),
}

fn run_child(folder: &Path, seed: u64, end: &End, expected: &mut Expected) -> usize {
    let this = env::current_exe().unwrap();
    let mut command = match end {
        End::Time(_) => Command::new(this),
        End::Call(call, n) => {
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
            command.arg("-e").arg(format!("inject={call}:signal=SIGKILL:when={n}"));
            command.arg(this).env(STEPS, "12");
            command
        }
    };
    let mut child = command
        .args(["child_writes_until_killed", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let (ready, is_ready) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        for line in lines.lines().map_while(Result::ok) {
            if line.ends_with("ready") {
                ready.send(()).ok();
            }
            all.push(line);
        }
        all
    });
    if let End::Time(life) = end {
        // Every fourth child is killed while it opens the store.
        if seed % 4 != 3 {
            is_ready.recv_timeout(Duration::from_mins(1)).expect("the child opens the store");
        }
        std::thread::sleep(if seed % 4 == 3 { *life / 20 } else { *life });
        child.kill().unwrap();
    }
    child.wait().unwrap();
    let mut acknowledged = 0;
    for line in reader.join().unwrap() {
        let words: Vec<&str> = line.split(' ').collect();
        let (word, key, state) = match words.as_slice() {
            [word, key, "-"] => (*word, *key, None),
            [word, key, serial, size] if ["try", "did"].contains(word) => {
                let (Ok(serial), Ok(size)) = (serial.parse(), size.parse()) else { continue };
                (*word, *key, Some((serial, size)))
            }
            _ => continue,
        };
        let states = expected.entry(key.to_owned()).or_insert_with(|| vec![None]);
        match word {
            "try" => states.push(state),
            "did" => {
                acknowledged += 1;
                *states = vec![state];
            }
            _ => {}
        }
    }
    acknowledged
}

async fn check(folder: &Path, expected: &mut Expected) {
    let store = Store::open(settings(folder)).await.unwrap();
    let bucket = bucket();
    let later = Timestamp::from_second(10_000_000_000).unwrap();
    if let Err(cause) = store.bucket(&bucket).await {
        assert!(matches!(cause, StoreError::NoSuchBucket), "{cause}");
        assert!(expected.is_empty(), "the bucket was acknowledged");
        return store.close().await;
    }
    let (mut objects, mut bytes) = (0, 0);
    for (key, states) in expected.iter_mut() {
        let object_key: ObjectKey = key.parse().unwrap();
        let found = match store.object(&bucket, &object_key).await {
            Err(StoreError::NoSuchKey) => None,
            Err(cause) => panic!("{key}: {cause}"),
            Ok(object) => {
                let reader = store.read(&object, 0..object.size()).await.unwrap();
                let pieces: Vec<Bytes> = reader.try_collect().await.unwrap();
                let whole = pieces.concat();
                assert_eq!(whole.len() as u64, object.size(), "{key}");
                objects += 1;
                bytes += object.size();
                Some(whole)
            }
        };
        let position = states.iter().position(|state| match (state, &found) {
            (None, None) => true,
            (Some((serial, size)), Some(whole)) => content_of(*serial, *size) == whole,
            _ => false,
        });
        let position = position.unwrap_or_else(|| {
            panic!(
                "{key} holds {:?}, none of {states:?}",
                found.as_ref().map(|whole| (whole.len(), whole.get(..8)))
            )
        });
        *states = vec![states[position]];
    }
    let usage = store.usage(&bucket).await.unwrap();
    assert_eq!((usage.objects, usage.bytes), (objects, bytes), "the counters are exact");

    // No listing shows anything else.
    let mut query = ListQuery { limit: 100, ..ListQuery::default() };
    let mut listed = 0;
    loop {
        let page = store.list_objects(&bucket, &query).await.unwrap();
        for entry in &page.entries {
            let Entry::Object(object) = entry else { panic!("nothing was to be folded") };
            assert!(
                matches!(expected[object.key.as_str()][0], Some((_, size)) if size as u64 == object.size)
            );
            listed += 1;
        }
        match page.next {
            Some(next) => query.start = next,
            None => break,
        }
        assert_ne!(query.start, Start::Beginning);
    }
    assert_eq!(listed, objects);

    // Uploads that the kill cut off are whole enough to be aborted. Afterwards, sweep and garbage leave only blobs that
    // objects name: deleting these leaves none.
    let query = UploadQuery { limit: 1000, ..UploadQuery::default() };
    for entry in store.list_uploads(&bucket, &query).await.unwrap().entries {
        let UploadEntry::Upload(upload) = entry else { panic!("nothing was to be folded") };
        store.abort_upload(&bucket, &upload.key, upload.id, later).await.unwrap();
    }
    store.collect_garbage().await.unwrap();
    store.sweep(Duration::ZERO, later).await.unwrap();
    assert_eq!(store.sweep(Duration::ZERO, later).await.unwrap().removed, 0);
    assert_eq!(store.health().await.garbage, 0);
    for (key, states) in expected.iter() {
        if states[0].is_some() {
            let object = store.object(&bucket, &key.parse().unwrap()).await.unwrap();
            let reader = store.read(&object, 0..object.size()).await.unwrap();
            reader.try_collect::<Vec<Bytes>>().await.unwrap();
        }
    }
    store.close().await;
}

async fn empty_out(folder: &Path, expected: &Expected) {
    let store = Store::open(settings(folder)).await.unwrap();
    let later = Timestamp::from_second(10_000_000_000).unwrap();
    let keys = expected.keys().map(|key| (key.parse().unwrap(), Precondition::NONE)).collect();
    store.delete_objects(&bucket(), keys, later).await.unwrap();
    store.collect_garbage().await.unwrap();
    assert_eq!(store.sweep(Duration::ZERO, later).await.unwrap().seen, 0, "a blob stayed behind");
    store.close().await;
}

#[test]
fn killed_at_random_it_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut expected = Expected::new();
    let mut random = StdRng::seed_from_u64(1);
    let mut acknowledged = 0;
    for seed in 0..rounds() {
        let life = Duration::from_millis(random.random_range(1..700));
        acknowledged += run_child(folder.path(), seed, &End::Time(life), &mut expected);
        runtime.block_on(check(folder.path(), &mut expected));
    }
    runtime.block_on(empty_out(folder.path(), &expected));
    println!("{} rounds, {acknowledged} writes acknowledged", rounds());
    assert!(acknowledged > 100, "the child wrote next to nothing: {acknowledged}");
}

#[test]
#[ignore = "needs strace, and some minutes"]
fn killed_at_every_nth_call_it_keeps_what_it_acknowledged() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Expected::new();
    let (mut points, mut acknowledged) = (0, 0);
    let calls = [
        ("write", 40),
        ("writev", 20),
        ("fdatasync", 40),
        ("fsync", 20),
        ("openat", 60),
        ("unlink", 8),
        ("rename", 8),
        ("ftruncate", 6),
        ("fallocate", 6),
        ("mkdir", 6),
    ];
    for (call, most) in calls {
        for n in 1..=most {
            points += 1;
            acknowledged +=
                run_child(folder.path(), 1000 + points, &End::Call(call, n), &mut expected);
            if folder.path().join("format").exists() {
                runtime.block_on(check(folder.path(), &mut expected));
            }
            // Now and then from nothing, so that the making of the folder is cut off too.
            if n % 10 == 0 {
                fs::remove_dir_all(folder.path()).unwrap();
                fs::create_dir(folder.path()).unwrap();
                expected.clear();
            }
        }
    }
    println!("{points} points, {acknowledged} writes acknowledged");
}
