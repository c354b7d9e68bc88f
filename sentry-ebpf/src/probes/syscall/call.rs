//! One finished system call: which act it was, its arguments as the ABI passed them, its result.

use sentry_common::offset as o;

use super::table::{self, NOTHING, OLD_MMAP, SOCKET_CALL};
use crate::{
    gate,
    kernel::{read, user},
};

/// `TS_COMPAT` in `thread_info.status`: the call came in by a 32-bit entry. Still set at `sys_exit`
/// (6.18). The code segment is no criterion: 64-bit code can use `int 0x80` too.
const COMPAT: u32 = 2;

/// `AT_FDCWD`.
pub(super) const WORKING_DIRECTORY: i32 = -100;

pub(super) struct Call {
    pub(super) act: u16,
    pub(super) result: i64,
    regs: *const u8,
    compat: bool,
    /// User address of the arguments where they are not in registers (32-bit words), else 0.
    block: u64,
}

impl Call {
    #[inline(always)]
    pub(super) fn read(regs: *const u8, result: i64) -> Self {
        let compat = read::<u32>(gate::current_task(), o::THREAD_STATUS) & COMPAT != 0;
        let number = read::<u64>(regs, o::REGS_ORIG_AX);
        let mut call = Self { act: table::act(number, compat), result, regs, compat, block: 0 };
        if call.act == SOCKET_CALL {
            call.act = socket_call(call.argument::<0>());
            call.block = call.argument::<1>();
        } else if call.act == OLD_MMAP {
            call.block = call.argument::<0>();
        }
        call
    }

    /// errno, 0 for success.
    #[inline(always)]
    pub(super) fn error(&self) -> u32 {
        if self.result < 0 { (-self.result) as u32 } else { 0 }
    }

    /// Argument number `N`.
    #[inline(always)]
    pub(super) fn argument<const N: usize>(&self) -> u64 {
        if self.block != 0 {
            return user::read::<u32>(self.block + 4 * N as u64).unwrap_or(0).into();
        }
        let (native, compat) = match N {
            0 => (o::REGS_DI, o::REGS_BX),
            1 => (o::REGS_SI, o::REGS_CX),
            2 => (o::REGS_DX, o::REGS_DX),
            3 => (o::REGS_R10, o::REGS_SI),
            4 => (o::REGS_R8, o::REGS_DI),
            _ => (o::REGS_R9, o::REGS_BP),
        };
        if self.compat { read::<u32>(self.regs, compat).into() } else { read(self.regs, native) }
    }

    /// Argument number `N`, a descriptor.
    #[inline(always)]
    pub(super) fn descriptor<const N: usize>(&self) -> i32 {
        self.argument::<N>() as i32
    }

    /// Whether the call is about the descriptor itself: `AT_EMPTY_PATH` and no path.
    #[inline(always)]
    pub(super) fn is_empty_path(flags: u64, path: u64) -> bool {
        const AT_EMPTY_PATH: u64 = 0x1000;
        flags & AT_EMPTY_PATH != 0 && user::read::<u8>(path).unwrap_or(0) == 0
    }
}

/// `SYS_*` of `linux/net.h`.
#[inline(always)]
fn socket_call(number: u64) -> u16 {
    match number {
        1 => table::SOCKET,
        3 => table::CONNECT,
        5 | 18 => table::ACCEPT,
        _ => NOTHING,
    }
}
