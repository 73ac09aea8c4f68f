//! `/livez`, `/readyz` and `/metrics`, over plain HTTP.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// How long a client may take to send its headers.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the endpoints answer from.
#[derive(Debug, Default)]
pub struct Health {
    ready: AtomicBool,
    /// What `/metrics` shows.
    pub metrics: Metrics,
}

impl Health {
    /// From now on `/readyz` answers 200.
    pub fn is_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// From now on `/readyz` answers 503.
    pub fn ends(&self) {
        self.ready.store(false, Ordering::Release);
    }
}

/// Serves until dropped.
///
/// # Errors
/// When the address can't be listened at.
pub async fn serve(address: SocketAddr, health: Arc<Health>) -> io::Result<Infallible> {
    let listener = listen(address).await?;
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(cause) => {
                tracing::debug!(%cause, "a connection couldn't be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let health = health.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let answer = answer(&request, &health);
                async move { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(16 * 1024)
                .keep_alive(false)
                .serve_connection(TokioIo::new(connection), answer)
                .await;
            if let Err(cause) = served {
                tracing::debug!(%cause, "a health request broke off");
            }
        });
    }
}

/// Listens on `address`; on every address of IPv4 where `[::]` is asked for and the machine has no IPv6.
async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let every = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match TcpListener::bind(address).await {
        Err(cause) if every && lacks_ipv6(&cause) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        outcome => outcome,
    }
}

fn lacks_ipv6(cause: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(cause);
    errno.is_some_and(|errno| [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].contains(&errno))
}

fn answer(request: &Request<Incoming>, health: &Health) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET".to_owned());
    }
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "text/plain", "ok".to_owned()),
        "/readyz" if health.ready.load(Ordering::Acquire) => {
            text(StatusCode::OK, "text/plain", "ok".to_owned())
        }
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "not ready".to_owned()),
        "/metrics" => match health.metrics.encode() {
            Ok(metrics) => text(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                metrics,
            ),
            Err(cause) => text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", cause.to_string()),
        },
        _ => text(StatusCode::NOT_FOUND, "text/plain", "no such page".to_owned()),
    }
}

fn text(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
