//! Tier C: acts from syscall results, where neither LSM nor fentry programs load.
//!
//! Hook: `tp_btf/sys_exit(regs, ret)`. Attached only while a run exists, because any syscall
//! tracepoint puts every syscall of every process on the slow path (6.18: about 30 ns). One program
//! is attached. For a task without task storage it reads one field and ends. For others it looks up
//! the call's number and jumps to the program of its family, which asks the gate. Each program is
//! small enough for the verifier. If the program of a family did not load, the call is skipped.

mod call;

mod table;

pub mod attribute;

pub mod exec;

pub mod file;

pub mod kernel;

pub mod memory;

pub mod mount;

pub mod name;

pub mod socket;

pub mod target;

use call::{Call, WORKING_DIRECTORY};
use sentry_common::record::text::PathText;

use crate::{
    count, gate,
    kernel::{call::refusal, file as kernel_file, path, task},
    probes::{fork, open},
};

/// The index in the jump table of the program that reports the call; `None` if the task cannot be
/// in a run or the call is no act.
#[inline(always)]
pub fn sys_exit(regs: *const u8, result: i64) -> Option<u32> {
    if !gate::may_be_member(gate::current_task()) {
        return None;
    }
    let call = Call::read(regs, result);
    if call.act == table::BIRTH {
        fork::refused(refusal(result));
        return None;
    }
    if call.act == table::NOTHING || (result < 0 && !table::tells_refusals(call.act)) {
        return None;
    }
    Some(u32::from(call.act >> 8))
}

/// The returned descriptor names the object that was really opened.
#[inline(always)]
pub fn opened(result: i64) {
    let Some(run) = gate::current() else { return };
    match task::open_file(gate::current_task(), result as u32) {
        Some(file) => open::report(&run, file, 0),
        // Another thread has closed it already.
        None => count::untold(&run, sentry_common::fault::FD_GONE),
    }
}

/// Path of the directory that a relative argument starts at.
#[inline(always)]
pub(crate) fn start_directory(descriptor: i32, out: &mut PathText) {
    let current = gate::current_task();
    let directory = if descriptor == WORKING_DIRECTORY {
        task::working_directory(current)
    } else {
        task::open_file(current, descriptor as u32).map(kernel_file::path)
    };
    match directory {
        Some(directory) => path::write(directory, out),
        None => path::write_none(out),
    }
}
