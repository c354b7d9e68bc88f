//! How the programs read the kernel's memory.
//!
//! There are two ways to read a field. Where the kernel has `bpf_rdonly_cast` (6.2+), one load
//! reads it: the cast declares that the address is that of the field's structure, and the verifier
//! guards the load. That takes one nanosecond; a call of the helper, the only way on older kernels,
//! takes eight. A constant in read-only memory chooses, so the verifier follows only one of the
//! two.
//!
//! Both give zeroes for memory that cannot be read. Where zero has a meaning of its own (a uid),
//! compare the pointer with null first.

use core::arch::asm;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sentry_common::offset::{CAST, UNTYPED};

use crate::offsets::{of, type_of};

/// A type that one load reads: a number or a pointer. The field must have the same size.
pub(crate) trait Word: Copy {}

impl Word for u8 {}
impl Word for u16 {}
impl Word for u32 {}
impl Word for i32 {}
impl Word for u64 {}
impl Word for *const u8 {}

/// Field number `field` of [`sentry_common::offset`] in the structure at `base`.
#[inline(always)]
pub(crate) fn read<T: Word>(base: *const u8, field: usize) -> T {
    read_behind(base, field, 0)
}

/// The same, `bytes` after the field's start: an element of an array.
#[inline(always)]
pub(crate) fn read_behind<T: Word>(base: *const u8, field: usize, bytes: usize) -> T {
    let (offset, structure) = (of(field) + bytes, type_of(field));
    if structure == UNTYPED {
        return copy(base.wrapping_add(offset));
    }
    // SAFETY: the verifier checks field and size against the structure; a load that faults gives 0.
    unsafe { cast(base, structure).add(offset).cast::<T>().read_volatile() }
}

/// A pointer field; `None` for null.
#[inline(always)]
pub(crate) fn read_pointer(base: *const u8, field: usize) -> Option<*const u8> {
    let pointer: *const u8 = read(base, field);
    if pointer.is_null() { None } else { Some(pointer) }
}

/// Whether a load reads the field; otherwise the helper does.
#[inline(always)]
pub(crate) fn is_typed(field: usize) -> bool {
    type_of(field) != UNTYPED
}

/// Copies a value from `address`, where no structure is known.
#[inline(always)]
pub(crate) fn copy<T: Copy>(address: *const u8) -> T {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the source and fills `value` completely, with zeroes if it fails.
    unsafe {
        let _filled_either_way = bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address.cast_mut().cast(),
        );
        value.assume_init()
    }
}

/// Declares what `address` points to: `bpf_rdonly_cast(address, type_id)`, which the verifier
/// replaces by a move. The loader writes the function's number into the instruction ([`CAST`]).
#[inline(always)]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "the address gets a type; nothing is read from it")]
fn cast(address: *const u8, type_id: u32) -> *const u8 {
    let typed: *const u8;
    // SAFETY: a call as any helper's: arguments in r1 and r2, the result in r0, r1 to r5 are lost.
    unsafe {
        asm!(
            ".byte 0x85, 0x20, 0, 0",
            ".long {number}",
            number = const CAST,
            inlateout("r1") address => _,
            inlateout("r2") u64::from(type_id) => _,
            lateout("r0") typed,
            lateout("r3") _,
            lateout("r4") _,
            lateout("r5") _,
            options(nomem, nostack),
        );
    }
    typed
}

/// Writes a word at an address of unknown alignment. In Rust the compiler would write it byte by
/// byte.
///
/// # Safety
/// The program must own the eight bytes at `address`.
#[inline(always)]
pub(crate) unsafe fn store(address: *mut u8, word: u64) {
    // SAFETY: by contract.
    unsafe {
        asm!(
            "*(u64 *)({address} + 0) = {word}",
            address = in(reg) address,
            word = in(reg) word,
            options(nostack)
        );
    }
}
