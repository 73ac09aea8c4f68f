//! Buffers for reads, used again and again: to have fresh memory for every piece costs more than to fill it, and pieces that
//! one thread makes and another drops stay with the allocator for long.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

/// Buffers that are kept while nobody needs them.
const KEPT: usize = 32;
/// Buffers in use with which it is crowded. Readers that don't read on hold theirs, and may be many.
const CROWD: usize = 64;
/// The part of a buffer's size that a read may have where it is crowded.
const CROWDED_PART: usize = 16;

/// Buffers of one size. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Buffers {
    size: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Of this size, in use.
    out: Arc<AtomicUsize>,
}

impl Buffers {
    /// `size` is the capacity of each.
    pub(super) fn new(size: usize) -> Self {
        Self { size, free: Arc::default(), out: Arc::default() }
    }

    /// Whether so many buffers are in use that each reader should have little.
    pub(super) fn is_crowded(&self) -> bool {
        self.out.load(Ordering::Relaxed) >= CROWD
    }

    /// How much one read may take now.
    pub(super) fn room(&self) -> usize {
        if self.is_crowded() { self.size / CROWDED_PART } else { self.size }
    }

    /// An empty buffer with room for `wanted` bytes. What is asked for far less than the size has no use for one of these.
    pub(super) fn take(&self, wanted: usize) -> Buffer {
        if wanted > self.size || wanted < self.size / 4 {
            return Buffer { bytes: Vec::with_capacity(wanted), home: None };
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| Vec::with_capacity(self.size));
        self.out.fetch_add(1, Ordering::Relaxed);
        Buffer { bytes, home: Some(self.clone()) }
    }
}

/// A buffer, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    home: Option<Buffers>,
}

impl Buffer {
    /// The filled part. The buffer goes back when the last reference to it is gone.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        home.out.fetch_sub(1, Ordering::Relaxed);
        let mut bytes = mem::take(&mut self.bytes);
        bytes.clear();
        let mut free = home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_reads_it() {
        let buffers = Buffers::new(1024);
        let mut first = buffers.take(1000);
        first.bytes.extend_from_slice(b"content");
        let place = first.bytes.as_ptr();
        let all = first.freeze();
        let part = all.slice(3..);
        drop(all);
        assert_ne!(buffers.take(1000).bytes.as_ptr(), place, "it is still read");
        assert_eq!(&part[..], b"tent");
        drop(part);
        let taken = [buffers.take(1000), buffers.take(1000)];
        assert!(taken.iter().any(|buffer| buffer.bytes.as_ptr() == place));
        assert!(taken.iter().all(|buffer| buffer.bytes.is_empty()), "nothing of before is seen");
    }

    #[test]
    fn small_pieces_and_a_crowd_leave_nothing() {
        let buffers = Buffers::new(1024);
        drop(buffers.take(10).freeze());
        assert_eq!(buffers.free.lock().unwrap().len(), 0);
        assert_eq!(buffers.room(), 1024);
        let crowd: Vec<Buffer> = (0..CROWD).map(|_| buffers.take(1024)).collect();
        assert!(buffers.is_crowded() && buffers.room() == 64, "each has little now");
        drop(crowd);
        assert!(!buffers.is_crowded());
        assert_eq!(buffers.free.lock().unwrap().len(), KEPT);
    }
}
