//! A stream that is watched while it passes: what [`fair`](super::fair), [`frames`](super::frames) and
//! [`patient`](super::patient) have in common.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Who watches a stream. Each method may change what comes of a call.
pub trait Watch {
    /// Before anything is read or written: whether it may be now.
    fn turn(&mut self, _context: &Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// These bytes were read, if it is done.
    fn read(&mut self, done: Poll<io::Result<()>>, _came: &[u8]) -> Poll<io::Result<()>> {
        done
    }

    /// So many bytes were written, if it is done.
    fn wrote(
        &mut self,
        _context: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        done
    }

    /// What was written is passed on, or the stream is at its end, if it is done.
    fn flushed(
        &mut self,
        _context: &mut Context<'_>,
        done: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        done
    }
}

/// A stream and who watches it.
#[derive(Debug)]
pub struct Layer<S, W> {
    inner: S,
    watch: W,
}

impl<S, W> Layer<S, W> {
    /// Has `inner` watched.
    pub fn new(inner: S, watch: W) -> Self {
        Self { inner, watch }
    }
}

impl<S: AsyncRead + Unpin, W: Watch + Unpin> AsyncRead for Layer<S, W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.watch.turn(context));
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.watch.read(done, buffer.filled().get(before..).unwrap_or_default())
    }
}

impl<S: AsyncWrite + Unpin, W: Watch + Unpin> AsyncWrite for Layer<S, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.watch.turn(context));
        let done = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch.wrote(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.watch.turn(context));
        let done = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch.wrote(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(context);
        self.watch.flushed(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watch.flushed(context, done)
    }
}
