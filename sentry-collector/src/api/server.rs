//! Accepts HTTP connections, with or without TLS, until told to stop; then lets requests finish.
//!
//! Limits: 512 connections at once (more wait in the kernel's queue), 10 s for a handshake and for a request's head.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const CONNECTIONS: usize = 512;
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: out of file descriptors does not pass by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    stop: CancellationToken,
) {
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    let tasks = TaskTracker::new();
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &turns) => accepted,
        };
        let Some((stream, turn)) = accepted else { continue };
        let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
        tasks.spawn(async move {
            match acceptor {
                None => converse(stream, router, stop).await,
                Some(acceptor) => match timeout(PATIENCE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, router, stop).await,
                    Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
                    Err(_elapsed) => tracing::debug!("handshake took too long"),
                },
            }
            drop(turn);
        });
    }
    tasks.close();
    tasks.wait().await;
}

async fn accept(
    listener: &TcpListener,
    turns: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let turn = Arc::clone(turns).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _peer)) => Some((stream, turn)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept an HTTP connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn converse<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let graceful = GracefulShutdown::new();
    let connection = graceful
        .watch(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).into_owned());
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
    // The request under way is answered, then the connection ends; whoever sends nothing more is not waited for.
    let finish = async {
        tokio::join!(graceful.shutdown(), talk);
    };
    if timeout(PATIENCE, finish).await.is_err() {
        tracing::debug!("an HTTP connection did not end in time");
    }
}
