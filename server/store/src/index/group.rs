//! Many batches made one: each sees what the earlier ones of its group change.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included},
};

use bytes::Bytes;

use super::{Batch, Change, CommitError, Condition, Space, counter};
use crate::StoreError;

/// The committed state below a group.
pub(crate) trait Base {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The keys of [`Space::Records`] from `start` and before `end`, in order, while `visit` says so.
    fn keys(
        &self,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> Visit,
    ) -> Result<(), StoreError>;
}

/// Whether a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    Next,
    Stop,
}

/// What a group changes: the last value of each key; `None` deletes it.
#[derive(Debug, Default)]
pub(crate) struct Group {
    changes: BTreeMap<(Space, Vec<u8>), Option<Bytes>>,
}

impl Group {
    /// Takes a batch in, or leaves the group as it was.
    pub(crate) fn admit(&mut self, base: &impl Base, batch: &mut Batch) -> Result<(), CommitError> {
        for condition in &batch.conditions {
            if !self.holds(base, condition)? {
                return Err(CommitError::Conflict);
            }
        }
        // Counters are read before the first change, so that a failed read changes nothing.
        let mut sums: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (key, n) in &batch.adds {
            let sum = match sums.get(key.as_slice()) {
                Some(sum) => *sum,
                None => counter(self.get(base, Space::Records, key)?.as_deref()),
            };
            sums.insert(key, sum.saturating_add(*n));
        }
        for (key, sum) in sums {
            let value = Bytes::copy_from_slice(&sum.to_le_bytes());
            self.changes.insert((Space::Records, key.to_vec()), Some(value));
        }
        for change in batch.changes.drain(..) {
            match change {
                Change::Put(space, key, value) => self.changes.insert((space, key), Some(value)),
                Change::Delete(space, key) => self.changes.insert((space, key), None),
            };
        }
        Ok(())
    }

    /// The changes, each key once.
    pub(crate) fn into_changes(self) -> impl Iterator<Item = (Space, Vec<u8>, Option<Bytes>)> {
        self.changes.into_iter().map(|((space, key), value)| (space, key, value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn get(&self, base: &impl Base, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        // An empty group is the common case, and its look-up would copy the key.
        if !self.changes.is_empty()
            && let Some(value) = self.changes.get(&(space, key.to_vec()))
        {
            return Ok(value.clone());
        }
        base.get(space, key)
    }

    fn holds(&self, base: &impl Base, condition: &Condition) -> Result<bool, StoreError> {
        Ok(match condition {
            Condition::Present(key) => self.get(base, Space::Records, key)?.is_some(),
            Condition::Absent(key) => self.get(base, Space::Records, key)?.is_none(),
            Condition::Is(key, value) => {
                self.get(base, Space::Records, key)?.as_ref() == Some(value)
            }
            Condition::Empty(start, end) => self.is_range_empty(base, start, end)?,
        })
    }

    fn is_range_empty(
        &self,
        base: &impl Base,
        start: &[u8],
        end: &[u8],
    ) -> Result<bool, StoreError> {
        if start >= end {
            return Ok(true);
        }
        let bounds =
            (Included((Space::Records, start.to_vec())), Excluded((Space::Records, end.to_vec())));
        if self.changes.range(bounds).any(|(_, value)| value.is_some()) {
            return Ok(false);
        }
        let mut is_empty = true;
        base.keys(start, end, &mut |key| {
            // What the group doesn't name is there; what it names, it deletes.
            if self.changes.contains_key(&(Space::Records, key.to_vec())) {
                return Visit::Next;
            }
            is_empty = false;
            Visit::Stop
        })?;
        Ok(is_empty)
    }
}
