//! What the programs know of kernel structures, patched in by the sensor before load. Reading it
//! is free for the verifier: it knows the constant.

use sentry_common::offset;

#[unsafe(no_mangle)]
static OFFSETS: [[u32; 2]; offset::COUNT] = [[offset::ABSENT, offset::UNTYPED]; offset::COUNT];

/// Offset number `index` of [`sentry_common::offset`], in bytes.
#[inline(always)]
pub fn of(index: usize) -> usize {
    constant(2 * index) as usize
}

/// The kernel's number for the structure that offset number `index` is in;
/// [`offset::UNTYPED`] where its fields are not read by loads.
#[inline(always)]
pub fn type_of(index: usize) -> u32 {
    constant(2 * index + 1)
}

#[inline(always)]
fn constant(index: usize) -> u32 {
    // SAFETY: callers stay below 2 * COUNT. Volatile, because the loader replaces the value.
    unsafe { (&raw const OFFSETS).cast::<u32>().add(index).read_volatile() }
}
