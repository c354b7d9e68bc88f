//! The caller, as the kernel reports it (`SO_PEERCRED`).

use tonic::{Request, Status, transport::server::UdsConnectInfo};

use crate::runs::Registry;

/// A caller that may speak: root, or a member of the socket's group (else the kernel would have
/// refused the connect).
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub pid: u32,
    pub uid: u32,
}

/// Identifies the caller and refuses members of runs: an agent must not control its own sensor.
///
/// # Errors
/// `PERMISSION_DENIED` for a member of a run, `UNAUTHENTICATED` without credentials.
pub fn identify<T>(request: &Request<T>, registry: &Registry) -> Result<Peer, Status> {
    let credentials = request
        .extensions()
        .get::<UdsConnectInfo>()
        .and_then(|info| info.peer_cred)
        .ok_or_else(|| Status::unauthenticated("the control socket gave no peer credentials"))?;
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0).ok_or_else(
        || Status::unauthenticated("the caller lives in a pid namespace that the sensor cannot see"),
    )?;
    if let Some(run) = registry.of_process(pid) {
        tracing::warn!(run.id = %run.id, pid, "a member of a run tried to use the control socket");
        return Err(Status::permission_denied(format!(
            "process {pid} belongs to run {} (agent {}): an agent may not control its own sensor; call from \
            outside of the run",
            run.id, run.agent.name
        )));
    }
    if !std::path::Path::new(&format!("/proc/{pid}")).exists() {
        return Err(Status::permission_denied("the process that opened this connection is gone"));
    }
    Ok(Peer { pid, uid: credentials.uid() })
}

impl Peer {
    #[must_use]
    pub fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Root may act on every run, others on their own.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn may_act_on(self, uid: u32, run: &str) -> Result<(), Status> {
        if self.is_root() || self.uid == uid {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "run {run} belongs to uid {uid}, you are uid {}; ask its owner, or call as root",
            self.uid
        )))
    }

    /// Tagging reaches processes of others, so it is root's.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn must_be_root(self, what: &str) -> Result<(), Status> {
        if self.is_root() {
            return Ok(());
        }
        Err(Status::permission_denied(format!("only root may {what}; use sudo")))
    }
}
