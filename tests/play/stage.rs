//! A folder with manifests, and `coffer-operator play` on it.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use coffer_tests::client::Client;
use coffer_tests::server::program;
use tempfile::TempDir;

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Tenant's manifest; `more` are further lines of its spec.
pub(crate) fn tenant(name: &str, more: &str) -> String {
    format!(
        "apiVersion: coffer.dev/v1alpha1\nkind: Tenant\nmetadata:\n  name: {name}\nspec:\n  storage:\n    embedded:\n      size: 1Gi\n{more}"
    )
}

/// A folder with manifests and data, and the program that plays them.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: TempDir,
    port: u16,
    play: Option<Child>,
}

impl Stage {
    /// With these manifests, as files of a folder; nothing runs yet.
    pub(crate) fn new(manifests: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("manifests")).expect("a folder");
        let stage = Self { folder, port: three_free_ports(), play: None };
        for (name, text) in manifests {
            stage.write(name, text);
        }
        stage
    }

    /// The same, started.
    pub(crate) fn played(manifests: &[(&str, &str)]) -> Self {
        let mut stage = Self::new(manifests);
        stage.start();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Replaces or adds a manifest file, as an editor does.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.path("manifests").join(name);
        let staged = self.path("manifests").join(".staged");
        fs::write(&staged, text).expect("a file");
        fs::rename(staged, file).expect("a file");
    }

    pub(crate) fn start(&mut self) {
        assert!(self.play.is_none(), "it runs");
        let output = |name: &str| {
            let file = self.path(name);
            fs::OpenOptions::new().create(true).append(true).open(file).expect("a file")
        };
        let child = Command::new(program("coffer-operator"))
            .arg("play")
            .arg("--data")
            .arg(self.path("data"))
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--env-file")
            .arg(self.path("env"))
            .arg(self.path("manifests"))
            .env("COFFER_SERVER", program("coffer-server"))
            .stdin(Stdio::null())
            .stdout(output("out"))
            .stderr(output("err"))
            .spawn();
        self.play = Some(child.expect("play starts"));
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(&mut self, signal: &str) -> ExitStatus {
        let mut play = self.play.take().expect("it runs");
        send(signal, play.id());
        play.wait().expect("it is gone")
    }

    /// What it printed so far.
    pub(crate) fn out(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap_or_default()
    }

    /// What it complained of so far.
    pub(crate) fn err(&self) -> String {
        fs::read_to_string(self.path("err")).unwrap_or_default()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(begin.elapsed() < PATIENCE, "not so: {what}\n{}\n{}", self.out(), self.err());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a shell has that reads this file of the environment, once it is there.
    pub(crate) async fn environment(&self, file: &str) -> BTreeMap<String, String> {
        let file = self.path(file);
        self.until(&format!("{} is there", file.display()), || file.exists()).await;
        read_environment(&file)
    }

    /// A client that knows what this file of the environment says.
    pub(crate) async fn client(&self, file: &str) -> Client {
        client(&self.environment(file).await)
    }

    /// The servers that run below this `play`.
    pub(crate) fn servers(&self) -> Vec<u32> {
        children(self.play.as_ref().expect("it runs").id())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut play) = self.play.take() {
            let _gone = play.kill();
            let _gone = play.wait();
        }
    }
}

/// A client of the endpoint of an environment.
pub(crate) fn client(environment: &BTreeMap<String, String>) -> Client {
    let endpoint = environment["AWS_ENDPOINT_URL"].strip_prefix("https://").expect("https");
    let (host, port) = endpoint.rsplit_once(':').expect("a port");
    let ca = fs::read(&environment["AWS_CA_BUNDLE"]).expect("the CA");
    let credentials = Credentials {
        access_key_id: AccessKeyId::from_str(&environment["AWS_ACCESS_KEY_ID"]).expect("a key"),
        secret_key: SecretKey::new(environment["AWS_SECRET_ACCESS_KEY"].clone()),
        session_token: None,
    };
    Client::new(host, port.parse().expect("a port"), &ca, credentials)
}

/// What a shell exports after reading `file`.
pub(crate) fn read_environment(file: &Path) -> BTreeMap<String, String> {
    let output = Command::new("sh")
        .args(["-eu", "-c", ". \"$0\"; env -0"])
        .arg(file)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .expect("text")
        .split('\0')
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub(crate) fn send(signal: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    assert!(status.expect("kill").success());
}

/// Whether a process is there and isn't only waited for.
pub(crate) fn runs(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _parent)| state != "Z")
}

fn children(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(state, of)| of == parent && state != "Z"))
        .collect()
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// The first of three ports in a row that were free a moment ago, below those that the system gives away by itself.
pub(crate) fn three_free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Tests that start together look at different places.
    let mut place = std::process::id();
    loop {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        place = place.wrapping_add(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let port = 12_000 + u16::try_from(place % 4_000).expect("small") * 4;
        if free(port) && free(port + 1) && free(port + 2) {
            return port;
        }
    }
}
