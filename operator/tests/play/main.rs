//! `play` as a program: with a small server in the place of `coffer-server`, which this same test file is.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod server;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

fn tenant(name: &str, more: &str) -> String {
    format!(
        "apiVersion: coffer.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: {name}}}\nspec:\n  storage: {{embedded: {{size: 1Gi}}}}\n{more}---\n"
    )
}

/// A folder with manifests and data, and the program played in it.
struct Stage {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Stage {
    fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("server");
        let this = std::env::current_exe().unwrap();
        let text = format!(
            "#!/bin/sh\nexec '{}' --ignored --exact server::serve --nocapture\n",
            this.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        // Two ports in a row, most likely free.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stage = Self { folder, port, child: None };
        stage.write(manifest);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, manifest: &str) {
        fs::write(self.path("staged"), manifest).unwrap();
        fs::rename(self.path("staged"), self.path("tenants.yaml")).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coffer-operator"));
        command
            .current_dir(self.folder.path())
            .env("COFFER_SERVER", self.path("server"))
            .arg("play");
        command
    }

    fn start(&mut self) {
        let output = |name: &str| {
            fs::OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap()
        };
        let (out, err) = (output("out"), output("err"));
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = self.command();
        command.args(["--data", "data", "--env-file", "env", "--listen", &listen, "tenants.yaml"]);
        self.child = Some(command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap());
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.as_ref().unwrap().id()).unwrap();
        rustix::process::kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(
                begin.elapsed() < PATIENCE,
                "{what}: not so\n{}\n{}",
                self.text("out"),
                self.text("err")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn environment(&self, name: &str) -> BTreeMap<String, String> {
        self.until(name, || self.path(name).exists());
        let text = self.text(name);
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn listens(&self, offset: u16) -> bool {
        TcpStream::connect(("127.0.0.1", self.port + offset)).is_ok()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

#[test]
fn a_second_start_finds_everything_as_it_was() {
    let mut stage = Stage::new(&tenant("photos", ""));
    stage.start();
    let first = stage.environment("env");
    let ca = fs::read(Path::new(first.get("AWS_CA_BUNDLE").unwrap())).unwrap();
    assert_eq!(
        first.get("AWS_ENDPOINT_URL").unwrap(),
        &format!("https://127.0.0.1:{}", stage.port)
    );
    assert_eq!(first.get("AWS_REGION").unwrap(), "us-east-1");
    assert_eq!(fs::metadata(stage.path("env")).unwrap().permissions().mode() & 0o777, 0o600);
    stage.signal(Signal::TERM);
    assert!(stage.wait().success(), "SIGTERM is a clean end");
    assert!(!stage.listens(0), "no server is left");

    fs::remove_file(stage.path("env")).unwrap();
    stage.start();
    assert_eq!(stage.environment("env"), first);
    assert_eq!(fs::read(Path::new(first.get("AWS_CA_BUNDLE").unwrap())).unwrap(), ca);
}

#[test]
fn changes_of_the_files_are_followed() {
    let mut stage = Stage::new(&tenant("photos", ""));
    stage.start();
    let alone = stage.environment("env");
    stage.write(&(tenant("photos", "") + &tenant("videos", "  region: eu-west-1\n")));
    let videos = stage.environment("env.videos");
    assert_eq!(videos.get("AWS_REGION").unwrap(), "eu-west-1");
    assert_eq!(
        videos.get("AWS_ENDPOINT_URL").unwrap(),
        &format!("https://127.0.0.1:{}", stage.port + 1)
    );
    assert_eq!(stage.environment("env.photos"), alone);
    // One that breaks stays as it was and holds up no other.
    stage.write(&(tenant("photos", "  regoin: x\n") + &tenant("videos", "  suspend: true\n")));
    stage.until("videos is suspended", || !stage.listens(1));
    assert!(stage.listens(0));
    assert!(stage.text("err").contains("unknown field `spec.regoin`"), "{}", stage.text("err"));
    stage.write(&tenant("photos", ""));
    stage.until("videos is gone", || {
        stage.text("out").contains("videos: removed; its data is kept")
    });
    assert!(stage.path("data/default/claims/videos-data").exists());
    assert!(!stage.path("data/default/secrets/videos-tls").exists());
}

#[test]
fn a_server_does_not_outlive_play_and_is_started_again_when_it_dies() {
    let mut stage = Stage::new(&tenant("photos", ""));
    stage.start();
    stage.environment("env");
    let id: i32 = stage.text("data/default/claims/photos-data/id").parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
    stage.until("another server runs", || {
        stage.text("data/default/claims/photos-data/id").parse() != Ok(id)
            && stage.text("out").matches("ready:").count() == 2
    });
    stage.signal(Signal::KILL);
    stage.wait();
    stage.until("the orphan ends", || !stage.listens(0));
}

#[test]
fn one_folder_has_one_play() {
    let mut stage = Stage::new(&tenant("photos", ""));
    stage.start();
    stage.environment("env");
    let second = stage.command().args(["--data", "data", "tenants.yaml"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another `play` uses it"));
}

#[test]
fn check_has_an_exit_code_and_leaves_nothing_behind() {
    let stage = Stage::new(&tenant("photos", ""));
    let good = stage.command().args(["--check", "tenants.yaml"]).output().unwrap();
    assert_eq!(
        (good.status.code(), String::from_utf8_lossy(&good.stdout).as_ref()),
        (Some(0), "Tenant default/photos: valid\n")
    );
    stage.write(&tenant("photos", "  domains: [192.0.2.1]\n"));
    let bad = stage.command().args(["--check", "tenants.yaml"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(1));
    let message = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(
        message.contains("tenants.yaml: Tenant default/photos: spec.domains: an IP address"),
        "{message}"
    );
    assert!(!stage.path("coffer-data").exists() && !stage.path("data").exists());
}
