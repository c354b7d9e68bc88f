//! Kernel struct offsets, patched in by the sensor before load. Reading one is free: the verifier
//! knows the constant.

use sentry_common::offset;

#[unsafe(no_mangle)]
static OFFSETS: [u32; offset::COUNT] = [offset::ABSENT; offset::COUNT];

/// Offset number `index` of [`sentry_common::offset`], in bytes.
#[inline(always)]
pub fn of(index: usize) -> usize {
    // SAFETY: `index` is one of the constants, below COUNT. Volatile, because the loader replaces
    // the value.
    unsafe { core::ptr::read_volatile(core::ptr::from_ref(&OFFSETS).cast::<u32>().add(index)) as usize }
}
