//! Posts what waits in a queue, in order, until it was taken.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::Full;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::AuditError;
use super::queue::{Batch, Queue};
use crate::metrics::Metrics;
use crate::outbound::{self, Connections};

/// One post has so many bytes, or one line.
const MOST: usize = 1024 * 1024;
/// How long one post may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause after a post that failed; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where records are posted to.
#[derive(Debug)]
pub(super) struct Webhook {
    address: Uri,
    means: Arc<ArcSwap<Means>>,
}

/// What is read from files, again when they change.
#[derive(Debug)]
struct Means {
    connections: Connections,
    authorization: Option<HeaderValue>,
}

impl Webhook {
    /// Reads the address and the files.
    ///
    /// # Errors
    /// [`AuditError`].
    pub(super) fn new(
        address: &str,
        ca: PathBuf,
        token: Option<PathBuf>,
    ) -> Result<Self, AuditError> {
        let bad = || AuditError::Address(address.to_owned());
        let uri: Uri = address.parse().map_err(|_invalid| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        if uri.scheme_str() != Some("https") || authority.as_str().contains('@') {
            return Err(bad());
        }
        let files = std::iter::once(ca.clone()).chain(token.clone()).collect();
        let means = crate::follow::follow("audit webhook's files", files, move || {
            Means::read(&ca, token.as_deref())
        })?;
        Ok(Self { address: uri, means })
    }

    /// Posts what waits and what comes, for ever.
    pub(super) async fn serve(self, queue: Arc<Queue>, put: Arc<Notify>, metrics: Arc<Metrics>) {
        let mut pause = PAUSE;
        loop {
            let batch = match next(&queue).await {
                Ok(Some(batch)) => batch,
                Ok(None) => {
                    put.notified().await;
                    continue;
                }
                Err(error) => {
                    warn!(error = &error as &dyn Error, "the queue of audit records can't be read");
                    tokio::time::sleep(LONGEST_PAUSE).await;
                    continue;
                }
            };
            match self.post(&batch).await {
                Ok(()) => {
                    if pause > PAUSE {
                        info!("the audit webhook takes records again");
                    }
                    pause = PAUSE;
                    if let Err(error) = queue.taken(&batch) {
                        warn!(error = &error as &dyn Error, "audit records will be posted again");
                        tokio::time::sleep(LONGEST_PAUSE).await;
                    }
                    metrics.audit_waits(queue.waiting());
                }
                Err(why) => {
                    if pause == PAUSE {
                        warn!(
                            why,
                            waiting = queue.waiting(),
                            "the audit webhook doesn't take records; they wait"
                        );
                    }
                    tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Why it wasn't taken, for a person.
    async fn post(&self, batch: &Batch) -> Result<(), String> {
        let means = self.means.load_full();
        let mut request = Request::post(self.address.clone())
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(Full::new(Bytes::copy_from_slice(&batch.lines)))
            .map_err(|error| error.to_string())?;
        if let Some(authorization) = &means.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        match tokio::time::timeout(PATIENCE, means.connections.request(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(said(answer.status())),
            Ok(Err(error)) => Err(outbound::chain(&error)),
            Err(_elapsed) => Err("no answer in time".to_owned()),
        }
    }
}

async fn next(queue: &Arc<Queue>) -> io::Result<Option<Batch>> {
    let queue = Arc::clone(queue);
    tokio::task::spawn_blocking(move || queue.next(MOST)).await.map_err(io::Error::other)?
}

fn said(status: StatusCode) -> String {
    format!("it answers {}", status.as_u16())
}

impl Means {
    fn read(ca: &Path, token: Option<&Path>) -> Result<Self, AuditError> {
        let connections = outbound::connections(ca, Duration::from_secs(5))?;
        let authorization = match token {
            None => None,
            Some(file) => {
                let unusable = || AuditError::Token(file.to_owned());
                let token = std::fs::read_to_string(file).map_err(|_unreadable| unusable())?;
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                    .map_err(|_invalid| unusable())?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { connections, authorization })
    }
}
