//! Certificates are renewed, and issued again, under load: no request fails, nothing restarts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::cluster::{
    self, client, eventually, get, kubectl, namespace, tenant, wait_ready,
};
use tokio::task::JoinHandle;

/// How soon after its Secret was deleted another certificate is served.
const SERVED_AGAIN: Duration = Duration::from_secs(5);

/// Requests without end, each over a connection of its own or one that is kept; every failure counts.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(client: &Client, namespace: &'static str, name: &'static str) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let workers = (0..4)
            .map(|worker| {
                let (stop, sent, kept) = (Arc::clone(&stop), Arc::clone(&sent), client.clone());
                tokio::spawn(async move {
                    let mut failures = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        // Half of them make a new connection for each request, which meets whatever certificate there is.
                        let fresh =
                            if worker % 2 == 0 { kept.clone() } else { kept.reconnecting() };
                        match fresh.try_send("GET", "/", "", &[], "").await {
                            Ok(answer) if answer.status == 200 => {}
                            Ok(answer) => failures.push(answer.text()),
                            Err(error) => failures.push(format!("{error:?}")),
                        }
                        sent.fetch_add(1, Ordering::Relaxed);
                        // Each connection holds a port of this machine for a minute; there are 28,000.
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    failures
                })
            })
            .collect();
        println!("load on {namespace}/{name}");
        Self { stop, sent, workers }
    }

    async fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for worker in self.workers {
            failures.extend(worker.await.unwrap());
        }
        (self.sent.load(Ordering::Relaxed), failures)
    }
}

fn serial(namespace: &str, name: &str) -> String {
    get("tenant", namespace, name)["status"]["certificate"]["serial"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn restarts(namespace: &str) -> (String, i64) {
    let pod = get("pod", namespace, "photos-0");
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    (uid, pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(-1))
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_a_certificate_is_renewed_under_load() {
    cluster::install();
    namespace("renewed");
    cluster::apply(&tenant("renewed", "photos", "tls: {duration: 1m}"));
    wait_ready("renewed", "photos");
    let (before, pod) = (serial("renewed", "photos"), restarts("renewed"));
    let load = Load::start(&client("renewed", "photos"), "renewed", "photos");
    let ((), took) = eventually("another serial", Duration::from_secs(60), async || {
        (serial("renewed", "photos") != before).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (sent, failures) = load.end().await;
    println!("renewed after {took:?}; {sent} requests, {} failed", failures.len());
    assert!(failures.is_empty(), "{:?}", failures.first());
    assert!(sent > 100);
    assert_eq!(restarts("renewed"), pod);
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_deleted_certificate_is_issued_again_under_load() {
    cluster::install();
    namespace("deleted");
    cluster::apply(&tenant("deleted", "photos", ""));
    wait_ready("deleted", "photos");
    let pod = restarts("deleted");
    let photos = client("deleted", "photos");
    let load = Load::start(&photos, "deleted", "photos");
    cluster::best_of_three("deleted, issued and served again", SERVED_AGAIN, async |_| {
        let before = photos.served_serial().await;
        let deleted = Instant::now();
        kubectl(&["delete", "secret", "photos-tls", "-n", "deleted"]);
        eventually("another one is served", Duration::from_secs(60), async || {
            (photos.served_serial().await != before).then_some(())
        })
        .await;
        let took = deleted.elapsed();
        // What is served is what the status says.
        let new = photos.served_serial().await;
        eventually("its serial is told", Duration::from_secs(10), async || {
            (serial("deleted", "photos") == new).then_some(())
        })
        .await;
        took
    })
    .await;
    let (sent, failures) = load.end().await;
    println!("{sent} requests, {} failed", failures.len());
    assert!(failures.is_empty(), "{:?}", failures.first());
    assert!(sent > 100);
    assert_eq!(restarts("deleted"), pod);
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_a_lost_authority_cuts_nobody_off() {
    cluster::install();
    namespace("lost");
    cluster::apply(&tenant("lost", "photos", ""));
    wait_ready("lost", "photos");
    let roots = || {
        let map = get("configmap", "lost", "photos-ca");
        map["data"]["ca.crt"].as_str().unwrap_or_default().to_owned()
    };
    let (old, before, pod) = (roots(), serial("lost", "photos"), restarts("lost"));
    let load = Load::start(&client("lost", "photos"), "lost", "photos");
    kubectl(&["delete", "secret", "photos-authority", "-n", "lost"]);
    let (both, took) = eventually("both roots", Duration::from_secs(30), async || {
        let both = roots();
        (both != old && both.ends_with(&old)).then_some(both)
    })
    .await;
    println!("both roots after {took:?}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (sent, failures) = load.end().await;
    assert!(failures.is_empty(), "of {sent}: {:?}", failures.first());
    assert_eq!(serial("lost", "photos"), before, "clients have yet to take the new root");

    // Those that have taken it go on when the trust is taken from the old one.
    let load = Load::start(&client("lost", "photos"), "lost", "photos");
    let patch = r#"[{"op": "remove", "path": "/data/previous.crt"}]"#;
    kubectl(&["patch", "secret", "photos-authority", "-n", "lost", "--type=json", "-p", patch]);
    let new = both.strip_suffix(&old).unwrap();
    eventually("the new root alone", Duration::from_secs(30), async || {
        (roots() == new && serial("lost", "photos") != before).then_some(())
    })
    .await;
    let (photos, after) = (client("lost", "photos"), serial("lost", "photos"));
    eventually("it is served", Duration::from_secs(30), async || {
        (photos.served_serial().await == after).then_some(())
    })
    .await;
    let (sent, failures) = load.end().await;
    assert!(failures.is_empty(), "of {sent}: {:?}", failures.first());
    assert_eq!(photos.send("GET", "/", "", &[], "").await.status, 200);
    assert_eq!(restarts("lost"), pod);
}
