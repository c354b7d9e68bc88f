//! Counters and faults.

use core::intrinsics::{
    AtomicOrdering::{AcqRel, Relaxed},
    atomic_xadd,
};

use sentry_common::counter::RunBlock;

use crate::{gate::Run, maps::FAULTS};

/// Adds one to a counter of the run.
#[inline(always)]
pub fn add(run: &Run, field: impl FnOnce(&mut RunBlock) -> *mut u64) {
    // SAFETY: `block` points to a map value; all writers use atomics on its fields.
    unsafe { atomic_xadd::<u64, u64, { Relaxed }>(field(&mut *run.block), 1) };
}

/// Adds one and returns the new value. `AtomicU64::fetch_add` does not exist on this target (it has no
/// compare-and-swap in its specification), the instruction does (5.12+).
///
/// The ordering is not relaxed: for a relaxed addition LLVM 22 selects the instruction that gives nothing back, also
/// where the old value is used, and takes the addend for it.
#[inline(always)]
pub fn next(run: &Run, field: impl FnOnce(&mut RunBlock) -> *mut u64) -> u64 {
    // SAFETY: `block` points to a map value; all writers use atomics on its fields.
    unsafe { atomic_xadd::<u64, u64, { AcqRel }>(field(&mut *run.block), 1) + 1 }
}

/// Counts a kernel-side failure.
#[inline(always)]
pub fn fault(fault: u32) {
    if let Some(count) = FAULTS.get_ptr_mut(fault) {
        // SAFETY: per-CPU value; preemption can lose a count of a fault, never memory.
        unsafe { *count += 1 };
    }
}
