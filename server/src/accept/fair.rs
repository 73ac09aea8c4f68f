//! A connection that gives way: one that always has more to read must not keep a thread from all others.
//!
//! A record of TLS holds a thousand of HTTP/2's smallest frames, each may want an answer, and a connection goes on as long as
//! there is one. Four connections that sent settings and pings took an honest request's median from 0.3 to 52 ms.

use std::io;
use std::task::{Context, Poll};

use super::layer::Watch;

/// What a connection may do in one turn, in writes: each is a call of the system.
const TURN: u8 = 64;
/// What a read of up to 16 KiB counts.
const READ: u8 = 32;

/// Lets others work after some reads and writes.
#[derive(Debug, Default)]
pub struct Fair {
    spent: u8,
}

impl Fair {
    fn count<T>(&mut self, cost: u8, done: Poll<T>) -> Poll<T> {
        self.spent = if done.is_ready() { self.spent.saturating_add(cost) } else { 0 };
        done
    }
}

impl Watch for Fair {
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

    fn read(&mut self, done: Poll<io::Result<()>>, _came: &[u8]) -> Poll<io::Result<()>> {
        self.count(READ, done)
    }

    fn wrote(
        &mut self,
        _context: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.count(1, done)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::accept::layer::Layer;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn who_reads_without_end_lets_others_work() {
        let ran = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&ran);
        tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
        let mut endless = Layer::new(tokio::io::repeat(1), Fair::default());
        let mut piece = [0; 16];
        for n in 0..=TURN / READ {
            assert!(!ran.load(Ordering::Relaxed) || n >= TURN / READ, "after {n} reads");
            endless.read_exact(&mut piece).await.unwrap();
        }
        assert!(ran.load(Ordering::Relaxed));
        assert_eq!(piece, [1; 16], "nothing is lost");
    }
}
