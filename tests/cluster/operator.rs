//! Operators as processes on this machine, with the rights of the chart's account and no more.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use coffer_tests::cluster::{self, kubectl};
use coffer_tests::server::program;
use tempfile::TempDir;

/// The API server, and a token of the chart's account.
pub(crate) struct Access {
    pub(crate) server: String,
    pub(crate) roots: Vec<u8>,
    token: String,
}

impl Access {
    pub(crate) fn of_the_chart() -> Self {
        let config = kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"]);
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let cluster = &config["clusters"][0]["cluster"];
        let encoded = cluster["certificate-authority-data"].as_str().unwrap();
        let decode = ["-c", "printf %s \"$1\" | base64 -d", "sh", encoded];
        let roots = Command::new("sh").args(decode).output().unwrap().stdout;
        let account =
            ["create", "token", "coffer-operator", "-n", cluster::SYSTEM, "--duration=1h"];
        let token = kubectl(&account).trim().to_owned();
        Self { server: cluster["server"].as_str().unwrap().to_owned(), roots, token }
    }

    /// Writes a kubeconfig that leads to `url`, which passes everything on to the API server.
    pub(crate) fn write_kubeconfig(&self, file: &Path, url: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: '{url}'}}}}]\nusers: [{{name: u, user: {{token: \
             '{}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\ncurrent-context: c\n",
            self.token
        );
        std::fs::write(file, text).unwrap();
    }
}

/// A process of the operator, whose only way to the API server is what its kubeconfig names. It is killed with the value.
pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// One that is alone: it asks for no lease.
    pub(crate) fn alone(kubeconfig: &Path) -> Self {
        Self::start(kubeconfig, "127.0.0.1:0", &[])
    }

    /// One of several, by its name in the lease; its probes and metrics are at `health`.
    pub(crate) fn candidate(kubeconfig: &Path, health: &str, name: &str) -> Self {
        let lease = ["--lease-namespace", cluster::SYSTEM, "--identity", name];
        Self::start(kubeconfig, health, &lease)
    }

    fn start(kubeconfig: &Path, health: &str, more: &[&str]) -> Self {
        let log = kubeconfig.with_extension("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(program("coffer-operator"))
            .args(["run", "--health", health, "--image", "cluster.test/coffer:test"])
            .args(["--secret-poll-milliseconds", "1000"])
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .env_remove("POD_NAMESPACE")
            .stderr(file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged, with what those logged that had the same kubeconfig before.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A folder for kubeconfigs and logs.
pub(crate) fn folder() -> TempDir {
    TempDir::new().unwrap()
}
