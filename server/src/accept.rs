//! Connections: accepted, encrypted, limited, and drained at the end.

pub mod listener;
pub mod certificate;
pub mod patient;
mod drain;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use drain::Drain;
use patient::Patient;

/// The bounds that every connection is held to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: u32,
    /// The longest pause in a handshake or a request's head, and the longest time in which a client takes nothing of an answer.
    pub patience: Duration,
}

/// The most that a request's head may have: AWS allows 8 KiB of headers, signatures and long keys come on top.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;
/// The most that waits on one HTTP/1.1 connection in either direction; a head has to fit.
const HTTP1_BUFFER: usize = 128 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// What one HTTP/2 stream, and one connection, may send before it is read. Larger than HTTP/2's 64 KiB: uploads need it.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Accepts connections until `stop` is done, then lets the running requests finish for at most `drain`.
///
/// `answer` is asked for each request, with the address that it came from.
pub async fn serve<A, F, B>(
    listener: TcpListener,
    tls: TlsAcceptor,
    limits: Limits,
    answer: A,
    stop: impl Future<Output = ()>,
    drain: Duration,
) where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static,
{
    let slots = Arc::new(Semaphore::new(
        usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS),
    ));
    let draining = Drain::new();
    let http = http(limits.patience);
    tokio::pin!(stop);
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = &mut stop => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or the peer is gone already: neither is a reason to stop.
                    warn!(error = &error as &dyn std::error::Error, "can't accept a connection");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (tls, http, answer, watcher) =
            (tls.clone(), http.clone(), answer.clone(), draining.watcher());
        tokio::spawn(async move {
            let _slot = slot;
            let Some(stream) = handshake(&tls, stream, peer, limits.patience).await else { return };
            let stream = Patient::new(stream, limits.patience);
            let end = watcher.clone().time_to_end();
            let service = service_fn(move |request| {
                watcher.begun();
                let answer = answer(request, peer);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let connection = http.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = end => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                debug!(%peer, error = &*error, "a connection ended early");
            }
        });
    }
    drop(listener);
    draining.announce();
    // Each connection holds a slot, from before its handshake to its end.
    let ended = slots.acquire_many(limits.connections);
    if tokio::time::timeout(drain, ended).await.is_err() {
        warn!(
            seconds = drain.as_secs(),
            "requests were still running at the end of the drain; they are cut off"
        );
    }
}

fn http(patience: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HTTP1_BUFFER)
        .max_headers(MAX_HEADERS)
        .half_close(true)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(64 * 1024)
        .max_send_buf_size(256 * 1024)
        .max_pending_accept_reset_streams(32)
        .max_local_error_reset_streams(64)
        .keep_alive_interval(patience)
        .keep_alive_timeout(patience);
    builder
}

/// A connection that doesn't complete its handshake in time is closed without a word.
async fn handshake(
    tls: &TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    patience: Duration,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, error = &error as &dyn std::error::Error, "can't set TCP_NODELAY");
    }
    match tokio::time::timeout(patience, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            debug!(%peer, error = &error as &dyn std::error::Error, "no TLS handshake");
            None
        }
        Err(_elapsed) => {
            debug!(%peer, "no TLS handshake in time");
            None
        }
    }
}
