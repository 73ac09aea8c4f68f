//! Where connections come from, and how much of the server each source holds: one stranger must not take all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Bucket, MINUTE, Remembered};
use crate::config::Limits;

/// Who is counted as one: an IPv4 address, or an IPv6 network of 64 bits, which is the least that one customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        // An IPv4 address stays itself when it comes through a socket of both versions.
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}

/// All sources with an open connection, and those that lately were at fault.
#[derive(Debug)]
pub struct Sources {
    /// As many as connections at most, so the table needs no bound of its own.
    tallies: Mutex<HashMap<Source, Arc<Tally>>>,
    faults: Mutex<Remembered<Bucket>>,
    /// Connections that one may have.
    connections: u32,
    /// Requests that one may have in work.
    requests: u32,
    /// What a connection that ended by its client's fault costs of [`MINUTE`]; none where there is no limit.
    cost: Option<Duration>,
}

/// Why a connection isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldOff {
    /// Its source has as many as it may have.
    #[error("its source has too many connections")]
    TooMany,
    /// Too many of its source broke HTTP/2 in the last minute.
    #[error("too many connections of its source were ended for what they sent")]
    Faults,
}

/// What one source holds.
#[derive(Debug)]
struct Tally {
    /// Changed under the table's lock only.
    connections: AtomicU32,
    requests: AtomicU32,
}

impl Sources {
    /// A table in which each source may have what `limits` say.
    pub fn new(limits: &Limits) -> Arc<Self> {
        let faults = limits.faulty_connections_per_minute;
        Arc::new(Self {
            tallies: Mutex::default(),
            faults: Mutex::default(),
            connections: limits.connections_per_source,
            requests: limits.requests_per_source,
            cost: (faults > 0).then(|| MINUTE / faults.max(1)),
        })
    }

    /// Counts a connection from `address` until the value is dropped.
    ///
    /// # Errors
    /// [`HeldOff`] says why it shall be closed.
    pub fn connect(self: &Arc<Self>, address: IpAddr) -> Result<Connected, HeldOff> {
        let source = Source::from(address);
        if self.is_held_off(source, Instant::now()) {
            return Err(HeldOff::Faults);
        }
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(source).or_insert_with(|| {
            Arc::new(Tally { connections: AtomicU32::new(0), requests: AtomicU32::new(0) })
        });
        let open = tally.connections.load(Ordering::Relaxed);
        if open >= self.connections {
            return Err(HeldOff::TooMany);
        }
        tally.connections.store(open.saturating_add(1), Ordering::Relaxed);
        Ok(Connected { sources: Arc::clone(self), source, tally: Arc::clone(tally) })
    }

    fn is_held_off(&self, source: Source, now: Instant) -> bool {
        let Some(cost) = self.cost else { return false };
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.known(source).is_some_and(|bucket| !bucket.wait(cost, now).is_zero())
    }

    fn was_at_fault(&self, source: Source, now: Instant) {
        let Some(cost) = self.cost else { return };
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.of(source).fill(cost, now);
    }
}

/// A counted connection.
#[derive(Debug)]
pub struct Connected {
    sources: Arc<Sources>,
    source: Source,
    tally: Arc<Tally>,
}

impl Connected {
    /// Where it comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Counts it among those that ended for what their client sent.
    pub fn was_at_fault(&self) {
        self.sources.was_at_fault(self.source, Instant::now());
    }

    /// Counts a request of this source until the value is dropped; `None` when too many are in work.
    pub fn begin(&self) -> Option<Begun> {
        let most = self.sources.requests;
        let more = |running: u32| (running < most).then_some(running.saturating_add(1));
        let begun = self.tally.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        begun.is_ok().then(|| Begun(Arc::clone(&self.tally)))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut tallies = self.sources.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.tally.connections.load(Ordering::Relaxed).saturating_sub(1);
        self.tally.connections.store(left, Ordering::Relaxed);
        if left == 0 {
            tallies.remove(&self.source);
        }
    }
}

/// A counted request.
#[derive(Debug)]
pub struct Begun(Arc<Tally>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Config;

    fn source(address: &str) -> Source {
        Source::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        for (name, one, other, same) in [
            ("one address", "192.0.2.1", "192.0.2.1", true),
            ("neighbours", "192.0.2.1", "192.0.2.2", false),
            ("IPv4 within IPv6", "::ffff:192.0.2.1", "192.0.2.1", true),
            ("two within IPv6", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("one network", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("two networks", "2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            assert_eq!(source(one) == source(other), same, "{name}");
        }
    }

    fn sources(settings: &[&str]) -> Arc<Sources> {
        let folders = ["--data", "d", "--tls", "t", "--root-credentials", "r"];
        let arguments = ["coffer-server"].iter().chain(&folders).chain(settings);
        Sources::new(&Config::try_parse_from(arguments).unwrap().limits)
    }

    #[test]
    fn one_source_never_takes_what_another_needs() {
        let sources =
            sources(&["--max-connections-per-source", "2", "--max-requests-per-source", "1"]);
        let (greedy, modest) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let held: Vec<_> = (0..3).map(|_| sources.connect(greedy)).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        let other = sources.connect(modest).unwrap();
        let running = held[0].as_ref().unwrap().begin();
        assert!(running.is_some());
        assert!(held[1].as_ref().unwrap().begin().is_none(), "another connection, the same source");
        assert!(other.begin().is_some());
        drop(running);
        assert!(held[1].as_ref().unwrap().begin().is_some());
        drop(held);
        assert!(sources.connect(greedy).is_ok());
        drop(other);
        assert!(sources.tallies.lock().unwrap().is_empty(), "nobody is remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_whose_connections_are_ended_for_what_they_sent_is_held_off_for_a_while() {
        let (guilty, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for (limit, most) in [("6", 6), ("0", 100)] {
            let sources = sources(&["--max-faulty-connections-per-minute", limit]);
            for n in 0..most {
                let connected = sources.connect(guilty);
                connected.unwrap_or_else(|held_off| panic!("{n}: {held_off}")).was_at_fault();
            }
            assert_eq!(sources.connect(guilty).err(), (limit != "0").then_some(HeldOff::Faults));
            assert!(sources.connect(other).is_ok());
            tokio::time::advance(MINUTE / 6).await;
            assert!(sources.connect(guilty).is_ok(), "a sixth of it leaked");
        }
    }
}
