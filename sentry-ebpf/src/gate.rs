//! "Is this task in a run?": the first thing every program asks.
//!
//! A run is a cgroup subtree and its lineage. The task's own tag answers for both: it is set when a
//! task enters one of the run's cgroups, copied at fork, and kept when the task leaves the cgroup.
//! Cost for an untagged task: a read of one field; where another program keeps task storage for it,
//! a failed look-up there.
//!
//! A bug of some kernels loses tags. When the kernel refuses a birth early (for example at the
//! limit of a user's processes), it has copied the parent's `task_struct` but not yet cleared
//! `bpf_storage` in the copy. A grace period later it frees the copy, and the parent's storage with
//! it. The fix is "bpf,fork: wipe ->bpf_storage before bailouts that access it" (5.15.217 and its
//! counterparts). Members are therefore in [`PROCESS_TAGS`] too: once a tag may be missing, tasks
//! without one are looked up there.

use aya_ebpf::bindings::{BPF_ANY, BPF_NOEXIST};
use sentry_common::{
    fault,
    table::{ProcessTag, RunTag, SocketTag},
};

use crate::{
    count,
    kernel::task,
    maps::{PROCESS_TAGS, RUN_CGROUPS, RUNS, SOCKETS, TAGS_MISSING, TASK_TAGS},
    subject::Actor,
};

pub use crate::{kernel::task::current as current_task, subject::Run};

/// The run of the current task.
#[inline(always)]
pub fn current() -> Option<Run> {
    of_task(current_task())
}

/// The run of `task` (a BTF program's argument).
#[inline(always)]
pub fn of_task(task: *const u8) -> Option<Run> {
    find(task, false)
}

/// Whether `task` has a live tag.
///
/// VERIFIER: looks up the tag alone, not [`PROCESS_TAGS`]: 6.1 verifies at most a million
/// instructions, and with that look-up the task iterator's program takes 591 thousand.
#[inline(always)]
pub fn has_tag(task: *const u8) -> bool {
    tag_of(task).and_then(resolve).is_some()
}

#[inline(always)]
fn tag_of(task: *const u8) -> Option<RunTag> {
    // SAFETY: callers pass trusted task pointers; the tag is copied at once.
    unsafe {
        if !task::has_storage(task) {
            return None;
        }
        TASK_TAGS.get(task).as_ref().copied()
    }
}

/// The same as [`of_task`], for births, execs and ends: no later event makes up for a missed one.
/// The process is looked up even if no tag is known to be missing. Cost for an untagged task: one
/// look-up more.
#[inline(always)]
pub fn of_member(task: *const u8) -> Option<Run> {
    find(task, true)
}

/// Whether `task` can be in a run, without looking for its tag. Cost: a read of one field; where no
/// program keeps task storage for it, of one row too.
#[inline(always)]
pub fn may_be_member(task: *const u8) -> bool {
    // SAFETY: callers pass trusted task pointers.
    let has_storage = unsafe { task::has_storage(task) };
    has_storage || tags_are_missing()
}

#[inline(always)]
fn tags_are_missing() -> bool {
    TAGS_MISSING.get(0).copied().unwrap_or(0) != 0
}

#[inline(always)]
fn find(task: *const u8, thorough: bool) -> Option<Run> {
    if let Some(run) = tag_of(task).and_then(resolve) {
        return Some(run);
    }
    if !thorough && !tags_are_missing() {
        return None;
    }
    // Most tasks are in no run: one field is all that is read of them.
    member(task::tgid(task))?;
    let run = of_process(Actor::of(task))?;
    count::fault(fault::TASK_TAG_LOST);
    tag_task(task, &run);
    Some(run)
}

/// From now on a task without a tag is looked up by its process.
#[inline(always)]
pub fn tag_may_be_missing() {
    if let Some(missing) = TAGS_MISSING.get_ptr_mut(0) {
        // SAFETY: points to a map value; all writers write the same.
        unsafe { missing.write_volatile(1) };
    }
}

/// The run of a process, for programs without task storage. Compares the start too: a row can
/// outlive its process.
#[inline(always)]
pub fn of_process(actor: Actor) -> Option<Run> {
    // SAFETY: the value is copied at once.
    let process = unsafe { PROCESS_TAGS.get(actor.tgid) }.copied()?;
    if process.start_boot_ns == actor.start_boot_ns { resolve(process.tag) } else { None }
}

/// The row of a process of any run, by its id alone.
#[inline(always)]
pub fn member(tgid: u32) -> Option<ProcessTag> {
    // SAFETY: the value is copied at once.
    unsafe { PROCESS_TAGS.get(tgid) }.copied()
}

/// The run that owns a cgroup.
#[inline(always)]
pub fn of_cgroup(cgroup: u64) -> Option<Run> {
    // SAFETY: the value is copied at once.
    let tag = unsafe { RUN_CGROUPS.get(cgroup) }.copied()?;
    resolve(tag)
}

/// The run and process that last used a socket, for programs that run outside of any process.
#[inline(always)]
pub fn of_socket(cookie: u64) -> Option<(Run, Actor)> {
    // SAFETY: the value is copied at once.
    let user = unsafe { SOCKETS.get(cookie) }.copied()?;
    let actor = Actor { tgid: user.tgid, tid: user.tid, start_boot_ns: user.start_boot_ns };
    Some((resolve(user.tag)?, actor))
}

/// Remembers whose socket it is. A full table forgets the least recently used socket.
#[inline(always)]
pub fn tag_socket(cookie: u64, run: &Run, actor: Actor) {
    let row =
        SocketTag { tag: run.tag, start_boot_ns: actor.start_boot_ns, tgid: actor.tgid, tid: actor.tid };
    // SAFETY: the value is compared at once.
    if let Some(known) = unsafe { SOCKETS.get(cookie) }
        && *known == row
    {
        return;
    }
    if cookie != 0 && SOCKETS.insert(cookie, row, BPF_ANY.into()).is_err() {
        count::untold(run, fault::SOCKETS_FULL);
    }
}

/// True when a process, known by its start too, belongs to this run.
#[inline(always)]
pub fn owns_process(run: &Run, tgid: u32, start_boot_ns: u64) -> bool {
    // SAFETY: the value is copied at once.
    match unsafe { PROCESS_TAGS.get(tgid) } {
        Some(row) => row.tag == run.tag && row.start_boot_ns == start_boot_ns,
        None => false,
    }
}

/// True when the cgroup belongs to this run.
#[inline(always)]
pub fn owns_cgroup(run: &Run, cgroup: u64) -> bool {
    // SAFETY: the value is copied at once.
    match unsafe { RUN_CGROUPS.get(cgroup) } {
        Some(tag) => *tag == run.tag,
        None => false,
    }
}

/// Drops tags of runs that have ended.
#[inline(always)]
pub(crate) fn resolve(tag: RunTag) -> Option<Run> {
    let block = RUNS.get_ptr_mut(tag.slot)?;
    // SAFETY: points to a map value; a torn read is impossible for an aligned u32.
    if unsafe { (*block).generation } != tag.generation {
        return None;
    }
    Some(Run { tag, block })
}

/// Makes `task` a member. False when the tag could not be stored; that is counted.
#[inline(always)]
pub fn tag_task(task: *const u8, run: &Run) -> bool {
    let mut tag = run.tag;
    // SAFETY: callers pass trusted task pointers.
    let stored = unsafe { TASK_TAGS.get_or_insert(task, &mut tag) };
    if stored.is_null() {
        count::fault(fault::TASK_STORAGE_FULL);
        tag_may_be_missing();
        return false;
    }
    // A task of an ended run may have a stale tag.
    // SAFETY: not null, points to a map value.
    unsafe { *stored = run.tag };
    true
}

/// Makes the process a member for the programs that look processes up by id. Returns true to the
/// one caller that added it, and that caller counts it: the task iterator can meet a child between
/// its birth and its fork record (seen on 6.1).
#[inline(always)]
pub fn tag_process(process: Actor, run: &Run) -> bool {
    let row = ProcessTag { tag: run.tag, start_boot_ns: process.start_boot_ns };
    if PROCESS_TAGS.insert(process.tgid, row, BPF_NOEXIST.into()).is_ok() {
        return true;
    }
    // SAFETY: the value is copied at once.
    if let Some(known) = unsafe { PROCESS_TAGS.get(process.tgid) }.copied() {
        if known == row {
            return false;
        }
        // The row of an earlier process with this id: no program was called for its end.
        if let Some(of_earlier) = resolve(known.tag) {
            count::add(&of_earlier, |block| &raw mut block.counts.processes_ended);
            count::add(&of_earlier, |block| &raw mut block.counts.untold);
        }
    }
    // The first insert fails for an earlier process's row, which this replaces, or for a full
    // table.
    if PROCESS_TAGS.insert(process.tgid, row, BPF_ANY.into()).is_err() {
        count::untold(run, fault::PROCESS_TAGS_FULL);
        count::add(run, |block| &raw mut block.counts.untagged_processes);
    }
    true
}

/// Forgets an ended process. Returns true to the one caller that removed it, and for a run that has
/// processes without a row.
#[inline(always)]
pub fn untag_process(tgid: u32, run: &Run) -> bool {
    // SAFETY: points to a map value; an aligned u64 is read whole.
    PROCESS_TAGS.remove(tgid).is_ok() || unsafe { (*run.block).counts.untagged_processes } > 0
}
