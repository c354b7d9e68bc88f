//! `struct pid`: processes by number. In every function a null pointer means "none".

use sentry_common::offset as o;

use super::{cgroup, read, read_behind, read_pointer, task};
use crate::offsets::of;

/// Its number in the initial namespace; 0 = none.
#[inline(always)]
pub fn number(pid: *const u8) -> u32 {
    // `numbers[0].nr` is the first field of the first element.
    if pid.is_null() { 0 } else { read(pid, o::PID_NUMBERS) }
}

/// The leader of the process with this id, while it lives.
#[inline(always)]
pub fn leader(pid: *const u8) -> Option<*const u8> {
    /// `PIDTYPE_TGID`.
    const TGID: usize = 1;
    if pid.is_null() {
        return None;
    }
    // A list head is one pointer, a node in it two.
    let node: *const u8 = read_behind(pid, o::PID_TASKS, TGID * 8);
    if node.is_null() {
        return None;
    }
    Some(node.wrapping_sub(of(o::TASK_PID_LINKS) + TGID * 16))
}

/// Start of that process, `CLOCK_BOOTTIME` ns; 0 = it has ended.
#[inline(always)]
pub fn start(pid: *const u8) -> u64 {
    match leader(pid) {
        Some(leader) => task::start(leader),
        None => 0,
    }
}

/// The v2 cgroup of that process; 0 = unknown.
#[inline(always)]
pub fn cgroup(pid: *const u8) -> u64 {
    match leader(pid) {
        Some(task) => cgroup::of_task(task),
        None => 0,
    }
}

/// Whether the process ids that `task` passes are those of the host.
#[inline(always)]
pub fn is_in_initial_namespace(task: *const u8) -> bool {
    match read_pointer(task, o::TASK_THREAD_PID) {
        Some(pid) => read::<u32>(pid, o::PID_LEVEL) == 0,
        None => false,
    }
}

/// The process behind a pidfd, or null. The inode points to it since pidfs (6.9), before that the
/// file.
#[inline(always)]
pub fn of_file(file: *const u8) -> *const u8 {
    if let Some(inode) = read_pointer(file, o::FILE_INODE)
        && let Some(pid) = read_pointer(inode, o::INODE_PRIVATE)
    {
        return pid;
    }
    match read_pointer(file, o::FILE_PRIVATE) {
        Some(pid) => pid,
        None => core::ptr::null(),
    }
}
