//! An index in memory, for tests: the same suite runs it, and models are checked against it.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Batch, CommitError, Index, Row, Scan, Space,
    group::{Base, Group, Visit},
    scan,
};
use crate::{IndexHealth, StoreError};

type Map = BTreeMap<(Space, Vec<u8>), Bytes>;

#[derive(Debug, Default)]
pub(crate) struct MemoryIndex {
    map: Mutex<Map>,
}

#[async_trait]
impl Index for MemoryIndex {
    async fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.map.lock().unwrap().get(&(space, key.to_vec())).cloned())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        let map = self.map.lock().unwrap();
        let end = (scan.space, scan.end.clone());
        scan::run(&scan, |from| {
            let from = (scan.space, from);
            let range = (from < end).then(|| map.range(from..end.clone()));
            range.into_iter().flatten().map(|((_, key), value)| Ok((key, value.clone())))
        })
    }

    async fn commit(&self, mut batch: Batch) -> Result<(), CommitError> {
        let mut map = self.map.lock().unwrap();
        let mut group = Group::default();
        group.admit(&*map, &mut batch)?;
        for (space, key, value) in group.into_changes() {
            match value {
                Some(value) => map.insert((space, key), value),
                None => map.remove(&(space, key)),
            };
        }
        Ok(())
    }

    fn health(&self) -> IndexHealth {
        IndexHealth::Usable
    }
}

impl Base for Map {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get(&(space, key.to_vec())).cloned())
    }

    fn keys(
        &self,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> Visit,
    ) -> Result<(), StoreError> {
        for ((_, key), _) in
            self.range((Space::Records, start.to_vec())..(Space::Records, end.to_vec()))
        {
            if visit(key) == Visit::Stop {
                break;
            }
        }
        Ok(())
    }
}
