//! Whether a connection is of use to anyone: one that carries no request, or whose client takes nothing of an answer, is given
//! up. HTTP/2 needs this most: there a client can keep its window shut for ever and still answer every ping.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// Requests that were begun and whose answers aren't sent yet.
    running: AtomicU32,
    /// When one began or ended last, in milliseconds from `began`.
    stirred: AtomicU64,
    answers: Mutex<Vec<Weak<Turn>>>,
}

/// Since when it is the client's turn to take more of an answer, in milliseconds from the connection's beginning.
#[derive(Debug)]
struct Turn(AtomicU64);

/// It is the server's turn.
const OURS: u64 = u64::MAX;

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// It carries no request.
    Idle,
    /// The client takes nothing of an answer.
    Stalled,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            running: AtomicU32::new(0),
            stirred: AtomicU64::new(0),
            answers: Mutex::default(),
        })
    }

    /// Counts a request until the value, or the answer that it is given to, is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.stir();
        InFlight(Arc::clone(self))
    }

    /// Done once the connection was of no use for `patience`.
    pub(super) async fn abandoned(&self, patience: Duration) -> Abandoned {
        loop {
            tokio::time::sleep(patience / 4).await;
            if let Some(abandoned) = self.look(patience) {
                return abandoned;
            }
        }
    }

    fn look(&self, patience: Duration) -> Option<Abandoned> {
        let patience = millis(patience);
        let now = self.now();
        let too_long = |since: u64| now.saturating_sub(since) >= patience;
        if self.running.load(Ordering::Relaxed) == 0
            && too_long(self.stirred.load(Ordering::Relaxed))
        {
            return Some(Abandoned::Idle);
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stalled = false;
        answers.retain(|turn| {
            let since = turn.upgrade().map(|turn| turn.0.load(Ordering::Relaxed));
            stalled |= since.is_some_and(|since| since != OURS && too_long(since));
            since.is_some()
        });
        stalled.then_some(Abandoned::Stalled)
    }

    /// Begins the wait anew.
    pub(super) fn stir(&self) {
        self.stirred.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(OURS)
}

/// A request that isn't answered to its end.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Progress>);

impl InFlight {
    /// An answer's body that tells when the client takes nothing of it.
    pub(super) fn watch<B: Body>(self, body: B) -> Watched<B> {
        // What is empty is sent with its head.
        let turn = (!body.is_end_stream()).then(|| {
            let turn = Arc::new(Turn(AtomicU64::new(self.0.now())));
            let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
            // Answers that are over leave here, lest a busy connection grow between two looks.
            if answers.len() == answers.capacity() {
                answers.retain(|turn| turn.strong_count() > 0);
            }
            answers.push(Arc::downgrade(&turn));
            turn
        });
        Watched { body, turn, request: self }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.stir();
    }
}

/// An answer's body. Whenever it isn't asked for more, the client is waited for.
#[derive(Debug)]
pub(super) struct Watched<B> {
    body: B,
    turn: Option<Arc<Turn>>,
    request: InFlight,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Some(turn) = &self.turn {
            let since = if frame.is_ready() { self.request.0.now() } else { OURS };
            turn.0.store(since, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_given_up_when_nothing_moves() {
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        let progress = Progress::new();
        pass(29).await;
        assert_eq!(progress.look(PATIENCE), None);
        let request = progress.begin();
        pass(100).await;
        assert_eq!(progress.look(PATIENCE), None, "the server works on an answer");
        let mut answer = request.watch(Full::new(Bytes::from_static(b"a")));
        pass(29).await;
        assert_eq!(progress.look(PATIENCE), None, "the client has time to take it");
        answer.frame().await.unwrap().unwrap();
        pass(29).await;
        assert_eq!(progress.look(PATIENCE), None, "it took some");
        pass(1).await;
        assert_eq!(progress.look(PATIENCE), Some(Abandoned::Stalled), "it takes no more");
        drop(answer);
        pass(29).await;
        assert_eq!(progress.look(PATIENCE), None, "it was answered a moment ago");
        pass(1).await;
        assert_eq!(progress.look(PATIENCE), Some(Abandoned::Idle));
        assert!(progress.answers.lock().unwrap().is_empty(), "nothing is kept of answers");
    }
}
