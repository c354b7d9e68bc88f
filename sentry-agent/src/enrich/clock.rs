//! Boot time → Unix time.

use std::sync::OnceLock;

use nix::time::{ClockId, clock_gettime};

/// The distance between `CLOCK_BOOTTIME`, which the kernel stamps records with, and Unix time.
#[derive(Clone, Copy, Debug)]
pub struct BootClock {
    offset_ns: u64,
}

impl BootClock {
    /// The clock of this sensor life: both clocks are read at the first call. A later step of the wall clock is not
    /// followed: times of one sensor life stay in order, and intervals between them are what they were. A forward step
    /// would age all runs at once, a backward one blind the detectors until the old time is reached again.
    #[must_use]
    pub fn of_this_life() -> Self {
        static CLOCK: OnceLock<BootClock> = OnceLock::new();
        *CLOCK.get_or_init(|| Self::between(read(ClockId::CLOCK_REALTIME), boot_ns()))
    }

    fn between(unix_ns: u64, boot_ns: u64) -> Self {
        Self { offset_ns: unix_ns.saturating_sub(boot_ns) }
    }

    /// Unix time of a boot time, ns.
    #[must_use]
    pub fn unix_ns(&self, boot_ns: u64) -> u64 {
        self.offset_ns.saturating_add(boot_ns)
    }
}

/// Unix time by the clock of this sensor life, ns: never goes back and never jumps.
#[must_use]
pub fn unix_ns() -> u64 {
    BootClock::of_this_life().unix_ns(boot_ns())
}

/// Unix time of a boot time by the wall clock as it stands now, ns: what the times of files are compared with.
#[must_use]
pub fn wall_ns(boot: u64) -> u64 {
    BootClock::between(read(ClockId::CLOCK_REALTIME), boot_ns()).unix_ns(boot)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_is_not_followed() {
        let clock = BootClock::between(1_000_000, 400);
        // Whatever the wall clock says by now: 100 ns are 100 ns.
        assert_eq!(clock.unix_ns(500) - clock.unix_ns(400), 100);
        assert_eq!(clock.unix_ns(400), 1_000_000);
    }

    #[test]
    fn one_life_has_one_clock() {
        let offset = BootClock::of_this_life().offset_ns;
        let (before, now, after) = (boot_ns(), unix_ns(), boot_ns());
        assert!((before..=after).contains(&(now - offset)), "read anew at each call, it would follow steps");
        assert_eq!(BootClock::of_this_life().offset_ns, offset);
    }
}
