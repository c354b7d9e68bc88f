//! Counters and faults.

use core::intrinsics::{
    AtomicOrdering::{AcqRel, Acquire, Relaxed},
    atomic_cxchg, atomic_xadd,
};

use aya_ebpf::bindings::BPF_NOEXIST;
use sentry_common::{
    counter::RunBlock,
    fault,
    table::{Flow, FlowKey},
};

use crate::{
    maps::{FAULTS, FLOWS},
    subject::Run,
};

/// Adds one to a counter of the run.
#[inline(always)]
pub fn add(run: &Run, field: impl FnOnce(&mut RunBlock) -> *mut u64) {
    // SAFETY: `block` points to a map value; all writers use atomics on its fields.
    unsafe { atomic_xadd::<u64, u64, { Relaxed }>(field(&mut *run.block), 1) };
}

/// Whether the run still has a process, by its counters.
#[inline(always)]
pub fn has_members(run: &Run) -> bool {
    // SAFETY: `block` points to a map value; an aligned u64 is read whole.
    let (born, entered, ended) = unsafe {
        (
            (*run.block).counts.processes_born,
            (*run.block).counts.processes_entered,
            (*run.block).counts.processes_ended,
        )
    };
    born + entered > ended
}

/// Adds one and returns the new value. The instruction exists (5.12+), but `AtomicU64::fetch_add`
/// does not on this target, whose specification lacks compare-and-swap.
///
/// The ordering is not relaxed: LLVM 22 compiles a relaxed addition to the instruction that returns
/// nothing, even where the old value is used, and then uses the addend as the old value.
#[inline(always)]
pub fn next(run: &Run, field: impl FnOnce(&mut RunBlock) -> *mut u64) -> u64 {
    // SAFETY: `block` points to a map value; all writers use atomics on its fields.
    unsafe { atomic_xadd::<u64, u64, { AcqRel }>(field(&mut *run.block), 1) + 1 }
}

/// Sets a field to `new` if it holds `old`. Of several callers at once one gets true.
#[inline(always)]
pub fn swap(run: &Run, field: impl FnOnce(&mut RunBlock) -> *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: as above.
    unsafe { atomic_cxchg::<u64, { AcqRel }, { Acquire }>(field(&mut *run.block), old, new).1 }
}

/// Reads a field.
#[inline(always)]
pub fn get(run: &Run, field: impl FnOnce(&mut RunBlock) -> *mut u64) -> u64 {
    // SAFETY: points to a map value; an aligned u64 is read whole.
    unsafe { field(&mut *run.block).read_volatile() }
}

/// Writes a field; of two writers at once the later one wins.
#[inline(always)]
pub fn set(run: &Run, field: impl FnOnce(&mut RunBlock) -> *mut u64, value: u64) {
    // SAFETY: as above.
    unsafe { field(&mut *run.block).write_volatile(value) };
}

/// Counts a packet of `bytes` to or from the other side.
#[inline(always)]
pub fn flow<const OUT: bool>(run: &Run, key: &FlowKey, bytes: u64) {
    let mut row = FLOWS.get_ptr_mut(key);
    if row.is_none() {
        // Another processor may have inserted the row first: the look-up below finds it.
        let _present_is_fine = FLOWS.insert(key, Flow::default(), BPF_NOEXIST.into());
        row = FLOWS.get_ptr_mut(key);
    }
    let Some(row) = row else { return untold(run, fault::FLOWS_FULL) };
    // SAFETY: points to a map value; all writers use atomics on its fields.
    unsafe {
        let (packets, sum) = if OUT {
            (&raw mut (*row).packets_out, &raw mut (*row).bytes_out)
        } else {
            (&raw mut (*row).packets_in, &raw mut (*row).bytes_in)
        };
        atomic_xadd::<u64, u64, { Relaxed }>(packets, 1);
        atomic_xadd::<u64, u64, { Relaxed }>(sum, bytes);
    }
}

/// Counts a kernel-side failure that leaves an act of the run without a record.
#[inline(always)]
pub fn untold(run: &Run, kind: u32) {
    add(run, |block| &raw mut block.counts.untold);
    fault(kind);
}

/// Counts a kernel-side failure.
#[inline(always)]
pub fn fault(fault: u32) {
    if let Some(count) = FAULTS.get_ptr_mut(fault) {
        // SAFETY: per-CPU value; preemption can lose a count of a fault, never memory.
        unsafe { *count += 1 };
    }
}
