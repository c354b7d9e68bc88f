//! The two ends of a connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// What the collector knows about the two ends of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// The address at which the collector was reached over TCP.
    pub(crate) reached: Option<SocketAddr>,
    /// The user that connected to the unix socket, by the kernel.
    pub(crate) uid: Option<u32>,
    proven: Arc<AtomicBool>,
}

// === impl Peer ===

impl Peer {
    /// A peer over TCP that reached the collector at this address.
    pub(crate) fn over_tcp(reached: SocketAddr) -> Self {
        Self { reached: Some(reached), ..Self::default() }
    }

    /// A peer over the unix socket that runs as this user.
    pub(crate) fn over_unix(uid: u32) -> Self {
        Self { uid: Some(uid), ..Self::default() }
    }

    /// Ends the time limit of the connection.
    pub(crate) fn prove(&self) {
        self.proven.store(true, Relaxed);
    }

    pub(crate) fn proven(&self) -> bool {
        self.proven.load(Relaxed)
    }
}
