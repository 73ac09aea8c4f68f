//! A real `coffer-server`, over TLS, with a data folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use tempfile::TempDir;

use crate::client::Client;
use crate::identity;

/// The root access key of every test's server.
pub const ACCESS_KEY: &str = "testrootaccess";
/// Its secret; a canary too: it must be in no log.
pub const SECRET_KEY: &str = "test-root-secret-8b1f0c";

/// A program of ours, where `tests/run` or `cargo test` has built it.
///
/// # Panics
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let beside = || {
        let mut folder = std::env::current_exe().expect("this test is a file");
        folder.pop();
        folder.pop();
        folder
    };
    let folder = std::env::var_os("COFFER_TEST_BIN").map_or_else(beside, PathBuf::from);
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing: build it, or run tests/run", program.display());
    program
}

/// A running server. Ends with the value.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    address: SocketAddr,
    settings: Vec<(String, String)>,
    process: Option<Child>,
    client: Client,
}

impl Server {
    /// Starts one on a free port and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings beside the usual, as environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        identity::write(folder.path());
        Self::start_in(folder, settings).await
    }

    /// The same in a folder of the caller's choice, for instance on a file system that fills up.
    pub async fn start_in(folder: TempDir, settings: &[(&str, &str)]) -> Self {
        if !folder.path().join("tls").exists() {
            identity::write(folder.path());
        }
        let address = free_address();
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let ca = std::fs::read(folder.path().join("ca.crt")).expect("a CA");
        let client = Client::new("localhost", address.port(), &ca, credentials());
        let mut server = Self { folder, address, settings, process: None, client };
        server.launch().await;
        server
    }

    /// Changes a setting, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts the process, which must not run, on the same data and address.
    ///
    /// # Panics
    /// When it isn't ready within 20 seconds.
    pub async fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let command = self.command();
        self.spawn(command).await;
    }

    /// The command that starts it, for tests that run it under another program.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("coffer-server"));
        command.args(self.arguments());
        command
    }

    /// What [`Server::command`] is told.
    pub fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        [
            ("--listen", self.address.to_string()),
            ("--data", path("data")),
            ("--tls", path("tls")),
            ("--root-credentials", path("root")),
            ("--iam-keys", path("iam")),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// Starts it by `command` and waits until it is ready.
    ///
    /// # Panics
    /// When it isn't ready within 20 seconds.
    pub async fn spawn(&mut self, mut command: Command) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("a log");
        command
            .env("COFFER_LOG", "debug")
            .env("COFFER_RESERVE_BYTES", "1048576")
            // Tables of wrong signatures come from one address; what is to be slowed down says so.
            .env("COFFER_FAILED_SIGNATURES_PER_MINUTE", "0")
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(self.output())
                    .expect("a file"),
            )
            .stderr(log);
        self.process = Some(command.spawn().expect("the server starts"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.ready().await {
            assert!(Instant::now() < deadline, "not ready; its log:\n{}", self.read_log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ready(&self) -> bool {
        let headers = self.client.headers(&[]);
        let answer = self.client.send_as_is("GET", "/minio/health/ready", "", headers, "").await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("it is gone");
    }

    /// SIGTERM, and waits for the end; says whether it ended well.
    pub fn terminate(&mut self) -> bool {
        let mut process = self.process.take().expect("it runs");
        let pid = process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        process.wait().expect("it is gone").success()
    }

    /// Process id, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    /// The time that processors have spent on it.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        // Behind the program's name, which may hold anything: user and system time, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let time =
            |at| -> u64 { fields.split(' ').nth(at).expect("a time").parse().expect("a number") };
        Duration::from_millis(10 * (time(11) + time(12)))
    }

    /// Open file descriptors of the process.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").count()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the process has ended by itself; then another can be launched.
    pub fn has_ended(&mut self) -> bool {
        let Some(process) = &mut self.process else { return true };
        let ended = process.try_wait().expect("a process").is_some();
        if ended {
            self.process = None;
        }
        ended
    }

    /// Asserts that the log holds neither the secret key nor any signature: a signature is 64 hexadecimal digits, and so is
    /// every key that one is made with.
    pub fn assert_discreet(&self) {
        let log = self.read_log();
        assert!(!log.contains(SECRET_KEY), "the log holds the secret key");
        let mut run = 0;
        for (at, byte) in log.bytes().enumerate() {
            run = if byte.is_ascii_hexdigit() { run + 1 } else { 0 };
            assert!(run < 64, "the log holds a signature, which ends at byte {at}");
        }
    }

    /// A client that signs by the root key.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `https://localhost:PORT`.
    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The certificate that clients have to trust.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The folder with `data`, `tls` and `root`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that it has logged.
    pub fn read_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// What it has written to standard output: its audit records.
    pub fn read_output(&self) -> String {
        std::fs::read_to_string(self.output()).unwrap_or_default()
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _gone = process.kill();
            let _gone = process.wait();
        }
    }
}

/// An address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// The root credentials of every test's server.
fn credentials() -> Credentials {
    Credentials {
        access_key_id: AccessKeyId::from_str(ACCESS_KEY).expect("a key"),
        secret_key: SecretKey::new(SECRET_KEY.to_owned()),
        session_token: None,
    }
}
