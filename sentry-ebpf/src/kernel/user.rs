//! Memory of the current program. Other threads can change it while it is read, so it is used only
//! where the kernel has no copy.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str};
use sentry_common::record::text::{
    ARGUMENT_CAPACITY, ARGV_CAPACITY, ArgumentText, ArgvText, TRUNCATED, UNREADABLE,
};

/// Reads a `T`; `None` when the address faults.
#[inline(always)]
pub fn read<T: Copy>(address: u64) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the source and fills `value` completely or fails.
    let result =
        unsafe { bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const _) };
    // SAFETY: success means filled.
    if result == 0 { Some(unsafe { value.assume_init() }) } else { None }
}

/// Copies the argument vector from the new memory image, before the program's first instruction.
#[inline(always)]
pub fn write_argv(range: Option<(u64, u64)>, out: &mut ArgvText) {
    out.length = 0;
    out.flags = UNREADABLE;
    out.full_length = 0;
    let Some((start, end)) = range else { return };
    let full = end.wrapping_sub(start);
    out.full_length = full;
    let (length, flags) =
        if full > ARGV_CAPACITY as u64 { (ARGV_CAPACITY as u32, TRUNCATED) } else { (full as u32, 0) };
    // SAFETY: length ≤ ARGV_CAPACITY = the size of `bytes`; the helper checks the source.
    if unsafe { bpf_probe_read_user(out.bytes.as_mut_ptr().cast(), length, start as *mut _) } == 0 {
        out.length = length;
        out.flags = flags;
    }
}

/// An empty argument vector.
#[inline(always)]
pub fn write_no_argv(out: &mut ArgvText) {
    out.length = 0;
    out.flags = UNREADABLE;
    out.full_length = 0;
}

/// Copies a NUL-terminated string argument.
#[inline(always)]
pub fn write_argument(pointer: u64, out: &mut ArgumentText) {
    // SAFETY: the buffer has ARGUMENT_CAPACITY bytes; the helper checks the source.
    let read = unsafe {
        bpf_probe_read_user_str(out.bytes.as_mut_ptr().cast(), ARGUMENT_CAPACITY as u32, pointer as *mut _)
    };
    finish(read, out);
}

/// Copies a NUL-terminated kernel string.
#[inline(always)]
pub fn write_kernel_text(pointer: *const u8, out: &mut ArgumentText) {
    // SAFETY: as above.
    let read = unsafe {
        bpf_probe_read_kernel_str(
            out.bytes.as_mut_ptr().cast(),
            ARGUMENT_CAPACITY as u32,
            pointer.cast_mut().cast(),
        )
    };
    finish(read, out);
}

/// An empty argument.
#[inline(always)]
pub fn write_no_argument(out: &mut ArgumentText) {
    out.length = 0;
    out.flags = 0;
}

#[inline(always)]
fn finish(read: i64, out: &mut ArgumentText) {
    if read <= 0 {
        out.length = 0;
        out.flags = UNREADABLE;
        return;
    }
    out.length = read as u32 - 1;
    // A string that fills the buffer may have been cut, because the helper always ends it with NUL.
    out.flags = if read as usize == ARGUMENT_CAPACITY { TRUNCATED } else { 0 };
}
