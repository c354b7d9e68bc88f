//! Reading kernel structures by loads instead of a helper: what this needs from the kernel, and how
//! the programs are prepared with or without it.
//!
//! The programs declare what an address points to by calling `bpf_rdonly_cast` (6.2+) with the
//! number of a structure; both numbers are those of the kernel's type information. aya 0.14 does
//! not resolve calls of kernel functions, so the compiled call has a mark in the place of the
//! function's number ([`offset::CAST`]), and it is replaced here.

use std::{fs, path::Path};

use sentry_common::offset;

/// The kernel function that declares a type.
pub(super) const FUNCTION: &str = "bpf_rdonly_cast";

/// The kernel's type numbers of that function and of the structure of each field
/// ([`offset::FIELDS`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeIds {
    pub(super) function: u32,
    /// [`offset::UNTYPED`] for a field that this kernel does not have.
    pub(super) of_fields: [u32; offset::COUNT],
}

/// Whether this machine compiles programs (JIT). A kernel that does not refuses calls of kernel
/// functions.
pub(super) fn programs_are_compiled() -> bool {
    let setting = fs::read_to_string(Path::new("/proc/sys/net/core/bpf_jit_enable"));
    // Only the host's network namespace has the file.
    setting.map_or(true, |text| text.trim() != "0")
}

/// The object with the function's number in its calls. Without a number each call becomes `r0 = 0`,
/// in branches that are then never taken.
pub(super) fn link(object: &[u8], ids: Option<&TypeIds>) -> Vec<u8> {
    /// `BPF_ALU64 | BPF_MOV | BPF_K`.
    const MOVE: u32 = 0xb7;
    let instruction = |first: u32, second: u32| (u64::from(second) << 32 | u64::from(first)).to_le_bytes();
    let mark = instruction(offset::CALL, offset::CAST);
    let linked = ids.map_or(instruction(MOVE, 0), |ids| instruction(offset::CALL, ids.function));
    let mut object = object.to_vec();
    for place in object.as_chunks_mut().0 {
        if *place == mark {
            *place = linked;
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: [u8; 24] = [
        0xb7, 0, 0, 0, 7, 0, 0, 0, //
        0x85, 0x20, 0, 0, 0x7e, 0x7a, 0xa5, 0x5c, //
        0x95, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn a_call_gets_the_number_of_the_function() {
        let ids = TypeIds { function: 0x0102_0304, of_fields: [1; offset::COUNT] };
        let linked = link(&MARKED, Some(&ids));
        assert_eq!(linked[8..16], [0x85, 0x20, 0, 0, 4, 3, 2, 1]);
        assert_eq!((&linked[..8], &linked[16..]), (&MARKED[..8], &MARKED[16..]));
    }

    #[test]
    fn without_the_function_nothing_is_called() {
        assert_eq!(link(&MARKED, None)[8..16], [0xb7, 0, 0, 0, 0, 0, 0, 0]);
    }
}
