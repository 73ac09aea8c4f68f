//! How many requests are in work: each counts from its admission until its answer is sent to the last byte.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Frame, SizeHint};
use s3s::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::accept::Peer;
use crate::accept::sources::Begun;
use crate::answer::Refusal;
use crate::audit::Ending;

/// The places for requests.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    /// So many in all.
    pub(super) fn new(requests: u32) -> Self {
        let places = usize::try_from(requests).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Takes a place for a request of `peer`.
    ///
    /// # Errors
    /// `SlowDown` when there is none.
    pub(super) fn take(&self, peer: &Peer) -> Result<Running, Refusal> {
        let source = peer
            .connected
            .begin()
            .ok_or_else(|| slow_down(1, "too many requests of your address are running"))?;
        let place = Arc::clone(&self.0)
            .try_acquire_owned()
            .map_err(|_none| slow_down(1, "too many requests are running"))?;
        Ok(Running { _source: source, _place: place })
    }
}

/// `503`: come again in so many seconds.
pub(crate) fn slow_down(seconds: u64, why: &str) -> Refusal {
    Refusal::new("SlowDown", 503, format!("Please reduce your request rate: {why}."))
        .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// A request in work.
#[derive(Debug)]
pub(super) struct Running {
    _source: Begun,
    _place: OwnedSemaphorePermit,
}

/// An answer's body, which holds its request's place until it was sent.
#[derive(Debug)]
pub struct Answer {
    body: Body,
    _running: Option<Running>,
    ending: Ending,
}

impl Answer {
    pub(super) fn new(body: Body, running: Option<Running>, ending: Ending) -> Self {
        Self { body, _running: running, ending }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, s3s::StdError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            let sent = data.len();
            self.ending.sent(sent);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // The body has a method of this name that answers something else.
        http_body::Body::size_hint(&self.body)
    }
}
