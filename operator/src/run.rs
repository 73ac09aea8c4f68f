//! `run`: the operator in a cluster, from its start to its end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tracing::{info, warn};

use crate::apply;
use crate::event::Events;
use crate::health::{self, Health};
use crate::iam::Tenants;
use crate::kms_probe::Prober;
use crate::lease::{Candidate, LeaseError};
use crate::reconcile::managed::Shared;
use crate::reconcile::{self, Context, Memory};
use crate::settings::Settings;
use crate::tenant::build::MANAGER;
use crate::watch::{self, Seen, Watched};

/// How long reconciliations that have begun may take after SIGTERM.
const LAST_STEPS: Duration = Duration::from_secs(10);
/// How often it is looked whether a Tenant is gone, though nobody heard of it.
const SWEEP: Duration = Duration::from_mins(1);

/// What the operator is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What holds for all Tenants.
    pub settings: Settings,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub health: SocketAddr,
    /// The namespace of the Lease; none: this is the only operator.
    pub lease_namespace: Option<String>,
    /// Who this process is, in the Lease and in events.
    pub identity: String,
    /// Namespaces whose Secrets may be watched.
    pub secret_namespaces: Vec<String>,
    /// How often Secrets are read by name elsewhere.
    pub poll: Duration,
}

/// Why the operator ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The cluster isn't known.
    #[error("no cluster: neither a service account nor a kubeconfig can be used")]
    Config(#[source] Box<kube::Error>),
    /// The health endpoints can't be served.
    #[error("`{address}` can't be listened at")]
    Health {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Another operator works.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Signals can't be received.
    #[error("signals can't be received")]
    Signals(#[source] io::Error),
    /// The controller ended by itself.
    #[error("the controller ended by itself; this is a defect")]
    Ended,
}

/// Runs until SIGTERM or SIGINT, or until the lease is lost.
///
/// # Errors
/// [`RunError`] for everything but a signal.
pub async fn run(options: Options) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };

    let client = Client::try_default().await.map_err(|cause| RunError::Config(Box::new(cause)))?;
    let state = Arc::new(Health::default());
    let health = health::serve(options.health, state.clone());
    let failed = |cause| RunError::Health { address: options.health, cause };
    tokio::select! {
        Err(cause) = health => Err(failed(cause)),
        outcome = work(&options, &client, &state, end) => outcome,
    }
}

async fn work(
    options: &Options,
    client: &Client,
    state: &Arc<Health>,
    end: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let mut end = std::pin::pin!(end);
    let lease = options
        .lease_namespace
        .as_ref()
        .map(|namespace| Candidate::new(client, namespace, MANAGER, &options.identity));
    // One that waits for the lease works as it should.
    state.is_ready();
    if let Some(lease) = &lease {
        info!(identity = options.identity, "waiting for the lease");
        tokio::select! {
            () = lease.acquire() => {}
            () = &mut end => return Ok(()),
        }
    }
    state.metrics.leads();
    info!("leading");

    let (stop, stopped) = tokio::sync::watch::channel(());
    let (controller, known, stores) = watch::controller(client, &options.secret_namespaces);
    let tenants = Arc::new(Tenants::default());
    let resources = Shared::new(client, known.clone(), Arc::clone(&tenants), options, state);
    let context = Arc::new(Context {
        client: client.clone(),
        settings: options.settings.clone(),
        stores: stores.clone(),
        memory: Memory::default(),
        kms: Prober::default(),
        applied: apply::Memory::default(),
        events: Events::new(client, &options.identity),
        tenants,
        health: state.clone(),
        secret_namespaces: options.secret_namespaces.clone(),
        poll: options.poll,
    });
    let resources = resources.run(stopped.clone());
    let forgetting = forget(known, Arc::clone(&context));
    let stream = controller
        .graceful_shutdown_on(async move {
            let mut stopped = stopped;
            // Whoever would tell is gone.
            drop(stopped.changed().await);
        })
        .run(
            move |tenant, context| {
                let stores = stores.clone();
                async move {
                    // Acting on a store that isn't filled yet would send what is there already.
                    stores.filled().await;
                    Box::pin(reconcile::reconcile(tenant, context)).await
                }
            },
            |tenant, cause, context| reconcile::on_error(&tenant, cause, &context),
            context,
        );
    let mut drained = std::pin::pin!(async {
        tokio::join!(watch::drain(stream, report), resources);
    });
    let lost = async {
        match &lease {
            Some(lease) => lease.keep().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = &mut end => {}
        () = &mut drained => return Err(RunError::Ended),
        never = forgetting => match never {},
        cause = lost => return Err(cause.into()),
    }
    info!("stopping");
    state.ends();
    drop(stop);
    if tokio::time::timeout(LAST_STEPS, drained).await.is_err() {
        warn!("reconciliations were cut off; the next start takes them up");
    }
    if let Some(lease) = &lease
        && let Err(cause) = lease.release().await
    {
        warn!(%cause, "the lease couldn't be given up; the next operator waits for its end");
    }
    Ok(())
}

/// Forgets Tenants that are gone.
async fn forget(mut known: Seen<Watched>, context: Arc<Context>) -> Infallible {
    known.filled().await;
    loop {
        // One that was just being reconciled when it went is met once more.
        drop(tokio::time::timeout(SWEEP, known.removal()).await);
        reconcile::forget_gone(&known, &context);
    }
}

pub(crate) fn report<R: std::error::Error + 'static, Q: std::error::Error + 'static>(
    error: kube::runtime::controller::Error<R, Q>,
) {
    use kube::runtime::controller::Error;
    match error {
        // Woken by an object that went with its Tenant; or said where it was handled.
        Error::ObjectNotFound(_) | Error::ReconcilerFailed(..) => {}
        Error::QueueError(cause) => warn!(%cause, "a watch broke off; it begins anew"),
        Error::RunnerError(cause) => warn!(%cause, "the controller's runner failed"),
    }
}
