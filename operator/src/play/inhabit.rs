//! What is in Tenants, in `play`: the same way as in a cluster, with folders for Secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use coffer_crds::condition::Reason;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use super::Options;
use super::manifests::{AnyResource, Key, Manifests, resources};
use super::pod::{self, Folders, Mode};
use super::progress::Progress;
use crate::iam::{
    Calls, Doors, Hold, Inhabitants, Kept, Of, Released, Standing, Stepped, Tenants, World,
};
use crate::tenant::found::SecretData;
use crate::tenant::status::{Outcome, State};

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_millis(200);
/// How often what is fine is looked at: its Secret may be gone.
const REST: Duration = Duration::from_secs(2);

/// What is wished: everything that the manifests hold, and whether they could all be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) manifests: Arc<Manifests>,
    pub(super) stops: bool,
}

/// The resource that was accepted before, for rules about changes.
pub(super) fn accepted(data: &std::path::Path, kind: &str, key: &Key) -> Option<Value> {
    let path = Folders::new(data, &key.namespace).resource(kind, &key.name);
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

struct PlayWorld {
    options: Arc<Options>,
    tenants: Arc<Tenants>,
    manifests: Mutex<Arc<Manifests>>,
    calls: Calls,
}

impl PlayWorld {
    fn manifests(&self) -> Arc<Manifests> {
        Arc::clone(&self.manifests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn folders(&self, namespace: &str) -> Folders {
        Folders::new(&self.options.data, namespace)
    }

    /// Where it stands whose a Secret is.
    fn owner(&self, namespace: &str, secret: &str) -> PathBuf {
        self.folders(namespace).resource("secret", secret)
    }
}

#[async_trait]
impl World for PlayWorld {
    async fn tenant(&self, key: &Key, from: &str) -> Standing {
        let manifests = self.manifests();
        let Some(tenant) = manifests.tenants.get(key) else {
            // A manifest that broke may still hold it.
            return match (manifests.problems.is_empty(), self.tenants.get(key)) {
                (false, Some(access)) if access.doors().let_in(key, from) => {
                    Standing::Ready(access)
                }
                (false, Some(access)) => Standing::NotAllowed(Some(access)),
                (true, _) | (_, None) => Standing::Gone,
            };
        };
        if !Doors::of(tenant).let_in(key, from) {
            return Standing::NotAllowed(self.tenants.get(key));
        }
        self.tenants.get(key).map_or(Standing::NotReady, Standing::Ready)
    }

    async fn secret(&self, of: &Of, name: &str) -> Result<Option<Kept>, Outcome> {
        let key = Key { namespace: of.namespace.clone(), name: name.to_owned() };
        if let Some(data) = self.manifests().secrets.get(&key) {
            return Ok(Some(Kept { data: data.clone(), owned: false, version: None }));
        }
        let path = self.folders(&of.namespace).secret(name);
        let read = pod::read_volume(&path).map_err(|cause| failed(&path, &cause))?;
        let whose = std::fs::read_to_string(self.owner(&of.namespace, name)).ok();
        let owned = whose.as_deref() == Some(of.path().as_str());
        Ok(read.map(|data| Kept { data, owned, version: None }))
    }

    async fn write_secret(
        &self,
        of: &Of,
        name: &str,
        data: SecretData,
        _old: Option<&Kept>,
    ) -> Result<(), Outcome> {
        let owner = self.owner(&of.namespace, name);
        let folder = owner.parent().map(std::path::Path::to_owned).unwrap_or_default();
        pod::private_folder(&folder)
            .and_then(|()| pod::write_atomically(&owner, of.path().as_bytes(), Mode::Private))
            .map_err(|cause| failed(&owner, &cause))?;
        let path = self.folders(&of.namespace).secret(name);
        pod::write_volume(&path, &data, Mode::Private)
            .map(drop)
            .map_err(|cause| failed(&path, &cause))
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, Outcome> {
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        Ok(self.manifests().texts(&key))
    }

    fn inhabitants(&self, tenant: &Key) -> Inhabitants {
        let manifests = self.manifests();
        let all = resources(manifests.resources.values());
        match self.tenants.get(tenant) {
            Some(access) if !manifests.tenants.contains_key(tenant) => {
                Inhabitants::of(tenant, access.doors(), all)
            }
            Some(_) | None => Inhabitants::of(tenant, manifests.doors(tenant), all),
        }
    }

    fn calls(&self) -> &Calls {
        &self.calls
    }
}

/// What was accepted is remembered in a file before it is brought a step further.
struct Remembered;

#[async_trait]
impl Hold for Remembered {
    async fn hold(&self) -> Result<(), Outcome> {
        Ok(())
    }
}

fn failed(path: &std::path::Path, cause: &std::io::Error) -> Outcome {
    let message = format!("`{}`: {cause}", path.display());
    Outcome::new(State::Reconciling, Reason::Internal, message)
}

/// One resource, as it was last.
struct Standpoint {
    status: Value,
    told: Option<Outcome>,
    due: Instant,
    pause: Duration,
}

/// Runs until told to stop.
pub(super) async fn inhabit(
    options: Arc<Options>,
    tenants: Arc<Tenants>,
    mut inbox: watch::Receiver<Wish>,
    progress: Progress,
) {
    let news = tenants.changes();
    let world =
        PlayWorld { options, tenants, manifests: Mutex::default(), calls: Calls::default() };
    let mut all: BTreeMap<Of, Standpoint> = BTreeMap::new();
    loop {
        let Wish { manifests, stops } = inbox.borrow_and_update().clone();
        if stops {
            return;
        }
        let is_new = !Arc::ptr_eq(&world.manifests(), &manifests);
        *world.manifests.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&manifests);
        // What may wait for another is looked at once that has changed.
        let changed = news.take();
        for (of, resource) in &manifests.resources {
            let standpoint = all.entry(of.clone()).or_insert_with(|| Standpoint {
                status: Value::Null,
                told: None,
                due: Instant::now(),
                pause: LOOK,
            });
            let wakes = is_new || changed.contains(&resource.tenant());
            if wakes || standpoint.due <= Instant::now() {
                turn(&world, resource, standpoint, &progress).await;
            }
        }
        if manifests.problems.is_empty() {
            all.retain(|of, _| manifests.resources.contains_key(of));
            match remove(&world, &manifests, &progress).await {
                Released::All => {}
                // At once, but in turn with the others.
                Released::Part => continue,
            }
        }
        tokio::select! {
            changed = inbox.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn turn(
    world: &PlayWorld,
    resource: &AnyResource,
    standpoint: &mut Standpoint,
    progress: &Progress,
) {
    let mut resource = resource.clone();
    let of = resource.of();
    let path = world.folders(&of.namespace).resource(of.kind, &of.name);
    let json = serde_json::to_vec_pretty(&resource.json()).unwrap_or_default();
    if std::fs::read(&path).ok().as_deref() != Some(&json) {
        let folder = path.parent().map(std::path::Path::to_owned).unwrap_or_default();
        let written = pod::private_folder(&folder)
            .and_then(|()| pod::write_atomically(&path, &json, Mode::Private));
        if let Err(cause) = written {
            progress.problem(&format!("{}: `{}`: {cause}", of.path(), path.display()));
        }
    }
    resource.set_status(standpoint.status.clone());
    let Stepped { outcome, status, again, tenant } = resource.step(world, &Remembered, now()).await;
    standpoint.status = status;
    standpoint.pause = match outcome.state {
        State::Ready | State::AtRest => LOOK,
        State::Reconciling | State::Stalled => (standpoint.pause * 2).min(REST),
    };
    let next = if outcome.state == State::Ready { again.min(REST) } else { standpoint.pause };
    standpoint.due = Instant::now() + next;
    if standpoint.told.as_ref() == Some(&outcome) {
        return;
    }
    match outcome.state {
        State::Stalled => progress.problem(&format!("{}: {}", of.path(), outcome.message)),
        State::Ready => {
            progress.say(&of.path(), &format!("ready: {}", outcome.message));
            if let Some(tenant) = tenant {
                world.tenants.changed(&tenant);
            }
        }
        State::Reconciling | State::AtRest => {}
    }
    standpoint.told = Some(outcome);
}

/// Removes what was made of manifests that are gone, as far as it goes now.
async fn remove(world: &PlayWorld, manifests: &Manifests, progress: &Progress) -> Released {
    let mut all = Released::All;
    for (of, path, resource) in kept(world) {
        if manifests.resources.contains_key(&of) {
            continue;
        }
        match resource.release(world, now()).await {
            Ok(Released::All) => {}
            Ok(Released::Part) => {
                all = Released::Part;
                continue;
            }
            // In use, or its Tenant isn't there yet: tried again.
            Err(_) => continue,
        }
        let mut gone = vec![path];
        let folder = world.folders(&of.namespace);
        for (secret, owner) in secrets(&folder) {
            if owner == of.path() {
                if let Err(cause) = pod::remove_folder(&folder.secret(&secret)) {
                    progress
                        .problem(&format!("{}: its Secret can't be removed: {cause}", of.path()));
                }
                gone.push(world.owner(&of.namespace, &secret));
            }
        }
        for file in gone {
            if let Err(cause) = std::fs::remove_file(&file) {
                progress.problem(&format!("{}: `{}`: {cause}", of.path(), file.display()));
            }
        }
        progress.say(&of.path(), "removed");
    }
    all
}

/// All resources that were accepted.
fn kept(world: &PlayWorld) -> Vec<(Of, PathBuf, AnyResource)> {
    let entries = std::fs::read_dir(&world.options.data).into_iter().flatten().flatten();
    let namespaces: BTreeSet<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let mut kept = Vec::new();
    for namespace in namespaces {
        let folder = world.folders(&namespace).resources();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((kind, _)) = name.split_once('.') else { continue };
            let read = std::fs::read(entry.path()).ok();
            let json = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if let Some(resource) = json.and_then(|json| AnyResource::accepted(kind, json)) {
                kept.push((resource.of(), entry.path(), resource));
            }
        }
    }
    kept
}

/// Names of Secrets that resources own, each with its owner.
fn secrets(folders: &Folders) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folders.resources()).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let secret = name.strip_prefix("secret.")?.strip_suffix(".json")?.to_owned();
            Some((secret, std::fs::read_to_string(entry.path()).ok()?))
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program")]
fn now() -> Timestamp {
    Timestamp::now()
}
