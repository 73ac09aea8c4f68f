//! What becomes known of a request on its way, until its record is written.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use coffer_signature::Scheme;
use http::StatusCode;
use jiff::Timestamp;
use rustls::{CipherSuite, ProtocolVersion};

use super::Audit;
use crate::authorize::later::Later;
use crate::authorize::{Caller, Decision};
use crate::route::Target;

/// What became known of a request on its way.
#[derive(Debug)]
pub struct Trail {
    pub(super) request_id: String,
    pub(super) began: Instant,
    pub(super) source: IpAddr,
    pub(super) tls: Option<ProtocolVersion>,
    pub(super) cipher: Option<CipherSuite>,
    pub(super) time: Option<Timestamp>,
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
    /// What its operation asked for beyond that, once it was let begin.
    pub later: Option<Arc<Later>>,
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
            later: None,
            code: None,
        }
    }

    /// A probe, which comes every second from nobody, or what isn't known yet.
    fn asks_nothing(&self) -> bool {
        self.operation.is_none() && self.code.is_none()
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
    trail: Box<Trail>,
    audit: Arc<Audit>,
    /// The answer's; 0 while there is none.
    status: u16,
    sent: u64,
}

impl Ending {
    /// Of a request that has just come.
    pub fn new(trail: Trail, audit: Arc<Audit>) -> Self {
        Self { trail: Box::new(trail), audit, status: 0, sent: 0 }
    }

    /// What is known of it.
    pub fn trail(&mut self) -> &mut Trail {
        &mut self.trail
    }

    /// Its answer has this status.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// So many bytes more of the answer were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.trail.asks_nothing() {
            self.audit.record(&mut self.trail, self.status, self.sent);
        }
    }
}
