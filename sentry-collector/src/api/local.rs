//! The collector's own unix socket, `<data_dir>/admin.sock`: the API for commands on the host. The
//! kernel names the user who connects; root and the collector's own user have every right there,
//! since both can read the data directory anyway.
//!
//! Limits: 16 connections at once, each as patient as the HTTP listener's.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustix::process::geteuid;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use super::{
    ends::Ends,
    pace::{Pace, Paced},
    server::Server,
};
use crate::ingest::listen::remove_stale;

/// Name of the socket in the data directory.
pub(crate) const SOCKET: &str = "admin.sock";
const CONNECTIONS: usize = 16;
/// Pause after a failed accept: a lack of file descriptors does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const OWNER_ONLY: u32 = 0o600;

/// Only the process that holds the directory may call it.
pub(crate) fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let path = data_dir.join(SOCKET);
    remove_stale(&path)?;
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY))?;
    Ok(listener)
}

impl Server {
    /// Serves until it is stopped, then lets requests finish.
    pub(crate) async fn serve_local(self, listener: UnixListener) {
        let (turns, tasks) = (Arc::new(Semaphore::new(CONNECTIONS)), TaskTracker::new());
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                accepted = accept(&listener, &turns) => accepted,
            };
            if let Some((stream, turn)) = accepted {
                tasks.spawn(self.clone().attend_local(stream, turn));
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn attend_local(self, stream: UnixStream, turn: OwnedSemaphorePermit) {
        let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { return };
        if uid != 0 && uid != geteuid().as_raw() {
            tracing::warn!(
                uid,
                "a user other than root and the collector's own is refused at the unix socket"
            );
            return;
        }
        let (pace, patience) = (Pace::new(Instant::now()), self.patience);
        let stream = Paced::new(stream, Arc::clone(&pace));
        tokio::select! {
            biased;
            () = self.converse(stream, Ends::Unix { uid }, &pace) => {}
            why = pace.over(patience) => tracing::debug!(why, "a connection of the unix socket is closed"),
        }
        drop(turn);
    }
}

async fn accept(
    listener: &UnixListener,
    turns: &Arc<Semaphore>,
) -> Option<(UnixStream, OwnedSemaphorePermit)> {
    let turn = Arc::clone(turns).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _address)) => Some((stream, turn)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection of the unix socket");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
