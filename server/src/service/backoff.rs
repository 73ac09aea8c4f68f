//! Who guesses is slowed down: each source has a budget of failed authentications, and over it nobody looks at its signatures.
//!
//! A leaky bucket for each source, which empties in a minute. Behind a proxy or a NAT many clients are one source, and one of
//! them must not lock the others out: an access key that was proven from a source lately has a bucket of its own there, and
//! only failures with that same key fill it.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header;
use http::request::Parts;
use tokio::time::Instant;

use super::running::slow_down;
use crate::accept::budget::{Bucket, MINUTE, Remembered};
use crate::accept::sources::Source;
use crate::answer::Refusal;

/// Proven keys that are remembered for one source, the latest ones.
const PROVEN: usize = 8;
/// How long a key counts as proven.
const PROVEN_FOR: Duration = Duration::from_hours(1);

/// The budgets of all sources.
#[derive(Debug)]
pub(super) struct Backoff {
    /// What one failure costs of [`MINUTE`]; none where there is no limit.
    cost: Option<Duration>,
    /// So that nobody can choose keys that are taken for each other.
    hasher: RandomState,
    accounts: Mutex<Remembered<Account>>,
}

/// What a request says of its sender, before anything of it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// It is from nobody: there is nothing to fail.
    Nobody,
    /// It names this access key.
    Key(u64),
    /// It names a key where the head doesn't show it.
    Unknown,
}

/// One source's buckets.
#[derive(Debug, Default)]
struct Account {
    strangers: Bucket,
    proven: Vec<Proven>,
}

#[derive(Debug)]
struct Proven {
    key: u64,
    last: Instant,
    bucket: Bucket,
}

impl Backoff {
    /// So many failures a minute, and at once; 0 means no limit.
    pub(super) fn new(failures: u32) -> Self {
        Self {
            cost: (failures > 0).then(|| MINUTE / failures.max(1)),
            hasher: RandomState::new(),
            accounts: Mutex::default(),
        }
    }

    /// Who a request says it is from.
    pub(super) fn claimed(&self, head: &Parts) -> Claimed {
        let key = |text: &str| Claimed::Key(self.hasher.hash_one(text));
        if let Some(value) = head.headers.get(header::AUTHORIZATION) {
            let text = value.to_str().unwrap_or_default();
            let version_4 = text.split_once("Credential=").map(|(_, rest)| until(rest, &["/"]));
            let version_2 = || text.strip_prefix("AWS ").map(|rest| until(rest, &[":"]));
            return version_4.or_else(version_2).map_or(Claimed::Unknown, key);
        }
        for pair in head.uri.query().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "X-Amz-Credential" => return key(until(value, &["/", "%2F", "%2f"])),
                "AWSAccessKeyId" => return key(value),
                _ => {}
            }
        }
        let form = |kind: &header::HeaderValue| kind.as_bytes().starts_with(b"multipart/form-data");
        if head.headers.get(header::CONTENT_TYPE).is_some_and(form) {
            return Claimed::Unknown;
        }
        Claimed::Nobody
    }

    /// Whether this request's signature is worth a look.
    ///
    /// # Errors
    /// `SlowDown`, with how long to wait.
    pub(super) fn admit(&self, source: Source, who: Claimed, now: Instant) -> Result<(), Refusal> {
        let (Some(cost), false) = (self.cost, who == Claimed::Nobody) else { return Ok(()) };
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(account) = accounts.known(source) else { return Ok(()) };
        let bucket = account.proven(who, now).map_or(account.strangers, |proven| proven.bucket);
        let wait = bucket.wait(cost, now);
        if wait.is_zero() {
            return Ok(());
        }
        let seconds = wait.as_secs().saturating_add(1);
        Err(slow_down(seconds, "too many requests of your address had a wrong signature"))
    }

    /// Counts a failure.
    pub(super) fn failed(&self, source: Source, who: Claimed, now: Instant) {
        let Some(cost) = self.cost else { return };
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.of(source);
        match account.proven_mut(who, now) {
            Some(proven) => proven.bucket.fill(cost, now),
            None => account.strangers.fill(cost, now),
        }
    }

    /// Remembers that `who` was proven.
    pub(super) fn succeeded(&self, source: Source, who: Claimed, now: Instant) {
        let (Some(_), Claimed::Key(key)) = (self.cost, who) else { return };
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.of(source);
        if let Some(proven) = account.proven_mut(who, now) {
            proven.last = now;
            return;
        }
        account.proven.retain(|proven| proven.key != key);
        if account.proven.len() >= PROVEN {
            let oldest = account.proven.iter().enumerate().min_by_key(|(_, proven)| proven.last);
            if let Some((oldest, _)) = oldest {
                account.proven.swap_remove(oldest);
            }
        }
        account.proven.push(Proven { key, last: now, bucket: Bucket::default() });
    }
}

/// Whether a refusal is what someone hears who guesses.
pub(super) fn is_failure(refusal: &Refusal) -> bool {
    matches!(
        refusal.code(),
        "SignatureDoesNotMatch" | "InvalidAccessKeyId" | "InvalidToken" | "InvalidTokenId"
    )
}

fn until<'a>(text: &'a str, ends: &[&str]) -> &'a str {
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

impl Account {
    fn proven(&self, who: Claimed, now: Instant) -> Option<&Proven> {
        self.proven.iter().find(|proven| proven.is(who, now))
    }

    fn proven_mut(&mut self, who: Claimed, now: Instant) -> Option<&mut Proven> {
        self.proven.iter_mut().find(|proven| proven.is(who, now))
    }
}

impl Proven {
    fn is(&self, who: Claimed, now: Instant) -> bool {
        who == Claimed::Key(self.key) && now.saturating_duration_since(self.last) < PROVEN_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use std::net::IpAddr;

    fn source(n: u32) -> Source {
        IpAddr::from(n.to_be_bytes()).into()
    }

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_source_over_its_budget_waits_and_nobody_else_does() {
        let backoff = Backoff::new(6);
        let (guesser, other) = (source(1), source(2));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for n in 0..6 {
            assert!(backoff.admit(guesser, Claimed::Key(n), at(0)).is_ok(), "{n}");
            backoff.failed(guesser, Claimed::Key(n), at(0));
        }
        let refusal = backoff.admit(guesser, Claimed::Key(9), at(0)).unwrap_err();
        assert_eq!((refusal.code(), refusal.status().as_u16()), ("SlowDown", 503));
        assert!(backoff.admit(other, Claimed::Key(9), at(0)).is_ok());
        assert!(backoff.admit(guesser, Claimed::Nobody, at(0)).is_ok(), "it claims nothing");
        assert!(backoff.admit(guesser, Claimed::Unknown, at(0)).is_err());
        assert!(backoff.admit(guesser, Claimed::Key(9), at(9)).is_err());
        assert!(backoff.admit(guesser, Claimed::Key(9), at(10)).is_ok(), "a sixth of it leaked");
        for _ in 0..1000 {
            backoff.failed(guesser, Claimed::Key(1), at(11));
        }
        assert!(backoff.admit(guesser, Claimed::Key(9), at(21)).is_ok(), "a bucket has a brim");
    }

    #[test]
    fn a_proven_key_is_not_locked_out_by_its_neighbours() {
        let backoff = Backoff::new(6);
        let (proxy, now) = (source(1), Instant::now());
        let (honest, guesser) = (Claimed::Key(1), Claimed::Key(2));
        backoff.succeeded(proxy, honest, now);
        for _ in 0..100 {
            backoff.failed(proxy, guesser, now);
        }
        assert!(backoff.admit(proxy, guesser, now).is_err());
        assert!(backoff.admit(proxy, honest, now).is_ok());
        for _ in 0..100 {
            backoff.failed(proxy, honest, now);
        }
        assert!(backoff.admit(proxy, honest, now).is_err(), "it has a budget of its own");
        for key in 10..30 {
            backoff.succeeded(proxy, Claimed::Key(key), now);
        }
        assert_eq!(backoff.accounts.lock().unwrap().of(proxy).proven.len(), PROVEN);
    }

    #[test]
    fn a_few_errors_hinder_nobody_and_no_limit_is_none() {
        let (source, now) = (source(1), Instant::now());
        let backoff = Backoff::new(120);
        for _ in 0..20 {
            backoff.failed(source, Claimed::Key(1), now);
        }
        assert!(backoff.admit(source, Claimed::Key(2), now).is_ok());
        let unlimited = Backoff::new(0);
        for _ in 0..10_000 {
            unlimited.failed(source, Claimed::Key(1), now);
        }
        assert!(unlimited.admit(source, Claimed::Key(1), now).is_ok());
    }

    #[test]
    fn each_form_of_a_signature_names_its_key() {
        let backoff = Backoff::new(1);
        let key = Claimed::Key(backoff.hasher.hash_one("AKIA"));
        let nobody = [("host", "h")];
        let version_4 = "AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-east-1/s3/aws4_request, …";
        for (name, head, expected) in [
            ("V4 header", head("/b/k", &[("authorization", &version_4.replace('…', "x"))]), key),
            ("V2 header", head("/b/k", &[("authorization", "AWS AKIA:c2ln")]), key),
            ("V4 query", head("/b/k?a=b&X-Amz-Credential=AKIA%2F20261124%2F", &nobody), key),
            ("V2 query", head("/b/k?AWSAccessKeyId=AKIA&Signature=x&Expires=1", &nobody), key),
            ("a bearer", head("/b/k", &[("authorization", "Bearer x")]), Claimed::Unknown),
            (
                "a form",
                head("/b", &[("content-type", "multipart/form-data; boundary=b")]),
                Claimed::Unknown,
            ),
            ("nobody", head("/b/k?prefix=a", &nobody), Claimed::Nobody),
        ] {
            assert_eq!(backoff.claimed(&head), expected, "{name}");
        }
    }
}
