//! The socket that sensors connect to: TCP or unix, with a bound on connections.
//!
//! Limits: 1024 connections at once; more wait in the kernel's queue.

use std::{
    io, net,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
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
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::config::GrpcAddress;

const CONNECTIONS: usize = 1024;
/// Pause after a failed accept: out of file descriptors does not pass by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Owner and group may connect.
const SOCKET_MODE: u32 = 0o660;

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

/// A connection and its place among the connections.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    _turn: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

// === impl Listener ===

impl Listener {
    pub(crate) async fn bind(address: &GrpcAddress) -> io::Result<Self> {
        match address {
            GrpcAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            GrpcAddress::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
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

    /// Accepts until told to stop or nobody takes connections any more.
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
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!(%error, path = %path.display(), "cannot remove the socket");
        }
    }

    async fn accept(&self, turns: &Arc<Semaphore>) -> io::Result<Connection> {
        let turn = Arc::clone(turns).acquire_owned().await.map_err(io::Error::other)?;
        let socket = match self {
            Self::Tcp(listener) => {
                let (stream, _peer) = listener.accept().await?;
                // Acknowledgements are small and wanted now.
                stream.set_nodelay(true)?;
                Socket::Tcp(stream)
            }
            Self::Unix { listener, .. } => Socket::Unix(listener.accept().await?.0),
        };
        Ok(Connection { socket, _turn: turn })
    }
}

/// A socket file that nobody listens on is left from a process that was killed.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_someone) => Err(io::ErrorKind::AddrInUse.into()),
            Err(_nobody) => std::fs::remove_file(path),
        },
    }
}

// === impl Connection ===

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        let known = |address: io::Result<net::SocketAddr>| address.ok();
        match &self.socket {
            Socket::Tcp(stream) => TcpConnectInfo {
                local_addr: known(stream.local_addr()),
                remote_addr: known(stream.peer_addr()),
            },
            Socket::Unix(_) => TcpConnectInfo { local_addr: None, remote_addr: None },
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
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
