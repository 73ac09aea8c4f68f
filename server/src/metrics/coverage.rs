//! What protects objects, as the last look has found it: so many series at most, whatever a tenant holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::encrypt::coverage::{Coverage, Covered, OTHERS, Share};

/// Buckets with series of their own: those that hold the most. The others are one, [`OTHERS`].
const MOST_BUCKETS: usize = 100;
/// External keys with series of their own, in each bucket: those that protect the most. The others are one, [`OTHERS`].
const MOST_KEYS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct Protected {
    bucket: String,
    protection: &'static str,
    key: String,
}

/// What is told of it.
#[derive(Debug, Default)]
pub(super) struct CoverageMetrics {
    objects: Family<Protected, Gauge>,
    looked: Gauge,
    known: Mutex<HashMap<Protected, i64>>,
}

impl CoverageMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { objects, looked, known: _ } = self;
        registry.register(
            "encrypted_objects",
            "Objects by bucket and what protects them: none, customer (SSE-C), or an external key; as the last look has found them",
            objects.clone(),
        );
        registry.register_with_unit(
            "encrypted_objects_as_of_timestamp",
            "When the last look over all objects began, since 1970; 0 before the first",
            Unit::Seconds,
            looked.clone(),
        );
    }

    pub(super) fn set(&self, coverage: &Coverage) {
        let new = series(coverage);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // No scrape in between sees too few.
        for (labels, objects) in &new {
            self.objects.get_or_create(labels).set(*objects);
        }
        for gone in known.keys().filter(|labels| !new.contains_key(labels)) {
            self.objects.remove(gone);
        }
        *known = new;
        self.looked.set(coverage.began.as_second());
    }
}

fn series(coverage: &Coverage) -> HashMap<Protected, i64> {
    let mut buckets: Vec<(&str, &Covered)> =
        coverage.buckets.iter().map(|(name, covered)| (name.as_str(), covered)).collect();
    buckets.sort_by_key(|(_, covered)| std::cmp::Reverse(covered.objects()));
    let others = buckets.split_off(buckets.len().min(MOST_BUCKETS));
    let mut series = HashMap::new();
    for (name, covered) in buckets {
        add(&mut series, name, covered);
    }
    if !others.is_empty() {
        add(&mut series, OTHERS, &together(&others));
    }
    series
}

fn together(buckets: &[(&str, &Covered)]) -> Covered {
    let mut all = Covered::default();
    let mut keys = BTreeMap::new();
    for (_, covered) in buckets {
        all.plain = all.plain.with(covered.plain);
        all.customers = all.customers.with(covered.customers);
        all.damaged = all.damaged.with(covered.damaged);
        for (name, share) in &covered.keys {
            let kept: &mut Share = keys.entry(name.clone()).or_default();
            *kept = kept.with(*share);
        }
    }
    Covered { keys, ..all }
}

fn add(series: &mut HashMap<Protected, i64>, bucket: &str, covered: &Covered) {
    let mut put = |protection, key: &str, share: Share, needs: bool| {
        let objects = i64::try_from(share.objects).unwrap_or(i64::MAX);
        if objects > 0 || needs {
            let (bucket, key) = (bucket.to_owned(), key.to_owned());
            series.insert(Protected { bucket, protection, key }, objects);
        }
    };
    // That there is nothing plain is worth a series; that nobody brings keys isn't.
    put("none", "", covered.plain, true);
    put("customer", "", covered.customers, false);
    put("damaged", "", covered.damaged, false);
    for (key, share) in covered.by_key(MOST_KEYS) {
        put("external", key, share, false);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn covered(plain: u64, keys: usize) -> Covered {
        let share = |objects| Share { objects, ..Share::default() };
        let key = |n: usize| format!("key{n}").parse().unwrap();
        let keys = (0..keys).map(|n| (key(n), share(1))).collect();
        Covered { plain: share(plain), keys, ..Covered::default() }
    }

    fn text(metrics: &CoverageMetrics) -> String {
        let mut registry = Registry::with_prefix("coffer");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn there_are_so_many_series_at_most_and_nothing_is_left_out() {
        let buckets = (0..500).map(|n| (format!("bucket-{n:03}"), covered(n, 50))).collect();
        let coverage = Coverage { began: Timestamp::UNIX_EPOCH, buckets };
        let series = series(&coverage);
        assert_eq!(series.len(), (MOST_BUCKETS + 1) * (1 + MOST_KEYS + 1));
        let all: u64 = coverage.buckets.values().map(Covered::objects).sum();
        assert_eq!(series.values().sum::<i64>(), i64::try_from(all).unwrap());
        let plain = |bucket: &str| {
            let bucket = bucket.to_owned();
            series.get(&Protected { bucket, protection: "none", key: String::new() }).copied()
        };
        assert_eq!((plain("bucket-499"), plain("bucket-000")), (Some(499), None));
        assert_eq!(plain(OTHERS), Some((0..400).sum()));
    }

    #[test]
    fn what_is_gone_is_told_no_more() {
        let metrics = CoverageMetrics::default();
        let one = |name: &str, covered| Coverage {
            began: Timestamp::from_second(7).unwrap(),
            buckets: [(name.to_owned(), covered)].into(),
        };
        metrics.set(&one("photos", covered(3, 1)));
        let before = text(&metrics);
        for line in [
            r#"coffer_encrypted_objects{bucket="photos",protection="none",key=""} 3"#,
            r#"coffer_encrypted_objects{bucket="photos",protection="external",key="key0"} 1"#,
            "coffer_encrypted_objects_as_of_timestamp_seconds 7",
        ] {
            assert!(before.lines().any(|it| it == line), "{line} isn't in\n{before}");
        }
        metrics.set(&one("albums", covered(0, 0)));
        let after = text(&metrics);
        assert!(!after.contains("photos"), "{after}");
        let none = r#"coffer_encrypted_objects{bucket="albums",protection="none",key=""} 0"#;
        assert!(after.lines().any(|it| it == none), "{after}");
    }
}
