//! A request's body on its way in: taken out of its signed framing and checked while it streams.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use coffer_signature::{Payload, PayloadDecoder};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::answer::Refusal;
use crate::config::Limits;
use crate::service::Lent;

use super::form::{FormFile, OpenForm};

/// The trailing fields of a body, there once it was read to its end.
pub type Trailers = Arc<OnceLock<coffer_signature::Trailers>>;

/// Why a body ended early. Nothing of it may be kept.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It isn't what its signature or its length says.
    #[error("{}", .0.code())]
    Refused(Refusal),
    /// The connection broke.
    #[error("the client's connection broke")]
    Broken(#[source] hyper::Error),
}

impl BodyError {
    /// What the client is told, if it still listens.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Broken(_) => Refusal::new(
                "IncompleteBody",
                400,
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            ),
        }
    }
}

/// The content of a request's body, checked against its signature.
///
/// INVARIANT: bytes may be handed out before the signature that covers them was seen; then a later poll fails. So whoever reads
/// keeps nothing until the end was reached without an error.
#[derive(Debug)]
pub struct DecodedBody {
    inner: Lent,
    decoder: Option<Decoder>,
    ready: VecDeque<Bytes>,
    scratch: Vec<Bytes>,
    trailers: Trailers,
    length: Option<u64>,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
}

/// What content is taken out of.
#[derive(Debug)]
enum Decoder {
    /// A body as it is, or in signed framing.
    Payload(PayloadDecoder),
    /// A form.
    File(Box<FormFile>),
}

impl Decoder {
    fn push(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> Result<(), coffer_signature::Refusal> {
        match self {
            Self::Payload(decoder) => decoder.push(data, out),
            Self::File(file) => file.push(data, out),
        }
    }

    fn finish(self) -> Result<coffer_signature::Trailers, coffer_signature::Refusal> {
        match self {
            Self::Payload(decoder) => decoder.finish(),
            Self::File(file) => file.finish(),
        }
    }
}

impl DecodedBody {
    /// Wraps the body of a request whose content has `length` bytes, if it said so. `limits` has the longest pause between two
    /// frames, and the largest chunk.
    pub(crate) fn new(
        inner: Lent,
        payload: &Payload,
        length: Option<u64>,
        limits: &Limits,
    ) -> Self {
        let patience = limits.patience();
        Self {
            inner,
            decoder: Some(Decoder::Payload(
                payload.decoder(length).with_max_chunk(limits.chunk_bytes.into()),
            )),
            ready: VecDeque::new(),
            scratch: Vec::new(),
            trailers: Trailers::default(),
            length,
            patience,
            deadline: Box::pin(tokio::time::sleep(patience)),
        }
    }

    /// The file of a form.
    pub(crate) fn of_form(form: OpenForm, patience: Duration) -> Self {
        let OpenForm { fields: _, inner, file, ready } = form;
        Self {
            inner,
            decoder: Some(Decoder::File(Box::new(file))),
            ready: ready.into(),
            scratch: Vec::new(),
            trailers: Trailers::default(),
            length: None,
            patience,
            deadline: Box::pin(tokio::time::sleep(patience)),
        }
    }

    /// Where the trailing fields will be.
    pub fn trailers(&self) -> Trailers {
        Arc::clone(&self.trailers)
    }

    fn fail(&mut self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.decoder = None;
        self.ready.clear();
        Poll::Ready(Some(Err(BodyError::Refused(refusal))))
    }
}

impl Body for DecodedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.decoder.is_none() {
                return Poll::Ready(None);
            }
            let frame = match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(context));
                    return self.fail(Refusal::new(
                        "RequestTimeout",
                        400,
                        "Your socket connection to the server was not read from or written to within the timeout period.",
                    ));
                }
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    // Frames without content are no progress: a client could send them for ever.
                    if data.is_empty() {
                        continue;
                    }
                    let deadline = Instant::now() + self.patience;
                    // Moving the timer costs a lock, so not for every frame.
                    if deadline - self.deadline.deadline() > self.patience / 8 {
                        self.deadline.as_mut().reset(deadline);
                    }
                    let mut scratch = std::mem::take(&mut self.scratch);
                    let pushed = self
                        .decoder
                        .as_mut()
                        .map_or(Ok(()), |decoder| decoder.push(data, &mut scratch));
                    self.ready.extend(scratch.drain(..).filter(|bytes| !bytes.is_empty()));
                    self.scratch = scratch;
                    if let Err(refusal) = pushed {
                        return self.fail(refusal.into());
                    }
                }
                Some(Err(error)) => {
                    self.decoder = None;
                    return Poll::Ready(Some(Err(BodyError::Broken(error))));
                }
                None => match self.decoder.take().map(Decoder::finish) {
                    Some(Ok(trailers)) => {
                        // Set once: the decoder is gone now.
                        let _already = self.trailers.set(trailers);
                    }
                    Some(Err(refusal)) => return self.fail(refusal.into()),
                    None => {}
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.decoder.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
