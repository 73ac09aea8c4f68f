//! Connections to a KMIP service: TLS with a client's certificate, kept between calls, and one message at a time on each.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::uri::Authority;
use coffer_sse::kms::KmsError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::message::{self, Operation, Outcomes, RESPONSE_MESSAGE, Reason};
use super::ttlv;
use crate::encrypt::attempts::{Failure, Limits, Repeat, attempts};
use crate::follow::Stamp;
use crate::outbound::{self, ClientFiles, refuses_client};

/// KMIP's own.
const PORT: u16 = 5696;
/// Connections that are kept for later calls.
const MOST_KEPT: usize = 8;
/// How long an unused one is kept.
const LONGEST_KEPT: Duration = Duration::from_mins(1);

/// One service, and connections to it.
pub(super) struct Connections {
    address: String,
    host: String,
    port: u16,
    name: ServerName<'static>,
    ca: PathBuf,
    client: ClientFiles,
    limits: Limits,
    kept: Mutex<Kept>,
}

/// What is good while the files stay as they are.
#[derive(Default)]
struct Kept {
    tls: Option<(Stamp, TlsConnector)>,
    idle: Vec<(TlsStream<TcpStream>, Instant)>,
}

/// What a connection is made by, and one that is there.
struct Taken {
    stamp: Stamp,
    tls: TlsConnector,
    idle: Option<TlsStream<TcpStream>>,
}

impl Connections {
    /// Reads the address, `host` or `host:port`, and the files.
    ///
    /// # Errors
    /// [`KmsError::Settings`].
    pub(super) fn new(
        address: &str,
        ca: PathBuf,
        client: ClientFiles,
        limits: Limits,
    ) -> Result<Self, KmsError> {
        let no_address =
            || KmsError::Settings(format!("`{address}` is no address; give it as `host:port`"));
        let authority: Authority = address.parse().map_err(|_invalid| no_address())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => PORT,
            // User and password come before a host, so this is a port.
            Some(_) => authority.port_u16().ok_or_else(no_address)?,
            None => return Err(no_address()),
        };
        let name = ServerName::try_from(host.clone()).map_err(|_invalid| no_address())?;
        let kept = Mutex::default();
        let address = authority.to_string();
        let connections = Self { address, host, port, name, ca, client, limits, kept };
        connections.take(Repeat::IfNeverSent)?;
        Ok(connections)
    }

    /// Where the service is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Has operations done, and says what came of each.
    ///
    /// # Errors
    /// [`KmsError::Unreachable`] after the last attempt, [`KmsError::Denied`] if TLS ends by a refusal, [`KmsError::Answer`] for no
    /// answer to these operations.
    pub(super) async fn call(
        &self,
        repeat: Repeat,
        operations: &[Operation<'_>],
    ) -> Result<Outcomes, KmsError> {
        let request = message::request(operations).map_err(not_understood)?;
        attempts(self.limits, repeat, || async {
            let answer = self.exchange(repeat, &request).await?;
            let outcomes = message::outcomes(&answer, operations).map_err(not_understood)?;
            match (operations, outcomes.as_slice()) {
                // Of changed bytes some services say nothing else.
                ([Operation::Decrypt { .. }], _) => Ok(outcomes),
                ([_], [Err(failed)]) if failed.reason == Reason::Passing => {
                    Err(Failure::Broken(failed.said.clone()))
                }
                (_, _) => Ok(outcomes),
            }
        })
        .await
    }

    async fn exchange(
        &self,
        repeat: Repeat,
        request: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let Taken { stamp, tls, idle } = self.take(repeat)?;
        if let Some(mut stream) = idle
            && let Ok(answer) = talk(&mut stream, request).await
        {
            self.keep(&stamp, stream);
            return Ok(answer);
        }
        // One that was kept may have ended long ago.
        let mut stream = self.connect(&tls).await?;
        let answer = talk(&mut stream, request).await.map_err(|error| broken(&error))?;
        self.keep(&stamp, stream);
        Ok(answer)
    }

    /// A connection on which the service has shown that it speaks KMIP 1.4 with this client.
    async fn connect(&self, tls: &TlsConnector) -> Result<TlsStream<TcpStream>, Failure> {
        let connected = TcpStream::connect((self.host.as_str(), self.port));
        let tcp = match tokio::time::timeout(self.limits.connect, connected).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(Failure::Unsent(error.to_string())),
            Err(_elapsed) => return Err(Failure::Unsent("no connection in time".to_owned())),
        };
        tcp.set_nodelay(true).map_err(|error| unsent(&error))?;
        let mut stream =
            tls.connect(self.name.clone(), tcp).await.map_err(|error| unsent(&error))?;
        // In TLS 1.3 a refused client learns of it only now: before it has sent what can't be repeated.
        let hello = [Operation::DiscoverVersions];
        let request = message::request(&hello).map_err(not_understood)?;
        let answer = talk(&mut stream, &request).await.map_err(|error| unsent(&error))?;
        let outcome = message::outcomes(&answer, &hello).map_err(not_understood)?.pop();
        match outcome {
            Some(Ok(payload)) if !message::speaks(&payload).map_err(not_understood)? => {
                Err(KmsError::Unsupported("speak KMIP 1.4").into())
            }
            Some(Err(failed)) if failed.reason == Reason::Unknown => {
                Err(KmsError::Denied(failed.said).into())
            }
            Some(Err(failed)) if failed.reason == Reason::Passing => {
                Err(Failure::Unsent(failed.said))
            }
            // Who doesn't tell versions may have it nevertheless.
            Some(_) | None => Ok(stream),
        }
    }

    /// What is there for these files; none of another state of them is used any more.
    fn take(&self, repeat: Repeat) -> Result<Taken, KmsError> {
        let stamp = Stamp::of(&outbound::files(&self.ca, Some(&self.client)));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = kept.tls.as_ref().is_none_or(|(of, _)| *of != stamp);
        if is_old {
            match outbound::tls(&self.ca, Some(&self.client)) {
                Ok(tls) => {
                    kept.idle.clear();
                    kept.tls = Some((stamp, TlsConnector::from(Arc::new(tls))));
                }
                // A file that is half written takes no working service down.
                Err(_) if kept.tls.is_some() => {}
                Err(error) => return Err(KmsError::Settings(outbound::chain(&error))),
            }
        }
        let Some((stamp, tls)) = kept.tls.clone() else {
            return Err(KmsError::Settings("TLS isn't set up".to_owned()));
        };
        let now = Instant::now();
        kept.idle.retain(|(_, since)| now.duration_since(*since) < LONGEST_KEPT);
        let idle = match repeat {
            Repeat::Always => kept.idle.pop().map(|(stream, _)| stream),
            // If it had ended, nobody would know whether this was done.
            Repeat::IfNeverSent => None,
        };
        Ok(Taken { stamp, tls, idle })
    }

    fn keep(&self, of: &Stamp, stream: TlsStream<TcpStream>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = kept.tls.as_ref().is_some_and(|(stamp, _)| stamp == of);
        if is_current && kept.idle.len() < MOST_KEPT {
            kept.idle.push((stream, Instant::now()));
        }
    }
}

/// Sends a message and reads one.
async fn talk(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut head = [0; 8];
    stream.read_exact(&mut head).await?;
    let length = ttlv::whole(head, RESPONSE_MESSAGE)
        .ok_or_else(|| io::Error::other("what came back is no message of KMIP"))?;
    let mut answer = Zeroizing::new(vec![0; length]);
    let (first, rest) = answer.split_at_mut(head.len());
    first.copy_from_slice(&head);
    stream.read_exact(rest).await?;
    Ok(answer)
}

fn unsent(error: &io::Error) -> Failure {
    match denied(error) {
        Some(denied) => denied.into(),
        None => Failure::Unsent(error.to_string()),
    }
}

fn broken(error: &io::Error) -> Failure {
    match denied(error) {
        Some(denied) => denied.into(),
        None => Failure::Broken(error.to_string()),
    }
}

fn denied(error: &io::Error) -> Option<KmsError> {
    refuses_client(error).then(|| KmsError::Denied(error.to_string()))
}

fn not_understood(error: ttlv::TtlvError) -> KmsError {
    KmsError::Answer(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        let new = |address: &str| {
            let client = ClientFiles { certificate: "/none".into(), key: "/none".into() };
            let connections = Connections::new(address, "/none".into(), client, Limits::default());
            connections.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for bad in [
            "",
            ":5696",
            "https://kmip",
            "kmip:",
            "kmip:x",
            "kmip:99999",
            "user:password@kmip",
            "kmip/x",
            "a b",
            "[::1",
        ] {
            assert!(new(bad).contains("is no address"), "{bad}: {}", new(bad));
        }
        for good in ["kmip", "kmip.example.com:5696", "192.0.2.1:5696", "[2001:db8::1]:5696"] {
            assert!(new(good).contains("can't read `/none`"), "{good}: {}", new(good));
        }
    }
}
