//! A connection whose writes are given up when the peer takes nothing for too long: a client that stops reading an answer must
//! not hold memory and descriptors for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::layer::Watch;

/// Waits at most so long for a peer to take what is written.
#[derive(Debug)]
pub struct Patient {
    patience: Duration,
    /// Runs while a write waits.
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Patient {
    /// `patience` is the longest wait.
    pub fn new(patience: Duration) -> Self {
        Self { patience, deadline: Box::pin(tokio::time::sleep(patience)), waiting: false }
    }

    /// Starts the clock at the first wait, stops it at any progress.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = false;
            return result;
        }
        if !self.waiting {
            self.waiting = true;
            self.deadline.as_mut().reset(Instant::now() + self.patience);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Watch for Patient {
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.watch(context, done)
    }

    fn flushed(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        self.watch(context, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::layer::Layer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn only_a_write_without_any_progress_is_given_up() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut near = Layer::new(near, Patient::new(Duration::from_millis(200)));
        let reader = tokio::spawn(async move {
            // Slow, but never silent.
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_millis(80)).await;
                let mut some = [0; 8];
                far.read_exact(&mut some).await.unwrap();
            }
            far
        });
        near.write_all(&[1; 48]).await.unwrap();
        let _far = reader.await.unwrap();
        let error = near.write_all(&[1; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
