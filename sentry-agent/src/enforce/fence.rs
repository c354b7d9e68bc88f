//! Processes and groups that the enforcer never touches, whoever asks.

use sentry_kernel::{cgroup::CgroupError, kernel::HeldProcess};
use sentry_service::error_chain;

use super::Target;

/// Why an act was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the target is not tagged; tag its cgroup first")]
    Untagged,
    #[error("the target is the root cgroup, which holds the whole host")]
    Root,
    #[error("the cgroup holds the sensor itself (pid {pid}); move the sensor out of it")]
    Sensor { pid: u32 },
    #[error("the cgroup holds pid 1; move it out, or tag a cgroup below")]
    Init,
    #[error("the members of the cgroup cannot be read: {0}")]
    Unreadable(String),
    #[error("a restart is done by `sentry run --restart`, which started the command")]
    Restart,
}

/// Refuses targets that must not be acted on as a whole.
pub(super) fn target(target: &Target) -> Result<(), Refusal> {
    if !target.tagged {
        return Err(Refusal::Untagged);
    }
    if target.cgroup.is_root() {
        return Err(Refusal::Root);
    }
    let members = match target.cgroup.procs() {
        Ok(members) => members,
        // Nothing is in a group that is gone; lineage members may still live.
        Err(CgroupError::Gone { .. }) => return Ok(()),
        Err(error) => return Err(Refusal::Unreadable(error_chain(&error))),
    };
    let own = std::process::id();
    if members.contains(&own) {
        return Err(Refusal::Sensor { pid: own });
    }
    if members.contains(&1) {
        return Err(Refusal::Init);
    }
    Ok(())
}

/// Whether a member outside of the cgroup may be signalled.
pub(super) fn may_signal(process: &dyn HeldProcess) -> bool {
    let tgid = process.key().tgid;
    tgid != std::process::id() && tgid != 1 && !process.is_kernel_thread()
}
