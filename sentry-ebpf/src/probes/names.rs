//! A name is removed, changed or made, or a named attribute changed, seen at the object (tiers A
//! and B). All before the file system acts: attempts.

use aya_ebpf::{bindings::task_struct, helpers::generated::bpf_task_pt_regs};
use sentry_common::{
    kind, offset as o,
    record::file::{ATTEMPT, EXCHANGE, FROM_HOOK, NameRecord},
};

use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{call::refusal, file, path, read, user},
};

/// Hooks: LSM `path_unlink(dir, dentry)` and `path_rmdir`, fentry on `security_path_unlink` and
/// `security_path_rmdir`.
#[inline(always)]
pub fn path_unlink(directory: *const u8, dentry: *const u8) {
    let Some(run) = gate::current() else { return };
    count::add(&run, |block| &raw mut block.counts.unlinks);
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(&run, kind::UNLINK, actor) else { return };
    fill(record.fields(), directory, dentry);
    path::write_none(&mut record.fields().new_path);
    record.submit();
}

/// Hooks: LSM `path_rename(old_dir, old_dentry, new_dir, new_dentry, flags)` (with `flags` since
/// 5.19), fentry on `security_path_rename`.
#[inline(always)]
pub fn path_rename(
    old_directory: *const u8,
    old_dentry: *const u8,
    new_directory: *const u8,
    new_dentry: *const u8,
    flags: u32,
) {
    /// `RENAME_EXCHANGE`.
    const SWAP: u32 = 2;
    let Some(run) = gate::current() else { return };
    count::add(&run, |block| &raw mut block.counts.renames);
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(&run, kind::RENAME, actor) else { return };
    fill(record.fields(), old_directory, old_dentry);
    let fields = record.fields();
    fields.flags = if flags & SWAP != 0 { ATTEMPT | EXCHANGE } else { ATTEMPT };
    path::write_child(new_directory, Some(new_dentry), &mut fields.new_path);
    record.submit();
}

/// Hook: fexit on `security_path_link(old_dentry, new_dir, new_dentry)`. The kernel has checked
/// before that both names are on the same mount.
#[inline(always)]
pub fn path_link(old_dentry: *const u8, directory: *const u8, new_dentry: *const u8, result: i32) {
    let Some(run) = gate::current() else { return };
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(&run, kind::LINK, actor) else { return };
    fill(record.fields(), directory, old_dentry);
    let fields = record.fields();
    fields.error = refusal(i64::from(result));
    path::write_child(directory, Some(new_dentry), &mut fields.new_path);
    record.submit();
}

/// Hook: fexit on `security_path_symlink(dir, dentry, old_name)`.
#[inline(always)]
pub fn path_symlink(directory: *const u8, dentry: *const u8, target: *const u8, result: i32) {
    if let Some(run) = gate::current() {
        made(&run, kind::SYMLINK, (directory, dentry), target, 0, result);
    }
}

/// Hook: fexit on `security_path_mkdir(dir, dentry, mode)`.
#[inline(always)]
pub fn path_mkdir(directory: *const u8, dentry: *const u8, mode: u32, result: i32) {
    if let Some(run) = gate::current() {
        made(&run, kind::MAKE_DIRECTORY, (directory, dentry), core::ptr::null(), mode & 0xffff, result);
    }
}

/// Hook: fexit on `security_path_mknod(dir, dentry, mode, dev)`, which is also called for the file
/// that an open makes.
#[inline(always)]
pub fn path_mknod(directory: *const u8, dentry: *const u8, mode: u32, result: i32) {
    let Some(run) = gate::current() else { return };
    if is_regular(mode) && !calls_mknod() {
        return;
    }
    made(&run, kind::MAKE_NODE, (directory, dentry), core::ptr::null(), mode & 0xffff, result);
}

#[inline(always)]
fn is_regular(mode: u32) -> bool {
    matches!(mode & 0o170_000, 0 | 0o100_000)
}

/// Whether the task is in mknod(2) or mknodat(2). In the 32-bit table these numbers belong to calls
/// that make no files, and io_uring has no such operation. A 32-bit mknod of a plain file counts as
/// an open.
#[inline(always)]
fn calls_mknod() -> bool {
    const MKNOD: u64 = if cfg!(bpf_target_arch = "aarch64") { u64::MAX } else { 133 };
    const MKNODAT: u64 = if cfg!(bpf_target_arch = "aarch64") { 33 } else { 259 };
    // SAFETY: the current task is trusted; the result is only read through probe reads.
    let regs =
        unsafe { bpf_task_pt_regs(gate::current_task().cast_mut().cast::<task_struct>()) } as *const u8;
    matches!(read::<u64>(regs, o::REGS_ORIG_AX), MKNOD | MKNODAT)
}

/// `name` is a directory's `struct path` and a dentry, `text` null or a kernel string.
#[inline(always)]
fn made(run: &Run, kind: u16, name: (*const u8, *const u8), text: *const u8, mode: u32, result: i32) {
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(run, kind, actor) else { return };
    fill(record.fields(), name.0, name.1);
    let fields = record.fields();
    fields.error = refusal(i64::from(result));
    fields.mode = mode;
    path::write_none(&mut fields.new_path);
    user::write_kernel_text(text, &mut fields.argument);
    record.submit();
}

/// Hooks: fexit on `security_inode_setxattr(idmap, dentry, name, …)`,
/// `security_inode_removexattr(idmap, dentry, name)` and (6.2+; before, the same two)
/// `security_inode_set_acl` and `security_inode_remove_acl`, which have the same first arguments.
/// Their arguments include no mount.
#[inline(always)]
pub fn attribute(kind: u16, dentry: *const u8, name: *const u8, result: i32) {
    let Some(run) = gate::current() else { return };
    let actor = Actor::current(gate::current_task());
    let Some(mut record) = emit::bulk::<NameRecord>(&run, kind, actor) else { return };
    let fields = record.fields();
    fill_facts(fields, dentry);
    fields.error = refusal(i64::from(result));
    path::write_below_mount(dentry, &mut fields.path);
    path::write_none(&mut fields.new_path);
    user::write_kernel_text(name, &mut fields.argument);
    record.submit();
}

#[inline(always)]
fn fill(fields: &mut NameRecord, directory: *const u8, dentry: *const u8) {
    fill_facts(fields, dentry);
    path::write_child(directory, Some(dentry), &mut fields.path);
}

/// Fills everything but the paths.
#[inline(always)]
fn fill_facts(fields: &mut NameRecord, dentry: *const u8) {
    fields.file = file::dentry_key(dentry);
    fields.flags = ATTEMPT;
    fields.source = FROM_HOOK;
    fields.error = 0;
    fields.mode = 0;
    user::write_no_argument(&mut fields.argument);
    user::write_no_argument(&mut fields.new_argument);
}
