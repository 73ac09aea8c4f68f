//! Who asked what of whom, and why it was decided so: one record for each request, written when its answer was sent.
//!
//! A record is a line of JSON on standard output. Each has the hash of the line before it, so that a line that is missing, changed
//! or moved is found offline (`coffer-operator audit verify`). Nothing secret is in it: no signature, no token, no query.
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
//! | `decision` | `outcome`, and the `layer`, `policy`, `statement` and `sid` that decided, or the layer that is `lacking` |
//! | `status`, `code` | the answer |
//! | `bytesSent`, `seconds` | of the answer's body; from the request's head to the answer's last byte |

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use clap::ValueEnum;
use coffer_signature::Scheme;
use jiff::Timestamp;
use rustls::{CipherSuite, ProtocolVersion};
use serde::Serialize;
use tracing::error;

use crate::authorize::{Caller, Decision};
use crate::metrics::Metrics;
use crate::route::Target;

/// Where records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Destination {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
}

/// Records that may wait for the output. Beyond them records are lost, and the next one says how many.
const WAITING: usize = 16 * 1024;

/// Takes the records of all requests.
#[derive(Debug)]
pub struct Audit {
    /// Counted whether records are written or not.
    metrics: Arc<Metrics>,
    output: Option<SyncSender<Record>>,
    lost: AtomicU64,
}

/// What became known of a request on its way.
#[derive(Debug)]
pub struct Trail {
    request_id: String,
    began: Instant,
    source: IpAddr,
    tls: Option<ProtocolVersion>,
    cipher: Option<CipherSuite>,
    time: Option<Timestamp>,
    /// The form of its signature, once that was proven.
    pub scheme: Option<Scheme>,
    /// Who sent it.
    pub caller: Option<Caller>,
    /// What it asks for.
    pub operation: Option<&'static str>,
    /// The bucket.
    pub bucket: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// The last decision about it.
    pub decision: Option<Decision>,
    /// The code of the error that it was answered with.
    pub code: Option<String>,
}

impl Trail {
    /// The trail of a request that has just come.
    pub fn begin(
        request_id: String,
        source: IpAddr,
        tls: Option<ProtocolVersion>,
        cipher: Option<CipherSuite>,
    ) -> Self {
        Self {
            request_id,
            began: Instant::now(),
            source,
            tls,
            cipher,
            time: None,
            scheme: None,
            caller: None,
            operation: None,
            bucket: None,
            key: None,
            decision: None,
            code: None,
        }
    }

    /// What it asks for is known.
    pub fn asks(&mut self, target: &Target) {
        let Target { operation, bucket, key, path: _ } = target;
        self.operation = Some(operation.name());
        self.bucket = bucket.as_ref().map(|bucket| bucket.as_str().to_owned());
        self.key = key.as_ref().map(|key| key.as_str().to_owned());
    }

    /// Who sent it is proven.
    pub fn is_from(&mut self, caller: &Caller, scheme: Scheme) {
        self.caller = Some(caller.clone());
        self.scheme = Some(scheme);
    }

    /// The clock was read.
    pub fn at(&mut self, now: Timestamp) {
        self.time = Some(now);
    }
}

/// A request in work: whatever ends it, its record is written.
#[derive(Debug)]
pub struct Ending {
    /// Taken when it ends.
    trail: Option<Box<Trail>>,
    audit: Arc<Audit>,
    status: u16,
    sent: u64,
}

impl Ending {
    /// The answer has this status.
    pub fn new(trail: Box<Trail>, audit: Arc<Audit>, status: u16) -> Self {
        Self { trail: Some(trail), audit, status, sent: 0 }
    }

    /// So many bytes more of the answer were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(trail) = self.trail.take() {
            self.audit.record(*trail, self.status, self.sent);
        }
    }
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
    decision: Option<Decided>,
    status: u16,
    code: Option<String>,
    bytes_sent: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_before: Option<u64>,
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

/// A record with its place in the chain.
#[derive(Serialize)]
struct Line<'a> {
    audit: u8,
    run: &'a str,
    sequence: u64,
    previous: Option<&'a str>,
    #[serde(flatten)]
    record: &'a Record,
}

impl Audit {
    /// Records go to `destination`.
    pub fn new(destination: Destination, metrics: Arc<Metrics>) -> Arc<Self> {
        let output = match destination {
            Destination::Off => None,
            Destination::Stdout => {
                let (output, records) = sync_channel(WAITING);
                // A thread of its own: an output that nobody reads must not hold up a request.
                std::thread::spawn(move || write(&records, &mut std::io::stdout()));
                Some(output)
            }
        };
        Arc::new(Self { metrics, output, lost: AtomicU64::new(0) })
    }

    fn record(&self, trail: Trail, status: u16, sent: u64) {
        let Trail {
            request_id,
            began,
            source,
            tls,
            cipher,
            time,
            scheme,
            caller,
            operation,
            bucket,
            key,
            decision,
            code,
        } = trail;
        let elapsed = began.elapsed();
        self.metrics.answered(operation, scheme, status, elapsed);
        let Some(output) = &self.output else { return };
        let lost = self.lost.swap(0, Ordering::Relaxed);
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
            lost_before: (lost > 0).then_some(lost),
        };
        match output.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(lost.saturating_add(1), Ordering::Relaxed);
                self.metrics.audit_lost();
            }
        }
    }
}

/// Writes records until there are no more, each with the hash of the one before.
fn write(records: &Receiver<Record>, output: &mut impl std::io::Write) {
    let run = format!("{:016x}", rand::random::<u64>());
    let (mut sequence, mut previous) = (0, None::<String>);
    while let Ok(record) = records.recv() {
        let line =
            Line { audit: 1, run: &run, sequence, previous: previous.as_deref(), record: &record };
        let Ok(mut line) = serde_json::to_vec(&line) else { continue };
        previous = Some(hex::encode(digest(&SHA256, &line)));
        sequence += 1;
        line.push(b'\n');
        if let Err(error) = output.write_all(&line).and_then(|()| output.flush()) {
            error!(error = &error as &dyn std::error::Error, "audit records can't be written");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// What the writer wrote.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Output {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_record_has_the_hash_of_the_line_before() {
        let (sender, records) = sync_channel(WAITING);
        let metrics = Arc::new(Metrics::default());
        let audit = Arc::new(Audit { metrics, output: Some(sender), lost: AtomicU64::new(2) });
        for number in 0..3 {
            let mut trail =
                Box::new(Trail::begin(number.to_string(), [192, 0, 2, 1].into(), None, None));
            trail.operation = Some("GetObject");
            trail.scheme = Some(Scheme::V2Header);
            let mut ending = Ending::new(trail, Arc::clone(&audit), 200);
            ending.sent(5);
            ending.sent(6);
        }
        drop(audit);
        let mut output = Output::default();
        write(&records, &mut output);
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        for (number, line) in lines.iter().enumerate() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["sequence"], number);
            assert_eq!(record["requestId"], number.to_string());
            assert_eq!(record["signature"], "V2Header");
            assert_eq!(record["bytesSent"], 11);
            let before = number.checked_sub(1).map(|before| lines[before]);
            let hash = before.map(|line| hex::encode(digest(&SHA256, line.as_bytes())));
            assert_eq!(record["previous"].as_str().map(str::to_owned), hash);
            assert_eq!(record.get("lostBefore").is_some(), number == 0);
        }
    }
}
