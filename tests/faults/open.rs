//! G1: `kill -9` while a data folder is opened or swept: it opens again, and holds what it held.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coffer_tests::server::Server;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::held::{self, Held, content, told};

/// Starts a program that `strace` kills at the n-th call of this name, in whichever thread comes to it first.
fn start(program: &Command, call: &str, n: usize) -> Child {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-o", "/dev/null", "-e", "signal=none", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:signal=SIGKILL:when={n}")])
        .arg(program.get_program())
        .args(program.get_args());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap());
    }
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is installed")
}

/// Ends `strace` and the program under it.
fn end(child: &mut Child) {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let _gone = kill_process_group(group, Signal::KILL);
    child.wait().unwrap();
}

/// Whether the server was killed before it listened.
fn is_killed(server: &Server, call: &str, n: usize) -> bool {
    let mut command = server.command();
    command.env("COFFER_LOG", "off").env("COFFER_RESERVE_BYTES", "0");
    let mut child = start(&command, call, n);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.signal(), Some(9), "it ended by itself at {call} {n}: {status}");
            return true;
        }
        if std::net::TcpStream::connect(server.address()).is_ok() {
            end(&mut child);
            return false;
        }
        assert!(Instant::now() < deadline, "neither killed nor listening");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn copy(from: &Path, to: &Path) {
    drop(std::fs::remove_dir_all(to));
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A server that is down, and whose folder is chosen by the test.
async fn stopped() -> Server {
    let mut server = Server::start_in(TempDir::new().unwrap(), &[("COFFER_LOG", "warn")]).await;
    let client = server.client().reconnecting();
    for (path, body) in [
        ("/photos", Vec::new()),
        ("/photos/blob", content(1, 100_000)),
        ("/photos/inline", content(2, 1000)),
    ] {
        assert_eq!(client.send("PUT", path, "", &[], body).await.status, 200);
    }
    for n in 0..20 {
        assert_eq!(
            client.send("PUT", &format!("/photos/{n}"), "", &[], content(3, 20_000)).await.status,
            200
        );
    }
    server.kill();
    server
}

fn expected() -> Held {
    let mut held =
        Held::from([("blob".to_owned(), told(1, 100_000)), ("inline".to_owned(), told(2, 1000))]);
    held.extend((0..20).map(|n| (n.to_string(), told(3, 20_000))));
    held
}

/// Kills while a new folder is made; of calls that only repeat, at every `step`-th.
async fn opens_anew(calls: &[(&str, usize)]) {
    let server = stopped().await;
    let data = server.folder().join("data");
    let (mut points, mut told) = (0, Vec::new());
    for (call, step) in calls {
        let mut count = 0;
        for n in (1..).step_by(*step) {
            drop(std::fs::remove_dir_all(&data));
            if !is_killed(&server, call, n) {
                break;
            }
            count += 1;
            // Half made, it is finished; it never counts as somebody else's.
            let store = held::open(&data).await;
            store
                .create_bucket(&"photos".parse().unwrap(), "us-east-1", jiff::Timestamp::UNIX_EPOCH)
                .await
                .unwrap();
            assert_eq!(held::read(&store).await, Held::new(), "{call} {n}");
            store.close().await;
        }
        points += count;
        told.push(format!("{count} {call}"));
    }
    eprintln!("open, new: {points} points: {}", told.join(", "));
    assert!(points >= 50, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_opening_a_new_folder_writes() {
    opens_anew(&[
        ("write", 1),
        ("ftruncate", 1),
        ("unlink", 1),
        ("rename", 1),
        ("pwrite64", 1),
        ("writev", 1),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_opening_a_new_folder_syncs_and_folders() {
    opens_anew(&[("fsync", 1), ("fdatasync", 1), ("mkdir", 3)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_opening_a_folder_after_a_crash() {
    let server = stopped().await;
    let (data, crashed) = (server.folder().join("data"), server.folder().join("crashed"));
    copy(&data, &crashed);
    let mut points = Vec::new();
    for call in [
        "write",
        "fsync",
        "fdatasync",
        "rename",
        "unlink",
        "ftruncate",
        "mkdir",
        "pwrite64",
        "writev",
    ] {
        let mut count = 0;
        // Making the blobs' folders is tried again at each opening: the calls fail, all alike.
        for n in (1..).step_by(if call == "mkdir" { 16 } else { 1 }) {
            copy(&crashed, &data);
            if !is_killed(&server, call, n) {
                break;
            }
            count += 1;
            let store = held::open(&data).await;
            assert_eq!(held::read(&store).await, expected(), "{call} {n}");
            store.close().await;
        }
        points.push(format!("{count} {call}"));
    }
    eprintln!("open, after a crash: {}", points.join(", "));
    copy(&crashed, &data);
    held::assert_one_of(&data, &[&expected()], "never opened").await;
}

const FOLDER: &str = "COFFER_FAULTS_SWEEP";

#[test]
#[ignore = "the child of the test below"]
fn child_sweeps() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    // One thread for files: `strace` counts the calls of each on its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = held::open(Path::new(&folder)).await;
        let later = jiff::Timestamp::from_second(10_000_000_000).unwrap();
        store.sweep(Duration::ZERO, later).await.unwrap();
        store.close().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_sweeping_what_a_crash_left() {
    let server = stopped().await;
    let data = server.folder().join("data");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["open::child_sweeps", "--exact", "--ignored", "--test-threads=1"])
        .env(FOLDER, &data);
    let mut points = 0;
    loop {
        for n in 0..12_u32 {
            let orphan = data.join(format!("blobs/{:02x}/{:030x}", n * 20, n));
            std::fs::write(orphan, [9; 100]).unwrap();
        }
        let mut strace = start(&child, "unlink", points + 1);
        let status = strace.wait().unwrap();
        let store = held::open(&data).await;
        assert_eq!(held::read(&store).await, expected(), "unlink {}", points + 1);
        store.close().await;
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(9));
        points += 1;
    }
    eprintln!("sweep: {points} points");
    assert!(points >= 12, "{points} points");
    held::assert_one_of(&data, &[&expected()], "swept").await;
}
