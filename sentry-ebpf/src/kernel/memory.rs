//! How the programs read the kernel's memory.
//!
//! A field is read by one load where the kernel has `bpf_rdonly_cast` (6.2+): the address, wherever
//! it comes from, is declared to be that of the field's structure, and the verifier then knows what
//! it loads and guards the load. That is a nanosecond where the helper takes eight. Elsewhere the
//! helper reads it. Which of the two it is stands in read-only memory, so that the verifier goes
//! through one of them only.
//!
//! Either gives zeroes for what cannot be read. Where zero means something else (a uid), the
//! pointer is compared with null before.

use core::arch::asm;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sentry_common::offset::{CAST, UNTYPED};

use crate::offsets::{of, type_of};

/// What one load reads: numbers and pointers. A field has to be one of the same size.
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

/// The same, so many bytes behind the field's start: an element of an array.
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

/// Whether the field is read by a load.
#[inline(always)]
pub(crate) fn is_typed(field: usize) -> bool {
    type_of(field) != UNTYPED
}

/// Copies what stands at `address`, which is of no structure that the programs know.
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

/// Writes a word where nothing says how it is aligned: the compiler would write it byte by byte.
///
/// # Safety
/// Eight bytes at `address` are the program's.
#[inline(always)]
pub(crate) unsafe fn store(address: *mut u8, word: u64) {
    // SAFETY: by contract.
    unsafe {
        asm!("*(u64 *)({address} + 0) = {word}", address = in(reg) address, word = in(reg) word, options(nostack));
    }
}
