//! Who asked what of whom, and why it was decided so: one record for each request, written when its answer was sent.
//!
//! A record is a line of JSON, on standard output and for a webhook. Each has the hash of the line before it that went the same way, so
//! that a line that is missing, changed or moved is found offline (`coffer-operator audit verify`). Nothing secret is in it: no
//! signature, no token, no query.
//!
//! | member | meaning |
//! |---|---|
//! | `audit` | the form's number: 1 |
//! | `run`, `sequence`, `previous` | the process, the record's number in it from 0, SHA-256 of the line before (none in the first) |
//! | `time` | when the request came |
//! | `requestId` | as in the answer, also in one that denies: the decision is found by it |
//! | `source`, `tls`, `cipher` | the peer's address; what was agreed on with it |
//! | `signature` | the form of the signature: `V2Header`, `V2Presigned`, `V2Form` are deprecated |
//! | `identity` | `kind`, `name` and, where it isn't a user's own, `accessKey` |
//! | `operation`, `bucket`, `key` | what was asked for: an operation of S3, or the path of one of the admin API |
//! | `keys` | of DeleteObjects: each `key`, and the `code` of the error that it was answered with |
//! | `decision` | `outcome`, and the `layer`, `policy`, `statement` and `sid` that decided, or the layer that is `lacking`: of the last that denied, if one did |
//! | `status`, `code` | the answer; the status is 0 if there was none |
//! | `bytesSent`, `seconds` | of the answer's body; from the request's head to the answer's last byte |
//! | `lostBefore` | how many records this way couldn't take in time since the line before; usually not there |

mod chain;
mod queue;
mod trail;
mod webhook;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tracing::error;

use crate::authorize::Decision;
use crate::authorize::later::NamedKey;
use crate::config::{AuditSettings, Destination};
use crate::metrics::Metrics;
use crate::outbound::TrustError;
use chain::Chain;
use queue::Queue;
pub use trail::{Ending, Trail};
use webhook::Webhook;

/// Records that may wait for one way. Beyond them records are lost, and the next one says how many.
const WAITING: usize = 16 * 1024;
/// Bytes of many keys that may wait for one way beside them.
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Why records can't be taken as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The webhook's address is none.
    #[error("`{0}` is no address of a webhook; give it as `https://host:port/path`")]
    Address(String),
    /// The webhook's certificate could not be checked.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The webhook's token can't be used.
    #[error("`{0}` has no token that can be sent in a header")]
    Token(PathBuf),
    /// The queue can't be opened.
    #[error("the queue of audit records in `{0}` can't be opened")]
    Queue(PathBuf, #[source] io::Error),
}

/// Takes the records of all requests.
#[derive(Debug)]
pub struct Audit {
    /// Counted whether records are written or not.
    metrics: Arc<Metrics>,
    ways: Vec<Way>,
}

/// One way that records go: its thread makes them lines, so that one that stands still holds up no request and no other way.
#[derive(Debug)]
struct Way {
    thread: SyncSender<Task>,
    /// Bytes of the many keys of records that wait.
    waiting: Arc<AtomicUsize>,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Task {
    /// A record, and how many before it weren't taken.
    Record(Arc<Record>, u64),
    /// To tell once everything before is done.
    Tell(SyncSender<()>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    time: Option<String>,
    request_id: String,
    source: IpAddr,
    tls: Option<String>,
    cipher: Option<String>,
    signature: Option<String>,
    identity: Option<Identity>,
    operation: Option<&'static str>,
    bucket: Option<String>,
    key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<NamedKey>,
    decision: Option<Decided>,
    status: u16,
    code: Option<String>,
    bytes_sent: u64,
    seconds: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<String>,
}

#[derive(Debug, Serialize)]
struct Decided {
    outcome: &'static str,
    layer: Option<&'static str>,
    policy: Option<String>,
    statement: Option<usize>,
    sid: Option<String>,
    lacking: Option<&'static str>,
}

impl Record {
    /// What it takes beyond what each takes.
    fn bytes_of_keys(&self) -> usize {
        let bytes = |named: &NamedKey| named.key.len().saturating_add(64);
        self.keys.iter().map(bytes).fold(0, usize::saturating_add)
    }
}

impl Audit {
    /// Records go where the settings say; those for a webhook wait in `data`.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(
        settings: &AuditSettings,
        data: &Path,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, AuditError> {
        let mut ways = Vec::new();
        if settings.destination == Destination::Stdout {
            ways.push(Way::begin(Arc::clone(&metrics), |line| {
                let mut output = io::stdout().lock();
                output.write_all(line).and_then(|()| output.flush())
            }));
        }
        if let (Some(address), Some(ca)) = (&settings.webhook, &settings.webhook_ca) {
            let webhook = Webhook::new(address, ca.clone(), settings.webhook_token.clone())?;
            let folder = data.join("audit");
            let queue = Queue::open(&folder, settings.queue_bytes)
                .map_err(|error| AuditError::Queue(folder, error))?;
            let (queue, put) = (Arc::new(queue), Arc::new(Notify::new()));
            metrics.audit_waits(queue.waiting());
            tokio::spawn(webhook.serve(Arc::clone(&queue), Arc::clone(&put), Arc::clone(&metrics)));
            let counted = Arc::clone(&metrics);
            ways.push(Way::begin(Arc::clone(&metrics), move |line| {
                queue.put(line)?;
                counted.audit_waits(queue.waiting());
                put.notify_one();
                Ok::<(), queue::PutError>(())
            }));
        }
        Ok(Arc::new(Self { metrics, ways }))
    }

    /// Waits until all records so far are written or put by, for 2 s at most.
    pub async fn settle(&self) {
        let told: Vec<Receiver<()>> = self
            .ways
            .iter()
            .filter_map(|way| {
                let (tell, told) = sync_channel(1);
                way.thread.try_send(Task::Tell(tell)).ok().map(|()| told)
            })
            .collect();
        let wait = move || {
            for told in told {
                let _in_time = told.recv_timeout(Duration::from_secs(2));
            }
        };
        drop(tokio::task::spawn_blocking(wait).await);
    }

    fn record(&self, trail: &mut Trail, status: u16, sent: u64) {
        let elapsed = trail.began.elapsed();
        self.metrics.answered(trail.operation, trail.scheme, status, elapsed);
        if self.ways.is_empty() {
            return;
        }
        let Trail { source, tls, cipher, time, scheme, caller, operation, .. } = &*trail;
        let (source, tls, cipher, scheme, operation) =
            (*source, *tls, *cipher, *scheme, *operation);
        let caller = caller.clone();
        let time = *time;
        let (denied, keys) = trail.later.take().map(|later| later.take()).unwrap_or_default();
        let decision = denied.or(trail.decision.take());
        let (bucket, key, code) = (trail.bucket.take(), trail.key.take(), trail.code.take());
        let request_id = std::mem::take(&mut trail.request_id);
        let record = Record {
            time: time.map(|time| time.to_string()),
            request_id,
            source,
            tls: tls.and_then(|tls| tls.as_str().map(str::to_owned)),
            cipher: cipher.and_then(|cipher| cipher.as_str().map(str::to_owned)),
            signature: scheme.map(|scheme| format!("{scheme:?}")),
            identity: caller.as_ref().map(|caller| {
                let principal = caller.principal();
                Identity {
                    kind: match caller.identity() {
                        crate::authorize::Identity::Control => "Control",
                        _ => principal.kind.name(),
                    },
                    name: principal.name.to_owned(),
                    access_key: caller.access_key().map(|key| key.name.to_string()),
                }
            }),
            operation,
            bucket,
            key,
            keys,
            decision: decision.map(|Decision { outcome, by, lacking }| Decided {
                outcome: outcome.name(),
                layer: by.as_ref().map(|by| by.layer.name()),
                statement: by.as_ref().map(|by| by.statement),
                sid: by.as_ref().and_then(|by| by.sid.clone()),
                policy: by.map(|by| by.policy),
                lacking: lacking.map(coffer_policy::Layer::name),
            }),
            status,
            code,
            bytes_sent: sent,
            seconds: elapsed.as_secs_f64(),
        };
        let record = Arc::new(record);
        for way in &self.ways {
            way.take(Arc::clone(&record), &self.metrics);
        }
    }
}

impl Way {
    /// Lines go to `keep`, from a thread of its own.
    fn begin<E: std::error::Error + 'static>(
        metrics: Arc<Metrics>,
        keep: impl Fn(&[u8]) -> Result<(), E> + Send + 'static,
    ) -> Self {
        let (thread, tasks) = sync_channel(WAITING);
        let waiting = Arc::<AtomicUsize>::default();
        let waits = Arc::clone(&waiting);
        std::thread::spawn(move || write(&tasks, &waits, &metrics, keep));
        Self { thread, waiting, lost: AtomicU64::new(0) }
    }

    fn take(&self, record: Arc<Record>, metrics: &Metrics) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let bytes = record.bytes_of_keys();
        let room = |waiting: usize| {
            Some(waiting.saturating_add(bytes)).filter(|all| bytes == 0 || *all <= WAITING_BYTES)
        };
        let has_room =
            self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        let taken = has_room && {
            let sent = self.thread.try_send(Task::Record(record, lost)).is_ok();
            if !sent {
                self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            }
            sent
        };
        if !taken {
            self.lost.fetch_add(lost.saturating_add(1), Ordering::Relaxed);
            metrics.audit_lost();
        }
    }
}

/// Makes lines of records until there are no more.
fn write<E: std::error::Error + 'static>(
    tasks: &Receiver<Task>,
    waiting: &AtomicUsize,
    metrics: &Metrics,
    keep: impl Fn(&[u8]) -> Result<(), E>,
) {
    let mut chain = Chain::new();
    let mut fails = false;
    while let Ok(task) = tasks.recv() {
        match task {
            Task::Record(record, lost) => {
                let added = chain.add(&record, lost, &keep);
                waiting.fetch_sub(record.bytes_of_keys(), Ordering::Relaxed);
                match added {
                    Ok(()) => fails = false,
                    Err(error) => {
                        metrics.audit_lost();
                        // Told once: a disk or a pipe that is full stays so for many records.
                        if !fails {
                            error!(
                                error = &error as &dyn std::error::Error,
                                "audit records are lost"
                            );
                        }
                        fails = true;
                    }
                }
            }
            Task::Tell(tell) => drop(tell.try_send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::StatusCode;

    use super::*;

    /// The record of a request with this number as its id.
    pub(super) fn record(number: u64) -> Record {
        Record {
            time: None,
            request_id: number.to_string(),
            source: [192, 0, 2, 1].into(),
            tls: None,
            cipher: None,
            signature: None,
            identity: None,
            operation: Some("GetObject"),
            bucket: None,
            key: None,
            keys: Vec::new(),
            decision: None,
            status: 200,
            code: None,
            bytes_sent: 11,
            seconds: 0.5,
        }
    }

    #[tokio::test]
    async fn each_way_gets_each_record_and_one_that_stands_still_holds_up_none() {
        let metrics = Arc::new(Metrics::default());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let works = Way::begin(Arc::clone(&metrics), move |line| {
            kept.lock()
                .map(|mut lines| lines.push(line.to_vec()))
                .map_err(|_poisoned| io::Error::other("x"))
        });
        let (end, ended) = sync_channel::<()>(0);
        let stands = Way::begin(Arc::clone(&metrics), move |_line| held_up(&ended));
        let audit = Arc::new(Audit { metrics, ways: vec![works, stands] });
        for number in 0..3 {
            let mut trail = Trail::begin(number.to_string(), [192, 0, 2, 1].into(), None, None);
            trail.operation = Some("GetObject");
            let mut ending = Ending::new(trail, Arc::clone(&audit));
            ending.answered(StatusCode::OK);
            ending.sent(5);
            ending.sent(6);
        }
        audit.settle().await;
        drop(end);
        let lines = lines.lock().unwrap();
        let read: Vec<serde_json::Value> =
            lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
        assert_eq!(read.len(), 3);
        for (number, record) in read.iter().enumerate() {
            assert_eq!(record["requestId"], number.to_string());
            assert_eq!((&record["sequence"], &record["bytesSent"]), (&number.into(), &11.into()));
        }
    }

    fn held_up(ended: &Receiver<()>) -> io::Result<()> {
        ended.recv().map_err(io::Error::other)
    }
}
