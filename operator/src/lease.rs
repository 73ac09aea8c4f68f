//! Only one operator works: the one that holds the Lease. Losing it ends the process, so that no two write at once.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt as _};

/// For how long a lease holds without being renewed, in seconds.
const LIFE_SECONDS: u16 = 15;
/// How long renewing may fail before the process gives up. Shorter than the lease's life: it stops before another begins.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the lease is renewed, or looked at by those who wait.
const LOOK: Duration = Duration::from_secs(2);

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It couldn't be renewed in time, or another has it.
    #[error("the lease `{name}` is lost; this process ends so that another can work")]
    Lost {
        /// The lease's name.
        name: String,
        /// The last failure, where there was one.
        #[source]
        cause: Option<Box<kube::Error>>,
    },
}

/// A lease by its name, and who wants to hold it.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the client has none")]
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
}

/// What a look at the lease showed.
enum Look {
    Held,
    Others(Seen),
}

/// The state of another's lease. Its age is measured by our own clock: theirs may differ.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    version: Option<String>,
    life: Duration,
}

impl Candidate {
    /// A candidate of this identity for the lease `name` in `namespace`.
    pub fn new(client: &Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// Waits until the lease is ours.
    pub async fn acquire(&self) {
        let mut others: Option<(Seen, Instant)> = None;
        loop {
            let expired = others
                .as_ref()
                .filter(|(seen, since)| since.elapsed() > seen.life)
                .map(|(seen, _)| seen.clone());
            match self.take(expired.as_ref()).await {
                Ok(Look::Held) => return,
                Ok(Look::Others(seen)) => {
                    if others.as_ref().is_none_or(|(known, _)| *known != seen) {
                        others = Some((seen, Instant::now()));
                    }
                }
                Err(cause) => {
                    tracing::warn!(%cause, lease = self.name, "the lease can't be read or taken; trying again");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Renews the lease; returns only when it is lost.
    pub async fn keep(&self) -> LeaseError {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let lost = |cause| LeaseError::Lost { name: self.name.clone(), cause };
            match tokio::time::timeout(PATIENCE.saturating_sub(renewed.elapsed()), self.take(None))
                .await
            {
                Ok(Ok(Look::Held)) => renewed = Instant::now(),
                Ok(Ok(Look::Others(_))) => return lost(None),
                Ok(Err(cause)) if renewed.elapsed() > PATIENCE => {
                    return lost(Some(Box::new(cause)));
                }
                Ok(Err(cause)) => {
                    tracing::warn!(%cause, lease = self.name, "the lease can't be renewed; trying again");
                }
                Err(_elapsed) => return lost(None),
            }
        }
    }

    /// Gives the lease up, so that the next one needn't wait for its end.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn release(&self) -> Result<(), kube::Error> {
        let mut lease = self.api.get(&self.name).await?;
        if let Some(spec) = &mut lease.spec
            && spec.holder_identity.as_deref() == Some(self.identity.as_str())
        {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    /// Takes or renews the lease if it is free, ours, or still as `expired` describes it.
    async fn take(&self, expired: Option<&Seen>) -> Result<Look, kube::Error> {
        #[expect(
            clippy::disallowed_methods,
            reason = "other candidates show it to people; nothing is decided by it"
        )]
        let now = MicroTime(Timestamp::now());
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(&now, None)) };
            self.api.create(&PostParams::default(), &lease).await?;
            return Ok(Look::Held);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let seconds =
            u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        let seen = Seen { version: lease.resource_version(), life: Duration::from_secs(seconds) };
        if !holder.is_empty() && holder != self.identity && expired != Some(&seen) {
            return Ok(Look::Others(seen));
        }
        let ours = (holder == self.identity).then_some(&spec);
        lease.spec = Some(self.spec(&now, ours.or(Some(&spec))));
        if ours.is_none()
            && let Some(new) = &mut lease.spec
        {
            new.lease_transitions =
                Some(spec.lease_transitions.unwrap_or_default().saturating_add(1));
            new.acquire_time = Some(now);
        }
        // The resource version in it makes this fail if another was faster.
        self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        Ok(Look::Held)
    }

    fn spec(&self, now: &MicroTime, before: Option<&LeaseSpec>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::from(LIFE_SECONDS)),
            acquire_time: before
                .and_then(|before| before.acquire_time.clone())
                .or_else(|| Some(now.clone())),
            renew_time: Some(now.clone()),
            lease_transitions: before.and_then(|before| before.lease_transitions),
            ..LeaseSpec::default()
        }
    }
}
