//! The time, as a value: real, or one that a test moves.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};

/// The source of a [`Clock`]'s time.
pub trait Time: Send + Sync {
    /// A point in time to measure durations from; suspended time does not count.
    fn now(&self) -> Instant;

    /// Time since boot, suspended time included, ns: the clock of the kernel's records.
    fn boot_ns(&self) -> u64;

    /// Time of day, ns since 1970. It can be set backward or forward.
    fn wall_ns(&self) -> u64;

    /// Returns after at least this long.
    fn sleep(&self, time: Duration);
}

/// The clock of one sensor life. All copies show the same time.
#[derive(Clone)]
pub struct Clock {
    time: Arc<dyn Time>,
    /// Unix time minus time since boot, when the clock was made. Later steps of the wall clock are
    /// ignored, so that times of one sensor life keep their order and distances. Otherwise a
    /// forward step would age all runs at once, and a backward step would blind the detectors until
    /// the old time is reached again.
    offset_ns: u64,
}

impl Clock {
    #[must_use]
    pub fn new(time: Arc<dyn Time>) -> Self {
        let offset_ns = time.wall_ns().saturating_sub(time.boot_ns());
        Self { time, offset_ns }
    }

    /// The clock of this machine, fixed at the first call, so that all times of this process agree.
    #[must_use]
    pub fn real() -> Self {
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        CLOCK.get_or_init(|| Self::new(Arc::new(OfTheMachine))).clone()
    }

    /// A point in time to measure durations from.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.time.now()
    }

    /// Time since `before`; zero if that is in the future.
    #[must_use]
    pub fn since(&self, before: Instant) -> Duration {
        self.now().saturating_duration_since(before)
    }

    /// Time since boot, ns.
    #[must_use]
    pub fn boot_ns(&self) -> u64 {
        self.time.boot_ns()
    }

    /// Unix time, ns: never goes back and never jumps.
    #[must_use]
    pub fn unix_ns(&self) -> u64 {
        self.unix_ns_of(self.boot_ns())
    }

    /// Unix time of a time since boot, ns.
    #[must_use]
    pub fn unix_ns_of(&self, boot_ns: u64) -> u64 {
        self.offset_ns.saturating_add(boot_ns)
    }

    /// Time of day by the wall clock now, ns since 1970.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        self.time.wall_ns()
    }

    /// Unix time of a time since boot, by the wall clock now, ns: for comparison with the times of
    /// files.
    #[must_use]
    pub fn wall_ns_of(&self, boot_ns: u64) -> u64 {
        self.time.wall_ns().saturating_sub(self.boot_ns()).saturating_add(boot_ns)
    }

    /// Waits for at least this long.
    pub fn sleep(&self, time: Duration) {
        self.time.sleep(time);
    }

    /// Waits until then; returns at once if that has passed.
    pub fn sleep_until(&self, then: Instant) {
        let left = then.saturating_duration_since(self.now());
        if !left.is_zero() {
            self.sleep(left);
        }
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").field("unix_ns", &self.unix_ns()).finish_non_exhaustive()
    }
}

struct OfTheMachine;

impl Time for OfTheMachine {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn boot_ns(&self) -> u64 {
        read(ClockId::CLOCK_BOOTTIME)
    }

    fn wall_ns(&self) -> u64 {
        read(ClockId::CLOCK_REALTIME)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

fn read(clock: ClockId) -> u64 {
    // Both clocks exist since 2.6.39; 0 on a kernel without them is older than any event.
    let time = clock_gettime(clock).map_or(Duration::ZERO, Into::into);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Set {
        boot: AtomicU64,
        wall: AtomicU64,
    }

    impl Time for Set {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn boot_ns(&self) -> u64 {
            self.boot.load(Ordering::Relaxed)
        }

        fn wall_ns(&self) -> u64 {
            self.wall.load(Ordering::Relaxed)
        }

        fn sleep(&self, _time: Duration) {}
    }

    #[test]
    fn a_step_of_the_wall_clock_is_not_followed() {
        let time = Arc::new(Set { boot: AtomicU64::new(400), wall: AtomicU64::new(1_000_000) });
        let clock = Clock::new(Arc::clone(&time) as Arc<dyn Time>);
        time.wall.store(5, Ordering::Relaxed);
        time.boot.store(500, Ordering::Relaxed);
        assert_eq!(clock.unix_ns(), 1_000_100);
        assert_eq!(clock.unix_ns_of(400), 1_000_000);
        assert_eq!(clock.wall_ns_of(500), 500, "the wall clock lies before the boot: no time is added");
    }

    #[test]
    fn the_machines_clocks_advance() {
        let clock = Clock::real();
        let (boot, unix, now) = (clock.boot_ns(), clock.unix_ns(), clock.now());
        clock.sleep_until(now + Duration::from_millis(2));
        assert!(clock.since(now) >= Duration::from_millis(2));
        assert!(clock.boot_ns() > boot && clock.unix_ns() > unix);
    }
}
