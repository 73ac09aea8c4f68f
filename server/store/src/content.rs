//! Content on its way in and out.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;

use crate::{Store, StoreError};

/// Takes content piece by piece. Writing goes on beside the caller, with at most about 2 MiB waiting. Dropped
/// unfinished, it leaves nothing.
#[derive(Debug)]
pub struct ContentWriter(());

impl ContentWriter {
    /// Takes the next bytes; waits while too much waits for the disk.
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`. The writer is of no use afterwards.
    pub async fn write(&mut self, _bytes: Bytes) -> Result<(), StoreError> {
        let _ = self.0;
        unimplemented!()
    }

    /// Ends the content and makes it durable.
    ///
    /// # Errors
    /// `OutOfSpace`, `Unavailable`.
    pub async fn finish(self) -> Result<Content, StoreError> {
        unimplemented!()
    }
}

/// Durable content that no object names yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Content(());

impl Content {
    /// Bytes.
    pub fn size(&self) -> u64 {
        let _ = self.0;
        unimplemented!()
    }
}

/// An object's bytes, in pieces of at most 1 MiB, read ahead. Goes on although the object is deleted.
#[derive(Debug)]
pub struct ContentReader(());

impl Stream for ContentReader {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let _ = self.0;
        unimplemented!()
    }
}

impl Store {
    /// Begins content. `expected_length`, if known, refuses early what has no room.
    pub fn writer(&self, _expected_length: Option<u64>) -> ContentWriter {
        unimplemented!()
    }
}
