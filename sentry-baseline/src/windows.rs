//! A run's counters, folded to windows of one length. A window in which nothing was counted is one
//! too, as long as the run lives; the window that is under way is in none.

use crate::rate::Counts;

/// Most windows that one reading closes: a machine that slept for longer did nothing meanwhile.
const MOST_AT_ONCE: u64 = 360;

/// Windows that a reading has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// In each of them.
    pub counts: Counts,
    /// How many. More than one where readings come later than a window is long: what was counted
    /// is then shared out evenly.
    pub windows: u32,
    pub began_unix_ns: u64,
    pub ended_unix_ns: u64,
}

/// The windows of one run.
#[derive(Clone, Debug)]
pub struct Windows {
    length_ns: u64,
    began_unix_ns: u64,
    /// What the counters held then.
    at_begin: Counts,
    closed: bool,
}

impl Windows {
    /// `total`: the counters, at `now_unix_ns`. What they hold by then is in no window.
    #[must_use]
    pub fn new(length_ns: u64, now_unix_ns: u64, total: Counts) -> Self {
        Self { length_ns: length_ns.max(1), began_unix_ns: now_unix_ns, at_begin: total, closed: false }
    }

    /// What was counted in the window that is under way, and since when it is.
    #[must_use]
    pub fn under_way(&self, total: &Counts) -> (Counts, u64) {
        // A counter that went back counts as unchanged.
        let counts = std::array::from_fn(|rate| total[rate].saturating_sub(self.at_begin[rate]));
        (counts, self.began_unix_ns)
    }

    /// Takes a reading; the windows that it closes.
    pub fn reading(&mut self, now_unix_ns: u64, total: &Counts) -> Option<Closed> {
        let passed = now_unix_ns.saturating_sub(self.began_unix_ns) / self.length_ns;
        (passed > 0).then(|| self.close(passed.min(MOST_AT_ONCE), now_unix_ns, total))
    }

    /// The run is over: its last window counts where it was at least half as long as the others, or
    /// where there is no other.
    pub fn end(&mut self, now_unix_ns: u64, total: &Counts) -> Option<Closed> {
        let lasted = now_unix_ns.saturating_sub(self.began_unix_ns);
        let counts = !self.closed || lasted >= self.length_ns.div_ceil(2);
        counts.then(|| self.close((lasted / self.length_ns).clamp(1, MOST_AT_ONCE), now_unix_ns, total))
    }

    fn close(&mut self, windows: u64, now_unix_ns: u64, total: &Counts) -> Closed {
        let (counts, began_unix_ns) = self.under_way(total);
        self.began_unix_ns = now_unix_ns;
        self.at_begin = *total;
        self.closed = true;
        let counts = counts.map(|count| count.div_ceil(windows));
        Closed { counts, windows: windows as u32, began_unix_ns, ended_unix_ns: now_unix_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(execs: u64) -> Counts {
        let mut counts = Counts::default();
        counts[1] = execs;
        counts
    }

    fn closed(execs: u64, windows: u32, began_unix_ns: u64, ended_unix_ns: u64) -> Option<Closed> {
        Some(Closed { counts: total(execs), windows, began_unix_ns, ended_unix_ns })
    }

    #[test]
    fn idle_windows_count_and_the_one_under_way_does_not() {
        let mut run = Windows::new(10, 100, total(7));
        assert_eq!(run.reading(109, &total(9)), None);
        assert_eq!(run.under_way(&total(9)), (total(2), 100));
        assert_eq!(run.reading(110, &total(9)), closed(2, 1, 100, 110));
        assert_eq!(run.reading(120, &total(9)), closed(0, 1, 110, 120));
        assert_eq!(run.under_way(&total(9)), (total(0), 120));
    }

    #[test]
    fn a_late_reading_is_shared_out() {
        let mut run = Windows::new(10, 0, total(0));
        assert_eq!(run.reading(35, &total(30)), closed(10, 3, 0, 35));
        assert_eq!(run.reading(u64::MAX, &total(30)).map(|closed| closed.windows), Some(MOST_AT_ONCE as u32));
    }

    #[test]
    fn a_short_last_window_counts_only_alone() {
        let mut short = Windows::new(10, 0, total(0));
        assert_eq!(short.end(3, &total(5)), closed(5, 1, 0, 3));
        let mut run = Windows::new(10, 0, total(0));
        assert!(run.reading(10, &total(5)).is_some());
        assert_eq!(run.clone().end(14, &total(6)), None);
        assert_eq!(run.end(15, &total(6)), closed(1, 1, 10, 15));
    }
}
