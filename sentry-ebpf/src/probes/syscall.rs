//! Tier C: file acts from syscall results, where neither LSM nor fentry programs load.
//!
//! Hook: `tp_btf/sys_exit(regs, ret)`. Attached only while a run exists, because any syscall tracepoint puts every
//! syscall of every process on the slow path (6.18: about 30 ns).

use sentry_common::{
    kind, offset as o,
    record::file::{FROM_ARGUMENT, NameRecord},
};

use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{path, read, task, user},
    offsets::of,
    probes::open,
};

/// Syscall numbers of this architecture.
#[cfg(bpf_target_arch = "aarch64")]
mod number {
    pub(super) const OPEN: u64 = u64::MAX;
    pub(super) const CREAT: u64 = u64::MAX;
    pub(super) const RENAME: u64 = u64::MAX;
    pub(super) const RMDIR: u64 = u64::MAX;
    pub(super) const UNLINK: u64 = u64::MAX;
    pub(super) const UNLINKAT: u64 = 35;
    pub(super) const RENAMEAT: u64 = 38;
    pub(super) const OPENAT: u64 = 56;
    pub(super) const OPEN_BY_HANDLE_AT: u64 = 265;
    pub(super) const RENAMEAT2: u64 = 276;
    pub(super) const OPENAT2: u64 = 437;
}
#[cfg(not(bpf_target_arch = "aarch64"))]
mod number {
    pub(super) const OPEN: u64 = 2;
    pub(super) const RENAME: u64 = 82;
    pub(super) const RMDIR: u64 = 84;
    pub(super) const CREAT: u64 = 85;
    pub(super) const UNLINK: u64 = 87;
    pub(super) const OPENAT: u64 = 257;
    pub(super) const UNLINKAT: u64 = 263;
    pub(super) const RENAMEAT: u64 = 264;
    pub(super) const OPEN_BY_HANDLE_AT: u64 = 304;
    pub(super) const RENAMEAT2: u64 = 316;
    pub(super) const OPENAT2: u64 = 437;
}

/// `AT_FDCWD`.
const WORKING_DIRECTORY: i32 = -100;

#[inline(always)]
pub fn sys_exit(regs: *const u8, result: i64) {
    let Some(run) = gate::current() else { return };
    if result < 0 {
        return;
    }
    match read::<u64>(regs, of(o::REGS_ORIG_AX)).unwrap_or(u64::MAX) {
        number::OPEN | number::CREAT | number::OPENAT | number::OPENAT2 | number::OPEN_BY_HANDLE_AT => {
            opened(&run, result as u32);
        }
        number::UNLINK | number::RMDIR => unlinked(&run, WORKING_DIRECTORY, argument(regs, o::REGS_DI)),
        number::UNLINKAT => unlinked(&run, descriptor(regs, o::REGS_DI), argument(regs, o::REGS_SI)),
        number::RENAME => renamed(
            &run,
            (WORKING_DIRECTORY, argument(regs, o::REGS_DI)),
            (WORKING_DIRECTORY, argument(regs, o::REGS_SI)),
        ),
        number::RENAMEAT | number::RENAMEAT2 => renamed(
            &run,
            (descriptor(regs, o::REGS_DI), argument(regs, o::REGS_SI)),
            (descriptor(regs, o::REGS_DX), argument(regs, o::REGS_R10)),
        ),
        _ => {}
    }
}

/// The returned descriptor names the object that was really opened.
#[inline(always)]
fn opened(run: &Run, fd: u32) {
    match task::open_file(gate::current_task(), fd) {
        Some(file) => open::report(run, file, 0),
        // Another thread has closed it already.
        None => count::fault(sentry_common::fault::FD_GONE),
    }
}

/// Only the argument is left after the fact: the record says so.
#[inline(always)]
fn unlinked(run: &Run, directory: i32, name: u64) {
    count::add(run, |block| &raw mut block.unlinks);
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(run, kind::UNLINK, actor) else { return };
    let fields = record.fields();
    fill(fields, directory, name);
    path::write_none(&mut fields.new_path);
    user::write_no_argument(&mut fields.new_argument);
    record.submit();
}

#[inline(always)]
fn renamed(run: &Run, old: (i32, u64), new: (i32, u64)) {
    count::add(run, |block| &raw mut block.renames);
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(run, kind::RENAME, actor) else { return };
    let fields = record.fields();
    fill(fields, old.0, old.1);
    start_directory(new.0, &mut fields.new_path);
    user::write_argument(new.1, &mut fields.new_argument);
    record.submit();
}

#[inline(always)]
fn fill(fields: &mut NameRecord, directory: i32, name: u64) {
    fields.file = Default::default();
    fields.flags = 0;
    fields.source = FROM_ARGUMENT;
    fields.error = 0;
    fields.mode = 0;
    start_directory(directory, &mut fields.path);
    user::write_argument(name, &mut fields.argument);
}

/// Path of the directory that a relative argument starts at.
#[inline(always)]
pub(crate) fn start_directory(descriptor: i32, out: &mut sentry_common::record::text::PathText) {
    let current = gate::current_task();
    let directory = if descriptor == WORKING_DIRECTORY {
        task::working_directory(current)
    } else {
        task::open_file(current, descriptor as u32).map(crate::kernel::file::path)
    };
    match directory {
        Some(directory) => path::write(directory, out),
        None => path::write_none(out),
    }
}

#[inline(always)]
fn argument(regs: *const u8, register: usize) -> u64 {
    read(regs, of(register)).unwrap_or(0)
}

#[inline(always)]
fn descriptor(regs: *const u8, register: usize) -> i32 {
    argument(regs, register) as i32
}
