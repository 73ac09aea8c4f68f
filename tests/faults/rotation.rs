//! `kill -9` at random moments of a key rotation, under readers and writers: nothing is lost, nothing is changed, and afterwards the old
//! key can go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::server::Server;
use coffer_tests::{identity, static_kms};
use futures_util::stream::{self, StreamExt as _};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

const API: &str = "/minio/admin/v3/key-rotation";
const SSE: &str = "x-amz-server-side-encryption";
const AT_ONCE: usize = 32;
/// 32 times `k`.
const CUSTOMER: [(&str, &str); 3] = [
    ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
    ("x-amz-server-side-encryption-customer-key", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="),
    ("x-amz-server-side-encryption-customer-key-md5", "mT2HRsMGJ5IX5C+0rreZ8Q=="),
];

/// How an object is encrypted, and how large it is: most are small, some have a file of their own, a few are plain or their owner's.
fn form(number: usize) -> (&'static str, usize) {
    let kind = match number % 50 {
        0 => "plain",
        1 | 2 => "own",
        3..20 => "kms",
        _ => "s3",
    };
    (kind, if number.is_multiple_of(500) { 70_000 } else { number % 200 })
}

fn headers(kind: &str) -> Vec<(&'static str, &'static str)> {
    match kind {
        "plain" => Vec::new(),
        "own" => CUSTOMER.to_vec(),
        "kms" => vec![(SSE, "aws:kms")],
        _ => vec![(SSE, "AES256")],
    }
}

fn reading(kind: &str) -> Vec<(&'static str, &'static str)> {
    if kind == "own" { CUSTOMER.to_vec() } else { Vec::new() }
}

/// Content that says whose it is.
fn content(number: usize) -> Vec<u8> {
    let (_, size) = form(number);
    format!("object {number:08} ").into_bytes().into_iter().cycle().take(size).collect()
}

fn path(number: usize) -> String {
    let (kind, _) = form(number);
    format!("/photos/{kind}/{number:08}")
}

/// What must stay: ETag and Last-Modified.
type Told = (String, String);

/// Reads one, whole; what is told of it.
async fn read(client: &Client, number: usize) -> Told {
    let (kind, _) = form(number);
    let answer = client.send("GET", &path(number), "", &reading(kind), "").await;
    assert_eq!(answer.status, 200, "{}: {}", path(number), answer.text());
    assert!(answer.body == content(number), "{} has another content", path(number));
    (answer.header("etag"), answer.header("last-modified"))
}

async fn all<F: Future>(objects: usize, one: impl FnMut(usize) -> F) -> Vec<F::Output> {
    stream::iter(0..objects).map(one).buffered(AT_ONCE).collect().await
}

async fn status(client: &Client) -> Option<Value> {
    let answer = client.try_send("GET", API, "", &[], "").await.ok()?;
    serde_json::from_slice(&answer.body).ok()
}

/// Reads and writes until told to stop; how many requests the server answered. It may be gone at any time, but never answers wrongly.
async fn load(client: Client, objects: usize, seed: u64, stop: &AtomicBool) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let number = random.random_range(0..objects);
        let (kind, _) = form(number);
        let got = client.try_send("GET", &path(number), "", &reading(kind), "").await;
        let line = format!("/photos/load/{seed}");
        let put = client.try_send("PUT", &line, "", &[(SSE, "AES256")], "x").await;
        for answer in [got, put] {
            match answer {
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{}: {}", path(number), answer.text());
                    answered += 1;
                }
                // Killed; it comes back.
                Err(_gone) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
    answered
}

async fn rotated(objects: usize, kills: u32) {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let kms = static_kms::write(folder.path());
    let mut settings: Vec<(&str, &str)> =
        kms.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // What is logged of each request would be the most of it.
    settings.push(("COFFER_LOG", "info"));
    let mut server = Server::start_in(folder, &settings).await;
    let client = server.client().clone();
    let client = &client;
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, 200);
    let begin = Instant::now();
    all(objects, |number| async move {
        let (kind, _) = form(number);
        let answer = client.send("PUT", &path(number), "", &headers(kind), content(number)).await;
        assert_eq!(answer.status, 200, "{}: {}", path(number), answer.text());
    })
    .await;
    let before: Vec<Told> = all(objects, |number| read(client, number)).await;
    eprintln!("{objects} objects are there after {:?}", begin.elapsed());

    // From now on everything is written under the new key.
    server.kill();
    server.set("COFFER_KMS_DEFAULT_KEY", static_kms::OTHER_KEY);
    server.launch().await;
    let query = format!("from={}&to={}", static_kms::DEFAULT_KEY, static_kms::OTHER_KEY);
    let begin = Instant::now();
    let asked = client.send("POST", API, &query, &[], "").await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let stop = AtomicBool::new(false);
    let lives = AtomicUsize::new(0);
    let killer = async {
        let mut random = StdRng::seed_from_u64(7);
        for _life in 0..kills {
            tokio::time::sleep(Duration::from_millis(random.random_range(5..150))).await;
            if status(client).await.is_none_or(|told| told["finished"].is_null()) {
                lives.fetch_add(1, Ordering::Relaxed);
            }
            server.kill();
            server.launch().await;
        }
        let told = loop {
            if let Some(told) = status(client).await.filter(|told| !told["finished"].is_null()) {
                break told;
            }
            assert!(begin.elapsed() < Duration::from_mins(20), "it doesn't end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        stop.store(true, Ordering::Relaxed);
        told
    };
    let readers = (0..4).map(|seed| load(client.clone(), objects, seed, &stop));
    let (told, answered) = tokio::join!(killer, futures_util::future::join_all(readers));
    let own = (0..objects).filter(|number| form(*number).0 == "own").count();
    eprintln!(
        "rotated after {:?}, {} lives and {} answers meanwhile: {told}",
        begin.elapsed(),
        lives.load(Ordering::Relaxed),
        answered.iter().sum::<usize>()
    );
    assert!(
        lives.load(Ordering::Relaxed) > 0,
        "it was over before the first kill; use more objects"
    );
    assert_eq!((&told["remaining"], &told["customers"]), (&0.into(), &own.into()), "{told}");
    assert_eq!(told["oldKeyProtectsNothing"], true, "{told}");

    // The old key goes for good.
    server.kill();
    std::fs::remove_file(server.folder().join("kms").join(static_kms::DEFAULT_KEY)).unwrap();
    server.launch().await;
    let after: Vec<Told> = all(objects, |number| read(client, number)).await;
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        assert_eq!(before, after, "{}", path(number));
    }
    eprintln!("all of it is as it was, without the old key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_goes_on_and_changes_nothing() {
    rotated(2_000, 3).await;
}

/// The same over many: `cargo test -p coffer-tests --test faults -- --ignored rotation:: --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: tests/run long"]
async fn a_rotation_of_a_hundred_thousand_goes_on_and_changes_nothing() {
    rotated(100_000, 25).await;
}
