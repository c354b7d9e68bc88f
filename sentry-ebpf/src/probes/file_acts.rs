//! Acts on a file object other than opening it (tiers A and B).
//!
//! The kernel makes a `security_*` call before the file system acts, so its result shows only
//! whether a security module refused: such a record is an attempt. A `vfs_*` call returns the
//! result of the act itself.

use sentry_common::{
    kind, offset as o,
    record::file::{ATTEMPT, FileRecord},
};

use crate::{
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{call::refusal, file, path, read},
};

const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;

/// One act, in the record's fields of the same names.
#[derive(Clone, Copy)]
struct Act {
    kind: u16,
    detail: u64,
    flags: u32,
    result: i64,
}

impl Act {
    /// An attempt; `result` is the security modules' answer.
    #[inline(always)]
    fn asked(kind: u16, detail: u64, result: i32) -> Self {
        Self { kind, detail, flags: ATTEMPT, result: i64::from(result) }
    }

    /// A finished act; `result` is the kernel's.
    #[inline(always)]
    fn done(kind: u16, detail: u64, result: i64) -> Self {
        Self { kind, detail, flags: 0, result }
    }
}

/// Hook: fexit on `security_path_truncate(path)`: truncate(2), before 6.2 also ftruncate(2) and an
/// open with `O_TRUNC`.
#[inline(always)]
pub fn path_truncate(target: *const u8, result: i32) {
    on_path(target, Act::asked(kind::TRUNCATE, 0, result));
}

/// Hook: fexit on `security_file_truncate(file)` (6.2+): ftruncate(2) and an open with `O_TRUNC`.
#[inline(always)]
pub fn file_truncate(target: *const u8, result: i32) {
    on_path(file::path(target), Act::asked(kind::TRUNCATE, 0, result));
}

/// Hook: fexit on `security_path_chmod(path, mode)`.
#[inline(always)]
pub fn path_chmod(target: *const u8, mode: u32, result: i32) {
    on_path(target, Act::asked(kind::CHANGE_MODE, u64::from(mode), result));
}

/// Hook: fexit on `security_path_chown(path, uid, gid)`; an id that stays is all ones. Programs can
/// take the ids, which are structures, since 6.1.
#[inline(always)]
pub fn path_chown(target: *const u8, uid: u32, gid: u32, result: i32) {
    on_path(target, Act::asked(kind::CHANGE_OWNER, u64::from(uid) << 32 | u64::from(gid), result));
}

#[inline(always)]
fn on_path(target: *const u8, act: Act) {
    let Some(run) = gate::current() else { return };
    report(&run, file::inode_at(target), target, act);
}

/// Hook: fexit on `security_mmap_file(file, prot, flags)`; `file` is null for anonymous memory. The
/// program that execve maps is left to the exec record; its dynamic linker and libraries are
/// reported here.
#[inline(always)]
pub fn mmap_file(mapped: *const u8, protection: u64, flags: u64, result: i32) {
    /// One of the four bits for the kind of mapping: `MAP_SHARED` and `MAP_SHARED_VALIDATE` have
    /// it, `MAP_PRIVATE` does not.
    const SHARED: u64 = 1;
    if protection & (PROT_WRITE | PROT_EXEC) == 0 {
        return;
    }
    let Some(run) = gate::current() else { return };
    let inode = file::inode(mapped);
    let is_written = protection & PROT_WRITE != 0 && flags & SHARED != 0 && inode != 0;
    let kind = if is_written {
        kind::MAP_WRITE
    } else if protection & PROT_EXEC != 0 && !is_program(mapped) {
        kind::MAP_EXECUTE
    } else {
        return;
    };
    report(&run, inode, file::path(mapped), Act::asked(kind, protection, result));
}

/// The file that the process was executed from.
#[inline(always)]
fn is_program(mapped: *const u8) -> bool {
    let mm: *const u8 = read(gate::current_task(), o::TASK_MM);
    let program: u64 = read(mm, o::MM_EXE_FILE);
    program != 0 && program == mapped as u64
}

/// Hook: fexit on `security_file_mprotect(vma, reqprot, prot)`.
#[inline(always)]
pub fn file_mprotect(vma: *const u8, protection: u64, result: i32) {
    /// `VM_SHARED` in `vm_flags`.
    const SHARED: u64 = 8;
    if protection & (PROT_WRITE | PROT_EXEC) == 0 {
        return;
    }
    let Some(run) = gate::current() else { return };
    let mapped = read::<u64>(vma, o::VMA_FILE) as *const u8;
    let inode = file::inode(mapped);
    let is_shared = read::<u64>(vma, o::VMA_FLAGS) & SHARED != 0;
    let kind = if protection & PROT_EXEC != 0 {
        kind::PROTECT_EXECUTE
    } else if is_shared && inode != 0 {
        // First mapped for reading, now to be written too.
        kind::MAP_WRITE
    } else {
        return;
    };
    report(&run, inode, file::path(mapped), Act::asked(kind, protection, result));
}

/// Hooks: fexit on `vfs_copy_file_range(file_in, pos_in, file_out, pos_out, len, flags)` and
/// `vfs_clone_file_range` with the same arguments.
#[inline(always)]
pub fn copy_file_range(target: *const u8, length: u64, result: i64) {
    on_file(target, Act::done(kind::COPY, length, result));
}

/// Hook: fexit on `vfs_fallocate(file, mode, offset, len)`.
#[inline(always)]
pub fn fallocate(target: *const u8, mode: u32, result: i32) {
    on_file(target, Act::done(kind::ALLOCATE, u64::from(mode), i64::from(result)));
}

/// Hook: fentry on `__fput(file)`: nothing refers to the open file any more. Not fexit, because the
/// function drops the path.
#[inline(always)]
pub fn last_close(closed: *const u8) {
    /// `FMODE_WRITE` and `FMODE_OPENED` (same bits on 5.10–6.18).
    const WRITTEN: u32 = 1 << 1 | 1 << 19;
    let Some(run) = gate::current() else { return };
    if file::mode(closed) & WRITTEN != WRITTEN {
        return;
    }
    let inode = file::inode(closed);
    if !file::is_regular(inode) {
        return;
    }
    let size = file::size(inode);
    report(&run, inode, file::path(closed), Act::done(kind::CLOSE_WRITTEN, size, 0));
}

#[inline(always)]
fn on_file(target: *const u8, act: Act) {
    let Some(run) = gate::current() else { return };
    report(&run, file::inode(target), file::path(target), act);
}

/// `inode` is an address or 0, `target` that of a `struct path`; one that cannot be read leaves the
/// path empty.
///
/// VERIFIER: all facts go into the record before the walk along the path. On 6.1 each one that is
/// held in a register meanwhile, and may be 0, doubles the states of the walk.
#[inline(always)]
fn report(run: &Run, inode: u64, target: *const u8, act: Act) {
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<FileRecord>(run, act.kind, actor) else { return };
    let fields = record.fields();
    fields.file = file::inode_key(inode as *const u8);
    fields.detail = act.detail;
    fields.flags = act.flags;
    fields.error = refusal(act.result);
    path::write_plain(target, &mut fields.path);
    record.submit();
}
