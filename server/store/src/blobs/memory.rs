//! Blobs in memory, for tests.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;

use super::{BlobId, BlobStream, BlobWriter, Blobs, ListedBlob, Room};
use crate::StoreError;

type Map = Arc<Mutex<BTreeMap<BlobId, Bytes>>>;

#[derive(Debug, Default)]
pub(crate) struct MemoryBlobs {
    map: Map,
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn create(
        &self,
        id: BlobId,
        _expected_length: Option<u64>,
    ) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.map.lock().unwrap().insert(id, Bytes::new());
        Ok(Box::new(Writer {
            id,
            map: Arc::clone(&self.map),
            bytes: Vec::new(),
            state: State::Open,
        }))
    }

    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<BlobStream, StoreError> {
        let bytes = self.map.lock().unwrap().get(&id).cloned().ok_or(StoreError::Gone)?;
        let bytes =
            bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        Ok(Box::pin(stream::iter((!bytes.is_empty()).then_some(Ok(bytes)))))
    }

    async fn delete(&self, id: BlobId) -> Result<(), StoreError> {
        self.map.lock().unwrap().remove(&id);
        Ok(())
    }

    async fn list(&self, shard: u16) -> Result<Option<Vec<ListedBlob>>, StoreError> {
        let map = self.map.lock().unwrap();
        let all = map.keys().map(|id| ListedBlob { id: *id, modified: Timestamp::UNIX_EPOCH });
        Ok((shard == 0).then(|| all.collect()))
    }

    fn room(&self) -> Result<Room, StoreError> {
        Ok(Room { free: 1 << 40, capacity: 1 << 40 })
    }
}

#[derive(Debug)]
struct Writer {
    id: BlobId,
    map: Map,
    bytes: Vec<u8>,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    Open,
    Finished,
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.state = State::Finished;
        let bytes = std::mem::take(&mut self.bytes).into();
        self.map.lock().unwrap().insert(self.id, bytes);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.state == State::Open {
            self.map.lock().unwrap().remove(&self.id);
        }
    }
}
