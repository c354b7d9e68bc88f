//! The kernel's counters of a run as a row of numbers, each with a name: a recording of a version
//! that has other counters is read by the names that both know.

use sentry_common::counter::Counts;
use sentry_detect::run::{Counted, RINGS, RingBooks};

/// Name, and where it is.
type Column = (&'static str, fn(&mut Counted) -> &mut u64);

macro_rules! columns {
    (
        reported { $($(#[$reported_doc:meta])+ $reported:ident,)+ }
        kept { $($(#[$kept_doc:meta])+ $kept:ident,)+ }
    ) => {
        const COLUMNS: &[Column] = &[
            $((stringify!($reported), |counted| &mut counted.counts.$reported),)+
            $((stringify!($kept), |counted| &mut counted.counts.$kept),)+
            ("generated_critical", |counted| &mut counted.rings[0].generated),
            ("lost_critical", |counted| &mut counted.rings[0].lost),
            ("throttled_critical", |counted| &mut counted.rings[0].throttled),
            ("generated_bulk", |counted| &mut counted.rings[1].generated),
            ("lost_bulk", |counted| &mut counted.rings[1].lost),
            ("throttled_bulk", |counted| &mut counted.rings[1].throttled),
        ];

        /// By name.
        pub(crate) fn by_name(counts: &Counts) -> Vec<(String, u64)> {
            let Counts { $($reported,)+ $($kept,)+ } = *counts;
            vec![
                $((stringify!($reported).to_owned(), $reported),)+
                $((stringify!($kept).to_owned(), $kept),)+
            ]
        }
    };
}
sentry_common::counters!(columns);

/// How many there are.
pub(crate) const COUNT: usize = COLUMNS.len();

/// A change of each is a bit of a number.
const _: () = assert!(COUNT <= 64 && RINGS == 2);

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(name, _)| *name)
}

/// The number of a column.
pub(crate) fn place(name: &str) -> Option<usize> {
    COLUMNS.iter().position(|(known, _)| *known == name)
}

pub(crate) fn row(counted: &Counted) -> [u64; COUNT] {
    // What is delivered is not among the kernel's numbers.
    let Counted { counts, rings } = *counted;
    let rings = rings.map(|RingBooks { generated, delivered: _, lost, throttled }| RingBooks {
        generated,
        delivered: 0,
        lost,
        throttled,
    });
    let mut counted = Counted { counts, rings };
    std::array::from_fn(|place| *COLUMNS[place].1(&mut counted))
}

pub(crate) fn counted(row: &[u64; COUNT]) -> Counted {
    let mut counted = Counted::default();
    for ((_, column), value) in COLUMNS.iter().zip(row) {
        *column(&mut counted) = *value;
    }
    counted
}

/// Counters by name; one that is not known here is left out.
pub(crate) fn counts(named: &[(String, u64)]) -> Counts {
    let mut counted = Counted::default();
    for (name, value) in named {
        if let Some(place) = place(name) {
            *COLUMNS[place].1(&mut counted) = *value;
        }
    }
    counted.counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_column_of_its_own() {
        let row_of = std::array::from_fn(|place| place as u64 + 1);
        assert_eq!(row(&counted(&row_of)), row_of);
        assert_eq!(counts(&by_name(&counted(&row_of).counts)), counted(&row_of).counts);
        assert!(names().enumerate().all(|(number, name)| place(name) == Some(number)));
    }
}
