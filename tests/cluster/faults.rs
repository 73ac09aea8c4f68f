//! The operator is killed, and the tenant's objects come all the same.

use std::time::Duration;

use std::process::Command;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use coffer_tests::cluster::{self, eventually, get, kubectl, namespace, tenant, wait_ready};
use coffer_tests::proxy::Proxy;

use crate::operator::{self, Access, Operator};

/// Killed again and again while it makes a Tenant.
#[tokio::test]
async fn f1_an_operator_that_is_killed_goes_on_where_it_was() {
    cluster::install();
    namespace("killed");
    for round in 0..4 {
        let name = format!("photos-{round}");
        cluster::apply(&tenant("killed", &name, ""));
        tokio::time::sleep(Duration::from_millis(100 * round)).await;
        kubectl(&[
            "delete",
            "pod",
            "-n",
            cluster::SYSTEM,
            "-l",
            "app.kubernetes.io/name=coffer-operator",
            "--grace-period=0",
            "--force",
        ]);
        wait_ready("killed", &name);
        // The volumes of this cluster are few.
        kubectl(&["delete", "tenant", &name, "-n", "killed"]);
        kubectl(&["delete", "pvc", &format!("{name}-data"), "-n", "killed"]);
    }
    eventually("no pods", Duration::from_secs(60), async || {
        let left = kubectl(&["get", "pods", "-n", "killed", "-o", "name"]);
        left.trim().is_empty().then_some(())
    })
    .await;
}

/// Without the operator a tenant goes on serving.
#[tokio::test]
async fn f2_data_does_not_need_the_operator() {
    cluster::install();
    namespace("alone");
    cluster::apply(&tenant("alone", "photos", ""));
    wait_ready("alone", "photos");
    let photos = cluster::client("alone", "photos");
    let without = cluster::WithoutOperator::begin().await;
    assert_eq!(photos.send("PUT", "/album", "", &[], "").await.status, 200);
    drop(without);
    assert!(!get("statefulset", "alone", "photos").is_null());
}

/// Killed after each single write that a Tenant takes, from the first to the last; the next process completes it.
#[tokio::test(flavor = "multi_thread")]
async fn f3_an_operator_that_is_killed_after_any_write_goes_on() {
    cluster::install();
    namespace("writes");
    let without = cluster::WithoutOperator::begin().await;
    let access = Access::of_the_chart();
    let victim: Arc<Mutex<Option<u32>>> = Arc::default();
    let (kill_at, killed) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicU64::new(0)));
    let proxy = {
        let (victim, kill_at, killed) =
            (Arc::clone(&victim), Arc::clone(&kill_at), Arc::clone(&killed));
        Proxy::start(&access.server, &access.roots, move |number| {
            if i64::try_from(number).unwrap() == kill_at.load(Ordering::SeqCst)
                && let Some(pid) = victim.lock().unwrap().take()
            {
                Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
                killed.fetch_add(1, Ordering::SeqCst);
            }
        })
        .await
    };
    let folder = operator::folder();
    let kubeconfig = folder.path().join("kubeconfig");
    access.write_kubeconfig(&kubeconfig, &proxy.url());

    let mut points = 0;
    for at in 1.. {
        let name = format!("t{at}");
        proxy.reset();
        kill_at.store(at, Ordering::SeqCst);
        let before = killed.load(Ordering::SeqCst);
        let first = Operator::alone(&kubeconfig);
        *victim.lock().unwrap() = Some(first.id());
        cluster::apply(&tenant("writes", &name, ""));
        // Either it is killed, or it has made the Tenant with fewer writes: then all were tried.
        eventually("an end", Duration::from_secs(60), async || {
            let ready = cluster::condition("writes", &name, "Ready").0 == "True";
            (ready || killed.load(Ordering::SeqCst) > before).then_some(())
        })
        .await;
        let was_killed = killed.load(Ordering::SeqCst) > before;
        victim.lock().unwrap().take();
        drop(first);
        if was_killed {
            points += 1;
            let _second = Operator::alone(&kubeconfig);
            wait_ready("writes", &name);
            for (kind, object) in [
                ("statefulset", name.clone()),
                ("service", name.clone()),
                ("service", format!("{name}-pods")),
                ("pdb", name.clone()),
                ("networkpolicy", name.clone()),
                ("serviceaccount", name.clone()),
                ("secret", format!("{name}-tls")),
                ("secret", format!("{name}-authority")),
                ("secret", format!("{name}-root")),
                ("configmap", format!("{name}-ca")),
                ("pvc", format!("{name}-data")),
            ] {
                assert!(
                    !get(kind, "writes", &object).is_null(),
                    "killed after write {at}: {kind} {object} is missing"
                );
            }
        }
        kubectl(&["delete", "tenant", &name, "-n", "writes", "--wait=false"]);
        if !was_killed {
            break;
        }
    }
    println!("killed after each of {points} writes");
    assert!(points >= 10, "{points}");
    drop(without);
}
