//! `coffer-operator run` as a process: what it shows, what it forgets, how it ends.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod api;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use api::{Api, TOKEN};
use tempfile::TempDir;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The operator's process, and where it is asked.
struct Operator {
    process: Child,
    health: SocketAddr,
    folder: TempDir,
}

impl Operator {
    fn start(api: &Api) -> Self {
        let folder = TempDir::new().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, api.kubeconfig()).unwrap();
        // Whoever asks for a port gets one that was free a moment ago.
        let health = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_coffer-operator"))
            .arg("run")
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("COFFER_HEALTH", health.to_string())
            .env("COFFER_IMAGE", "coffer:1")
            .env("COFFER_LOG", "debug")
            .env("POD_NAMESPACE", "coffer-system")
            .env("POD_NAME", "operator-1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, health, folder }
    }

    /// The status and body of a page; nothing where nobody listens.
    fn page(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let mut connection = TcpStream::connect(self.health).ok()?;
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(connection, "{method} {path} HTTP/1.1\r\nHost: operator\r\n\r\n").ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Returns once the page holds this (or doesn't).
    fn wait_for(&mut self, path: &str, text: &str, holds: bool) -> String {
        let begin = Instant::now();
        loop {
            let page = self.page("GET", path).map(|(_, body)| body).unwrap_or_default();
            if !page.is_empty() && page.contains(text) == holds {
                return page;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", self.log());
            assert!(begin.elapsed() < PATIENCE, "{path}, {text}: {page}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn terminate(&mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "it doesn't end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Where the test failed before it ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn it_shows_what_it_does_forgets_what_goes_and_ends_cleanly() {
    let api = Api::start();
    let mut operator = Operator::start(&api);
    operator.wait_for("/readyz", "ok", true);
    let certificate =
        "coffer_operator_certificate_not_after_seconds{namespace=\"shop\",name=\"photos\"}";
    let shown = operator.wait_for("/metrics", certificate, true);
    for expected in [
        "coffer_operator_leader 1\n",
        "coffer_operator_authority_not_after_seconds{namespace=\"shop\",name=\"photos\"}",
        "coffer_operator_reconcile_duration_seconds_count{kind=\"Tenant\"}",
        "# EOF\n",
    ] {
        assert!(shown.contains(expected), "{expected} not in\n{shown}");
    }
    for (method, path, status) in [
        ("GET", "/livez", 200),
        ("HEAD", "/readyz", 200),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
    ] {
        let found = operator.page(method, path).map(|(status, _)| status);
        assert_eq!(found, Some(status), "{method} {path}");
    }

    // It is gone: nobody shall be warned of the end of its certificate.
    api.delete_tenant();
    operator.wait_for("/metrics", "photos", false);

    let begin = Instant::now();
    let status = operator.terminate();
    assert!(status.success(), "{status}: {}", operator.log());
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(api.holder(), "", "the next one needn't wait for the lease's end");
    let log = operator.log();
    assert!(log.contains("\"stopping\""), "{log}");
    assert!(!log.contains("cut off"), "{log}");
    assert!(!log.contains(TOKEN) && !log.contains("PRIVATE KEY"), "{log}");
}

#[test]
fn one_that_waits_for_the_lease_ends_at_once() {
    let api = Api::start();
    api.hold("another");
    let mut operator = Operator::start(&api);
    operator.wait_for("/readyz", "ok", true);
    let shown = operator.wait_for("/metrics", "coffer_operator_leader", true);
    assert!(shown.contains("coffer_operator_leader 0\n"), "{shown}");
    let status = operator.terminate();
    assert!(status.success(), "{status}: {}", operator.log());
    assert_eq!(api.holder(), "another");
}
