//! G1: `kill -9` at random moments under 32 writers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coffer_tests::client::Client;
use coffer_tests::server::Server;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::held::{self, Held, content, told};

const WRITERS: u64 = 32;
/// What a key may hold: what was acknowledged last, and what was asked for since.
type Possible = BTreeMap<String, Vec<Option<String>>>;

/// Writes to keys of its own until the server is gone.
async fn write(
    client: Client,
    writer: u64,
    seed: u64,
    mut possible: Possible,
    acknowledged: &AtomicUsize,
) -> Possible {
    let mut random = StdRng::seed_from_u64(seed * 1000 + writer);
    loop {
        let key = format!("{writer:02}-{}", random.random_range(0..3));
        let size = match random.random_range(0..10) {
            0 => 0,
            1..6 => random.random_range(1..20_000),
            6..9 => random.random_range(40_000..200_000),
            _ => random.random_range(1_100_000..1_500_000),
        };
        let byte = random.random_range(1..=255);
        let delete = random.random_range(0..4) == 0;
        let wanted = (!delete).then(|| told(if size == 0 { 0 } else { byte }, size));
        let states = possible.entry(key.clone()).or_insert_with(|| vec![None]);
        states.push(wanted.clone());
        let path = format!("/photos/{key}");
        let answer = if delete {
            client.try_send("DELETE", &path, "", &[], Vec::new()).await
        } else {
            client.try_send("PUT", &path, "", &[], content(byte, size)).await
        };
        match answer {
            Ok(answer) if answer.status.is_success() => {
                *states = vec![wanted];
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) if answer.status.is_server_error() => {}
            Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
            Err(_gone) => return possible,
        }
    }
}

async fn rounds(rounds: u64, seed: u64) {
    let mut server = Server::start_in(TempDir::new().unwrap(), &[("COFFER_LOG", "warn")]).await;
    assert_eq!(
        server.client().reconnecting().send("PUT", "/photos", "", &[], "").await.status,
        200
    );
    let data = server.folder().join("data");
    let mut random = StdRng::seed_from_u64(seed);
    let acknowledged = AtomicUsize::new(0);
    let mut all: Vec<Possible> = vec![Possible::new(); usize::try_from(WRITERS).unwrap()];
    for round in 0..rounds {
        let life = Duration::from_millis(random.random_range(20..600));
        let client = server.client().reconnecting();
        let writers = all.into_iter().enumerate().map(|(writer, possible)| {
            write(client.clone(), writer as u64, seed + round, possible, &acknowledged)
        });
        let killer = async {
            tokio::time::sleep(life).await;
            server.kill();
        };
        (all, ()) = tokio::join!(join_all(writers), killer);
        let store = held::open(&data).await;
        let held: Held = held::read(&store).await;
        for possible in &mut all {
            for (key, states) in possible.iter_mut() {
                let is = held.get(key).cloned();
                assert!(
                    states.contains(&is),
                    "seed {seed}, round {round}: {key} holds {is:?}, none of {states:?}"
                );
                *states = vec![is];
            }
        }
        assert!(held.keys().all(|key| all.iter().any(|possible| possible.contains_key(key))));
        if round + 1 == rounds {
            held::empty_out(&store).await;
        }
        store.close().await;
        server.launch().await;
    }
    let acknowledged = acknowledged.into_inner();
    eprintln!(
        "{rounds} kills under {WRITERS} writers: {acknowledged} writes were acknowledged, none is lost"
    );
    assert!(acknowledged as u64 > rounds * 5, "the writers did next to nothing: {acknowledged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_killed_at_random_under_32_writers() {
    rounds(8, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes an hour; COFFER_FAULTS_KILLS and COFFER_FAULTS_SEED choose"]
async fn g1_killed_5000_times_under_32_writers() {
    let number = |name: &str, default| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    rounds(number("COFFER_FAULTS_KILLS", 5000), number("COFFER_FAULTS_SEED", 1)).await;
}
