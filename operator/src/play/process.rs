//! A pod's container as a process: what is mounted in the pod is a folder here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Volume;
use tokio::process::{Child, Command};

use super::pod::{Folders, private_folder};
use crate::tenant::build::workload::{LISTENER_SETTING, read_literal};

/// A log that is longer is begun anew at the next start.
const LONGEST_LOG: u64 = 16 * 1024 * 1024;
/// How much of the log's end a message repeats.
const LOG_END: usize = 2048;

/// What is started for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The environment, as the container has it, with folders in the place of mounts.
    pub environment: BTreeMap<String, String>,
    /// How long it may take to end.
    pub grace: Duration,
    /// Whether it shall run at all.
    pub wanted: Wanted,
}

/// Whether a process shall run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The workload has a pod.
    Running,
    /// The workload was scaled to none.
    Stopped,
}

/// The process of a built workload.
pub fn spec(workload: &StatefulSet, folders: &Folders, listen: SocketAddr) -> Option<Spec> {
    let stateful_set = workload.spec.as_ref()?;
    let pod = stateful_set.template.spec.as_ref()?;
    let container = pod.containers.first()?;
    let volumes = pod.volumes.as_deref().unwrap_or_default();
    let mounts: Vec<(&str, PathBuf)> = container
        .volume_mounts
        .iter()
        .flatten()
        .filter_map(|mount| {
            let volume = volumes.iter().find(|volume| volume.name == mount.name)?;
            Some((mount.mount_path.as_str(), folder(volume, folders)?))
        })
        .collect();
    let mut environment: BTreeMap<String, String> = container
        .env
        .iter()
        .flatten()
        .map(|variable| {
            let value = read_literal(variable.value.as_deref().unwrap_or_default());
            (variable.name.clone(), rewrite(&value, &mounts))
        })
        .collect();
    environment.insert("COFFER_LISTEN".to_owned(), listen.to_string());
    // Its container is the pod's second; here nothing is started anew under load.
    environment.remove(LISTENER_SETTING);
    // However this process ends, the server notices it.
    environment.insert("COFFER_EXIT_WITH_STDIN".to_owned(), "1".to_owned());
    let wanted = if stateful_set.replicas == Some(0) { Wanted::Stopped } else { Wanted::Running };
    let seconds = u64::try_from(pod.termination_grace_period_seconds?).ok()?;
    Some(Spec { environment, grace: Duration::from_secs(seconds), wanted })
}

fn folder(volume: &Volume, folders: &Folders) -> Option<PathBuf> {
    if let Some(claim) = &volume.persistent_volume_claim {
        return Some(folders.claim(&claim.claim_name));
    }
    if let Some(secret) = &volume.secret {
        return Some(folders.secret(secret.secret_name.as_deref()?));
    }
    volume.config_map.as_ref().map(|config_map| folders.config_map(&config_map.name))
}

/// A value that is a mounted path becomes the folder's.
fn rewrite(value: &str, mounts: &[(&str, PathBuf)]) -> String {
    for (path, folder) in mounts {
        if let Some(rest) = value.strip_prefix(path)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return format!("{}{rest}", folder.display());
        }
    }
    value.to_owned()
}

/// A running server. Dropping it closes its input, and it ends by itself.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// What was started.
    pub spec: Spec,
}

impl Process {
    /// Starts the server, with its output in the file `log`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(server: &Path, spec: Spec, log: &Path) -> io::Result<Self> {
        if let Some(folder) = log.parent() {
            private_folder(folder)?;
        }
        if fs::metadata(log).is_ok_and(|metadata| metadata.len() > LONGEST_LOG) {
            fs::remove_file(log)?;
        }
        let output = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
        let child = Command::new(server)
            .env_clear()
            .envs(&spec.environment)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is ours to hand on.
            .process_group(0)
            .spawn()?;
        Ok(Self { child, spec })
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        // Not `wait`: that closes the input first, by which the server would end.
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks the process to end, waits as long as the pod's grace period, then kills it.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn stop(mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let id = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        let grace = self.spec.grace;
        if tokio::time::timeout(grace, self.ended()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// The last lines of a log, for a message.
pub fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let from = text.len().saturating_sub(LOG_END);
    let text = String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let clean =
        |line: &&str| -> String { line.chars().filter(|letter| !letter.is_control()).collect() };
    lines.iter().rev().map(clean).collect::<Vec<_>>().join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_are_rewritten() {
        let mounts = [
            ("/etc/coffer/tls", PathBuf::from("/d/secrets/a-tls")),
            ("/var/lib/coffer", PathBuf::from("/d/claims/a")),
        ];
        for (value, expected) in [
            ("/etc/coffer/tls", "/d/secrets/a-tls"),
            ("/var/lib/coffer/index", "/d/claims/a/index"),
            ("/etc/coffer/tls-other", "/etc/coffer/tls-other"),
            ("x/etc/coffer/tls", "x/etc/coffer/tls"),
            ("us-east-1", "us-east-1"),
        ] {
            assert_eq!(rewrite(value, &mounts), expected, "{value}");
        }
    }
}
