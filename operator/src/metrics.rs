//! What `/metrics` shows.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The kind of the reconciled resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// The kind and the reason of what went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindAndReason {
    kind: &'static str,
    reason: &'static str,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    namespace: String,
    name: String,
}

/// All metrics of the operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    durations: Family<Kind, Histogram, fn() -> Histogram>,
    running: Family<Kind, Gauge>,
    errors: Family<KindAndReason, Counter>,
    writes: Family<Kind, Counter>,
    certificates: Family<Object, Gauge>,
    roots: Family<Object, Gauge>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("coffer_operator"),
            durations: Family::new_with_constructor(histogram),
            running: Family::default(),
            errors: Family::default(),
            writes: Family::default(),
            certificates: Family::default(),
            roots: Family::default(),
            leader: Gauge::default(),
        };
        let Self { registry, durations, running, errors, writes, certificates, roots, leader } =
            &mut metrics;
        registry.register(
            "reconcile_duration_seconds",
            "How long reconciliations took",
            durations.clone(),
        );
        registry.register("reconciles_running", "Reconciliations under way", running.clone());
        registry.register(
            "reconcile_errors",
            "Reconciliations that ended in an error, by reason",
            errors.clone(),
        );
        registry.register("writes", "Objects created or changed", writes.clone());
        registry.register(
            "certificate_not_after_seconds",
            "When the server certificate of a Tenant ends, in seconds since 1970",
            certificates.clone(),
        );
        registry.register(
            "authority_not_after_seconds",
            "When the root that a Tenant's clients trust ends, in seconds since 1970",
            roots.clone(),
        );
        registry.register("leader", "1 while this process is the leader", leader.clone());
        metrics
    }
}

impl Metrics {
    /// A reconciliation begins.
    pub fn begun(&self, kind: &'static str) {
        self.running.get_or_create(&Kind { kind }).inc();
    }

    /// A reconciliation ended.
    pub fn ended(&self, kind: &'static str, took: Duration) {
        self.running.get_or_create(&Kind { kind }).dec();
        self.durations.get_or_create(&Kind { kind }).observe(took.as_secs_f64());
    }

    /// A reconciliation failed for this reason.
    pub fn failed(&self, kind: &'static str, reason: &'static str) {
        self.errors.get_or_create(&KindAndReason { kind, reason }).inc();
    }

    /// Something was written to the API server.
    pub fn wrote(&self, kind: &'static str) {
        self.writes.get_or_create(&Kind { kind }).inc();
    }

    /// A Tenant's server certificate ends then, and its root then.
    pub fn certificate(
        &self,
        namespace: &str,
        name: &str,
        not_after: jiff::Timestamp,
        root_not_after: jiff::Timestamp,
    ) {
        let object = Object { namespace: namespace.to_owned(), name: name.to_owned() };
        self.certificates.get_or_create(&object).set(not_after.as_second());
        self.roots.get_or_create(&object).set(root_not_after.as_second());
    }

    /// A Tenant is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let object = Object { namespace: namespace.to_owned(), name: name.to_owned() };
        self.certificates.remove(&object);
        self.roots.remove(&object);
    }

    /// This process became the leader.
    pub fn leads(&self) {
        self.leader.set(1);
    }

    /// All metrics in the text form of `OpenMetrics`.
    ///
    /// # Errors
    /// When a value can't be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_shown() {
        let metrics = Metrics::default();
        metrics.begun("Tenant");
        metrics.ended("Tenant", Duration::from_millis(5));
        metrics.failed("Tenant", "NotOwned");
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        metrics.certificate("a", "photos", at(1_800_000_000), at(1_900_000_000));
        let text = metrics.encode().unwrap();
        for expected in [
            "coffer_operator_reconcile_duration_seconds_count{kind=\"Tenant\"} 1",
            "coffer_operator_reconcile_errors_total{kind=\"Tenant\",reason=\"NotOwned\"} 1",
            "coffer_operator_certificate_not_after_seconds{namespace=\"a\",name=\"photos\"} 1800000000",
            "coffer_operator_authority_not_after_seconds{namespace=\"a\",name=\"photos\"} 1900000000",
            "coffer_operator_reconciles_running{kind=\"Tenant\"} 0",
        ] {
            assert!(text.contains(expected), "{expected} not in\n{text}");
        }
        metrics.forget("a", "photos");
        assert!(!metrics.encode().unwrap().contains("photos"));
    }
}
