//! The clock of all records.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

/// `CLOCK_BOOTTIME`, ns. It is the dearest part of a record on a virtual machine (32 ns): read it
/// once and hand it on.
#[inline(always)]
pub fn now_boot_ns() -> u64 {
    // SAFETY: no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}
