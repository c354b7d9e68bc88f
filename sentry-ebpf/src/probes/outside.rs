//! Processes that a process outside of the run starts after the run connected to its unix socket.
//! Below, that process is the *asked* one.
//!
//! The kernel does not know why a process starts another. Reported is each program that a child of
//! the asked process executes, if the child was born within [`WINDOW_NS`] of the connect, and those
//! of the child's descendants, as long as the run has members. None of them becomes a member.

use aya_ebpf::bindings::BPF_ANY;
use sentry_common::{fault, table::Asked};

use crate::{
    count, emit,
    gate::{self, Run},
    kernel::{clock, pid, task, unix},
    maps::{ASKED, STARTED_TASKS},
};

/// How long after a connect the children of the asked process are reported.
const WINDOW_NS: u64 = 10_000_000_000;

/// The run connected to a unix socket. `listener`: `struct pid` of the process that called
/// listen(2); `named`: the `struct sock` with the name it is bound to.
#[inline(always)]
pub fn asked(run: &Run, listener: *const u8, named: *const u8) {
    let tgid = pid::number(listener);
    let start_boot_ns = pid::start(listener);
    if start_boot_ns == 0 || gate::owns_process(run, tgid, start_boot_ns) {
        return;
    }
    // Process 1 listens for its services too, and starts others all the time: only its own socket
    // counts.
    if tgid == 1 && !unix::is_systemds_own(named) {
        return;
    }
    let until_boot_ns = clock::now_boot_ns() + WINDOW_NS;
    let row = Asked { tag: run.tag, start_boot_ns, until_boot_ns, tgid, reserved: 0 };
    if ASKED.insert(tgid, row, BPF_ANY.into()).is_err() {
        count::untold(run, fault::ASKED_FULL);
    }
}

/// The current task, `parent`, made a child and is in no run. Cost for each such task: two failed
/// look-ups.
#[inline(always)]
pub fn born(parent: *const u8, child: *const u8) {
    let mut row = Asked::default();
    if asked_lately(parent, &mut row) {
        // A new thread belongs to the asked process itself.
        if !task::is_leader(child) {
            return;
        }
    } else if !started(parent, &mut row) {
        return;
    }
    let Some(run) = gate::resolve(row.tag) else { return };
    // SAFETY: callers pass trusted task pointers.
    if unsafe { STARTED_TASKS.get_or_insert(child, &mut row) }.is_null() {
        count::untold(&run, fault::TASK_STORAGE_FULL);
    }
}

/// The run with which `task`, a member of none, is reported; `row` gets the asked process. `None`
/// once the run has no members: then it is over, and its counters are being compared.
#[inline(always)]
pub fn of(task: *const u8, row: &mut Asked) -> Option<Run> {
    if !started(task, row) {
        return None;
    }
    let run = gate::resolve(row.tag)?;
    if count::has_members(&run) { Some(run) } else { None }
}

#[inline(always)]
fn started(task: *const u8, row: &mut Asked) -> bool {
    // SAFETY: callers pass trusted task pointers; the row is copied at once.
    match unsafe { STARTED_TASKS.get(task).as_ref() } {
        Some(known) => {
            *row = *known;
            true
        }
        None => false,
    }
}

#[inline(always)]
fn asked_lately(parent: *const u8, row: &mut Asked) -> bool {
    // SAFETY: the row is copied at once.
    let Some(known) = (unsafe { ASKED.get(emit::current_tgid()) }) else { return false };
    *row = *known;
    row.start_boot_ns == task::process_start(parent)
        && clock::now_boot_ns() <= row.until_boot_ns
        && gate::resolve(row.tag).is_some()
}
