//! What is done to files beside opening, unlinking and renaming them, and execs that fail. Tiers A
//! and B.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use sentry_common::kind;
use sentry_ebpf::probes::{exec, exec_failed, file_acts, names};

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[fexit(function = "security_path_link")]
pub fn link(ctx: FExitContext) -> i32 {
    names::path_link(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "security_path_symlink")]
pub fn symlink(ctx: FExitContext) -> i32 {
    names::path_symlink(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "security_path_mkdir")]
pub fn make_directory(ctx: FExitContext) -> i32 {
    names::path_mkdir(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "security_path_mknod")]
pub fn make_node(ctx: FExitContext) -> i32 {
    names::path_mknod(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(4));
    0
}

#[fexit(function = "security_path_truncate")]
pub fn truncate(ctx: FExitContext) -> i32 {
    file_acts::path_truncate(ctx.arg(0), ctx.arg(1));
    0
}

#[fexit(function = "security_file_truncate")]
pub fn truncate_open(ctx: FExitContext) -> i32 {
    file_acts::file_truncate(ctx.arg(0), ctx.arg(1));
    0
}

#[fexit(function = "security_path_chmod")]
pub fn change_mode(ctx: FExitContext) -> i32 {
    file_acts::path_chmod(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

#[fexit(function = "security_path_chown")]
pub fn change_owner(ctx: FExitContext) -> i32 {
    file_acts::path_chown(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "security_inode_setxattr")]
pub fn set_attribute(ctx: FExitContext) -> i32 {
    names::attribute(kind::XATTR_SET, ctx.arg(1), ctx.arg(2), ctx.arg(6));
    0
}

#[fexit(function = "security_inode_set_acl")]
pub fn set_acl(ctx: FExitContext) -> i32 {
    names::attribute(kind::XATTR_SET, ctx.arg(1), ctx.arg(2), ctx.arg(4));
    0
}

#[fexit(function = "security_inode_removexattr")]
pub fn remove_attribute(ctx: FExitContext) -> i32 {
    names::attribute(kind::XATTR_REMOVE, ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "security_inode_remove_acl")]
pub fn remove_acl(ctx: FExitContext) -> i32 {
    names::attribute(kind::XATTR_REMOVE, ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "security_mmap_file")]
pub fn map(ctx: FExitContext) -> i32 {
    file_acts::mmap_file(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "security_file_mprotect")]
pub fn protect(ctx: FExitContext) -> i32 {
    file_acts::file_mprotect(ctx.arg(0), ctx.arg(2), ctx.arg(3));
    0
}

#[fexit(function = "vfs_copy_file_range")]
pub fn copy(ctx: FExitContext) -> i32 {
    file_acts::copy_file_range(ctx.arg(2), ctx.arg(4), ctx.arg(6));
    0
}

#[fexit(function = "vfs_clone_file_range")]
pub fn clone(ctx: FExitContext) -> i32 {
    file_acts::copy_file_range(ctx.arg(2), ctx.arg(4), ctx.arg(6));
    0
}

#[fexit(function = "vfs_fallocate")]
pub fn allocate(ctx: FExitContext) -> i32 {
    file_acts::fallocate(ctx.arg(0), ctx.arg(1), ctx.arg(4));
    0
}

#[fentry(function = "__fput")]
pub fn last_close(ctx: FEntryContext) -> i32 {
    file_acts::last_close(ctx.arg(0));
    0
}

#[fexit(function = "security_bprm_check")]
pub fn script(ctx: FExitContext) -> i32 {
    exec::bprm_check(ctx.arg(0));
    0
}

#[fexit(function = "__x64_sys_execve")]
pub fn exec_failed(ctx: FExitContext) -> i32 {
    exec_failed::execve(ctx.arg(0), ctx.arg(1));
    0
}

#[fexit(function = "__x64_sys_execveat")]
pub fn exec_at_failed(ctx: FExitContext) -> i32 {
    exec_failed::execveat(ctx.arg(0), ctx.arg(1));
    0
}

#[fexit(function = "__ia32_compat_sys_execve")]
pub fn compat_exec_failed(ctx: FExitContext) -> i32 {
    exec_failed::compat_execve(ctx.arg(0), ctx.arg(1));
    0
}

#[fexit(function = "__ia32_compat_sys_execveat")]
pub fn compat_exec_at_failed(ctx: FExitContext) -> i32 {
    exec_failed::compat_execveat(ctx.arg(0), ctx.arg(1));
    0
}
