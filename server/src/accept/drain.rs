//! How connections end when the server does: each finishes what it began, and a new one gets its first answer.
//!
//! hyper closes a connection that brought nothing yet as soon as it is asked to drain it. But that connection was accepted,
//! and its client is about to send a request that nobody would answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// How long after the end was announced a connection may bring its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Announces the end to all connections.
#[derive(Debug)]
pub(super) struct Drain(watch::Sender<bool>);

/// One connection's side of it.
#[derive(Debug, Clone)]
pub(super) struct Watcher {
    announced: watch::Receiver<bool>,
    begun: Arc<Notify>,
}

impl Drain {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn watcher(&self) -> Watcher {
        Watcher { announced: self.0.subscribe(), begun: Arc::default() }
    }

    pub(super) fn announce(&self) {
        self.0.send_replace(true);
    }
}

impl Watcher {
    /// The connection brought a request.
    pub(super) fn begun(&self) {
        // Kept for the one who asks later.
        self.begun.notify_one();
    }

    /// Done when the connection has to come to its end.
    pub(super) async fn time_to_end(mut self) {
        if self.announced.wait_for(|announced| *announced).await.is_err() {
            // Nobody is left who could announce it.
            std::future::pending::<()>().await;
        }
        drop(tokio::time::timeout(FIRST_REQUEST, self.begun.notified()).await);
    }
}
