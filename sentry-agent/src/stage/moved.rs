//! Every `PERIOD`: how many bytes the members of busy runs have read and written, which speaks
//! against a spin.
//!
//! The kernel keeps the number per process, not per group, so each process of the group is asked
//! (`/proc/PID/io`; a parent's number has that of the children it waited for). Only while the run
//! uses CPU: at most `MOST` processes of it.
//!
//! Asking may wait for a process that the kernel holds up in its execve, for as long as a file
//! system takes that the process brought along. So nothing waits for this thread, not even the
//! sensor's end; while it hangs, bytes are missing, and a run that works may be a finding of
//! `cpu-spin`. The same holds without `CAP_SYS_PTRACE`, for processes of others.

use std::{
    io,
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::runs::{Registry, Run};

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(100);
/// Processes of a run that are asked, those with the lowest numbers: parents come before their
/// children.
const MOST: usize = 64;

/// Starts the thread; it ends when cancelled, or with the process.
///
/// # Errors
/// Where the thread cannot be made.
pub fn start(registry: &Arc<Registry>, token: CancellationToken) -> io::Result<()> {
    let registry = Arc::downgrade(registry);
    thread::Builder::new().name("moved".into()).spawn(move || run(&registry, &token)).map(drop)
}

fn run(registry: &Weak<Registry>, token: &CancellationToken) {
    while !token.is_cancelled() {
        let Some(registry) = registry.upgrade() else { return };
        let clock = registry.clock().clone();
        let next = clock.now() + PERIOD;
        pass(&registry);
        drop(registry);
        clock.sleep_until(next);
    }
}

/// Asks the processes of the runs that were busy.
pub(crate) fn pass(registry: &Registry) {
    for run in registry.live() {
        if run.is_asked_for_bytes() {
            look(registry, &run);
        }
    }
}

fn look(registry: &Registry, run: &Run) {
    // A group that is gone moves nothing.
    if let Ok(processes) = run.cgroup.procs() {
        let bytes = processes.into_iter().take(MOST).map(|pid| registry.moved_bytes(pid));
        run.moved(bytes.fold(0, u64::saturating_add));
    }
}
