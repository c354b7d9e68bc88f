//! Who acts, and in which run.

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task};
use sentry_common::{counter::RunBlock, table::RunTag};

use crate::kernel::task;

/// A run that the acting task belongs to.
#[derive(Clone, Copy)]
pub struct Run {
    pub tag: RunTag,
    pub(crate) block: *mut RunBlock,
}

/// Who acts.
#[derive(Clone, Copy)]
pub struct Actor {
    pub tgid: u32,
    pub tid: u32,
    pub start_boot_ns: u64,
}

/// Thread-group id of the current task, in the initial pid namespace.
#[inline(always)]
pub fn current_tgid() -> u32 {
    // SAFETY: no preconditions.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

impl Actor {
    /// The current task.
    #[inline(always)]
    pub fn current(task: *const u8) -> Self {
        // SAFETY: no preconditions.
        let id = unsafe { bpf_get_current_pid_tgid() };
        Self { tgid: (id >> 32) as u32, tid: id as u32, start_boot_ns: task::process_start(task) }
    }

    /// The current process in a cgroup program, which gets no trusted task pointer.
    #[inline(always)]
    pub fn current_in_cgroup_program() -> Option<Self> {
        // SAFETY: no preconditions.
        let id = unsafe { bpf_get_current_pid_tgid() };
        let tgid = (id >> 32) as u32;
        if tgid == 0 {
            // No process: the kernel connects for itself.
            return None;
        }
        // SAFETY: no preconditions.
        let task = unsafe { bpf_get_current_task() } as *const u8;
        Some(Self { tgid, tid: id as u32, start_boot_ns: task::process_start(task) })
    }

    /// The current process in a packet program: on 6.1 it gets the task's address, but not its id.
    #[inline(always)]
    pub fn current_in_packet_program() -> Self {
        // SAFETY: no preconditions.
        Self::of(unsafe { bpf_get_current_task() } as *const u8)
    }

    /// Another task.
    #[inline(always)]
    pub fn of(task: *const u8) -> Self {
        Self { tgid: task::tgid(task), tid: task::pid(task), start_boot_ns: task::process_start(task) }
    }
}
