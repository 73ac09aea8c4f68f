//! A connection that gives way: one that always has more to read must not keep a thread from all others.
//!
//! A record of TLS holds a thousand of HTTP/2's smallest frames, each may want an answer, and a connection goes on as long as
//! there is one. Four connections that sent settings and pings took an honest request's median from 0.3 to 52 ms.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection may do in one turn, in writes: each is a call of the system.
const TURN: u8 = 64;
/// What a read of up to 16 KiB counts.
const READ: u8 = 32;

/// A stream that lets others work after some reads and writes.
#[derive(Debug)]
pub struct Fair<S> {
    inner: S,
    spent: u8,
}

impl<S> Fair<S> {
    /// Wraps `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, spent: 0 }
    }

    /// Ends the turn of a connection that has done much.
    fn turn(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.spent < TURN {
            return Poll::Ready(());
        }
        self.spent = 0;
        // Back to the end of the queue.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn count<T>(&mut self, cost: u8, done: Poll<T>) -> Poll<T> {
        self.spent = if done.is_ready() { self.spent.saturating_add(cost) } else { 0 };
        done
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fair<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.turn(context));
        let done = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.count(READ, done)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fair<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.turn(context));
        let done = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.count(1, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.turn(context));
        let done = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.count(1, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn who_reads_without_end_lets_others_work() {
        let ran = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&ran);
        tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
        let mut endless = Fair::new(tokio::io::repeat(1));
        let mut piece = [0; 16];
        for n in 0..=TURN / READ {
            assert!(!ran.load(Ordering::Relaxed) || n >= TURN / READ, "after {n} reads");
            endless.read_exact(&mut piece).await.unwrap();
        }
        assert!(ran.load(Ordering::Relaxed));
        assert_eq!(piece, [1; 16], "nothing is lost");
    }
}
