//! The connections to the control socket: so many of one user, and no more.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
};
use tokio_stream::{Stream, StreamExt as _, wrappers::UnixListenerStream};
use tonic::transport::server::{Connected, UdsConnectInfo};

/// Most connections of one user but root: more than its runs have (`sentry run` keeps one, and
/// takes a second to enter).
const OF_ONE: usize = 320;
/// Between two complaints.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Connections of each user but root.
#[derive(Debug, Default)]
struct Open {
    by_user: HashMap<u32, usize>,
    complained: Option<Instant>,
}

type Shared = Arc<Mutex<Open>>;

/// A connection that counts while it is open.
#[derive(Debug)]
pub struct Caller {
    stream: UnixStream,
    counted: Option<(u32, Shared)>,
}

/// The connections of a listener. One too many is closed at once.
pub fn callers(listener: UnixListener) -> impl Stream<Item = io::Result<Caller>> {
    let open = Shared::default();
    UnixListenerStream::new(listener).filter_map(move |stream| match stream {
        Ok(stream) => Caller::admit(stream, &open).map(Ok),
        Err(error) => Some(Err(error)),
    })
}

impl Caller {
    fn admit(stream: UnixStream, open: &Shared) -> Option<Self> {
        // Callers that cannot be distinguished count as one user.
        let uid = stream.peer_cred().map_or(u32::MAX, |credentials| credentials.uid());
        if uid == 0 {
            return Some(Self { stream, counted: None });
        }
        let mut all = open.lock();
        let count = all.by_user.entry(uid).or_default();
        if *count >= OF_ONE {
            if all.complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
                all.complained = Some(Instant::now());
                tracing::warn!(uid, most = OF_ONE, "a user has too many connections; more are closed");
            }
            return None;
        }
        *count += 1;
        drop(all);
        Some(Self { stream, counted: Some((uid, Arc::clone(open))) })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let Some((uid, open)) = self.counted.take() else { return };
        let mut all = open.lock();
        if let Some(count) = all.by_user.get_mut(&uid) {
            *count -= 1;
            if *count == 0 {
                all.by_user.remove(&uid);
            }
        }
    }
}

impl Connected for Caller {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> UdsConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Caller {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Caller {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
