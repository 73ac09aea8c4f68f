//! Where connections come from, and how much of the server each source holds: one stranger must not take all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

/// All sources with an open connection: as many as connections at most, so the table needs no bound of its own.
#[derive(Debug)]
pub struct Sources {
    tallies: Mutex<HashMap<Source, Arc<Tally>>>,
    /// Connections that one may have.
    connections: u32,
    /// Requests that one may have in work.
    requests: u32,
}

/// What one source holds.
#[derive(Debug)]
struct Tally {
    /// Changed under the table's lock only.
    connections: AtomicU32,
    requests: AtomicU32,
}

impl Sources {
    /// A table in which each source may have so many connections, and so many requests in work.
    pub fn new(connections: u32, requests: u32) -> Arc<Self> {
        Arc::new(Self { tallies: Mutex::default(), connections, requests })
    }

    /// Counts a connection from `address` until the value is dropped; `None` when its source has too many.
    pub fn connect(self: &Arc<Self>, address: IpAddr) -> Option<Connected> {
        let source = Source::from(address);
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(source).or_insert_with(|| {
            Arc::new(Tally { connections: AtomicU32::new(0), requests: AtomicU32::new(0) })
        });
        let open = tally.connections.load(Ordering::Relaxed);
        if open >= self.connections {
            return None;
        }
        tally.connections.store(open.saturating_add(1), Ordering::Relaxed);
        Some(Connected { sources: Arc::clone(self), source, tally: Arc::clone(tally) })
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
    use super::*;

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

    #[test]
    fn one_source_never_takes_what_another_needs() {
        let sources = Sources::new(2, 1);
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
        assert!(sources.connect(greedy).is_some());
        drop(other);
        assert!(sources.tallies.lock().unwrap().is_empty(), "nobody is remembered");
    }
}
