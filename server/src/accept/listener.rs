//! The listening socket, which outlives the process that accepts from it.
//!
//! While a server is started anew, its port would refuse connections, and clients that retry for a moment only would fail. So
//! a second process, [`hold`], keeps the socket open: a connection that comes meanwhile waits in its queue for the next
//! server. Neither process depends on the other: a server without holder listens by itself, and a holder that was started
//! anew gets the socket back from the server.
//!
//! ```text
//! server -> holder   N        I need the socket
//! holder -> server   L + fd   here it is
//! server -> holder   K + fd   I have the socket: keep it
//! ```
//! The server's connection to the holder stays open for as long as it lives. [`ABSENCE`] after its end the holder closes the
//! socket: a client shall not wait for a server that doesn't come back.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};
use tracing::{debug, info, warn};

/// How long connections wait for a server that is gone.
pub const ABSENCE: Duration = Duration::from_secs(10);
/// How long a server waits for the holder at its start, and each for the other's next byte.
const PATIENCE: Duration = Duration::from_secs(3);
/// How soon what failed is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

const NEED: u8 = b'N';
const KEEP: u8 = b'K';
const LISTENER: u8 = b'L';

/// Listens on `address`: with the socket of the holder at `holder`, if there is one, or with one of its own.
///
/// # Errors
/// The operating system's, where the address can't be listened on.
pub async fn listen(address: SocketAddr, holder: Option<&Path>) -> io::Result<TcpListener> {
    let Some(path) = holder else { return bind(address) };
    let (listener, connection) = match tokio::time::timeout(PATIENCE, take(address, path)).await {
        Ok((listener, connection)) => (listener, Some(connection)),
        Err(_elapsed) => {
            warn!(holder = %path.display(), "nobody holds the socket; listening without");
            (bind(address)?, None)
        }
    };
    let copy = listener.as_fd().try_clone_to_owned()?;
    tokio::spawn(stay(copy, path.to_owned(), connection));
    Ok(listener)
}

/// Listens on `address`, where `[::]` means every address of both versions of IP.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match (bind_exactly(address), without_ipv6(address)) {
        // This machine has no IPv6.
        (Err(error), Some(address))
            if [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].contains(&errno(&error)) =>
        {
            bind_exactly(address)
        }
        (outcome, _) => outcome,
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// What every address is where there is no IPv6.
fn without_ipv6(address: SocketAddr) -> Option<SocketAddr> {
    let every = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    every.then(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if without_ipv6(address).is_some() {
        // The machine's own default may be another.
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Asks the holder until it gives the socket.
async fn take(address: SocketAddr, path: &Path) -> (TcpListener, UnixStream) {
    loop {
        let asked = async {
            let connection = UnixStream::connect(path).await?;
            send(&connection, NEED, None).await?;
            match receive(&connection).await? {
                (LISTENER, Some(socket)) => Ok((adopt(socket, address)?, connection)),
                (_, _) => Err(io::Error::other("the holder answered with something else")),
            }
        };
        match asked.await {
            Ok(taken) => return taken,
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "the holder gave no socket");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Stays connected to the holder, and gives a new one the socket.
async fn stay(socket: OwnedFd, path: PathBuf, mut connection: Option<UnixStream>) {
    loop {
        if let Some(mut connection) = connection.take() {
            // Ends with the holder: it sends no more.
            drop(connection.read_u8().await);
        }
        let again = async {
            let connection = UnixStream::connect(&path).await?;
            send(&connection, KEEP, Some(socket.as_fd())).await?;
            Ok::<_, io::Error>(connection)
        };
        match again.await {
            Ok(next) => connection = Some(next),
            Err(_there_is_none) => tokio::time::sleep(PAUSE * 10).await,
        }
    }
}

/// Holds the socket on `address` for the servers that ask at `path`, until `stop` is done.
///
/// # Errors
/// The operating system's, where nobody could ask at `path`.
pub async fn hold(
    address: SocketAddr,
    path: &Path,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let servers = UnixListener::bind(path)?;
    info!(%address, path = %path.display(), "holding the socket");
    let held = Rc::<RefCell<Held>>::default();
    let serve = async {
        loop {
            match servers.accept().await {
                Ok((connection, _)) => {
                    tokio::task::spawn_local(attend(connection, address, Rc::clone(&held)));
                }
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "can't accept a server");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::task::LocalSet::new()
        .run_until(async {
            tokio::select! {
                () = serve => {}
                () = stop => {}
            }
        })
        .await;
    Ok(())
}

/// What the holder has.
#[derive(Default)]
struct Held {
    socket: Option<TcpListener>,
    /// Servers that came so far.
    servers: u64,
}

/// One server, from its first byte until it is gone.
async fn attend(mut connection: UnixStream, address: SocketAddr, held: Rc<RefCell<Held>>) {
    let greeted = async {
        match tokio::time::timeout(PATIENCE, receive(&connection)).await?? {
            (NEED, _) => {
                let socket = {
                    let mut held = held.borrow_mut();
                    if held.socket.is_none() {
                        held.socket = Some(bind(address)?);
                    }
                    held.socket.as_ref().map(|socket| socket.as_fd().try_clone_to_owned())
                };
                if let Some(socket) = socket.transpose()? {
                    send(&connection, LISTENER, Some(socket.as_fd())).await?;
                }
            }
            (KEEP, Some(socket)) => {
                let socket = adopt(socket, address)?;
                held.borrow_mut().socket.get_or_insert(socket);
            }
            (_, _) => return Err(io::Error::other("not a server of this holder")),
        }
        let mut held = held.borrow_mut();
        held.servers = held.servers.wrapping_add(1);
        Ok(held.servers)
    };
    let number = match greeted.await {
        Ok(number) => number,
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "a server wasn't attended to");
            return;
        }
    };
    // Ends with the server: it sends no more.
    drop(connection.read_u8().await);
    tokio::time::sleep(ABSENCE).await;
    let mut held = held.borrow_mut();
    if held.servers == number {
        warn!("no server came back; connections are refused until one does");
        held.socket = None;
    }
}

/// A socket that another process sent, if it listens where it should.
fn adopt(socket: OwnedFd, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = std::net::TcpListener::from(socket);
    let there = socket.local_addr()?;
    let is_there = there == address || Some(there) == without_ipv6(address);
    if !is_there || !rustix::net::sockopt::socket_acceptconn(&socket)? {
        return Err(io::Error::other(format!("the socket is for `{there}`, not `{address}`")));
    }
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

async fn send(connection: &UnixStream, what: u8, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
    let message = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        let bytes = [what];
        let data = [IoSlice::new(&bytes)];
        rustix::net::sendmsg(connection, &data, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    };
    connection.async_io(Interest::WRITABLE, message).await
}

async fn receive(connection: &UnixStream) -> io::Result<(u8, Option<OwnedFd>)> {
    let message = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0];
        let mut data = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = rustix::net::recvmsg(connection, &mut data, &mut control, flags)?;
        let sockets = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let socket = sockets.flatten().next();
        match (received.bytes, bytes) {
            (0, _) => Err(io::ErrorKind::UnexpectedEof.into()),
            (_, [what]) => Ok((what, socket)),
        }
    };
    connection.async_io(Interest::READABLE, message).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_addresses_are_those_of_both_versions() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move { listener.accept().await.map(drop) });
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        accepting.await.unwrap().unwrap();
    }

    #[test]
    fn only_every_address_has_another_form() {
        for (address, expected) in
            [("[::]:9000", Some("0.0.0.0:9000")), ("[::1]:9000", None), ("0.0.0.0:9000", None)]
        {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(without_ipv6(address.parse().unwrap()), expected, "{address}");
        }
    }
}
