//! Accepts HTTP connections, with or without TLS, until it is stopped; then lets requests finish.
//!
//! Limits: the places of [`super::places`]; the configured patience (10 s) for a handshake, for a
//! request's head, and for an answer while the peer takes nothing; six times that for a whole
//! answer; 64 KiB for a head, or for requests sent ahead; 128 KiB of answers in the kernel's
//! buffer. A stream has no limit for the whole of it: its handler ends it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt as _, service_fn};

use super::{
    ends::Ends,
    pace::{Lasting, Pace, Paced},
    places::{Full, Place, Places},
};
use crate::metrics::Metrics;

/// How long requests may take to finish when the collector ends.
const LAST_REQUEST: Duration = Duration::from_secs(10);
/// Pause after a failed accept: a lack of file descriptors does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: u32 = 1024;
const READ_BYTES: usize = 64 << 10;
const SEND_BYTES: u32 = 128 << 10;

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) router: Router,
    pub(crate) patience: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stop: CancellationToken,
}

pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Inherited by its connections. Otherwise the kernel would hold megabytes for each peer that
    // takes nothing.
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Server {
    pub(crate) async fn serve(self, listener: TcpListener) {
        let places = Places::new(Arc::clone(&self.metrics));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                accepted = accept(&listener, &places) => accepted,
            };
            if let Some((stream, place)) = accepted {
                tasks.spawn(self.clone().attend(stream, place));
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn attend(self, stream: TcpStream, place: Place) {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
        let (pace, ends) = (Arc::clone(&place.pace), Ends::Tcp { to: local.ip(), from: peer.ip() });
        let (patience, metrics) = (self.patience, Arc::clone(&self.metrics));
        let stream = Paced::new(stream, Arc::clone(&pace));
        let talk = async {
            match self.tls.clone().map(TlsAcceptor::from) {
                None => self.converse(stream, ends, &pace).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => self.converse(stream, ends, &pace).await,
                    Err(error) => tracing::debug!(%error, "handshake failed"),
                },
            }
        };
        tokio::select! {
            biased;
            () = talk => {}
            why = pace.over(patience) => {
                metrics.http_closed_total.fetch_add(1, Relaxed);
                tracing::debug!(why, "an HTTP connection is closed");
            }
        }
        drop(place);
    }

    pub(super) async fn converse<S>(self, stream: S, ends: Ends, pace: &Arc<Pace>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, stop, .. } = self;
        let pace = Arc::clone(pace);
        let service = service_fn(move |mut request: Request<_>| {
            request.extensions_mut().insert(ends);
            let (mut serving, answer) = (pace.serve(), router.clone().oneshot(request));
            async move {
                let answer = answer.await;
                if answer.as_ref().is_ok_and(|answer| answer.extensions().get::<Lasting>().is_some()) {
                    serving.lasts();
                }
                drop(serving);
                answer
            }
        });
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        // [`super::pace`] limits the time for a head.
        builder.http1().max_buf_size(READ_BYTES).header_read_timeout(None);
        let graceful = GracefulShutdown::new();
        let connection = graceful.watch(
            builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned(),
        );
        let talk = async {
            if let Err(error) = connection.await {
                tracing::debug!(error, "HTTP connection failed");
            }
        };
        tokio::pin!(talk);
        tokio::select! {
            biased;
            () = &mut talk => return,
            () = stop.cancelled() => {}
        }
        // Answers the request under way, then ends the connection, without waiting for an idle
        // peer.
        let finish = async {
            tokio::join!(graceful.shutdown(), talk);
        };
        if timeout(LAST_REQUEST, finish).await.is_err() {
            tracing::debug!("an HTTP connection did not end in time");
        }
    }
}

/// The next connection and its place; `None` if there was no place for it.
async fn accept(listener: &TcpListener, places: &Places) -> Option<(TcpStream, Place)> {
    let (stream, peer) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%error, "cannot accept an HTTP connection");
            sleep(ACCEPT_PAUSE).await;
            return None;
        }
    };
    loop {
        match places.take(peer.ip()) {
            Ok(place) => return Some((stream, place)),
            Err(Full::All { until }) => sleep_until(until).await,
            Err(Full::Peer) => {
                tracing::debug!(%peer, "an HTTP connection is refused: its address has too many");
                return None;
            }
        }
    }
}
