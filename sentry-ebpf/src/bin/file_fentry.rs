//! File acts at the objects, by trampolines on the security calls. Tier B.
#![no_std]
#![no_main]

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use sentry_ebpf::probes::{names, open};

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[fentry(function = "security_file_open")]
pub fn fentry_open(ctx: FEntryContext) -> i32 {
    open::file_open(ctx.arg(0));
    0
}

#[fentry(function = "security_path_unlink")]
pub fn fentry_unlink(ctx: FEntryContext) -> i32 {
    names::path_unlink(ctx.arg(0), ctx.arg(1));
    0
}

#[fentry(function = "security_path_rmdir")]
pub fn fentry_rmdir(ctx: FEntryContext) -> i32 {
    names::path_unlink(ctx.arg(0), ctx.arg(1));
    0
}

#[fentry(function = "security_path_rename")]
pub fn fentry_rename(ctx: FEntryContext) -> i32 {
    names::path_rename(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4));
    0
}
