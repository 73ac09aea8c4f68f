//! Digests of content on its way in: of small content at once, of large content beside, together with what else is received then.
//!
//! MD5 is half of what a large upload costs, and each of its steps waits for the one before. Those of several uploads don't:
//! what they bring while a thread hashes, it takes up together.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::checksum::{Hashed, Hashes};
use crate::answer::Refusal;

/// From this many bytes on hashing runs on another thread; below, handing over costs more than hashing.
const BESIDE: u64 = 256 * 1024;
/// Bytes that are handed over at once. Two batches of a request are in memory at a time.
const BATCH: usize = 256 * 1024;
/// Batches that are hashed together: no processor has more lanes.
const TOGETHER: usize = 16;

/// Where batches wait for a thread.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Batch>,
    /// Threads that take from it. One is enough until it leaves some waiting: alone it has more lanes to fill.
    threads: usize,
}

/// The next bytes of one upload, and where its digests are waited for.
struct Batch {
    hashes: Box<Hashes>,
    pieces: Vec<Bytes>,
    done: oneshot::Sender<Box<Hashes>>,
}

impl Desk {
    /// Has these digests take in these pieces.
    fn hand_in(
        self: &Arc<Self>,
        hashes: Box<Hashes>,
        pieces: Vec<Bytes>,
    ) -> oneshot::Receiver<Box<Hashes>> {
        let (done, finished) = oneshot::channel();
        let mut queue = self.lock();
        queue.waiting.push_back(Batch { hashes, pieces, done });
        if queue.waiting.len() > queue.threads.saturating_mul(TOGETHER) {
            queue.threads = queue.threads.saturating_add(1);
            let thread = Thread { desk: Arc::clone(self), counted: true };
            spawn_blocking(move || thread.work());
        }
        finished
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("pieces", &self.pieces.len()).finish_non_exhaustive()
    }
}

/// A thread that is counted in its queue.
struct Thread {
    desk: Arc<Desk>,
    counted: bool,
}

impl Thread {
    /// Hashes until nothing waits.
    fn work(mut self) {
        while let Some(mut batches) = self.take() {
            Hashes::update_all(
                batches.iter_mut().map(|batch| (&mut *batch.hashes, batch.pieces.as_slice())),
            );
            for Batch { hashes, pieces, done } in batches {
                // Before they are waited for: memory is bounded by what a request holds.
                drop(pieces);
                // Who doesn't wait any more has given up its upload.
                let _gone = done.send(hashes);
            }
        }
    }

    /// What waits; none, and this thread is counted no more, when nothing does.
    fn take(&mut self) -> Option<Vec<Batch>> {
        let mut queue = self.desk.lock();
        if queue.waiting.is_empty() {
            queue.threads = queue.threads.saturating_sub(1);
            self.counted = false;
            return None;
        }
        let some = queue.waiting.len().min(TOGETHER);
        Some(queue.waiting.drain(..some).collect())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // It panicked: the next batch gets another.
        if self.counted {
            let mut queue = self.desk.lock();
            queue.threads = queue.threads.saturating_sub(1);
        }
    }
}

/// Digests, computed here or beside.
pub(super) enum Hasher {
    /// Small content: at once.
    Here(Box<Hashes>),
    /// Large content: batch by batch.
    Beside {
        /// Who hashes.
        desk: Arc<Desk>,
        /// Where the digests are.
        state: State,
        /// The next batch.
        gathered: Vec<Bytes>,
        /// Its length.
        gathered_bytes: usize,
    },
}

/// Where the digests are. No thread waits for a slow sender: one is taken only for the length of a batch.
pub(super) enum State {
    /// Here.
    Idle(Box<Hashes>),
    /// They take in a batch.
    Busy(oneshot::Receiver<Box<Hashes>>),
}

impl State {
    async fn settle(self) -> Result<Box<Hashes>, Refusal> {
        match self {
            Self::Idle(hashes) => Ok(hashes),
            Self::Busy(batch) => batch.await.map_err(|_gone| no_digests()),
        }
    }
}

impl Hasher {
    /// Computes these digests of content of `length` bytes, if that is known.
    pub(super) fn new(desk: &Arc<Desk>, hashes: Hashes, length: Option<u64>) -> Self {
        let hashes = Box::new(hashes);
        if length.is_some_and(|length| length < BESIDE) {
            Self::Here(hashes)
        } else {
            Self::Beside {
                desk: Arc::clone(desk),
                state: State::Idle(hashes),
                gathered: Vec::new(),
                gathered_bytes: 0,
            }
        }
    }

    /// Takes the next piece; waits while a batch is hashed and the next one is full.
    ///
    /// # Errors
    /// `InternalError` when hashing failed.
    pub(super) async fn update(self, piece: &Bytes) -> Result<Self, Refusal> {
        match self {
            Self::Here(mut hashes) => {
                hashes.update(piece);
                Ok(Self::Here(hashes))
            }
            Self::Beside { desk, mut state, mut gathered, gathered_bytes } => {
                gathered.push(piece.clone());
                let mut gathered_bytes = gathered_bytes.saturating_add(piece.len());
                if gathered_bytes >= BATCH {
                    let hashes = state.settle().await?;
                    state = State::Busy(desk.hand_in(hashes, gathered));
                    (gathered, gathered_bytes) = (Vec::new(), 0);
                }
                Ok(Self::Beside { desk, state, gathered, gathered_bytes })
            }
        }
    }

    /// The digests of all pieces.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub(super) async fn finish(self) -> Result<Hashed, Refusal> {
        match self {
            Self::Here(hashes) => Ok(hashes.finish()),
            Self::Beside { desk: _, state, gathered, gathered_bytes: _ } => {
                let mut hashes = state.settle().await?;
                for piece in &gathered {
                    hashes.update(piece);
                }
                Ok(hashes.finish())
            }
        }
    }
}

/// The answer where hashing failed.
pub(super) fn no_digests() -> Refusal {
    Refusal::new("InternalError", 500, "The content's digests could not be computed.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::checksum::Algorithm;
    use futures_util::future::join_all;

    fn hashes() -> Hashes {
        Hashes::new(&[Algorithm::Crc64Nvme, Algorithm::Sha256]).with_md5()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_at_once_have_the_digests_that_each_has_alone() {
        let desk = Arc::<Desk>::default();
        let uploads = (0_u8..50).map(|n| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                let content = vec![n; 300_000 + usize::from(n) * 30_011];
                let mut hasher = Hasher::new(&desk, hashes(), (n % 2 == 0).then_some(BESIDE));
                for piece in content.chunks(10_000 + usize::from(n) * 501) {
                    hasher = hasher.update(&Bytes::copy_from_slice(piece)).await.unwrap();
                }
                let mut alone = hashes();
                alone.update(&content);
                let (together, alone) = (hasher.finish().await.unwrap(), alone.finish());
                assert_eq!(together.md5, alone.md5, "{n}");
                assert_eq!(together.checksums, alone.checksums, "{n}");
            })
        });
        for upload in join_all(uploads).await {
            upload.unwrap();
        }
        // The last thread may still be on its way out.
        while desk.lock().threads > 0 {
            tokio::task::yield_now().await;
        }
        assert!(desk.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nothing_behind() {
        let desk = Arc::<Desk>::default();
        let mut hasher = Hasher::new(&desk, hashes(), None);
        for _ in 0..3 {
            hasher = hasher.update(&Bytes::from(vec![7; BATCH])).await.unwrap();
        }
        drop(hasher);
        while desk.lock().threads > 0 {
            tokio::task::yield_now().await;
        }
        assert!(desk.lock().waiting.is_empty());
    }
}
