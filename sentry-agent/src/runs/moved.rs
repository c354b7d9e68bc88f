//! Bytes that the members of a run read and wrote while it was busy.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// CPU time between two readings of the counters from which a run is busy, µs: a fiftieth of a
/// core.
const BUSY_USEC: u64 = 2_000;
/// What was moved since a look that is older than this is not counted: it may have been long before
/// the run was busy.
const STALE: Duration = Duration::from_secs(1);

/// Shared between who reads the counters and who asks the processes.
#[derive(Debug, Default)]
pub struct Moved {
    cpu_usec: AtomicU64,
    is_asked_for: AtomicBool,
    bytes: AtomicU64,
    /// When the processes were asked last, and the sum of their numbers then.
    look: Mutex<Option<(Instant, u64)>>,
}

impl Moved {
    /// Takes a reading of the run's CPU time; the bytes so far.
    pub fn reading(&self, cpu_usec: u64) -> u64 {
        let before = self.cpu_usec.swap(cpu_usec, Ordering::Relaxed);
        if cpu_usec.saturating_sub(before) >= BUSY_USEC {
            self.is_asked_for.store(true, Ordering::Relaxed);
        }
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the run was busy since the last call.
    pub fn is_asked_for(&self) -> bool {
        self.is_asked_for.swap(false, Ordering::Relaxed)
    }

    /// Takes what the processes have moved in their lives.
    pub fn look(&self, now: Instant, sum: u64) {
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, before)) = look.replace((now, sum))
            && now.saturating_duration_since(at) < STALE
        {
            // It goes back where a process ended that nobody waited for.
            self.bytes.fetch_add(sum.saturating_sub(before), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_moved_between_two_near_looks_is_counted() {
        let (moved, start) = (Moved::default(), Instant::now());
        let look = |ms, sum| {
            moved.look(start + Duration::from_millis(ms), sum);
            moved.reading(0)
        };
        assert_eq!(look(0, 5_000), 0, "before the run was busy");
        assert_eq!(look(100, 5_700), 700);
        assert_eq!(look(200, 100), 700, "a process ended");
        assert_eq!(look(300, 150), 750);
        assert_eq!(look(1300, 9_999), 750, "it was not busy for a while");
        assert_eq!(look(1400, 10_000), 751);
    }

    #[test]
    fn a_run_is_asked_for_once_after_each_busy_reading() {
        let moved = Moved::default();
        let asked = |cpu_usec| {
            moved.reading(cpu_usec);
            (moved.is_asked_for(), moved.is_asked_for())
        };
        assert_eq!(asked(1_999), (false, false));
        assert_eq!(asked(3_999), (true, false));
        assert_eq!(asked(0), (false, false), "the group is gone");
    }
}
