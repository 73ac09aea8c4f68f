//! The same manifests without a cluster: the same validation, the same certificates, the same built objects. Secrets,
//! `ConfigMap`s and claims become folders, the container a process.

pub mod manifests;
pub mod check;
pub mod pod;
pub mod process;
pub mod environment;
mod tend;
mod inhabit;
mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::manifests::{Key, Manifests, Stamp};
use self::progress::Progress;
use self::tend::Wish;
use crate::iam::Tenants;

/// How often the manifests are looked at.
const LOOK: Duration = Duration::from_millis(300);

/// What `play` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files and folders of manifests.
    pub paths: Vec<PathBuf>,
    /// Where everything lies that must survive: data, keys, certificates.
    pub data: PathBuf,
    /// Where the first Tenant listens; the next one takes the next port.
    pub listen: SocketAddr,
    /// Where to write the environment for clients.
    pub env_file: Option<PathBuf>,
    /// The server's program.
    pub server: PathBuf,
}

/// Why `play` ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The data folder can't be used.
    #[error("--data `{}`: can't be used", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Another process plays there.
    #[error("--data `{}`: another `play` uses it; stop that one or choose another folder", .0.display())]
    Locked(PathBuf),
    /// There is nothing to play.
    #[error("no valid Tenant in the given files; see the messages above")]
    Nothing,
    /// There is no server to run.
    #[error("`{}`: no such program; set COFFER_SERVER to coffer-server, or put it beside coffer-operator", .0.display())]
    NoServer(PathBuf),
    /// The server's ports can't be remembered.
    #[error("--data: `ports.json` can't be read or written")]
    Ports(#[source] io::Error),
    /// An environment of an earlier start can't be removed.
    #[error("--env-file `{}`: can't be removed", path.display())]
    EnvFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Signals can't be received.
    #[error("signals can't be received")]
    Signals(#[source] io::Error),
}

/// Plays until SIGTERM or SIGINT, then stops every server and returns.
///
/// # Errors
/// [`PlayError`] when nothing can be played at all. What is wrong with one Tenant is printed and holds up no other.
pub async fn run(options: Options) -> Result<(), PlayError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(PlayError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(PlayError::Signals)?;

    if !options.server.is_file() {
        return Err(PlayError::NoServer(options.server));
    }
    let options = prepare(options)?;
    let _lock = lock(&options.data)?;
    let mut stage = Stage::new(options);
    stage.look(First::Yes)?;
    if stage.players.is_empty() {
        return Err(PlayError::Nothing);
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = tokio::time::sleep(LOOK) => stage.look(First::No)?,
        }
    }
    stage.stop().await;
    Ok(())
}

fn prepare(mut options: Options) -> Result<Options, PlayError> {
    let failed = |cause| PlayError::Data { path: options.data.clone(), cause };
    pod::private_folder(&options.data).map_err(failed)?;
    options.data = std::path::absolute(&options.data).map_err(failed)?;
    if let Some(file) = &mut options.env_file {
        *file = std::path::absolute(&*file).unwrap_or_else(|_relative| file.clone());
    }
    Ok(options)
}

/// One folder has one `play`.
fn lock(data: &Path) -> Result<std::fs::File, PlayError> {
    let failed = |cause| PlayError::Data { path: data.to_owned(), cause };
    let file = std::fs::File::create(data.join(".lock")).map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(PlayError::Locked(data.to_owned())),
        Err(cause) => Err(failed(cause.into())),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Yes,
    No,
}

/// A Tenant's task and the way to tell it what is wished.
struct Player {
    wish: watch::Sender<Wish>,
    task: JoinHandle<()>,
}

struct Stage {
    options: Arc<Options>,
    progress: Progress,
    stamps: BTreeMap<PathBuf, Stamp>,
    players: BTreeMap<Key, Player>,
    told: BTreeSet<String>,
    /// The Tenants that answer, and who tends what is in them.
    tenants: Arc<Tenants>,
    inhabitants: watch::Sender<inhabit::Wish>,
    inhabit: JoinHandle<()>,
}

impl Stage {
    fn new(options: Options) -> Self {
        let (options, progress) = (Arc::new(options), Progress::default());
        let tenants = Arc::new(Tenants::default());
        let (inhabitants, inbox) = watch::channel(inhabit::Wish::default());
        let inhabit = tokio::spawn(inhabit::inhabit(
            Arc::clone(&options),
            Arc::clone(&tenants),
            inbox,
            progress.clone(),
        ));
        Self {
            options,
            progress,
            tenants,
            inhabitants,
            inhabit,
            stamps: BTreeMap::new(),
            players: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// Reads the manifests if they changed, and tells each Tenant's task.
    fn look(&mut self, first: First) -> Result<(), PlayError> {
        let stamps = manifests::stamps(&self.options.paths);
        if first == First::No && stamps == self.stamps {
            return Ok(());
        }
        let known = |kind: &str, key: &Key| match kind {
            "Tenant" => tend::accepted(&self.options.data, key),
            kind => inhabit::accepted(&self.options.data, kind, key),
        };
        let manifests = manifests::read(&self.options.paths, known);
        // A file that is being written is read again, until it holds still.
        self.stamps = stamps;
        let problems: BTreeSet<String> =
            manifests.problems.iter().map(ToString::to_string).collect();
        for problem in problems.difference(&self.told) {
            self.progress.problem(problem);
        }
        self.told = problems;
        self.tell(manifests)
    }

    fn tell(&mut self, manifests: Manifests) -> Result<(), PlayError> {
        let manifests = Arc::new(manifests);
        let secrets = Arc::new(manifests.secrets.clone());
        let config_maps = Arc::new(manifests.config_maps.clone());
        let keys: BTreeSet<Key> = manifests.tenants.keys().cloned().collect();
        let ports = ports(&self.options.data, &keys).map_err(PlayError::Ports)?;
        // What can't be read may still be wished: nothing is removed while there are problems.
        if manifests.problems.is_empty() {
            for (key, player) in &self.players {
                if !keys.contains(key) {
                    player.wish.send_replace(Wish::Gone);
                }
            }
            self.players.retain(|key, player| keys.contains(key) || !player.task.is_finished());
        }
        // A Tenant whose manifest broke is still played as it was.
        let gone = |player: &Player| matches!(&*player.wish.borrow(), Wish::Gone);
        let staying = self.players.iter().filter(|(_, player)| !gone(player)).map(|(key, _)| key);
        let all: BTreeSet<Key> = keys.iter().chain(staying).cloned().collect();
        let names: BTreeSet<&str> = all.iter().map(|key| key.name.as_str()).collect();
        let wish = inhabit::Wish { manifests: Arc::clone(&manifests), stops: false };
        self.inhabitants.send_replace(wish);
        for (key, tenant) in manifests.tenants.clone() {
            let env_file = self.options.env_file.as_ref().map(|file| {
                match (all.len(), names.len() == all.len()) {
                    (1, _) => file.clone(),
                    (_, true) => environment::suffixed(file, &key.name),
                    (_, false) => {
                        environment::suffixed(file, &format!("{}.{}", key.namespace, key.name))
                    }
                }
            });
            let offset = ports.get(&key).copied().unwrap_or_default();
            let mut listen = self.options.listen;
            listen.set_port(listen.port().saturating_add(offset));
            let wished = tend::Wished {
                tenant,
                secrets: secrets.clone(),
                config_maps: config_maps.clone(),
                env_file: env_file.clone(),
                listen,
            };
            let wish = Wish::Tenant(Box::new(wished));
            if let Some(running) =
                self.players.get(&key).filter(|running| !running.task.is_finished())
            {
                running.wish.send_replace(wish);
                continue;
            }
            if let Some(file) = &env_file {
                environment::forget(file)
                    .map_err(|cause| PlayError::EnvFile { path: file.clone(), cause })?;
            }
            let (sender, receiver) = watch::channel(wish);
            let task = tokio::spawn(tend::tend(
                key.clone(),
                self.options.clone(),
                receiver,
                self.progress.clone(),
                Arc::clone(&self.tenants),
            ));
            self.players.insert(key, Player { wish: sender, task });
        }
        Ok(())
    }

    async fn stop(self) {
        self.progress.say("all", "stopping");
        let manifests = Arc::default();
        self.inhabitants.send_replace(inhabit::Wish { manifests, stops: true });
        if self.inhabit.await.is_err() {
            self.progress.problem("the task of resources in Tenants broke; what they made is kept");
        }
        for player in self.players.values() {
            player.wish.send_replace(Wish::Stop);
        }
        for (key, player) in self.players {
            if player.task.await.is_err() {
                self.progress
                    .problem(&format!("{key}: its task broke; the data is as the server left it"));
            }
        }
        self.progress.say("all", "stopped");
    }
}

/// The offset of each Tenant's port from the first. Kept, so that a later start finds each at its place.
fn ports(data: &Path, keys: &BTreeSet<Key>) -> io::Result<BTreeMap<Key, u16>> {
    let path = data.join("ports.json");
    let kept: BTreeMap<String, u16> = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    let mut ports = kept.clone();
    for key in keys {
        let taken: BTreeSet<u16> = ports.values().copied().collect();
        let free = (0..=u16::MAX).find(|offset| !taken.contains(offset)).unwrap_or_default();
        ports.entry(key.to_string()).or_insert(free);
    }
    if ports != kept {
        pod::write_atomically(&path, &serde_json::to_vec_pretty(&ports)?, pod::Mode::Private)?;
    }
    Ok(keys
        .iter()
        .map(|key| (key.clone(), ports.get(&key.to_string()).copied().unwrap_or_default()))
        .collect())
}
