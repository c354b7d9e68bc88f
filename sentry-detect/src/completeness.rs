//! Is the record of a run complete? The one rule, for everybody who says that it is or is not.
//!
//! A record is complete when nothing is known to be [`Missing`]. Whoever asks states what it knows
//! in a [`Record`]; what it cannot know stays at its default, which is that nothing is missing.

use std::fmt;

/// What is known of the record of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub critical: Books,
    pub bulk: Books,
    /// The run has ended and its rings are drained: the books are final.
    pub ended: bool,
    /// Times that the sensor was away while the run lived.
    pub interruptions: u64,
    /// Acts that no record could be made of.
    pub without_record: u64,
    /// Calls of programs that the kernel left out while the run lived.
    pub skipped: u64,
    pub kept: Kept,
}

/// Records of one ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    pub generated: u64,
    pub delivered: u64,
    pub lost: u64,
    pub throttled: u64,
}

/// The records in the store that is asked: the sensor's or a collector's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Events that the store holds, where it has counted them.
    pub events: Option<u64>,
    /// Places where the store has a hole.
    pub gaps: u64,
    /// Items of the run that did not reach the store.
    pub lost: u64,
    /// Items that did not reach the store while the run lived, and whose run is not known.
    pub lost_unnamed: u64,
    /// Items that the store removed.
    pub pruned: u64,
    /// The sensor lost what it had not sent yet, while the run lived.
    pub spool_lost: bool,
}

/// Something that is missing of a record. Its text is a sentence without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Lost {
        ring: &'static str,
        records: u64,
    },
    Throttled {
        ring: &'static str,
        records: u64,
    },
    /// `generated` is not `delivered + lost + throttled`.
    BooksOpen {
        ring: &'static str,
    },
    SensorAway {
        times: u64,
    },
    WithoutRecord {
        acts: u64,
    },
    Skipped {
        calls: u64,
    },
    NotKept {
        events: u64,
    },
    Gaps {
        gaps: u64,
    },
    LostItems {
        items: u64,
    },
    LostUnnamed {
        items: u64,
    },
    Pruned {
        items: u64,
    },
    SpoolLost,
}

impl Record {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing().next().is_none()
    }

    /// What is missing, in a fixed order.
    pub fn missing(&self) -> impl Iterator<Item = Missing> + use<> {
        let Self { critical, bulk, ended, interruptions, without_record, skipped, kept } = *self;
        let some = |count: u64, missing: Missing| (count > 0).then_some(missing);
        let generated = critical.generated.saturating_add(bulk.generated);
        let ring = move |ring: &'static str, books: Books| {
            let open = ended && books.generated != books.accounted();
            [
                some(books.lost, Missing::Lost { ring, records: books.lost }),
                some(books.throttled, Missing::Throttled { ring, records: books.throttled }),
                open.then_some(Missing::BooksOpen { ring }),
            ]
        };
        let not_kept = kept.events.map_or(0, |events| generated.abs_diff(events));
        let others = [
            some(interruptions, Missing::SensorAway { times: interruptions }),
            some(without_record, Missing::WithoutRecord { acts: without_record }),
            some(skipped, Missing::Skipped { calls: skipped }),
            some(not_kept, Missing::NotKept { events: not_kept }),
            some(kept.gaps, Missing::Gaps { gaps: kept.gaps }),
            some(kept.lost, Missing::LostItems { items: kept.lost }),
            some(kept.lost_unnamed, Missing::LostUnnamed { items: kept.lost_unnamed }),
            some(kept.pruned, Missing::Pruned { items: kept.pruned }),
            kept.spool_lost.then_some(Missing::SpoolLost),
        ];
        ring("critical", critical).into_iter().chain(ring("bulk", bulk)).chain(others).flatten()
    }
}

impl Books {
    const fn accounted(&self) -> u64 {
        self.delivered.saturating_add(self.lost).saturating_add(self.throttled)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { ring, records } => write!(f, "the {ring} ring lost {records} records"),
            Self::Throttled { ring, records } => {
                write!(f, "the {ring} ring left out {records} records of a flood")
            }
            Self::BooksOpen { ring } => write!(f, "the books of the {ring} ring do not close"),
            Self::SensorAway { times } => write!(f, "the sensor was away {times} times while the run lived"),
            Self::WithoutRecord { acts } => write!(f, "{acts} acts have no record"),
            Self::Skipped { calls } => {
                write!(f, "the kernel left out {calls} calls of programs while the run lived")
            }
            Self::NotKept { events } => write!(f, "{events} events are not in the sensor's store"),
            Self::Gaps { gaps } => write!(f, "the sensor's store has {gaps} gaps"),
            Self::LostItems { items } => write!(f, "{items} items were lost between sensor and collector"),
            Self::LostUnnamed { items } => {
                write!(f, "{items} items of unknown runs were lost on this sensor meanwhile")
            }
            Self::Pruned { items } => write!(f, "{items} items were removed to keep retention_bytes"),
            Self::SpoolLost => f.write_str("the sensor lost its spool while the run lived"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Record {
        let books = Books { generated: 4, delivered: 4, lost: 0, throttled: 0 };
        Record {
            critical: books,
            bulk: books,
            ended: true,
            kept: Kept { events: Some(8), ..Kept::default() },
            ..Record::default()
        }
    }

    fn missing(record: Record) -> Vec<Missing> {
        assert_eq!(record.is_complete(), record.missing().next().is_none());
        record.missing().collect()
    }

    #[test]
    fn a_record_of_which_nothing_is_known_to_be_missing_is_complete() {
        assert_eq!(missing(whole()), []);
        assert_eq!(missing(Record::default()), []);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let lossy = Books { generated: 4, delivered: 1, lost: 2, throttled: 1 };
        let kept = whole().kept;
        let cases = [
            (
                Record { critical: lossy, ..whole() },
                vec![
                    Missing::Lost { ring: "critical", records: 2 },
                    Missing::Throttled { ring: "critical", records: 1 },
                ],
            ),
            (Record { interruptions: 1, ..whole() }, vec![Missing::SensorAway { times: 1 }]),
            (Record { without_record: 2, ..whole() }, vec![Missing::WithoutRecord { acts: 2 }]),
            (Record { skipped: 3, ..whole() }, vec![Missing::Skipped { calls: 3 }]),
            (
                Record { kept: Kept { events: Some(7), gaps: 1, ..kept }, ..whole() },
                vec![Missing::NotKept { events: 1 }, Missing::Gaps { gaps: 1 }],
            ),
            (
                Record {
                    kept: Kept { lost: 5, lost_unnamed: 6, pruned: 7, spool_lost: true, ..kept },
                    ..whole()
                },
                vec![
                    Missing::LostItems { items: 5 },
                    Missing::LostUnnamed { items: 6 },
                    Missing::Pruned { items: 7 },
                    Missing::SpoolLost,
                ],
            ),
        ];
        for (record, expected) in cases {
            assert_eq!(missing(record), expected);
        }
    }

    #[test]
    fn books_have_to_close_at_the_end_only() {
        let open = Books { generated: 4, delivered: 3, lost: 0, throttled: 0 };
        let record = Record { bulk: open, ..whole() };
        assert_eq!(missing(record), [Missing::BooksOpen { ring: "bulk" }]);
        assert_eq!(missing(Record { ended: false, ..record }), [], "the last record is under way");
    }

    #[test]
    fn numbers_at_the_end_of_their_range_do_no_harm() {
        let most = Books { generated: u64::MAX, delivered: u64::MAX, lost: u64::MAX, throttled: 0 };
        let record = Record { critical: most, bulk: most, ..whole() };
        assert!(!record.is_complete());
    }
}
