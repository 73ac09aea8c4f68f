//! What the server counts, for Prometheus.

mod coverage;

use std::fmt;
use std::time::Duration;

use coffer_signature::Scheme;
use coffer_store::{Health, IndexHealth};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::encrypt::coverage::Coverage;
use coverage::CoverageMetrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOperation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySignature {
    signature: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KmsCall {
    call: &'static str,
    error: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCall {
    call: &'static str,
}

/// What is counted of the KMS.
#[derive(Clone, Debug)]
pub struct KmsMetrics {
    calls: Family<KmsCall, Counter>,
    durations: Family<ByCall, Histogram, fn() -> Histogram>,
    kept: Gauge,
    working: Gauge,
}

impl Default for KmsMetrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 8));
        Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(histogram),
            kept: Gauge::default(),
            working: Gauge::default(),
        }
    }
}

impl KmsMetrics {
    /// A call ended: by success where `error` is `none`, or by that kind of failure.
    pub(crate) fn called(&self, call: &'static str, error: &'static str, elapsed: Duration) {
        self.calls.get_or_create(&KmsCall { call, error }).inc();
        self.durations.get_or_create(&ByCall { call }).observe(elapsed.as_secs_f64());
        // What only this request asked for says nothing of the service.
        let is_down = matches!(error, "Unreachable" | "Denied" | "Settings" | "Answer");
        self.working.set(i64::from(!is_down));
    }

    /// So many data keys are kept.
    pub(crate) fn keeps(&self, keys: usize) {
        self.kept.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    fn register(&self, registry: &mut Registry) {
        let Self { calls, durations, kept, working } = self;
        registry.register(
            "kms_calls",
            "Calls of the KMS, by the kind of their failure; none is success",
            calls.clone(),
        );
        registry.register_with_unit(
            "kms_call_duration",
            "From a call of the KMS to its answer, repetitions included",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("kms_data_keys", "Data keys that are kept in memory", kept.clone());
        registry.register(
            "kms_working",
            "1 while the last call of the KMS was answered; 0 before the first, and without a KMS",
            working.clone(),
        );
    }
}

/// All metrics of the server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<ByOperation, Histogram, fn() -> Histogram>,
    signatures: Family<BySignature, Counter>,
    audit_lost: Counter,
    audit_waiting: Gauge,
    free: Gauge,
    capacity: Gauge,
    garbage: Gauge,
    usable: Gauge,
    kms: KmsMetrics,
    coverage: CoverageMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 8));
        let mut metrics = Self {
            registry: Registry::with_prefix("coffer"),
            requests: Family::default(),
            durations: Family::new_with_constructor(histogram),
            signatures: Family::default(),
            audit_lost: Counter::default(),
            audit_waiting: Gauge::default(),
            free: Gauge::default(),
            capacity: Gauge::default(),
            garbage: Gauge::default(),
            usable: Gauge::default(),
            kms: KmsMetrics::default(),
            coverage: CoverageMetrics::default(),
        };
        let Self {
            registry,
            requests,
            durations,
            signatures,
            audit_lost,
            audit_waiting,
            free,
            capacity,
            garbage,
            usable,
            kms,
            coverage,
        } = &mut metrics;
        kms.register(registry);
        coverage.register(registry);
        registry.register("requests", "Requests that were answered", requests.clone());
        registry.register_with_unit(
            "request_duration",
            "From a request's head to the last byte of its answer",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register(
            "signatures",
            "Requests by the form of their proven signature; V2 is deprecated",
            signatures.clone(),
        );
        registry.register(
            "audit_records_lost",
            "Audit records that the output didn't take in time",
            audit_lost.clone(),
        );
        let bytes = Unit::Bytes;
        registry.register_with_unit(
            "audit_webhook_waiting",
            "Audit records that the webhook hasn't taken yet",
            bytes.clone(),
            audit_waiting.clone(),
        );
        registry.register_with_unit(
            "storage_free",
            "What may be written before writes are refused",
            bytes.clone(),
            free.clone(),
        );
        registry.register_with_unit(
            "storage_capacity",
            "Size of the data folder's file system",
            bytes,
            capacity.clone(),
        );
        registry.register(
            "storage_garbage",
            "Deleted objects whose content is still to be removed",
            garbage.clone(),
        );
        registry.register(
            "storage_usable",
            "1 while the index takes reads and writes",
            usable.clone(),
        );
        metrics
    }
}

impl Metrics {
    pub(crate) fn answered(
        &self,
        operation: Option<&'static str>,
        scheme: Option<Scheme>,
        status: u16,
        elapsed: Duration,
    ) {
        let operation = operation.unwrap_or("none");
        self.requests.get_or_create(&Answered { operation, status }).inc();
        self.durations.get_or_create(&ByOperation { operation }).observe(elapsed.as_secs_f64());
        if let Some(scheme) = scheme {
            let signature = signature(scheme);
            self.signatures.get_or_create(&BySignature { signature }).inc();
        }
    }

    /// What is counted of the KMS.
    pub fn kms(&self) -> &KmsMetrics {
        &self.kms
    }

    /// This is what protects objects.
    pub(crate) fn covers(&self, coverage: &Coverage) {
        self.coverage.set(coverage);
    }

    pub(crate) fn audit_lost(&self) {
        self.audit_lost.inc();
    }

    /// So many bytes of audit records wait for the webhook.
    pub(crate) fn audit_waits(&self, bytes: u64) {
        self.audit_waiting.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// All of it, in OpenMetrics' text form, with the store as it is now.
    ///
    /// # Errors
    /// Never on a string.
    pub fn text(&self, store: &Health) -> Result<String, fmt::Error> {
        let Health { index, free, capacity, garbage } = store;
        let gauge = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        gauge(&self.free, *free);
        gauge(&self.capacity, *capacity);
        gauge(&self.garbage, *garbage);
        gauge(&self.usable, u64::from(*index == IndexHealth::Usable));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn signature(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Anonymous => "Anonymous",
        Scheme::V4Header => "V4Header",
        Scheme::V4Presigned => "V4Presigned",
        Scheme::V4a => "V4a",
        Scheme::V2Header => "V2Header",
        Scheme::V2Presigned => "V2Presigned",
        Scheme::PostForm => "PostForm",
        Scheme::V4Form => "V4Form",
        Scheme::V2Form => "V2Form",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_of_signature_v2_are_told_apart() {
        let metrics = Metrics::default();
        for scheme in [Scheme::V4Header, Scheme::V2Header, Scheme::V2Header] {
            let operation = Some("GetObject");
            metrics.answered(operation, Some(scheme), 200, Duration::from_millis(3));
        }
        let store = Health { index: IndexHealth::Usable, free: 7, capacity: 9, garbage: 0 };
        let text = metrics.text(&store).unwrap();
        for line in [
            "coffer_signatures_total{signature=\"V2Header\"} 2",
            "coffer_requests_total{operation=\"GetObject\",status=\"200\"} 3",
            "coffer_storage_free_bytes 7",
            "coffer_storage_usable 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} isn't in\n{text}");
        }
    }
}
