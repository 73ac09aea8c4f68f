//! What a client still sends when its request was refused by its head alone. A connection that is closed over unread bytes is
//! reset, and the client gets a broken pipe in the place of the answer: so a little is read away first.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::oneshot;

/// What is read away at most: whoever sends more than this asks first (`Expect: 100-continue`), or has to bear the reset.
const MOST: u64 = 1024 * 1024;
/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body on loan: when it is dropped unread, it goes back to who lent it.
#[derive(Debug)]
pub(crate) struct Lent {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

/// Where an unread body comes back to.
#[derive(Debug)]
pub(super) struct Unread {
    back: oneshot::Receiver<Incoming>,
    worth: Worth,
}

/// Whether a body is read away when it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// There is none, or it costs only its own stream (HTTP/2).
    Nothing,
    /// A small one, or one of unknown length.
    Reading,
    /// A large one, or one whose sender waits for our word.
    TooMuch,
}

/// Lends the body of the request with this head.
pub(super) fn lend(head: &Parts, body: Incoming) -> (Lent, Unread) {
    // HTTP/2 ends a stream without its connection.
    let worth = if head.version >= Version::HTTP_2 || body.is_end_stream() {
        Worth::Nothing
    } else if head.headers.contains_key(header::EXPECT) || body.size_hint().lower() > MOST {
        Worth::TooMuch
    } else {
        Worth::Reading
    };
    let (sender, back) = oneshot::channel();
    let sender = (worth == Worth::Reading).then_some(sender);
    (Lent { body: Some(body), back: sender }, Unread { back, worth })
}

/// Whether the connection can carry another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Everything was read.
    None,
    /// Bytes of this request are still to come.
    Some,
}

impl Unread {
    /// Reads away what is left of the body, if that is worth it.
    pub(super) async fn read_away(self) -> Rest {
        let Self { back, worth } = self;
        if worth == Worth::Nothing {
            return Rest::None;
        }
        if worth == Worth::TooMuch {
            return Rest::Some;
        }
        let all = async {
            // Dropped at its end, it doesn't come back.
            let Ok(mut body) = back.await else { return Rest::None };
            let mut left = MOST;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return Rest::Some };
                let length = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(length.try_into().unwrap_or(u64::MAX)) {
                    Some(rest) => left = rest,
                    None => return Rest::Some,
                }
            }
            Rest::None
        };
        tokio::time::timeout(PATIENCE, all).await.unwrap_or(Rest::Some)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it any more: then it is dropped here.
            drop(back.send(body));
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
