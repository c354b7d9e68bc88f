//! What a process outside of the run starts after the run asked it for something.
//!
//! The kernel does not know why a process starts another. What is told is that one which the run had connected to, or sent a
//! datagram, started it within [`WINDOW_NS`]; from then on its descendants are told of too. They are no members.

use aya_ebpf::{
    bindings::BPF_ANY,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns},
};
use sentry_common::{fault, table::Asked};

use crate::{
    count,
    gate::{self, Run},
    kernel::task,
    maps::{ASKED, STARTED_TASKS},
};

/// How long after it was asked what a process starts counts as an answer.
const WINDOW_NS: u64 = 10_000_000_000;

/// The run asked this process, which is none of its own.
#[inline(always)]
pub fn asked(run: &Run, tgid: u32, start_boot_ns: u64) {
    if start_boot_ns == 0 {
        return;
    }
    // SAFETY: no preconditions.
    let until_boot_ns = unsafe { bpf_ktime_get_boot_ns() } + WINDOW_NS;
    let row = Asked { tag: run.tag, start_boot_ns, until_boot_ns, tgid, reserved: 0 };
    if ASKED.insert(tgid, row, BPF_ANY.into()).is_err() {
        count::untold(run, fault::ASKED_FULL);
    }
}

/// The current task, `parent`, which is in no run, made a child. Cost for all of them: two look-ups that fail.
#[inline(always)]
pub fn born(parent: *const u8, child: *const u8) {
    let mut row = Asked::default();
    if !started(parent, &mut row) && !asked_lately(parent, &mut row) {
        return;
    }
    let Some(run) = gate::resolve(row.tag) else { return };
    // SAFETY: callers pass trusted task pointers.
    if unsafe { STARTED_TASKS.get_or_insert(child, &mut row) }.is_null() {
        count::untold(&run, fault::TASK_STORAGE_FULL);
    }
}

/// The run whose asked process this task, which is in no run, descends from.
#[inline(always)]
pub fn of(task: *const u8, row: &mut Asked) -> Option<Run> {
    if started(task, row) { gate::resolve(row.tag) } else { None }
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
    // SAFETY: no preconditions.
    let tgid = (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    // SAFETY: the row is copied at once.
    let Some(known) = (unsafe { ASKED.get(tgid) }) else { return false };
    *row = *known;
    // SAFETY: no preconditions.
    row.start_boot_ns == task::process_start(parent)
        && unsafe { bpf_ktime_get_boot_ns() } <= row.until_boot_ns
}
