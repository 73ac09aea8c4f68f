//! Which bucket keys are kept, for how long, and for how many objects.

#![expect(clippy::unwrap_used, reason = "a test fails by panic")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer_sse::PlainKey;
use coffer_sse::bucket_key::{Bounds, BucketKey, Cache, Caching};
use coffer_sse::context::Context;
use coffer_sse::kms::{DataKey, KeyName};

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn context(bucket: &str) -> Context {
    Context::of_bucket("acme", bucket, &Context::default())
}

fn key(of: &str, sealed: &'static str) -> BucketKey {
    let data_key = DataKey {
        plain: PlainKey::random().unwrap(),
        sealed: Bytes::from_static(sealed.as_bytes()),
    };
    BucketKey::new(name(of), Context::default(), data_key)
}

fn cache(life: u64, objects: u64, keys: usize) -> Cache {
    Cache::new(Caching::Bounded(Bounds { life: Duration::from_secs(life), objects, keys }))
}

#[test]
fn a_key_seals_its_number_of_objects_and_no_more() {
    let start = Instant::now();
    let mut cache = cache(300, 3, 10);
    let photos = context("photos");
    assert!(cache.for_sealing(&name("k"), &photos, start).is_none());
    // One by whoever had it made, two from here.
    cache.made(&photos, &key("k", "s1"), start);
    assert!(cache.for_sealing(&name("k"), &photos, start).is_some());
    assert!(cache.for_sealing(&name("k"), &photos, start).is_some());
    assert!(cache.for_sealing(&name("k"), &photos, start).is_none());
    // It still opens what it has sealed.
    let sealed = Bytes::from_static(b"s1");
    assert!(cache.for_opening(&name("k"), &photos, &sealed, start).is_some());
}

#[test]
fn a_key_is_gone_after_its_life() {
    let start = Instant::now();
    let mut cache = cache(300, 1000, 10);
    let photos = context("photos");
    let sealed = Bytes::from_static(b"s1");
    for (seconds, there) in [(0, true), (299, true), (300, false)] {
        cache.made(&photos, &key("k", "s1"), start);
        let now = start + Duration::from_secs(seconds);
        assert_eq!(cache.for_sealing(&name("k"), &photos, now).is_some(), there, "{seconds} s");
        let opening = cache.for_opening(&name("k"), &photos, &sealed, now);
        assert_eq!(opening.is_some(), there, "{seconds} s");
    }
    assert!(cache.is_empty(), "what is too old is wiped when it is met");
    cache.made(&photos, &key("k", "s1"), start);
    cache.expire(start + Duration::from_secs(299));
    assert_eq!(cache.len(), 2);
    cache.expire(start + Duration::from_mins(5));
    assert!(cache.is_empty());
}

#[test]
fn a_use_doesnt_lengthen_a_life() {
    let start = Instant::now();
    let mut cache = cache(300, 1000, 10);
    let photos = context("photos");
    let sealed = Bytes::from_static(b"s1");
    let plain = Arc::new(PlainKey::random().unwrap());
    cache.opened(&name("k"), &photos, &sealed, plain, start);
    for seconds in [100, 200, 299] {
        let now = start + Duration::from_secs(seconds);
        assert!(cache.for_opening(&name("k"), &photos, &sealed, now).is_some());
    }
    let now = start + Duration::from_mins(5);
    assert!(cache.for_opening(&name("k"), &photos, &sealed, now).is_none());
}

#[test]
fn a_key_is_found_under_its_name_context_and_sealed_form_alone() {
    let now = Instant::now();
    let mut cache = cache(300, 1000, 10);
    cache.made(&context("photos"), &key("k", "s1"), now);
    assert!(cache.for_sealing(&name("other"), &context("photos"), now).is_none());
    assert!(cache.for_sealing(&name("k"), &context("other"), now).is_none());
    let sealed = Bytes::from_static(b"s1");
    assert!(cache.for_opening(&name("other"), &context("photos"), &sealed, now).is_none());
    assert!(cache.for_opening(&name("k"), &context("other"), &sealed, now).is_none());
    let other = Bytes::from_static(b"s2");
    assert!(cache.for_opening(&name("k"), &context("photos"), &other, now).is_none());
    assert!(cache.for_opening(&name("k"), &context("photos"), &sealed, now).is_some());
    cache.forget(&name("k"));
    assert!(cache.is_empty());
}

#[test]
fn it_never_holds_more_than_its_bound_and_drops_the_oldest_first() {
    let start = Instant::now();
    let mut cache = cache(300, 1000, 8);
    for n in 0..1000 {
        let now = start + Duration::from_millis(n);
        cache.made(&context(&format!("b{n}")), &key("k", "s"), now);
        assert!(cache.len() <= 16, "{}", cache.len());
        assert!(cache.for_sealing(&name("k"), &context(&format!("b{n}")), now).is_some());
    }
    assert!(cache.for_sealing(&name("k"), &context("b0"), start).is_none());
}

#[test]
fn it_never_holds_more_than_its_bound_where_all_came_at_once() {
    let start = Instant::now();
    let mut cache = cache(300, 1000, 8);
    for n in 0..100 {
        cache.made(&context(&format!("c{n}")), &key("k", "s"), start);
        assert!(cache.len() <= 16, "{}", cache.len());
    }
}

#[test]
fn room_is_made_only_where_there_is_none_and_first_by_what_is_too_old() {
    let start = Instant::now();
    let mut cache = cache(300, 1000, 8);
    assert!(cache.is_empty());
    let at = |n: u64| start + Duration::from_secs(n * 50);
    for n in 0..8 {
        cache.made(&context(&format!("b{n}")), &key("k", "s"), at(n));
    }
    assert_eq!((cache.len(), cache.is_empty()), (16, false), "as many as it may");
    // Seconds 0 and 50 are over at 350: that is room for two more.
    for n in [7, 7] {
        cache.made(&context("new"), &key("k", "s"), at(n));
    }
    for n in 0..8 {
        let there = cache.for_sealing(&name("k"), &context(&format!("b{n}")), at(7)).is_some();
        assert_eq!(there, n > 1, "b{n}");
    }
    assert_eq!(cache.len(), 14);
}

#[test]
fn every_request_keeps_nothing() {
    let now = Instant::now();
    let mut cache = Cache::new(Caching::EveryRequest);
    let sealed = Bytes::from_static(b"s1");
    cache.made(&context("photos"), &key("k", "s1"), now);
    let plain = Arc::new(PlainKey::random().unwrap());
    cache.opened(&name("k"), &context("photos"), &sealed, plain, now);
    assert!(cache.is_empty());
    assert!(cache.for_sealing(&name("k"), &context("photos"), now).is_none());
    assert!(cache.for_opening(&name("k"), &context("photos"), &sealed, now).is_none());
}
