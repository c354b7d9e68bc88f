//! Facts read from kernel structures, at the offsets of [`crate::offsets`].

pub mod cgroup;

pub mod file;

pub mod call;

pub mod packet;

pub mod path;

pub mod pid;

pub mod socket;

pub mod task;

pub mod unix;

pub mod user;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

/// Reads a `T` at `base + offset`; `None` when the address faults.
#[inline(always)]
pub(crate) fn read<T: Copy>(base: *const u8, offset: usize) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the helper bounds-checks the source and fills `value` completely or fails.
    let result = unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            base.wrapping_add(offset).cast_mut().cast(),
        )
    };
    // SAFETY: success means filled.
    if result == 0 { Some(unsafe { value.assume_init() }) } else { None }
}

/// Reads a pointer; `None` when it faults or is null.
#[inline(always)]
pub(crate) fn read_pointer(base: *const u8, offset: usize) -> Option<*const u8> {
    let pointer: *const u8 = read(base, offset)?;
    if pointer.is_null() { None } else { Some(pointer) }
}
