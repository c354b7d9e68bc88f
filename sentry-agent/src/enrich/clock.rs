//! Boot time → Unix time.

use nix::time::{ClockId, clock_gettime};

/// The distance between `CLOCK_BOOTTIME`, which the kernel stamps records with, and Unix time.
#[derive(Clone, Copy, Debug)]
pub struct BootClock {
    offset_ns: u64,
}

impl BootClock {
    /// Reads both clocks now. A later step of the wall clock is not followed: events of one sensor life stay in order.
    #[must_use]
    pub fn now() -> Self {
        Self { offset_ns: unix_ns().saturating_sub(boot_ns()) }
    }

    /// Unix time of a boot time, ns.
    #[must_use]
    pub fn unix_ns(&self, boot_ns: u64) -> u64 {
        self.offset_ns.saturating_add(boot_ns)
    }
}

/// Unix time, ns.
#[must_use]
pub fn unix_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Time since boot, suspended time included, ns: the clock of the kernel's records.
#[must_use]
pub fn boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

fn read(clock: ClockId) -> u64 {
    // Both clocks exist since 2.6.39; 0 on a kernel without them is older than any event.
    let time = clock_gettime(clock).map_or(std::time::Duration::ZERO, Into::into);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
