//! A server that is started anew while another process holds its socket.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::server::{Server, program};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Ends with the value.
struct Holder(Child);

impl Holder {
    fn start(address: SocketAddr, path: &Path) -> Self {
        let mut command = Command::new(program("coffer-listener"));
        command.arg("--listen").arg(address.to_string()).arg("--listener").arg(path);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::os::unix::net::UnixStream::connect(path).is_err() {
            assert!(Instant::now() < deadline, "the holder doesn't answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        // What a server that is there already gives back.
        std::thread::sleep(Duration::from_millis(500));
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

async fn server_with_holder() -> (Server, Holder, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("listener");
    let settings = [("COFFER_LISTENER", path.to_str().unwrap())];
    // Nobody is there yet: it listens by itself, and gives its socket to the holder that comes.
    let server = Server::start_in(folder, &settings).await;
    let holder = Holder::start(server.address(), &path);
    let created = server.client().send("PUT", "/album", "", &[], "").await;
    assert_eq!(created.status, 200, "{}", created.text());
    (server, holder, path)
}

/// Sends requests on new connections, each once, and counts those that failed.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
    sent: Arc<AtomicU64>,
}

impl Load {
    fn start(client: &Client) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..4).map(|number| {
            let (client, stop, sent) =
                (client.reconnecting(), Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let path = format!("/album/{number}");
                    match client.try_send("PUT", &path, "", &[], "content").await {
                        Ok(answer) if answer.status == 200 => {}
                        Ok(answer) => failures.push(answer.text()),
                        Err(error) => failures.push(format!("{error:?}")),
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                failures
            })
        });
        Self { tasks: tasks.collect(), stop, sent }
    }

    async fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for task in self.tasks {
            failures.extend(task.await.unwrap());
        }
        (self.sent.load(Ordering::Relaxed), failures)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_server_is_started_anew() {
    let (mut server, _holder, _path) = server_with_holder().await;
    let load = Load::start(server.client());
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(server.terminate());
        // What the kubelet needs for the next container.
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.launch().await;
    }
    let (sent, failures) = load.end().await;
    eprintln!("{sent} requests over five starts, {} failed", failures.len());
    assert!(failures.is_empty(), "of {sent}: {failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_connections_wait_for_the_next_server() {
    let (mut server, _holder, _path) = server_with_holder().await;
    for _ in 0..3 {
        server.kill();
        let client = server.client().reconnecting();
        let waiting =
            tokio::spawn(async move { client.send("PUT", "/album/a", "", &[], "b").await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.launch().await;
        assert_eq!(waiting.await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_holder_gets_the_socket_back_from_the_server() {
    let (mut server, holder, path) = server_with_holder().await;
    let load = Load::start(server.client());
    drop(holder);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _holder = Holder::start(server.address(), &path);
    assert!(server.terminate());
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.launch().await;
    let (sent, failures) = load.end().await;
    assert!(failures.is_empty(), "of {sent}: {failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_server_that_stays_away() {
    let (mut server, _holder, _path) = server_with_holder().await;
    server.kill();
    assert!(TcpStream::connect(server.address()).await.is_ok(), "the socket isn't held");
    let gone = Instant::now();
    while TcpStream::connect(server.address()).await.is_ok() {
        assert!(gone.elapsed() < Duration::from_secs(30), "the socket is held for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!("refused after {:?}", gone.elapsed());
    server.launch().await;
    assert_eq!(server.client().send("PUT", "/album/a", "", &[], "b").await.status, 200);
}
