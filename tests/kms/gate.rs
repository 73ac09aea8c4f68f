//! What lies between a server and its KMS: it lets everything through, or slowly, or takes connections and
//! never answers, or ends them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open = 0,
    /// Each piece of an answer comes 400 ms late.
    Slow = 1,
    /// Nothing comes back.
    Stuck = 2,
    /// As if nobody were there: every connection ends.
    Shut = 3,
}

#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    way: Arc<AtomicU8>,
}

impl Gate {
    /// Before what listens at `port`.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(AtomicU8::new(0));
        let shared = Arc::clone(&way);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.load(Ordering::SeqCst) == Way::Shut as u8 {
                    continue;
                }
                tokio::spawn(pass(client, port, Arc::clone(&shared)));
            }
        });
        Self { address, way }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, port: u16, way: Arc<AtomicU8>) {
    let Ok(service) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let up = tokio::spawn(async move {
        drop(tokio::io::copy(&mut from_client, &mut to_service).await);
        drop(to_service.shutdown().await);
    });
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length) = from_service.read(&mut piece).await {
        if length == 0 {
            break;
        }
        match way.load(Ordering::SeqCst) {
            0 => {}
            1 => tokio::time::sleep(Duration::from_millis(400)).await,
            3 => break,
            _ => {
                while way.load(Ordering::SeqCst) == 2 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        if to_client.write_all(&piece[..length]).await.is_err() {
            break;
        }
    }
    up.abort();
}
