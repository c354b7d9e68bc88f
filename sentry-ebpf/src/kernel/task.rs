//! `task_struct` and the structures that it points to.

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use sentry_common::{offset as o, table::COMM_BYTES};

use super::{copy, read, read_pointer};
use crate::offsets::of;

/// The current task, as a pointer the verifier trusts.
#[inline(always)]
pub fn current() -> *const u8 {
    // SAFETY: no preconditions.
    unsafe { bpf_get_current_task_btf() }.cast_const().cast()
}

/// Thread id in the initial pid namespace.
#[inline(always)]
pub fn pid(task: *const u8) -> u32 {
    read(task, o::TASK_PID)
}

/// Thread-group id in the initial pid namespace.
#[inline(always)]
pub fn tgid(task: *const u8) -> u32 {
    read(task, o::TASK_TGID)
}

/// Whether any BPF program keeps storage for the task (`bpf_storage`, 5.11+).
///
/// # Safety
/// The verifier must know `task` as a `task_struct`: it is read directly, which costs a load where
/// a helper costs a call.
#[inline(always)]
pub unsafe fn has_storage(task: *const u8) -> bool {
    // SAFETY: by contract; the field is a pointer, and only its being null is used.
    unsafe { task.add(of(o::TASK_BPF_STORAGE)).cast::<u64>().read_volatile() != 0 }
}

/// Start of the process (its leader), `CLOCK_BOOTTIME` ns.
#[inline(always)]
pub fn process_start(task: *const u8) -> u64 {
    match read_pointer(task, o::TASK_GROUP_LEADER) {
        Some(leader) => start(leader),
        None => 0,
    }
}

/// True from the task's creation until it is first put on a run queue, which is after
/// `task_newtask`.
#[inline(always)]
pub fn is_newborn(task: *const u8) -> bool {
    /// `TASK_NEW`, the same bit on 5.14–6.18.
    const NEW: u32 = 0x800;
    read::<u32>(task, o::TASK_STATE) & NEW != 0
}

/// Start of the task itself, `CLOCK_BOOTTIME` ns.
#[inline(always)]
pub fn start(task: *const u8) -> u64 {
    read(task, o::TASK_START_BOOT)
}

/// The parent process: tgid and start.
#[inline(always)]
pub fn parent(task: *const u8) -> (u32, u64) {
    match read_pointer(task, o::TASK_REAL_PARENT) {
        Some(parent) => (tgid(parent), process_start(parent)),
        None => (0, 0),
    }
}

/// uid, gid, euid in the initial user namespace.
#[inline(always)]
pub fn credentials(task: *const u8) -> (u32, u32, u32) {
    match read_pointer(task, o::TASK_CRED) {
        Some(cred) => ids(cred),
        None => (u32::MAX, u32::MAX, u32::MAX),
    }
}

/// The task's name: after an execve the first bytes of the file name that it asked for.
#[inline(always)]
pub fn comm(task: *const u8) -> [u8; COMM_BYTES] {
    copy(task.wrapping_add(of(o::TASK_COMM)))
}

/// uid, gid, euid of a `struct cred`.
#[inline(always)]
pub fn ids(cred: *const u8) -> (u32, u32, u32) {
    (read(cred, o::CRED_UID), read(cred, o::CRED_GID), read(cred, o::CRED_EUID))
}

/// Address of the user namespace of a `struct cred`, and its effective capabilities: 64 bits,
/// before 6.3 in two words.
#[inline(always)]
pub fn powers(cred: *const u8) -> (u64, u64) {
    (read(cred, o::CRED_USER_NS), read(cred, o::CRED_CAP_EFFECTIVE))
}

/// True when `task` leads its process.
#[inline(always)]
pub fn is_leader(task: *const u8) -> bool {
    pid(task) == tgid(task)
}

/// Threads of the process that have not begun to exit (`signal->live`). At `sched_process_exit` the
/// exiting thread is no longer counted (seen on 6.1–6.18), so 0 means that the process ends.
#[inline(always)]
pub fn live_threads(task: *const u8) -> i32 {
    match read_pointer(task, o::TASK_SIGNAL) {
        Some(signal) => read(signal, o::SIGNAL_LIVE),
        None => 0,
    }
}

/// How the process ends, as wait(2) encodes it.
#[inline(always)]
pub fn exit_status(task: *const u8) -> u32 {
    /// `SIGNAL_GROUP_EXIT`: somebody ended the whole group; its code is the process's.
    const GROUP_EXIT: u32 = 4;
    if let Some(signal) = read_pointer(task, o::TASK_SIGNAL) {
        let flags: u32 = read(signal, o::SIGNAL_FLAGS);
        if flags & GROUP_EXIT != 0 {
            return read(signal, o::SIGNAL_GROUP_EXIT_CODE);
        }
    }
    read(task, o::TASK_EXIT_CODE)
}

/// `mm->exe_file`.
#[inline(always)]
pub fn exe_file(task: *const u8) -> Option<*const u8> {
    read_pointer(read_pointer(task, o::TASK_MM)?, o::MM_EXE_FILE)
}

/// Start and end of the argument vector in the task's memory.
#[inline(always)]
pub fn argv_range(task: *const u8) -> Option<(u64, u64)> {
    let mm = read_pointer(task, o::TASK_MM)?;
    Some((read(mm, o::MM_ARG_START), read(mm, o::MM_ARG_END)))
}

/// The working directory's `struct path`.
#[inline(always)]
pub fn working_directory(task: *const u8) -> Option<*const u8> {
    let fs = read_pointer(task, o::TASK_FS)?;
    Some(fs.wrapping_add(of(o::FS_PWD)))
}

/// The open file behind a descriptor of the current task.
#[inline(always)]
pub fn open_file(task: *const u8, fd: u32) -> Option<*const u8> {
    let files = read_pointer(task, o::TASK_FILES)?;
    let table = read_pointer(files, o::FILES_FDT)?;
    let max: u32 = read(table, o::FDT_MAX_FDS);
    if fd >= max {
        return None;
    }
    let array = read_pointer(table, o::FDT_FD)?;
    // The type of an array's element cannot be named; that of a structure that holds such a pointer
    // can.
    let element = array.wrapping_add(fd as usize * size_of::<usize>());
    read_pointer(element.wrapping_sub(of(o::KIOCB_FILE)), o::KIOCB_FILE)
}
