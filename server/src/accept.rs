//! Connections: accepted, encrypted, limited, and drained at the end.

pub mod listener;
pub mod certificate;
pub mod client_certificate;
pub mod sources;
pub mod budget;
pub mod layer;
pub mod patient;
mod drain;
pub mod fair;
pub mod frames;
mod progress;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::{CipherSuite, ProtocolVersion, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::config::Limits;
use client_certificate::ClientCertificate;
use drain::{Drain, Watcher};
use fair::Fair;
use frames::Meter;
use layer::Layer;
use patient::Patient;
use progress::{Abandoned, Progress};
use sources::{Connected, Sources};

/// Who sends a request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address that the connection came from.
    pub address: SocketAddr,
    /// The connection, counted with the others of its source.
    pub connected: Arc<Connected>,
    /// The version of TLS that was agreed on.
    pub tls: Option<ProtocolVersion>,
    /// And the cipher suite.
    pub cipher: Option<CipherSuite>,
    /// The certificate that the client proved to have.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// The most that waits on one HTTP/1.1 connection in either direction; a head has to fit.
const HTTP1_BUFFER: usize = 128 * 1024;
/// What one HTTP/2 stream, and one connection, may send before it is read. Larger than HTTP/2's 64 KiB: uploads need it.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Accepts connections until `stop` is done, then lets the running requests finish for at most `drain`.
///
/// `answer` is asked for each request, with who sent it.
pub async fn serve<A, F, B>(
    listener: TcpListener,
    tls: Arc<ArcSwap<ServerConfig>>,
    limits: Limits,
    answer: A,
    stop: impl Future<Output = ()>,
    drain: Duration,
) where
    A: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static,
{
    let slots = Arc::new(Semaphore::new(
        usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS),
    ));
    let sources = Sources::new(&limits);
    let http = http(&limits);
    let draining = Drain::new();
    // Held by each connection from before its handshake; closed once the last is gone.
    let (open, mut closed) = mpsc::channel::<()>(1);
    tokio::pin!(stop);
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = &mut stop => break,
        };
        let (stream, address) = tokio::select! {
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
        // An IPv4 address stays itself when it comes through a socket of both versions.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let connected = match sources.connect(address.ip()) {
            Ok(connected) => connected,
            Err(held_off) => {
                debug!(peer = %address, %held_off, "a connection is refused");
                continue;
            }
        };
        let connected = Arc::new(connected);
        let tls = TlsAcceptor::from(tls.load_full());
        let (http, answer) = (http.clone(), answer.clone());
        let (watcher, open, patience) = (draining.watcher(), open.clone(), limits.patience());
        tokio::spawn(async move {
            let (_slot, _open) = (slot, open);
            let Some(stream) = handshake(&tls, stream, address, patience).await else { return };
            let session = stream.get_ref().1;
            let cipher = session.negotiated_cipher_suite().map(|suite| suite.suite());
            let tls = session.protocol_version();
            let certificate = ClientCertificate::of(session).map(Arc::new);
            let peer = Peer { address, connected, tls, cipher, certificate };
            connection(stream, &http, answer, peer, watcher, patience).await;
        });
    }
    drop((listener, open));
    draining.announce();
    if tokio::time::timeout(drain, closed.recv()).await.is_err() {
        warn!(
            seconds = drain.as_secs(),
            "requests were still running at the end of the drain; they are cut off"
        );
    }
}

/// Serves one connection until it ends, is of no use any more, or the server drains.
async fn connection<A, F, B>(
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    http: &Builder<TokioExecutor>,
    answer: A,
    peer: Peer,
    watcher: Watcher,
    patience: Duration,
) where
    A: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static,
{
    let (address, connected) = (peer.address, Arc::clone(&peer.connected));
    let progress = Progress::new();
    let requests = Arc::clone(&progress);
    let end = watcher.clone().time_to_end();
    tokio::pin!(end);
    let service = service_fn(move |request| {
        watcher.begun();
        let request_begun = requests.begin();
        let answer = answer(request, peer.clone());
        async move {
            let answer = answer.await;
            Ok::<_, std::convert::Infallible>(answer.map(|body| request_begun.watch(body)))
        }
    });
    let stream = Layer::new(Layer::new(stream, Fair::default()), Meter::new());
    let stream = TokioIo::new(Layer::new(stream, Patient::new(patience)));
    let connection = http.serve_connection(stream, service);
    tokio::pin!(connection);
    let mut told = false;
    loop {
        tokio::select! {
            end = connection.as_mut() => {
                if let Err(error) = end {
                    let fault = is_clients_fault(&*error);
                    debug!(peer = %address, error = &*error, fault, "a connection ended early");
                    if fault {
                        connected.was_at_fault();
                    }
                }
                return;
            }
            () = &mut end, if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            abandoned = progress.abandoned(patience) => match abandoned {
                // An honest client is told first, so that it sends nothing into a connection that closes.
                Abandoned::Idle if !told => {
                    told = true;
                    progress.stir();
                    connection.as_mut().graceful_shutdown();
                }
                Abandoned::Idle | Abandoned::Stalled => {
                    debug!(peer = %address, ?abandoned, "a connection is given up");
                    return;
                }
            },
        }
    }
}

/// Whether the client broke HTTP/2, or did more than any honest one: a connection that just breaks off is nobody's fault.
fn is_clients_fault(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        error.downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library)
            || error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
    })
}

fn http(limits: &Limits) -> Builder<TokioExecutor> {
    let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    let patience = limits.patience();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HTTP1_BUFFER.max(size(limits.head_bytes).saturating_mul(2)))
        .max_headers(size(limits.headers))
        .half_close(true)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(limits.head_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(64 * 1024)
        .max_send_buf_size(256 * 1024)
        .max_pending_accept_reset_streams(usize::from(limits.http2_resets))
        .max_local_error_reset_streams(usize::from(limits.http2_resets))
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
