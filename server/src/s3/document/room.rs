//! The memory that documents take while they are read and worked on. Each may be large, and who sends one may be refused all that it
//! asks for: many at once must not take the server's memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::accept::sources::Source;
use crate::answer::Refusal;
use crate::service::slow_down;

/// What each document may have beside the rest. All documents but lists of many keys or parts are smaller.
pub(super) const FREE: usize = 64 * 1024;
/// What all may have together beyond that.
const ALL: usize = 64 * 1024 * 1024;
/// What those of one source may have of it.
const OF_ONE: usize = ALL / 2;

/// What is taken of it.
#[derive(Debug, Default)]
pub struct Rooms(Mutex<HashMap<Source, usize>>);

/// What one document takes.
#[derive(Debug)]
pub struct Room<'a> {
    rooms: &'a Rooms,
    source: Source,
    taken: usize,
}

impl Rooms {
    /// For a document from `source`, which takes nothing yet.
    pub fn of(&self, source: Source) -> Room<'_> {
        Room { rooms: self, source, taken: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room<'_> {
    /// Takes room for a document of so many bytes.
    ///
    /// # Errors
    /// `SlowDown` when there is none.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= FREE {
            return Ok(());
        }
        let mut taken = self.rooms.taken();
        let all = taken.values().copied().fold(0, usize::saturating_add);
        let own = taken.get(&self.source).copied().unwrap_or(0);
        if all.saturating_add(bytes) > ALL || own.saturating_add(bytes) > OF_ONE {
            return Err(slow_down(1, "too many large documents are being read"));
        }
        taken.insert(self.source, own.saturating_add(bytes));
        self.taken = self.taken.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.taken == 0 {
            return;
        }
        let mut taken = self.rooms.taken();
        let left = taken.get(&self.source).copied().unwrap_or(0).saturating_sub(self.taken);
        if left == 0 {
            taken.remove(&self.source);
        } else {
            taken.insert(self.source, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn source(last: u8) -> Source {
        Source::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
    }

    #[test]
    fn small_documents_are_free_and_large_ones_bounded_by_source_and_in_all() {
        const LARGE: usize = 8 * 1024 * 1024;
        let rooms = Rooms::default();
        let small: Vec<_> = (0..1000)
            .map(|_| {
                let mut room = rooms.of(source(1));
                room.take(FREE).unwrap();
                room
            })
            .collect();
        let mut held = Vec::new();
        for last in [1, 2] {
            for _ in 0..4 {
                let mut room = rooms.of(source(last));
                room.take(LARGE).unwrap();
                held.push(room);
            }
            assert_eq!(rooms.of(source(last)).take(LARGE).unwrap_err().code(), "SlowDown");
            rooms.of(source(last)).take(FREE).unwrap();
        }
        assert!(rooms.of(source(3)).take(FREE + 1).is_err(), "all is taken");
        held.truncate(4);
        rooms.of(source(3)).take(LARGE).unwrap();
        assert!(rooms.of(source(1)).take(LARGE).is_err());
        drop((small, held));
        assert!(rooms.taken().is_empty());
    }
}
