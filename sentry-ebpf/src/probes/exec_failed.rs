//! A program image that did not start (tiers A and B).

use sentry_common::{
    kind, offset as o,
    record::file::{FROM_ARGUMENT, NameRecord},
};

use crate::{
    emit::{self, Actor},
    gate,
    kernel::{call::refusal, file, path, read, task, user},
};

/// `AT_FDCWD`.
const WORKING_DIRECTORY: i32 = -100;

/// Hook: fexit on `__x64_sys_execve(regs)`.
#[inline(always)]
pub fn execve(regs: *const u8, result: i64) {
    failed(WORKING_DIRECTORY, register(regs, o::REGS_DI), result);
}

/// Hook: fexit on `__x64_sys_execveat(regs)`.
#[inline(always)]
pub fn execveat(regs: *const u8, result: i64) {
    failed(register(regs, o::REGS_DI) as i32, register(regs, o::REGS_SI), result);
}

/// Hook: fexit on `__ia32_compat_sys_execve(regs)`: the calls of 32-bit programs.
#[inline(always)]
pub fn compat_execve(regs: *const u8, result: i64) {
    failed(WORKING_DIRECTORY, register(regs, o::REGS_BX) & 0xffff_ffff, result);
}

/// Hook: fexit on `__ia32_compat_sys_execveat(regs)`.
#[inline(always)]
pub fn compat_execveat(regs: *const u8, result: i64) {
    failed(register(regs, o::REGS_BX) as i32, register(regs, o::REGS_CX) & 0xffff_ffff, result);
}

/// The argument is read again from the program's memory after the call: another thread may have
/// changed it.
#[inline(always)]
fn failed(directory: i32, name: u64, result: i64) {
    /// `ERESTARTSYS` and its like: a signal came first, and the kernel repeats the call.
    const RESTARTED: core::ops::RangeInclusive<u32> = 512..=516;
    let error = refusal(result);
    if error == 0 || RESTARTED.contains(&error) {
        return;
    }
    let Some(run) = gate::current() else { return };
    let current = gate::current_task();
    let start = start(current, directory);
    let actor = Actor::current(current);
    let Some(mut record) = emit::critical::<NameRecord>(&run, kind::EXEC_FAILED, actor) else { return };
    let fields = record.fields();
    fields.file = Default::default();
    fields.flags = 0;
    fields.source = FROM_ARGUMENT;
    fields.error = error;
    fields.mode = 0;
    path::write_plain(start as *const u8, &mut fields.path);
    user::write_argument(name, &mut fields.argument);
    path::write_none(&mut fields.new_path);
    user::write_no_argument(&mut fields.new_argument);
    record.submit();
}

/// Address of the `struct path` that a relative argument starts at, or 0.
///
/// VERIFIER: a plain number, and one walk for all cases.
#[inline(always)]
fn start(current: *const u8, descriptor: i32) -> u64 {
    if descriptor == WORKING_DIRECTORY {
        task::working_directory(current).map_or(0, |directory| directory as u64)
    } else {
        task::open_file(current, descriptor as u32).map_or(0, |opened| file::path(opened) as u64)
    }
}

#[inline(always)]
fn register(regs: *const u8, register: usize) -> u64 {
    read(regs, register)
}
