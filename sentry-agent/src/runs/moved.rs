//! Bytes that the members of a run read and wrote while it was busy.

use std::time::{Duration, Instant};

/// CPU time between two readings of the counters from which a run is busy, µs: a fiftieth of a
/// core.
const BUSY_USEC: u64 = 2_000;
/// What was moved since a look that is older than this is not counted: it may have been long before
/// the run was busy.
const STALE: Duration = Duration::from_secs(1);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Moved {
    cpu_usec: u64,
    is_asked_for: bool,
    bytes: u64,
    /// When the processes were asked last, and the sum of their numbers then.
    look: Option<(Instant, u64)>,
}

impl Moved {
    /// Takes a reading of the run's CPU time; the bytes so far.
    pub(super) fn reading(&mut self, cpu_usec: u64) -> u64 {
        let before = std::mem::replace(&mut self.cpu_usec, cpu_usec);
        self.is_asked_for |= cpu_usec.saturating_sub(before) >= BUSY_USEC;
        self.bytes
    }

    /// Whether the run was busy since the last call.
    pub(super) fn is_asked_for(&mut self) -> bool {
        std::mem::take(&mut self.is_asked_for)
    }

    /// Takes what the processes have moved in their lives.
    pub(super) fn look(&mut self, now: Instant, sum: u64) {
        if let Some((at, before)) = self.look.replace((now, sum))
            && now.saturating_duration_since(at) < STALE
        {
            // The sum shrinks if a process has ended that no one waited for.
            self.bytes += sum.saturating_sub(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_moved_between_two_near_looks_is_counted() {
        let (mut moved, start) = (Moved::default(), Instant::now());
        let mut look = |ms, sum| {
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
        let mut moved = Moved::default();
        let mut asked = |cpu_usec| {
            moved.reading(cpu_usec);
            (moved.is_asked_for(), moved.is_asked_for())
        };
        assert_eq!(asked(1_999), (false, false));
        assert_eq!(asked(3_999), (true, false));
        assert_eq!(asked(0), (false, false), "the group is gone");
    }
}
