//! One Tenant's task: makes the folders and the process what the manifest says, and proves that it answers.

mod volumes;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_crds::Tenant;
use coffer_crds::tenant::DeletionPolicy;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use super::Options;
use super::environment::Environment;
use super::manifests::Key;
use super::pod::{self, Folders, Mode, Written};
use super::process::{self, Process, Wanted};
use super::progress::Progress;
use crate::authority::CA_CERTIFICATES;
use crate::causes::with_causes;
use crate::control::{self, Target};
use crate::iam::Tenants;
use crate::kms_probe::{Prober, Seen, Subject};
use crate::settings::Settings;
use crate::tenant::build::{self, build};
use crate::tenant::dereference::{Material, MaterialError};
use crate::tenant::found::SecretData;
use crate::tenant::kms::{AwsLogin, Login, Provider};
use crate::tenant::validate::{ValidTenant, validate};

/// How often certificates and folders are looked at while nothing changes.
const LOOK: Duration = Duration::from_secs(1);
/// How often an unready server is asked.
const PROBE: Duration = Duration::from_millis(50);
/// After how long an unready server is spoken of.
const SLOW: Duration = Duration::from_secs(5);
/// The first and the longest pause before a server that ended is started again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long a server must run to count as healthy again.
const HEALTHY: Duration = Duration::from_mins(1);

/// What is wished of a Tenant's task.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// That it be so.
    Tenant(Box<Wished>),
    /// That the Tenant be removed: its manifest is gone.
    Gone,
    /// That its server be stopped and everything kept.
    Stop,
}

/// A Tenant as its manifest has it.
#[derive(Clone, Debug)]
pub(super) struct Wished {
    pub(super) tenant: Tenant,
    pub(super) secrets: Arc<BTreeMap<Key, SecretData>>,
    pub(super) config_maps: Arc<BTreeMap<Key, SecretData>>,
    pub(super) env_file: Option<PathBuf>,
    pub(super) listen: SocketAddr,
}

/// The Tenant that was accepted before, for rules about changes.
pub(super) fn accepted(data: &Path, key: &Key) -> Option<Value> {
    let path = Folders::new(data, &key.namespace).accepted(&key.name);
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Runs until told to stop.
pub(super) async fn tend(
    key: Key,
    options: Arc<Options>,
    mut inbox: watch::Receiver<Wish>,
    progress: Progress,
    tenants: Arc<Tenants>,
) {
    let folders = Folders::new(&options.data, &key.namespace);
    let mut tender = Tender {
        key,
        options,
        folders,
        progress,
        tenants,
        process: None,
        published: None,
        shown: None,
        env_file: None,
        told: None,
        kms: Prober::default(),
        kms_seen: None,
        started: None,
        next_start: None,
        pause: BACKOFF.0,
    };
    loop {
        let wish = inbox.borrow_and_update().clone();
        let proven = match wish {
            Wish::Tenant(wished) => match tender.step(&wished).await {
                Ok(proven) => proven,
                Err(cause) => {
                    tender.problem(&with_causes(&cause));
                    Proven::Yes
                }
            },
            Wish::Gone => return tender.remove().await,
            Wish::Stop => return tender.stop().await,
        };
        let pause = match proven {
            Proven::Yes => LOOK,
            Proven::NotYet => PROBE,
        };
        tokio::select! {
            changed = inbox.changed() => if changed.is_err() { return tender.stop().await },
            () = tender.ended() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Whether the Tenant is known to answer (or nothing is to be waited for).
enum Proven {
    Yes,
    NotYet,
}

#[derive(Debug, thiserror::Error)]
enum TendError {
    #[error(transparent)]
    Invalid(#[from] crate::tenant::invalid::Invalid),
    #[error(transparent)]
    Material(#[from] MaterialError),
    #[error("`{}`: can't be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the workload has no container")]
    Workload,
    #[error("{0}: there is no ServiceAccount outside a cluster; for `play`, log in by {1}")]
    NoServiceAccount(&'static str, &'static str),
    #[error("`{0}` is taken by another program; stop that one or use --listen")]
    Port(SocketAddr),
    #[error("the server can't be started")]
    Start(#[source] io::Error),
}

struct Tender {
    key: Key,
    options: Arc<Options>,
    folders: Folders,
    progress: Progress,
    tenants: Arc<Tenants>,
    process: Option<Process>,
    /// What was last proven and published.
    published: Option<String>,
    /// What the person was last told.
    shown: Option<String>,
    env_file: Option<PathBuf>,
    told: Option<String>,
    kms: Prober,
    /// What was last said of the KMS.
    kms_seen: Option<Seen>,
    started: Option<Instant>,
    next_start: Option<Instant>,
    pause: Duration,
}

impl Tender {
    /// Brings everything one step further.
    async fn step(&mut self, wished: &Wished) -> Result<Proven, TendError> {
        let settings = settings(wished.listen);
        let tenant = validate(&wished.tenant, &settings)?;
        match tenant.kms.as_ref().map(|kms| &kms.provider) {
            Some(Provider::Vault(_, Login::Kubernetes(_))) => {
                let (field, other) = ("spec.kms.vault.auth.kubernetes", "appRole or token");
                return Err(TendError::NoServiceAccount(field, other));
            }
            Some(Provider::AwsKms(_, AwsLogin::WebIdentity(_))) => {
                let (field, other) = ("spec.kms.awsKms.webIdentity", "credentialsSecretRef");
                return Err(TendError::NoServiceAccount(field, other));
            }
            Some(_) | None => {}
        }
        let certificates = self.certificates(&tenant)?;
        for what in &certificates.made {
            self.progress.say(&self.key.to_string(), what);
        }
        if self.write_certificates(&build::certificates(&tenant, &certificates))?
            == Written::Changed
        {
            self.withdraw();
        }
        let material = self.material(&tenant, wished, certificates)?;
        let objects = build(&tenant, &material);
        for what in &material.made {
            self.progress.say(&self.key.to_string(), what);
        }
        let changed = self.write(&objects, &tenant, wished)?;
        let spec = process::spec(&objects.workload, &self.folders, wished.listen)
            .ok_or(TendError::Workload)?;
        if changed == Written::Changed {
            self.withdraw();
        }
        match (&self.process, spec.wanted) {
            (Some(process), Wanted::Running) if process.spec == spec => {}
            (Some(_), _) => {
                self.progress.say(&self.key.to_string(), why_stopped(spec.wanted));
                self.end_process().await;
                self.next_start = None;
                return Ok(Proven::NotYet);
            }
            (None, Wanted::Stopped) => {
                self.once("suspended: no server runs, the data is kept");
                return Ok(Proven::Yes);
            }
            (None, Wanted::Running) => {
                if self.next_start.is_some_and(|next| next > Instant::now()) {
                    return Ok(Proven::Yes);
                }
                self.start(spec, wished.listen)?;
            }
        }
        if self.published.is_some() {
            self.move_environment(wished)?;
            self.told = None;
            // Its client certificate is renewed there.
            self.publish(&tenant, &material, wished)?;
            self.try_kms(&tenant, &material, wished).await;
            return Ok(Proven::Yes);
        }
        self.prove(&tenant, &material, wished).await
    }

    fn start(&mut self, spec: process::Spec, listen: SocketAddr) -> Result<(), TendError> {
        if std::net::TcpListener::bind(listen)
            .is_err_and(|cause| cause.kind() == io::ErrorKind::AddrInUse)
        {
            return Err(TendError::Port(listen));
        }
        self.progress.say(&self.key.to_string(), &format!("starting the server at {listen}"));
        let log = self.folders.log(&self.key.name);
        self.process =
            Some(Process::start(&self.options.server, spec, &log).map_err(TendError::Start)?);
        self.started = Some(Instant::now());
        Ok(())
    }

    /// Asks the server, and publishes the environment once it answers.
    async fn prove(
        &mut self,
        tenant: &ValidTenant,
        material: &Material,
        wished: &Wished,
    ) -> Result<Proven, TendError> {
        let (_, target) = target(tenant, material, wished);
        #[expect(clippy::disallowed_methods, reason = "the edge of the program")]
        let now = Timestamp::now();
        let access = tenant.root_s3_access;
        if let Err(cause) = control::prove(&target, &material.root, access, now).await {
            if self.started.is_some_and(|started| started.elapsed() > SLOW) {
                self.problem(&format!("not ready yet: {}", with_causes(&cause)));
            }
            return Ok(Proven::NotYet);
        }
        let environment = Environment {
            endpoint: format!("https://{}", target.address),
            ca: self.folders.config_map(&tenant.names().ca()).join(CA_CERTIFICATES),
            root: material.root.clone(),
            region: tenant.region.clone(),
        };
        let shell = environment.to_shell();
        if let Some(path) = &wished.env_file {
            pod::write_atomically(path, shell.as_bytes(), Mode::Private)
                .map_err(|cause| TendError::Write { path: path.clone(), cause })?;
        }
        self.published = Some(shell.clone());
        self.publish(tenant, material, wished)?;
        self.move_environment(wished)?;
        self.progress.say(&self.key.to_string(), "ready: a signed request over TLS was answered");
        self.told = None;
        if self.shown.as_ref() == Some(&shell) {
            return Ok(Proven::Yes);
        }
        Progress::print(&format!(
            "\n  Endpoint      {}\n  CA            {}\n  Data          {}\n  Log           {}\n  Environment{}\n\n{}\n",
            environment.endpoint,
            environment.ca.display(),
            self.folders.claim(&tenant.names().data()).display(),
            self.folders.log(&tenant.name).display(),
            wished
                .env_file
                .as_ref()
                .map(|path| format!("   {}", path.display()))
                .unwrap_or_default(),
            indented(&shell),
        ));
        self.shown = Some(shell);
        Ok(Proven::Yes)
    }

    /// Has the server try its KMS, and says what came of it where that is new.
    async fn try_kms(&mut self, tenant: &ValidTenant, material: &Material, wished: &Wished) {
        let Some(kms) = &tenant.kms else { return };
        let (_, target) = target(tenant, material, wished);
        let about = format!("{:?} {:?}", self.started, kms.default_key);
        let subject = Subject { about, target, root: material.root.clone() };
        #[expect(clippy::disallowed_methods, reason = "the edge of the program")]
        let now = Timestamp::now();
        let (seen, _) = self.kms.look(&tenant.uid, kms, subject, now).await;
        if let Some(seen) = seen
            && self.kms_seen.as_ref() != Some(&seen)
        {
            if seen.is_good() {
                self.progress.say(&self.key.to_string(), &format!("KMS: {}", seen.message));
            } else {
                self.progress.problem(&format!("{}: KMS: {}", self.key, seen.message));
            }
            self.kms_seen = Some(seen);
        }
    }

    /// Lets in the resources that live there.
    fn publish(
        &self,
        tenant: &ValidTenant,
        material: &Material,
        wished: &Wished,
    ) -> Result<(), TendError> {
        let (address, target) = target(tenant, material, wished);
        let run = format!("{:?}", self.started);
        let endpoint = format!("https://{address}");
        #[expect(clippy::disallowed_methods, reason = "the edge of the program")]
        let now = Timestamp::now();
        let published = self.tenants.publish(tenant, material, target, endpoint, &run, now);
        published.map_err(|cause| {
            let name = tenant.names().control_authority();
            TendError::Material(MaterialError::Authority { name, cause })
        })
    }

    /// Writes the environment to where it is wished, which changes with the number of Tenants.
    fn move_environment(&mut self, wished: &Wished) -> Result<(), TendError> {
        if self.env_file == wished.env_file {
            return Ok(());
        }
        if let (Some(path), Some(shell)) = (&wished.env_file, &self.published) {
            pod::write_atomically(path, shell.as_bytes(), Mode::Private)
                .map_err(|cause| TendError::Write { path: path.clone(), cause })?;
        }
        if let Some(old) = self.env_file.take() {
            std::fs::remove_file(&old).or_else(|cause| match cause.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(TendError::Write { path: old, cause }),
            })?;
        }
        self.env_file.clone_from(&wished.env_file);
        Ok(())
    }

    /// Returns when the server ended by itself; never, if none runs.
    async fn ended(&mut self) {
        let Some(process) = &mut self.process else { return std::future::pending().await };
        let how = match process.ended().await {
            Ok(status) => status.to_string(),
            Err(cause) => cause.to_string(),
        };
        self.process = None;
        if self.started.is_some_and(|started| started.elapsed() > HEALTHY) {
            self.pause = BACKOFF.0;
        }
        self.told = None;
        self.problem(&format!(
            "the server ended ({how}); it starts again in {:.1} s; the end of its log {}:\n    {}",
            self.pause.as_secs_f64(),
            self.folders.log(&self.key.name).display(),
            process::end_of(&self.folders.log(&self.key.name)),
        ));
        self.next_start = Some(Instant::now() + self.pause);
        self.pause = BACKOFF.1.min(self.pause * 2);
        self.withdraw();
    }

    /// What was proven must be proven again.
    fn withdraw(&mut self) {
        self.published = None;
        self.tenants.withdraw(&self.key);
    }

    async fn end_process(&mut self) {
        self.withdraw();
        if let Some(process) = self.process.take()
            && let Err(cause) = process.stop().await
        {
            self.problem(&format!("the server can't be stopped: {cause}"));
        }
    }

    async fn stop(mut self) {
        self.end_process().await;
    }

    async fn remove(mut self) {
        let tenant = accepted(&self.options.data, &self.key)
            .and_then(|json| serde_json::from_value::<Tenant>(json).ok());
        self.end_process().await;
        let names = crate::tenant::ObjectNames::new(&self.key.name);
        let mut folders = vec![
            self.folders.secret(&names.authority()),
            self.folders.secret(&names.tls()),
            self.folders.secret(&names.root()),
            self.folders.secret(&names.control_authority()),
            self.folders.config_map(&names.ca()),
            self.folders.config_map(&names.control()),
        ];
        let deletes =
            tenant.is_some_and(|tenant| tenant.spec.deletion_policy == DeletionPolicy::Delete);
        if deletes {
            folders.push(self.folders.claim(&names.data()));
            folders.push(self.folders.secret(&names.iam()));
        }
        for folder in folders {
            if let Err(cause) = pod::remove_folder(&folder) {
                self.problem(&format!("`{}` can't be removed: {cause}", folder.display()));
            }
        }
        for file in [Some(self.folders.accepted(&self.key.name)), self.env_file.take()]
            .into_iter()
            .flatten()
        {
            if let Err(cause) = std::fs::remove_file(&file)
                && cause.kind() != io::ErrorKind::NotFound
            {
                self.problem(&format!("`{}` can't be removed: {cause}", file.display()));
            }
        }
        let what = if deletes {
            "removed with its data"
        } else {
            "removed; its data is kept (deletionPolicy: Retain)"
        };
        self.progress.say(&self.key.to_string(), what);
    }

    /// Says something once, until something else is said.
    fn once(&mut self, what: &str) {
        if self.told.as_deref() != Some(what) {
            self.progress.say(&self.key.to_string(), what);
            self.told = Some(what.to_owned());
        }
    }

    fn problem(&mut self, what: &str) {
        if self.told.as_deref() != Some(what) {
            self.progress.problem(&format!("{}: {what}", self.key));
            self.told = Some(what.to_owned());
        }
    }
}

fn target(tenant: &ValidTenant, material: &Material, wished: &Wished) -> (SocketAddr, Target) {
    let address = reachable(wished.listen);
    let target = Target {
        address,
        host: address.ip().to_string(),
        port: address.port(),
        roots: material.authority.roots(),
        region: tenant.region.clone(),
    };
    (address, target)
}

fn why_stopped(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Running => "its settings changed: starting the server anew",
        Wanted::Stopped => "suspended: stopping the server",
    }
}

fn settings(listen: SocketAddr) -> Settings {
    let mut extra_names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let ip = reachable(listen).ip().to_string();
    if !extra_names.contains(&ip) {
        extra_names.push(ip);
    }
    Settings {
        image: Some("coffer".to_owned()),
        cluster_domain: "cluster.local".to_owned(),
        drain: Duration::from_secs(5),
        extra_names,
    }
}

/// An address under which a client on this machine reaches the listener.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["    ", line, "\n"]).collect()
}
