//! File acts at the objects, by BPF-LSM. Tier A. Each returns the verdict of the program before it
//! (0 = allow), and so refuses nothing itself.
#![no_std]
#![no_main]

use aya_ebpf::{macros::lsm, programs::LsmContext};
use sentry_ebpf::probes::{names, open};

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[lsm(hook = "file_open")]
pub fn lsm_open(ctx: LsmContext) -> i32 {
    open::file_open(ctx.arg(0));
    ctx.arg(1)
}

#[lsm(hook = "path_unlink")]
pub fn lsm_unlink(ctx: LsmContext) -> i32 {
    names::path_unlink(ctx.arg(0), ctx.arg(1));
    ctx.arg(2)
}

#[lsm(hook = "path_rmdir")]
pub fn lsm_rmdir(ctx: LsmContext) -> i32 {
    names::path_unlink(ctx.arg(0), ctx.arg(1));
    ctx.arg(2)
}

#[lsm(hook = "path_rename")]
pub fn lsm_rename(ctx: LsmContext) -> i32 {
    names::path_rename(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4));
    ctx.arg(5)
}
