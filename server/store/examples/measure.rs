//! Measures the store on this machine's disk: `measure FOLDER [OBJECTS]`. The folder must not exist.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unchecked_time_subtraction,
    reason = "a measurement fails loudly, prints, and needs no exact figures"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use coffer_store::{
    BucketName, ListQuery, ObjectAttributes, ObjectKey, Precondition, Settings, Store,
};
use futures_util::TryStreamExt;
use jiff::Timestamp;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let folder = PathBuf::from(env::args().nth(1).expect("measure FOLDER [OBJECTS]"));
    let objects: usize = env::args().nth(2).map_or(1_000_000, |text| text.parse().unwrap());
    let store = Store::open(settings(&folder)).await.unwrap();
    println!("idle: {} MB resident", resident() >> 20);
    for bucket in ["puts", "large", "small-bucket", "large-bucket"] {
        store.create_bucket(&name(bucket), "r", Timestamp::UNIX_EPOCH).await.unwrap();
    }

    for writers in [1, 32] {
        let cpu = cpu();
        let (puts, mut times) = put_for(Duration::from_secs(5), &store, writers).await;
        times.sort_unstable();
        let at = |share: f64| times[(times.len() as f64 * share) as usize];
        println!(
            "durable puts of 4 KiB, {writers} writers: {:.0}/s, p50 {:?}, p99 {:?}, {:.0} µs of CPU each",
            puts as f64 / 5.0,
            at(0.5),
            at(0.99),
            (self::cpu() - cpu).as_micros() as f64 / puts as f64
        );
    }

    large(&store, &folder).await;

    let began = Instant::now();
    fill(&store, "small-bucket", 1000, 1).await;
    let began_large = Instant::now();
    fill(&store, "large-bucket", 1000, objects / 1000).await;
    println!(
        "load of {objects} objects of 100 bytes: {:.1} s ({:.1} s for 1000)",
        began_large.elapsed().as_secs_f64(),
        (began_large - began).as_secs_f64()
    );
    println!("loaded: {} MB resident", resident() >> 20);

    list(&store, "right after the load", objects).await;
    gets(&store, objects).await;

    let closing = Instant::now();
    store.close().await;
    println!("close: {:?}", closing.elapsed());
    let opening = Instant::now();
    let store = Store::open(settings(&folder)).await.unwrap();
    println!(
        "reopen with {objects} objects: {:?}, {} MB resident",
        opening.elapsed(),
        resident() >> 20
    );
    tokio::time::sleep(Duration::from_secs(10)).await;
    list(&store, "reopened", objects).await;
    println!("after lists: {} MB resident", resident() >> 20);
    gets(&store, objects).await;
    println!("reopened: {} MB resident", resident() >> 20);
    store.close().await;
}

fn settings(folder: &Path) -> Settings {
    Settings { reserve: 0, ..Settings::new(folder) }
}

fn name(text: &str) -> BucketName {
    text.parse().unwrap()
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

async fn put(store: &Store, bucket: &BucketName, key: &ObjectKey, bytes: Bytes) {
    let mut writer = store.writer(Some(bytes.len() as u64));
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

async fn put_for(time: Duration, store: &Store, writers: usize) -> (usize, Vec<Duration>) {
    let until = Instant::now() + time;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let bucket = name("puts");
                let bytes = Bytes::from(vec![7; 4096]);
                let mut times = Vec::new();
                while Instant::now() < until {
                    let began = Instant::now();
                    let key = key(&format!("{:08x}/{writer}", rand::random::<u32>()));
                    put(&store, &bucket, &key, bytes.clone()).await;
                    times.push(began.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    (times.len(), times)
}

async fn large(store: &Store, folder: &Path) {
    const SIZE: usize = 64 << 20;
    let piece = Bytes::from(vec![7_u8; 64 << 10]);
    let megabytes = |began: Instant| (SIZE >> 20) as f64 / began.elapsed().as_secs_f64();
    for _ in 0..3 {
        let raw = {
            let path = folder.join("raw");
            let began = Instant::now();
            let mut file = fs::File::create(&path).unwrap();
            for _ in 0..64 {
                std::io::Write::write_all(&mut file, &vec![7; 1 << 20]).unwrap();
            }
            file.sync_data().unwrap();
            let rate = megabytes(began);
            fs::remove_file(path).unwrap();
            rate
        };
        let (began, cpu_before) = (Instant::now(), cpu());
        let mut writer = store.writer(Some(SIZE as u64));
        for _ in 0..SIZE / piece.len() {
            writer.write(piece.clone()).await.unwrap();
        }
        let content = writer.finish().await.unwrap();
        let (bucket, key, now) = (name("large"), key("large"), Timestamp::UNIX_EPOCH);
        let attributes = ObjectAttributes::default();
        let object = store
            .put_object(&bucket, &key, content, attributes, &Precondition::NONE, now)
            .await
            .unwrap();
        let (written, write_cpu) = (megabytes(began), cpu() - cpu_before);
        let (began, cpu_before) = (Instant::now(), cpu());
        let mut reader = store.read(&object, 0..SIZE as u64).await.unwrap();
        let mut read = 0;
        while let Some(piece) = reader.try_next().await.unwrap() {
            read += piece.len();
        }
        assert_eq!(read, SIZE);
        println!(
            "64 MiB: {written:.0} MiB/s written ({write_cpu:?} CPU; the bare disk {raw:.0}), {:.0} MiB/s read from the page cache ({:?} CPU)",
            megabytes(began),
            cpu() - cpu_before
        );
    }
}

async fn fill(store: &Store, bucket: &str, folders: usize, each: usize) {
    let tasks: Vec<_> = (0..256)
        .map(|task| {
            let (store, bucket) = (store.clone(), name(bucket));
            tokio::spawn(async move {
                let bytes = Bytes::from(vec![7; 100]);
                for n in (task..folders * each).step_by(256) {
                    let key = key(&format!("folder-{:04}/file-{:06}", n % folders, n / folders));
                    put(&store, &bucket, &key, bytes.clone()).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn list(store: &Store, when: &str, objects: usize) {
    for (bucket, held, delimiter) in [
        ("small-bucket", 1000, Some("/")),
        ("large-bucket", objects, Some("/")),
        ("small-bucket", 1000, None),
        ("large-bucket", objects, None),
    ] {
        let query = ListQuery {
            delimiter: delimiter.map(str::to_owned),
            limit: 1000,
            ..ListQuery::default()
        };
        let mut times = Vec::new();
        for _ in 0..50 {
            let began = Instant::now();
            let page = store.list_objects(&name(bucket), &query).await.unwrap();
            assert_eq!(page.entries.len(), 1000);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!(
            "list 1000 of {held}, delimiter {delimiter:?}, {when}: p50 {:?}, worst {:?}",
            times[25], times[49]
        );
    }
}

async fn gets(store: &Store, objects: usize) {
    const N: u32 = 100_000;
    let bucket = name("large-bucket");
    let (mut heads, mut reads) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..N {
        let n = rand::random::<u32>() as usize % (objects / 1000 * 1000);
        let key = key(&format!("folder-{:04}/file-{:06}", n % 1000, n / 1000));
        let began = Instant::now();
        let object = store.object(&bucket, &key).await.unwrap();
        heads += began.elapsed();
        let began = Instant::now();
        let reader = store.read(&object, 0..100).await.unwrap();
        reader.try_collect::<Vec<Bytes>>().await.unwrap();
        reads += began.elapsed();
    }
    println!(
        "random point reads, one task: record {:?}, inline content {:?}",
        heads / N,
        reads / N
    );
    let began = Instant::now();
    for _ in 0..N {
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    println!("handing nothing to another thread and back: {:?}", began.elapsed() / N);
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
