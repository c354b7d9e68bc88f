//! Cgroups that may belong to an agent. The sensor decides, but a program can start before it has:
//! until then each is watched as a run of its own, in a slot that the sensor keeps in reserve.

use aya_ebpf::{bindings::BPF_NOEXIST, btf_maps::lpm_trie::Key};
use core::intrinsics::{AtomicOrdering::AcqRel, atomic_xadd, atomic_xchg};
use sentry_common::{
    fault, offset as o,
    table::{self, FileId, NAME_BYTES, RunTag},
};

use crate::{
    count,
    emit::Actor,
    gate::{self, Run},
    kernel::{cgroup, file, read_pointer, task},
    maps::{
        RUN_CGROUPS, SELECTED_COMMS, SELECTED_FILES, SELECTED_NAMES, SELECTED_USERS, SPARES, SPARES_ASKED,
    },
};

/// `-EEXIST`, by the kernel's ABI.
const EEXIST: i32 = -17;

/// A cgroup was made outside of all runs. Cost: reading its name, and one look-up.
#[inline(always)]
pub fn made(made: *const u8, id: u64) -> Option<Run> {
    let name = cgroup::name(made)?;
    SELECTED_NAMES.get(&Key::new(NAME_BYTES as u32 * 8, name))?;
    if !cgroup::is_v2(made, gate::current_task()) {
        return None;
    }
    candidate(id)
}

/// A task in no run has executed something. It becomes a member before the first instruction.
/// Cost: three look-ups.
#[inline(always)]
pub fn executed(current: *const u8, bprm: *const u8) -> Option<Run> {
    if !is_selected(current, bprm) {
        return None;
    }
    let id = cgroup::below_root(current)?;
    // The sensor itself finds the tasks of a cgroup that has just become a run's.
    if gate::of_cgroup(id).is_some() {
        return None;
    }
    let run = candidate(id)?;
    gate::tag_task(current, &run);
    if gate::tag_process(Actor::of(current), &run) {
        count::add(&run, |block| &raw mut block.counts.processes_entered);
    }
    Some(run)
}

#[inline(always)]
fn is_selected(current: *const u8, bprm: *const u8) -> bool {
    // SAFETY: whether there is a row; its value is not read.
    if unsafe { SELECTED_COMMS.get(task::comm(current)) }.is_some() {
        return true;
    }
    let (uid, _, _) = task::credentials(current);
    // SAFETY: as above.
    if unsafe { SELECTED_USERS.get(uid) }.is_some() {
        return true;
    }
    let Some(opened) = read_pointer(bprm, o::BPRM_FILE) else { return false };
    let key = file::key(opened);
    // SAFETY: as above.
    unsafe { SELECTED_FILES.get(FileId { inode: key.inode, device: key.device, reserved: 0 }) }.is_some()
}

/// Gives the cgroup one of the reserved slots.
#[inline(always)]
fn candidate(cgroup: u64) -> Option<Run> {
    let asked = SPARES_ASKED.get_ptr_mut(0)?;
    // SAFETY: points to a map value; all writers use atomics. Not relaxed: see `count::next`.
    let index = unsafe { atomic_xadd::<u64, u64, { AcqRel }>(asked, 1) } % table::SPARES as u64;
    let row = SPARES.get_ptr_mut(index as u32)?;
    // SAFETY: as above.
    let spare = unsafe { atomic_xchg::<u64, { AcqRel }>(row, 0) };
    let Some(run) = live(spare) else {
        count::fault(fault::SPARES_EMPTY);
        return None;
    };
    match RUN_CGROUPS.insert(cgroup, run.tag, BPF_NOEXIST.into()) {
        Ok(()) => Some(run),
        Err(error) => {
            // SAFETY: as above.
            unsafe { atomic_xchg::<u64, { AcqRel }>(row, spare) };
            // Two processors may come here for one cgroup: only the first goes on.
            if error != EEXIST {
                count::fault(fault::RUN_CGROUPS_FULL);
            }
            None
        }
    }
}

#[inline(always)]
fn live(spare: u64) -> Option<Run> {
    let tag: RunTag = table::spare_tag(spare);
    if tag.generation == 0 { None } else { gate::resolve(tag) }
}
