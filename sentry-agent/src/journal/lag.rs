//! How long the oldest item has waited for the collector.
//!
//! Limits: 512 marks. Beyond that neighbours are joined, and the younger items of two are
//! taken for as old as the older ones.

use std::collections::VecDeque;

use super::{Journal, shared::Stored};

const MARKS: usize = 512;

/// Positions that are written and not acknowledged, and when they were written.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// Last position and Unix time, ns; ascending.
    marks: VecDeque<(u64, u64)>,
}

impl Lag {
    /// That of a journal as it was left.
    pub(super) fn of(journal: &Journal, unix_ns: u64) -> Self {
        let mut lag = Self::default();
        if journal.confirmed_seq() < journal.last_seq() {
            // Of earlier lives only the items themselves have times.
            lag.written(journal.last_seq(), journal.oldest_unconfirmed().unwrap_or(unix_ns));
        }
        lag
    }

    /// What is kept now, and since when the oldest item waits.
    pub(super) fn look(&mut self, journal: &Journal, unix_ns: u64) -> Stored {
        self.written(journal.last_seq(), unix_ns);
        self.acknowledged(journal.confirmed_seq());
        let (history_bytes, spool_bytes) = journal.bytes();
        Stored { history_bytes, spool_bytes, oldest_unix_ns: self.oldest() }
    }

    /// Everything up to `last` was written by `unix_ns`.
    fn written(&mut self, last: u64, unix_ns: u64) {
        if self.marks.back().is_some_and(|(known, _)| *known >= last) {
            return;
        }
        if self.marks.len() == MARKS {
            self.thin_out();
        }
        self.marks.push_back((last, unix_ns));
    }

    /// Everything up to `seq` is acknowledged.
    fn acknowledged(&mut self, seq: u64) {
        while self.marks.pop_front_if(|(last, _)| *last <= seq).is_some() {}
    }

    /// When the oldest item that is not acknowledged was written; `None` where all are.
    fn oldest(&self) -> Option<u64> {
        self.marks.front().map(|(_, unix_ns)| *unix_ns)
    }

    /// Joins each two marks: the last position of both, the time of the first.
    fn thin_out(&mut self) {
        let marks: Vec<_> = self.marks.drain(..).collect();
        let joined = marks.chunks(2).filter_map(|two| Some((two.last()?.0, two.first()?.1)));
        self.marks.extend(joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_first_that_is_not_acknowledged() {
        let mut lag = Lag::default();
        assert_eq!(lag.oldest(), None);
        lag.written(10, 100);
        lag.written(10, 150);
        lag.written(20, 200);
        assert_eq!(lag.oldest(), Some(100));
        lag.acknowledged(9);
        assert_eq!(lag.oldest(), Some(100), "position 10 was written with the others");
        lag.acknowledged(10);
        assert_eq!(lag.oldest(), Some(200));
        lag.acknowledged(20);
        assert_eq!(lag.oldest(), None);
    }

    #[test]
    fn where_there_are_many_marks_nothing_is_taken_for_younger_than_it_is() {
        let mut lag = Lag::default();
        for n in 1..=10 * MARKS as u64 {
            lag.written(n, n * 10);
            assert!(lag.marks.len() <= MARKS);
        }
        for n in 0..10 * MARKS as u64 {
            lag.acknowledged(n);
            assert!(lag.oldest().is_some_and(|oldest| oldest <= (n + 1) * 10), "{n}");
        }
        lag.acknowledged(10 * MARKS as u64);
        assert_eq!(lag.oldest(), None);
    }
}
