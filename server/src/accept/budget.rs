//! What a source may do in a minute, remembered for some sources at a time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::sources::Source;

/// In this time a full bucket empties.
pub const MINUTE: Duration = Duration::from_mins(1);
/// Sources that are remembered in each of two generations. When one is full, the older is forgotten: sources that come
/// back are carried over, so a flood of new ones costs no more than this.
const GENERATION: usize = 4096;

/// A leaky bucket: when it will be empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket(Option<Instant>);

impl Bucket {
    /// How long until one more that costs so much of [`MINUTE`] has room.
    pub fn wait(self, cost: Duration, now: Instant) -> Duration {
        let filled = self.0.map_or(Duration::ZERO, |empty| empty.saturating_duration_since(now));
        (filled + cost).saturating_sub(MINUTE)
    }

    /// Fills it by `cost`, up to its brim.
    pub fn fill(&mut self, cost: Duration, now: Instant) {
        let full = now + MINUTE;
        let empty = self.0.filter(|empty| *empty > now).unwrap_or(now) + cost;
        self.0 = Some(empty.min(full));
    }
}

/// What is known of the sources that came last.
#[derive(Debug)]
pub struct Remembered<T> {
    young: HashMap<Source, T>,
    old: HashMap<Source, T>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T: Default> Remembered<T> {
    /// What is known of a source, if anything is.
    pub fn known(&self, source: Source) -> Option<&T> {
        self.young.get(&source).or_else(|| self.old.get(&source))
    }

    /// What is known of a source, new if need be.
    pub fn of(&mut self, source: Source) -> &mut T {
        if !self.young.contains_key(&source) && self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        let Self { young, old } = self;
        young.entry(source).or_insert_with(|| old.remove(&source).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn a_flood_of_sources_is_forgotten_and_who_comes_back_is_not() {
        let source = |n: u32| Source::from(IpAddr::from(n.to_be_bytes()));
        let mut counts = Remembered::<u32>::default();
        for n in 0..100_000 {
            *counts.of(source(n)) += 1;
            // This one never stays away for long.
            *counts.of(source(u32::MAX)) += 1;
        }
        assert!(counts.young.len() + counts.old.len() <= 2 * GENERATION);
        assert_eq!(counts.known(source(u32::MAX)), Some(&100_000));
        assert_eq!(counts.known(source(1)), None);
    }
}
