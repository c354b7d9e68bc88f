//! The socket that sensors connect to: TCP or unix, with a bound on connections.
//!
//! Limits: 1024 connections at once; more wait in the kernel's queue. A connection on which no
//! sensor is proven within 30 s is closed, so that strangers cannot occupy the places.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{address::GrpcAddress, peer::Peer};

const CONNECTIONS: usize = 1024;
/// Pause after a failed accept: a lack of file descriptors does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const UNPROVEN: Duration = Duration::from_secs(30);
/// Mode of the socket if only root and the collector's own user may connect.
const SOCKET_MODE: u32 = 0o600;
/// Mode if others may connect too: the configuration lists them, and the kernel names the user of a
/// connection.
const SHARED_SOCKET_MODE: u32 = 0o666;
/// Mode of its directory then: others can reach the socket, but make no files beside it.
const DIRECTORY_MODE: u32 = 0o755;

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

/// A connection and its place among the connections.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    peer: Peer,
    /// Until a sensor is proven on it.
    unproven: Option<Pin<Box<Sleep>>>,
    _turn: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

// === impl Listener ===

impl Listener {
    /// `shared`: users other than root and the collector's own may connect to the unix socket.
    pub(crate) async fn bind(address: &GrpcAddress, shared: bool) -> io::Result<Self> {
        match address {
            GrpcAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            GrpcAddress::Unix(path) => {
                remove_stale(path)?;
                if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
                    DirBuilder::new().mode(DIRECTORY_MODE).create(dir)?;
                }
                let listener = UnixListener::bind(path)?;
                let mode = if shared { SHARED_SOCKET_MODE } else { SOCKET_MODE };
                fs::set_permissions(path, Permissions::from_mode(mode))?;
                Ok(Self::Unix { listener, path: path.clone() })
            }
        }
    }

    /// The address as chosen, port included.
    pub(crate) fn address(&self) -> io::Result<GrpcAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(GrpcAddress::Tcp),
            Self::Unix { path, .. } => Ok(GrpcAddress::Unix(path.clone())),
        }
    }

    /// Accepts until it is stopped, or nothing takes connections any more.
    pub(crate) async fn accept_into(
        self,
        connections: mpsc::Sender<io::Result<Connection>>,
        stop: CancellationToken,
    ) {
        let turns = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.accept(&turns) => accepted,
            };
            match accepted {
                Ok(connection) => {
                    if connections.send(Ok(connection)).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        if let Self::Unix { path, .. } = &self
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(%error, path = %path.display(), "cannot remove the socket");
        }
    }

    async fn accept(&self, turns: &Arc<Semaphore>) -> io::Result<Connection> {
        let turn = Arc::clone(turns).acquire_owned().await.map_err(io::Error::other)?;
        let (socket, peer) = match self {
            Self::Tcp(listener) => {
                let (stream, _peer) = listener.accept().await?;
                // Acknowledgements are small and wanted now.
                stream.set_nodelay(true)?;
                let peer = Peer::over_tcp(stream.local_addr()?);
                (Socket::Tcp(stream), peer)
            }
            Self::Unix { listener, .. } => {
                let (stream, _unnamed) = listener.accept().await?;
                let peer = Peer::over_unix(stream.peer_cred()?.uid());
                (Socket::Unix(stream), peer)
            }
        };
        Ok(Connection::new(socket, peer, UNPROVEN, turn))
    }
}

/// Removes a socket file without a listener: a killed process has left it.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_someone) => Err(io::ErrorKind::AddrInUse.into()),
            Err(_nobody) => fs::remove_file(path),
        },
    }
}

// === impl Connection ===

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl Connection {
    fn new(socket: Socket, peer: Peer, unproven: Duration, turn: OwnedSemaphorePermit) -> Self {
        Self { socket, peer, unproven: Some(Box::pin(sleep(unproven))), _turn: turn }
    }

    /// Fails if no sensor was proven in time.
    fn check_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.peer.proven() {
            self.unproven = None;
        }
        if let Some(limit) = &mut self.unproven
            && limit.as_mut().poll(cx).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_time(cx)?;
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn connection(unproven: Duration) -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let turn = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        (Connection::new(Socket::Unix(ours), Peer::default(), unproven, turn), theirs)
    }

    #[tokio::test]
    async fn a_connection_on_which_nobody_proves_anything_ends() {
        let (mut connection, _theirs) = connection(Duration::from_millis(1)).await;
        let ended = connection.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_proven_connection_lasts() {
        let (mut connection, mut theirs) = connection(Duration::ZERO).await;
        connection.peer.prove();
        theirs.write_all(b"a").await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), b'a');
        assert!(connection.unproven.is_none(), "nothing limits it any more");
    }
}
