//! G2: EIO and ENOSPC at each write and sync: never acknowledged, nothing acknowledged lost, and it serves again by itself.

use std::time::{Duration, Instant};

use coffer_tests::server::Server;
use futures_util::future::join_all;
use tempfile::TempDir;

use crate::held::{self, content, told};
use crate::kill::{Act, BLOB, INLINE, LARGE, parts};
use crate::trace::{Spoiler, Threads};

/// Waits until writes work.
async fn recovers(server: &Server, why: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = server
            .client()
            .reconnecting()
            .try_send("PUT", "/photos/after", "", &[], content(5, BLOB))
            .await;
        match &answer {
            Ok(answer) if answer.status == 200 => return,
            // Refused before its body was read, a client may see only that the connection ends.
            Err(_ended) => {}
            Ok(answer) => assert!(answer.status.is_server_error(), "{why}: {}", answer.text()),
        }
        let log = || server.read_log();
        assert!(Instant::now() < deadline, "{why}: it doesn't come back: {answer:?}\n{}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets a call fail in an operation, and says how often it was made.
async fn fails_once(
    server: &mut Server,
    act: Act,
    threads: Threads,
    call: &str,
    how: &str,
) -> usize {
    let data = server.folder().join("data");
    let client = server.client().reconnecting();
    // At once, so that there are threads enough: one that starts later than strace isn't seen.
    let warm = (0..6).map(|_| client.send("PUT", "/photos/kept", "", &[], content(7, LARGE)));
    assert!(join_all(warm).await.iter().all(|answer| answer.status == 200));
    let mut case = act.prepare(&client).await;
    let spoiler = Spoiler::attach(server.pid(), &data, threads, call, how);
    let (method, path, query) = parts(&case.line);
    let headers: Vec<(&str, &str)> =
        case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = client.try_send(method, path, query, &headers, case.body.clone()).await;
    let injected = spoiler.finish();
    let why = format!("{act:?}, {call} fails by {how}: {injected:?}");
    let status = answer.as_ref().map(|answer| answer.status.as_u16());
    // Which of its first threads become the runtime's workers is up to the kernel: where one was watched, an answer may have
    // failed instead of the disk.
    let is_answer = injected.iter().any(|line| line.contains("<socket:"));
    if is_answer {
        eprintln!("{why}: that was an answer; once more with other threads");
    } else if injected.is_empty() {
        assert!(matches!(status, Ok(200 | 204)), "{why}: answered {answer:?}");
    } else {
        assert!(matches!(status, Err(_) | Ok(500 | 503 | 507)), "{why}: answered {answer:?}");
    }
    recovers(server, &why).await;
    // What was acknowledged before is still served.
    let kept = client.reconnecting().send("GET", "/photos/kept", "", &[], "").await;
    assert_eq!(held::of_bytes(&kept.body), told(7, LARGE), "{why}");
    server.kill();
    for state in [&mut case.before, &mut case.after] {
        state.insert("after".to_owned(), told(5, BLOB));
    }
    if injected.is_empty() {
        held::assert_one_of(&data, &[&case.after], &why).await;
    } else {
        held::assert_one_of(&data, &[&case.before, &case.after], &why).await;
    }
    server.launch().await;
    if is_answer { 0 } else { injected.len() }
}

async fn fails(act: Act, threads: Threads, calls: &[&str]) {
    let mut server = Server::start_in(TempDir::new().unwrap(), &[("COFFER_LOG", "warn")]).await;
    assert_eq!(
        server.client().reconnecting().send("PUT", "/photos", "", &[], "").await.status,
        200
    );
    let mut points = 0;
    for call in calls {
        for (error, when) in [("EIO", "1"), ("EIO", "1+"), ("ENOSPC", "1"), ("ENOSPC", "1+")] {
            let mut tries = 0;
            loop {
                let hit = fails_once(
                    &mut server,
                    act,
                    threads,
                    call,
                    &format!("error={error}:when={when}"),
                )
                .await;
                points += hit;
                tries += 1;
                if hit > 0 {
                    break;
                }
                assert!(
                    tries < 10,
                    "{act:?}: {call} was never called by the threads that were watched"
                );
            }
        }
    }
    eprintln!("{act:?}: {points} calls failed, none was acknowledged");
}

macro_rules! failures {
    ($($name:ident: $act:expr, $threads:expr, $calls:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            fails($act, $threads, &$calls).await;
        })*
    };
}

failures! {
    g2_put_inline: Act::Put { size: INLINE }, Threads::Commit, ["write", "fdatasync"];
    g2_put_blob: Act::Put { size: BLOB }, Threads::Files, ["openat", "writev", "fdatasync", "fsync"];
    g2_put_large: Act::Put { size: LARGE }, Threads::Files, ["fallocate", "writev", "fdatasync", "fsync"];
    g2_put_blob_commit: Act::Put { size: BLOB }, Threads::Commit, ["write", "fdatasync"];
    g2_part: Act::Part { size: BLOB }, Threads::Files, ["writev", "fdatasync", "fsync"];
    g2_complete: Act::Complete, Threads::Commit, ["write", "fdatasync"];
    g2_copy: Act::Copy { size: BLOB }, Threads::Files, ["writev", "fdatasync", "fsync"];
    g2_delete: Act::Delete { size: BLOB }, Threads::Commit, ["write", "fdatasync"];
}
