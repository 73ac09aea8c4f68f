//! The S3 server of a Coffer tenant.
//!
//! A request goes accept → route → authenticate → authorize → the S3 operation → the store, one module each, in that order
//! below, and never goes back.

pub mod config;
pub mod accept;
pub mod service;
pub mod route;
pub mod authenticate;
pub mod iam;
pub mod authorize;
pub mod admin;
pub mod operation;
pub mod s3;
pub mod encrypt;
pub mod answer;
pub mod audit;
pub mod outbound;
pub mod metrics;
pub mod follow;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use coffer_sse::kms::KmsError;
use coffer_sse::range::stored_length;
use coffer_store::{OpenError, Settings, Store, StoreError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use accept::certificate::{self, CertificateError};
use admin::{Admin, Place};
use audit::{Audit, AuditError};
use authenticate::{Authenticator, CredentialsError, RootCredentials};
use config::Config;
use encrypt::coverage::Looking;
use encrypt::keys::Keys;
use encrypt::rotation::Rotation;
use iam::seal::SealingKeysError;
use iam::{Iam, IamError, SealingKeys};
use metrics::Metrics;
use route::Domains;
use service::Service;

/// Why the server doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate can't be served.
    #[error("the certificate can't be used")]
    Certificate(#[from] CertificateError),
    /// The root credentials can't be used.
    #[error("the root credentials can't be used")]
    Credentials(#[from] CredentialsError),
    /// The key of identities and policies can't be used.
    #[error("the key of identities and policies can't be used")]
    SealingKeys(#[from] SealingKeysError),
    /// Identities and policies can't be read.
    #[error("identities and policies can't be read")]
    Iam(#[from] IamError),
    /// Audit records can't be taken as the settings say.
    #[error("audit records can't be taken")]
    Audit(#[from] AuditError),
    /// Encryption can't be set up.
    #[error("the KMS can't be used")]
    Kms(#[from] KmsError),
    /// The data folder's id can't be read.
    #[error("the data folder's id can't be read")]
    Identity(#[source] StoreError),
    /// The data folder can't be opened.
    #[error("the data folder can't be opened")]
    Store(#[from] OpenError),
    /// The address can't be listened on, or signals can't be received.
    #[error("can't listen on `{address}`; is another process there?")]
    Listen {
        /// The configured address.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Signals can't be received.
    #[error("can't receive signals")]
    Signals(#[source] std::io::Error),
}

/// Runs the server until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// [`StartError`] when it can't start; once it serves, nothing ends it but a signal.
pub async fn run(config: Config) -> Result<(), StartError> {
    let tls_folder = config.tls.clone();
    let certificate = follow::follow("certificate", certificate::files(&config.tls), move || {
        certificate::read(&tls_folder)
    })?;
    let root_folder = config.root_credentials.clone();
    let files = RootCredentials::FILES.map(|name| config.root_credentials.join(name)).to_vec();
    let root =
        follow::follow("root credentials", files, move || RootCredentials::read(&root_folder))?;
    let (authority, oldest) = (config.control_ca.clone(), config.tls_min_version);
    let files = authority.as_deref().map(certificate::authority_files).unwrap_or_default();
    let tls = follow::follow("authority of client certificates", files, move || {
        certificate::tls(Arc::clone(&certificate), oldest, authority.as_deref())
    })?;
    let store = Store::open(Settings {
        // What is encrypted is a little longer.
        inline_limit: stored_length(config.inline_bytes).unwrap_or(config.inline_bytes),
        reserve: config.reserve(),
        ..Settings::new(config.data.clone())
    })
    .await?;
    let iam = match &config.iam_keys {
        Some(folder) => Some(iam(folder, &store).await?),
        None => None,
    };
    let tenant = store.identity().await.map_err(StartError::Identity)?;
    let metrics = Arc::new(Metrics::default());
    let audit = Audit::open(&config.audit, &config.data, Arc::clone(&metrics))?;
    let encryption = encrypt::provider::encryption(&config.kms, tenant, metrics.kms())?;
    if let Some(keys) = encryption.keys.clone() {
        tokio::spawn(expire(keys));
    }
    let listener = accept::listener::listen(config.listen, config.listener.as_deref())
        .await
        .map_err(|cause| StartError::Listen { address: config.listen, cause })?;
    let sweeper = tokio::spawn(sweep(store.clone()));
    let place = encrypt::provider::place(&config.kms);
    let kms = encryption.keys.clone().zip(place);
    let kms = kms.map(|(keys, (name, endpoint))| admin::Kms { keys, name, endpoint });
    let outdated = Arc::new(Notify::new());
    let rotation = Arc::new(Rotation::new(store.clone(), &encryption, Arc::clone(&outdated)));
    let pause = Duration::from_secs(u64::from(config.coverage_seconds));
    let looking = Looking::new(store.clone(), Arc::clone(&metrics), pause, outdated);
    let looking = Arc::new(looking);
    let admin = Admin::new(
        iam.clone(),
        Arc::clone(&root),
        store.clone(),
        config.region.clone(),
        kms,
        Arc::clone(&rotation),
        Arc::clone(&looking),
        Place { data: config.data.clone(), listen: config.listen },
    );
    let rotating = tokio::spawn(async move { rotation.work().await });
    let looking = tokio::spawn(async move { looking.work().await });
    let control = config.control_ca.as_ref().and(config.control_name.clone());
    let authenticator = Authenticator::new(
        root,
        iam,
        config.region.clone(),
        config.signature_v2,
        config.root_s3,
        control,
    );
    let service = Arc::new(Service::new(
        authenticator,
        admin,
        Domains::new(config.domains.iter().filter(|name| !name.is_empty()).cloned()),
        store.clone(),
        encryption,
        config.region.clone(),
        config.limits,
        Arc::clone(&metrics),
        Arc::clone(&audit),
    ));
    info!(address = %config.listen, region = config.region, "ready");
    let stop = stopped(&config, Arc::clone(&service))?;
    let answer = move |request, peer| {
        let service = Arc::clone(&service);
        service.serve(request, peer)
    };
    let limits = config.limits;
    let drain = Duration::from_secs(u64::from(config.drain_seconds));
    accept::serve(listener, tls, limits, answer, stop, drain).await;
    sweeper.abort();
    rotating.abort();
    looking.abort();
    // What still holds the store is cut off with the runtime; what was acknowledged is durable either way.
    if tokio::time::timeout(LAST_STEPS, store.close()).await.is_err() {
        info!("connections were cut off");
    }
    audit.settle().await;
    info!("stopped");
    Ok(())
}

/// Identities and policies, sealed by the keys in `folder`, which are followed while they change.
async fn iam(folder: &Path, store: &Store) -> Result<Arc<Iam>, StartError> {
    let files = SealingKeys::FILES.map(|name| folder.join(name)).to_vec();
    let read = folder.to_owned();
    let changed = Arc::new(Notify::new());
    let tell = Arc::clone(&changed);
    let followed = follow::follow_and_tell(
        "key of identities",
        files,
        move || SealingKeys::read(&read),
        move || tell.notify_one(),
    )?;
    let keys = Arc::new(ArcSwap::new(followed.load_full()));
    let iam = Arc::new(Iam::open(store.clone(), keys).await?);
    s3::bucket_policy::sweep(store, &iam).await.map_err(IamError::from)?;
    tokio::spawn(rotate(Arc::clone(&iam), followed, changed));
    Ok(iam)
}

/// Has identities and policies sealed by each new key.
async fn rotate(iam: Arc<Iam>, followed: Arc<ArcSwap<SealingKeys>>, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        while let Err(error) = iam.rotate(followed.load_full()).await {
            error!(
                error = &error as &dyn std::error::Error,
                "the new key of identities and policies isn't used; keep the one before it as `previous`"
            );
            // Another key, or another try where the store failed.
            drop(tokio::time::timeout(AGAIN, changed.notified()).await);
        }
        info!("identities and policies are sealed by the current key");
    }
}

/// After how long a new key is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// How long the store may take to close.
const LAST_STEPS: Duration = Duration::from_secs(2);

/// Wipes keys whose time is over.
async fn expire(keys: Arc<Keys>) {
    let mut often = tokio::time::interval(Duration::from_secs(10));
    loop {
        often.tick().await;
        keys.expire();
    }
}

/// A blob that a crash left behind is removed after so long.
const LEFTOVER: Duration = Duration::from_hours(24);

/// Removes once a day what crashes left behind, the first time soon after the start.
async fn sweep(store: Store) {
    let mut days =
        tokio::time::interval_at(tokio::time::Instant::now() + LAST_STEPS * 30, LEFTOVER);
    loop {
        days.tick().await;
        #[expect(
            clippy::disallowed_methods,
            reason = "the edge: the age of files is told by the clock"
        )]
        let now = jiff::Timestamp::now();
        match store.sweep(LEFTOVER, now).await {
            Ok(sweep) => info!(seen = sweep.seen, removed = sweep.removed, "swept"),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "can't sweep; tried again tomorrow"
                );
            }
        }
    }
}

/// Done when the server has to stop: after a signal, or when whoever started it is gone.
///
/// Without delay: a tenant on a volume has one pod, and until it is gone no other can come. The sooner it ends, the shorter nobody answers.
fn stopped(
    config: &Config,
    service: Arc<Service>,
) -> Result<impl Future<Output = ()> + use<>, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let exit_with_stdin = config.exit_with_stdin;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = orphaned(exit_with_stdin) => return,
        }
        info!("draining");
        service.drain();
    })
}

/// Done when standard input ends, if that is to be watched.
async fn orphaned(watched: bool) {
    if !watched {
        return std::future::pending().await;
    }
    let (ended, wait) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: a read of standard input can't be cancelled, and the runtime would wait for it at the end.
    std::thread::spawn(move || {
        let _ended = ended;
        let mut stdin = std::io::stdin();
        let mut bytes = [0; 64];
        while matches!(stdin.read(&mut bytes), Ok(1..)) {}
    });
    drop(wait.await);
}
