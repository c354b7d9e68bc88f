//! Windows over counter readings: what was added between two of them.
//!
//! Readings come about every 100 ms, but any spacing will do; one that is not later than the newest
//! is refused. At most [`CAPACITY`] are kept, of each what windows are made of: readings closer
//! together than a part of the longest horizon (`PARTS`) are merged, the newest always stands. So
//! a horizon is met to within one such part, whatever the rate of readings.

use std::collections::VecDeque;

use super::counters::Counters;

/// Most readings kept.
pub const CAPACITY: usize = 48;
/// Parts that the longest horizon is resolved into. Below [`CAPACITY`], for the reading just behind
/// the horizon, the newest, and the one that the newest replaces.
const PARTS: u64 = 44;

/// What a run did from one reading to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start_unix_ns: u64,
    /// Always after the start.
    pub end_unix_ns: u64,
    /// What was added in between, of what rules count.
    pub added: Counters,
}

impl Window {
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.end_unix_ns.saturating_sub(self.start_unix_ns).max(1) as f64 / 1e9
    }

    /// A count of this window per second.
    #[must_use]
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds()
    }

    /// CPU time had, per time: cores used on average. Time waited for a CPU is not in it: who waits
    /// takes nothing from anybody, and on a busy host all that is ready waits, however well it
    /// works.
    #[must_use]
    pub fn cores(&self) -> f64 {
        self.added.cpu_usec as f64 / 1e6 / self.seconds()
    }
}

/// The newest readings of a run.
#[derive(Debug)]
pub struct Readings {
    kept: VecDeque<Reading>,
    newest: Counters,
    longest_ns: u64,
}

impl Readings {
    /// Keeps what windows of up to `longest_ns` need.
    #[must_use]
    pub fn new(longest_ns: u64) -> Self {
        Self { kept: VecDeque::with_capacity(CAPACITY), newest: Counters::default(), longest_ns }
    }

    /// Takes a reading; false when it is not later than the newest, and then it changes nothing.
    pub fn push(&mut self, now_unix_ns: u64, counters: Counters) -> bool {
        if self.kept.back().is_some_and(|newest| now_unix_ns <= newest.unix_ns) {
            return false;
        }
        let mut newest_first = self.kept.iter().rev();
        if let (Some(newest), Some(before)) = (newest_first.next(), newest_first.next())
            && newest.age_of(before) < self.longest_ns / PARTS
        {
            self.kept.pop_back();
        }
        let out_of_reach = |second: &Reading| now_unix_ns.saturating_sub(second.unix_ns) >= self.longest_ns;
        while self.kept.len() == CAPACITY || self.kept.get(1).is_some_and(out_of_reach) {
            self.kept.pop_front();
        }
        self.kept.push_back(Reading { unix_ns: now_unix_ns, counters: Kept::of(&counters) });
        self.newest = counters;
        true
    }

    /// Forgets all; the next reading is a new origin.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// What the newest reading has.
    #[must_use]
    pub fn newest(&self) -> Option<&Counters> {
        (!self.kept.is_empty()).then_some(&self.newest)
    }

    /// The window from the youngest reading that is at least `horizon_ns` old, or `None` while
    /// there is none so old.
    #[must_use]
    pub fn covering(&self, horizon_ns: u64) -> Option<Window> {
        let newest = self.kept.back()?;
        let first = self.kept.iter().rev().find(|reading| newest.age_of(reading) >= horizon_ns.max(1))?;
        Some(first.until(newest))
    }

    /// The window from the oldest reading that is at most `horizon_ns` old. Where no reading is
    /// that young (they came late), the window since the one before the newest.
    #[must_use]
    pub fn within(&self, horizon_ns: u64) -> Option<Window> {
        let newest = self.kept.back()?;
        let earlier = self.kept.len() - 1;
        let first = (self.kept.iter().take(earlier))
            .find(|reading| newest.age_of(reading) <= horizon_ns)
            .or_else(|| self.kept.get(earlier.checked_sub(1)?))?;
        Some(first.until(newest))
    }

    /// The windows between neighbouring readings from `start_unix_ns` on, oldest first.
    pub fn steps(&self, start_unix_ns: u64) -> impl Iterator<Item = Window> {
        (self.kept.iter().zip(self.kept.iter().skip(1)))
            .filter(move |(earlier, _)| earlier.unix_ns >= start_unix_ns)
            .map(|(earlier, later)| earlier.until(later))
    }
}

#[derive(Debug)]
struct Reading {
    unix_ns: u64,
    counters: Kept,
}

macro_rules! kept {
    ($($counter:ident,)+) => {
        /// The counters that windows are made of.
        #[derive(Clone, Copy, Debug)]
        struct Kept {
            $($counter: u64,)+
        }

        impl Kept {
            fn of(counters: &Counters) -> Self {
                Self { $($counter: counters.$counter,)+ }
            }

            /// What was added since an earlier one; the others are zero.
            fn since(&self, earlier: &Self) -> Counters {
                Counters {
                    $($counter: self.$counter.saturating_sub(earlier.$counter),)+
                    ..Counters::default()
                }
            }
        }
    };
}
kept! {
    processes_born, processes_ended, execs, connects, sends, opens, opens_for_write, unlinks, renames,
    cpu_usec, cpu_wait_usec, moved_bytes,
}

impl Reading {
    fn age_of(&self, earlier: &Self) -> u64 {
        self.unix_ns.saturating_sub(earlier.unix_ns)
    }

    fn until(&self, later: &Self) -> Window {
        Window {
            start_unix_ns: self.unix_ns,
            end_unix_ns: later.unix_ns,
            added: later.counters.since(&self.counters),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn execs(execs: u64) -> Counters {
        Counters { execs, ..Counters::default() }
    }

    #[test]
    fn one_reading_makes_no_window() {
        let mut readings = Readings::new(1000 * MS);
        assert!(readings.push(5, execs(9)));
        assert_eq!(readings.covering(0), None);
        assert_eq!(readings.within(1000 * MS), None);
        assert_eq!(readings.steps(0).count(), 0);
    }

    #[test]
    fn horizons_pick_the_nearest_reading() {
        let mut readings = Readings::new(1000 * MS);
        for n in 0..=20 {
            assert!(readings.push(n * 100 * MS, execs(n * 7)));
        }
        let covering = readings.covering(350 * MS).unwrap();
        assert_eq!((covering.start_unix_ns, covering.added.execs), (1600 * MS, 28));
        let within = readings.within(350 * MS).unwrap();
        assert_eq!((within.start_unix_ns, within.added.execs), (1700 * MS, 21));
        assert_eq!(readings.covering(1001 * MS), None);
        assert_eq!(readings.steps(1700 * MS).map(|step| step.added.execs).collect::<Vec<_>>(), [7, 7, 7]);
    }

    #[test]
    fn a_late_reading_still_makes_a_window() {
        let mut readings = Readings::new(1000 * MS);
        readings.push(0, execs(0));
        readings.push(8000 * MS, execs(80));
        assert_eq!(readings.within(100 * MS).unwrap().per_second(80), 10.0);
    }

    #[test]
    fn time_and_counters_that_go_back_add_nothing() {
        let mut readings = Readings::new(1000 * MS);
        readings.push(100, execs(50));
        assert!(!readings.push(100, execs(60)) && !readings.push(99, execs(60)));
        readings.push(200, execs(40));
        assert_eq!(readings.within(1000).unwrap().added, Counters::default());
    }

    proptest! {
        #[test]
        fn any_spacing_meets_the_horizon_in_bounded_room(
            spacings_ns in prop::collection::vec(1..900 * MS, 2..400),
            horizon_ns in 500 * MS..5000 * MS,
        ) {
            let longest = 5000 * MS;
            let mut readings = Readings::new(longest);
            let (mut now, mut total) = (0, 0);
            let mut pushed = Vec::new();
            for spacing in spacings_ns {
                now += spacing;
                total += 3;
                prop_assert!(readings.push(now, execs(total)));
                pushed.push((now, total));
                prop_assert!(readings.kept.len() <= CAPACITY);
                if let Some(window) = readings.covering(horizon_ns) {
                    prop_assert!(window.end_unix_ns - window.start_unix_ns >= horizon_ns);
                    let start = pushed.iter().find(|(at, _)| *at == window.start_unix_ns).unwrap();
                    prop_assert_eq!(window.added.execs, total - start.1);
                    // No reading between the chosen one and the horizon, give or take one part.
                    let edge = now - horizon_ns;
                    let best = pushed.iter().rev().find(|(at, _)| *at <= edge).unwrap();
                    prop_assert!(best.0 - window.start_unix_ns <= longest / PARTS + 1);
                } else {
                    prop_assert!(now - pushed[0].0 < horizon_ns + longest / PARTS);
                }
                let steps: u64 = readings.steps(0).map(|step| step.added.execs).sum();
                prop_assert_eq!(steps, total - readings.kept[0].counters.execs);
            }
        }
    }
}
