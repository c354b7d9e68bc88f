//! The newest slices of time, as positions of a ring that tables of counts are kept in.
//!
//! A horizon is [`FULL`] slices; with the one that is still open there are [`COUNT`]. So a table
//! covers between one horizon and nine eighths of it. Time advances with the readings: an event
//! belongs to the slice that is open when it comes, and within a slice order means nothing.

/// Closed slices that make the horizon.
pub(crate) const FULL: u64 = 8;
/// Positions of the ring.
pub(crate) const COUNT: usize = FULL as usize + 1;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    length_ns: u64,
    /// Number of the open slice since 1970.
    open: u64,
}

impl Slices {
    pub(crate) fn new(horizon_ns: u64, now_unix_ns: u64) -> Self {
        let length_ns = (horizon_ns / FULL).max(1);
        Self { length_ns, open: now_unix_ns / length_ns }
    }

    /// Position of the open slice.
    pub(crate) fn position(&self) -> usize {
        (self.open % COUNT as u64) as usize
    }

    /// Opens the slice of `now_unix_ns` and returns the positions that have to be emptied for it.
    /// Never goes back.
    pub(crate) fn advance(&mut self, now_unix_ns: u64) -> impl Iterator<Item = usize> + use<> {
        let to = (now_unix_ns / self.length_ns).max(self.open);
        // More steps than positions would empty the same ones twice.
        let from = self.open.max(to.saturating_sub(COUNT as u64));
        self.open = to;
        (from..to).map(|slice| ((slice + 1) % COUNT as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_empties_one_position_and_a_jump_empties_each_once() {
        let mut slices = Slices::new(800, 0);
        assert_eq!(slices.advance(99).count(), 0);
        assert_eq!(slices.advance(100).collect::<Vec<_>>(), [1]);
        assert_eq!(slices.advance(299).collect::<Vec<_>>(), [2]);
        let mut all: Vec<_> = slices.advance(1_000_000).collect();
        all.sort_unstable();
        assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
        assert_eq!(slices.advance(5).count(), 0, "time went back");
    }
}
