//! The clock of all records.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

/// `CLOCK_BOOTTIME`, ns. On a virtual machine it is the most expensive part of a record (32 ns):
/// read it once and pass it on.
#[inline(always)]
pub fn now_boot_ns() -> u64 {
    // SAFETY: no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}
