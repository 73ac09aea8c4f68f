//! One operator works, another waits: a clean end hands over at once, a kill after the lease's time, and nothing is done twice.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use coffer_tests::clients;
use coffer_tests::cluster::{
    self, OPERATOR, condition, eventually, get, kubectl, namespace, recorded, tenant, wait_ready,
    writes_of,
};
use coffer_tests::proxy::Proxy;
use tempfile::TempDir;

use crate::operator::{self, Access, Operator};

/// How long a lease holds that nobody renews (`operator/src/lease.rs`).
const LIFE: Duration = Duration::from_secs(15);
/// How often the lease is renewed by its holder, and looked at by those who wait.
const LOOK: Duration = Duration::from_secs(2);
/// What a request or two may take on a machine that has other work.
const REQUESTS: Duration = Duration::from_secs(1);

/// Two operators that want the same lease, each behind a proxy of its own, which counts its writes: none of leases or events.
struct Two {
    folder: TempDir,
    health: [String; 2],
    proxies: [Proxy; 2],
}

const NAMES: [&str; 2] = ["first", "second"];

impl Two {
    async fn prepare() -> Self {
        let (access, folder) = (Access::of_the_chart(), operator::folder());
        let start = || Proxy::start(&access.server, &access.roots, |_| {});
        let proxies = [start().await, start().await];
        for (name, proxy) in NAMES.iter().zip(&proxies) {
            access.write_kubeconfig(&folder.path().join(name), &proxy.url());
        }
        let health = NAMES.map(|_| free_address());
        Self { folder, health, proxies }
    }

    fn start(&self, which: usize) -> Operator {
        Operator::candidate(&self.kubeconfig(which), &self.health[which], NAMES[which])
    }

    fn kubeconfig(&self, which: usize) -> PathBuf {
        self.folder.path().join(NAMES[which])
    }

    /// The first one, which leads, and the second one, which waits.
    async fn started(&self) -> [Operator; 2] {
        let first = self.start(0);
        eventually("the first one leads", LIFE + LOOK * 2, async || {
            (holder() == NAMES[0]).then_some(())
        })
        .await;
        let second = self.start(1);
        eventually("the second one waits", Duration::from_secs(10), async || {
            (metric(&self.health[1], "coffer_operator_leader") == Some(0.0)).then_some(())
        })
        .await;
        eventually("the first one says so", Duration::from_secs(10), async || {
            (metric(&self.health[0], "coffer_operator_leader") == Some(1.0)).then_some(())
        })
        .await;
        [first, second]
    }
}

/// An address that was free a moment ago.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Who has the lease; nobody where it was given up.
fn holder() -> String {
    let lease = get("lease", cluster::SYSTEM, "coffer-operator");
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// What is at `/metrics`, or nothing where nobody answers.
fn metrics(address: &str) -> Option<String> {
    let url = format!("http://{address}/metrics");
    let output = Command::new("curl").args(["-sS", "--fail", "--noproxy", "*", &url]).output();
    let output = output.unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The value of a series, by all that stands before it.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

fn metric(address: &str, series: &str) -> Option<f64> {
    value(&metrics(address)?, series)
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_an_operator_that_is_told_to_end_hands_over_at_once() {
    cluster::install();
    namespace("handed");
    let without = cluster::WithoutOperator::begin().await;
    let two = Two::prepare().await;
    let [first, second] = two.started().await;
    cluster::apply(&tenant("handed", "before", ""));
    wait_ready("handed", "before");
    // It is told so in the middle of its work.
    cluster::apply(&tenant("handed", "between", ""));
    first.signal("-TERM");
    let told = Instant::now();
    let said = two.kubeconfig(0).with_extension("log");
    let status = tokio::task::spawn_blocking(move || first.end()).await.unwrap();
    let ended = told.elapsed();
    let said = std::fs::read_to_string(said).unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("couldn't be given up"), "{said}");
    assert!(!said.contains("were cut off"), "{said}");
    let has = holder();
    assert!(has.is_empty() || has == NAMES[1], "the lease is still `{has}`'s");
    let ((), took) = eventually("the second one leads", LIFE * 2, async || {
        (metric(&two.health[1], "coffer_operator_leader") == Some(1.0)).then_some(())
    })
    .await;
    println!("ended {ended:?} after SIGTERM; the next one leads {took:?} later");
    assert!(
        took < LOOK * 2 + REQUESTS,
        "{took:?}: the lease was waited for, as if it had not been released"
    );
    assert_eq!(holder(), NAMES[1]);
    wait_ready("handed", "between");
    cluster::apply(&tenant("handed", "after", ""));
    wait_ready("handed", "after");
    // A clean end of the only one leaves the lease to nobody: the installed operator is there at once.
    second.signal("-TERM");
    let status = tokio::task::spawn_blocking(move || second.end()).await.unwrap();
    assert_eq!((status.code(), holder()), (Some(0), String::new()));
    drop(without);
}

#[tokio::test(flavor = "multi_thread")]
async fn l2_of_two_operators_one_works_and_the_other_takes_over_from_the_dead() {
    cluster::install();
    namespace("two");
    let without = cluster::WithoutOperator::begin().await;
    let two = Two::prepare().await;
    let [first, second] = two.started().await;
    for proxy in &two.proxies {
        proxy.reset();
    }
    cluster::apply(&tenant("two", "one", ""));
    wait_ready("two", "one");
    // At rest, before what is counted.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (by_first, by_second) = (two.proxies[0].reset(), two.proxies[1].reset());
    assert!(by_first >= 10, "the one that leads wrote {by_first} times");
    assert_eq!(by_second, 0, "the one that waits wrote");
    let pod = get("pod", "two", "one-0")["metadata"]["uid"].clone();

    // Killed in the middle of another Tenant.
    cluster::apply(&tenant("two", "other", ""));
    eventually("it has begun", Duration::from_secs(10), async || {
        (!get("secret", "two", "other-authority").is_null()).then_some(())
    })
    .await;
    let since = recorded();
    first.signal("-KILL");
    let killed = Instant::now();
    drop(first);
    assert_ne!(holder(), NAMES[1], "it didn't wait for the lease's end");
    eventually("the second one leads", LIFE * 3, async || (holder() == NAMES[1]).then_some(()))
        .await;
    let took = killed.elapsed();
    println!("the other leads {took:?} after the kill; a lease holds for {LIFE:?}");
    // It counts from the last renewal that it saw, which may be a look old, and looks every so often.
    assert!(took < LIFE + LOOK * 2 + REQUESTS, "{took:?}");
    assert!(took > LIFE - LOOK * 2, "{took:?}: it didn't wait for the lease's end");
    assert_eq!(metric(&two.health[1], "coffer_operator_leader"), Some(1.0));
    wait_ready("two", "other");
    assert!(two.proxies[1].reset() > 0);

    // What was done already isn't done again, and the rest once.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let writes = writes_of(OPERATOR, since);
    let again: Vec<&String> = writes
        .iter()
        .filter(|write| write.split(" two/").nth(1).is_some_and(|it| it.starts_with("one")))
        .collect();
    assert!(again.is_empty(), "{again:#?}");
    for object in
        ["statefulsets  two/other", "services  two/other", "persistentvolumeclaims  two/other-data"]
    {
        let made = format!("create {object}");
        let times = writes.iter().filter(|write| **write == made).count();
        assert!(times <= 1, "{made}: {times} times\n{writes:#?}");
    }
    assert_eq!(get("pod", "two", "one-0")["metadata"]["uid"], pod);
    assert!(second.log().contains("leading"));
    second.signal("-TERM");
    assert_eq!(tokio::task::spawn_blocking(move || second.end()).await.unwrap().code(), Some(0));
    drop(without);
}

/// Over the Service that the chart makes, as Prometheus reads them.
#[tokio::test]
async fn l3_metrics_are_served_in_the_cluster() {
    cluster::install();
    namespace("measured");
    cluster::apply(&tenant("measured", "photos", ""));
    cluster::apply(&tenant("measured", "broken", "rootCredentials: {secretRef: {name: missing}}"));
    wait_ready("measured", "photos");
    eventually("the broken one is told", Duration::from_secs(30), async || {
        (condition("measured", "broken", "Ready").1 == "ReferenceNotFound").then_some(())
    })
    .await;
    let service = format!("coffer-operator-metrics.{}.svc.cluster.local:8080", cluster::SYSTEM);
    let answer = clients::run(
        Command::new("curl")
            .args(["-sS", "-i", "--fail", "--noproxy", "*"])
            .arg(format!("http://{service}/metrics")),
    );
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert!(
        answer.to_lowercase().contains("content-type: application/openmetrics-text"),
        "{answer}"
    );
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    let of =
        |series: &str| value(&answer, series).unwrap_or_else(|| panic!("no {series} in\n{answer}"));
    assert!(of(r#"coffer_operator_reconcile_duration_seconds_count{kind="Tenant"}"#) > 1.0);
    assert!(of(r#"coffer_operator_reconcile_duration_seconds_sum{kind="Tenant"}"#) > 0.0);
    assert!(
        of(r#"coffer_operator_reconcile_duration_seconds_bucket{le="+Inf",kind="Tenant"}"#) > 1.0
    );
    assert!(of(r#"coffer_operator_reconciles_running{kind="Tenant"}"#) >= 0.0);
    let errors =
        r#"coffer_operator_reconcile_errors_total{kind="Tenant",reason="ReferenceNotFound"}"#;
    assert!(of(errors) >= 1.0);
    assert!(of(r#"coffer_operator_writes_total{kind="Tenant"}"#) >= 1.0);
    assert_eq!(of("coffer_operator_leader").to_string(), "1");
    // The certificate's end, as the status has it.
    let ends =
        of(r#"coffer_operator_certificate_not_after_seconds{namespace="measured",name="photos"}"#);
    let status = get("tenant", "measured", "photos")["status"]["certificate"]["notAfter"].clone();
    let told: jiff::Timestamp = status.as_str().unwrap().parse().unwrap();
    assert_eq!(ends.to_string(), told.as_second().to_string());
    // A Tenant that is gone is gone here too.
    kubectl(&["delete", "tenant", "photos", "-n", "measured", "--timeout=60s"]);
    eventually("it is forgotten", Duration::from_secs(20), async || {
        let now = metrics(&service)?;
        (!now.contains(r#"namespace="measured",name="photos""#)).then_some(())
    })
    .await;
    for probe in ["livez", "readyz"] {
        clients::run(
            Command::new("curl")
                .args(["-sS", "--fail", "--noproxy", "*"])
                .arg(format!("http://{service}/{probe}")),
        );
    }
}
