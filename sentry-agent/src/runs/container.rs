//! The container of a run.

use sentry_kernel::kernel::Group;
use sentry_proto::v1;

use super::before::Before;
use crate::container::{Roots, Rung, Sandbox, look_up, place};

/// Processes of a cgroup whose executables are looked at.
const PROCESSES: usize = 64;

/// What is known of the container that `cgroup` belongs to. Where less is known now than an earlier
/// sensor life knew of the same run, that is kept: engines remove their files with a container.
pub(super) fn of_run(cgroup: &dyn Group, before: Option<&Before>, roots: &Roots) -> Option<v1::Container> {
    let before = before.and_then(|before| before.container.clone());
    let Some(place) = place(cgroup.below()) else { return before };
    let mut facts = look_up(&place, roots);
    // Nothing but a name that any cgroup may have.
    if facts.rung == Rung::Path && !place.certain {
        return before;
    }
    if facts.rung == Rung::Path && before.is_some() {
        return before;
    }
    facts.sandboxed = facts.sandboxed.or_else(|| sandbox_in(cgroup));
    Some(facts.into())
}

/// A sandbox among the first processes of the cgroup, where no engine names the runtime.
fn sandbox_in(cgroup: &dyn Group) -> Option<Sandbox> {
    let processes = cgroup.procs().unwrap_or_default();
    processes.into_iter().take(PROCESSES).find_map(|pid| {
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Sandbox::of_executable(executable.file_name()?.to_str()?)
    })
}
