//! The least that an event can cost, for `cargo xtask bench`: reserves a record of the usual size,
//! writes its length, and submits it without a wake-up. The sensor never loads it.
#![no_std]
#![no_main]

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    btf_maps::{PerCpuArray, RingBuf},
    helpers::generated::bpf_get_current_pid_tgid,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use sentry_common::record::file::FileRecord;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The process whose system calls make records; set by the loader.
#[unsafe(no_mangle)]
static PROCESS: u32 = 0;

#[btf_map]
static RECORDS: RingBuf<u64, { 64 << 20 }> = RingBuf::new();

/// Records that found no room.
#[btf_map]
static LOST: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_tracepoint(function = "sys_exit")]
pub fn raw(_: BtfTracePointContext) -> i32 {
    // SAFETY: volatile, because the loader replaces the value; no preconditions of the helper.
    let (wanted, id) = unsafe { (core::ptr::read_volatile(&raw const PROCESS), bpf_get_current_pid_tgid()) };
    if (id >> 32) as u32 != wanted {
        return 0;
    }
    match RECORDS.reserve_untyped::<FileRecord>(0) {
        Some(record) => record.submit(BPF_RB_NO_WAKEUP.into()),
        None => {
            if let Some(lost) = LOST.get_ptr_mut(0) {
                // SAFETY: points to a map value of this CPU.
                unsafe { *lost += 1 };
            }
        }
    }
    0
}

// A panic handler of its own: the one in the library brings the sensor's maps along.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
