//! Parts of a life → steps. Total: any bytes are steps or an error.

use sentry_detect::run::{Counted, Usage};

use crate::{
    code::Rest,
    columns,
    error::RecordingError,
    part::Packed,
    step::{NO_ROOM, PERIOD_MS, Rare, Step, tag},
    tape::{held, holding, values},
};

const MS: u64 = 1_000_000;
/// Longest row of counters that is read.
const MOST_COLUMNS: usize = 64;
/// Highest number that is read: no run comes near it, and sums of some do not overflow.
const HIGHEST: u64 = 1 << 48;

/// Reads the parts of one life, in their order.
#[derive(Default)]
pub(crate) struct Unroll {
    /// The columns of the counters, by their places here.
    columns: Vec<Option<usize>>,
}

impl Unroll {
    /// The steps of a part.
    pub(crate) fn part(&mut self, part: &Packed) -> Result<Vec<Step>, RecordingError> {
        let plain = part.plain()?;
        let mut rest = Rest(&plain);
        let (mut ms, mut usage, mut row) = (0_u64, Usage::default(), [0; MOST_COLUMNS]);
        let mut steps = Vec::new();
        while let Some(tag) = rest.byte() {
            steps.push(match tag {
                tag::SAME | tag::SAME_LATER => {
                    ms = time_ms(ms + PERIOD_MS + u64::from(tag))?;
                    Step::Reading { now_unix_ns: ms * MS, usage, room: true }
                }
                tag::READING => {
                    let flags = rest.number()?;
                    ms = rest.difference(ms + PERIOD_MS).and_then(time_ms)?;
                    let mut values = values(&usage);
                    rest.changes(flags >> 1, &mut values)?;
                    all_bounded(&values)?;
                    let [cpu_usec, cpu_wait_usec, moved_bytes] = values;
                    usage = Usage { cpu_usec, cpu_wait_usec, moved_bytes, holds: usage.holds };
                    Step::Reading { now_unix_ns: ms * MS, usage, room: flags & NO_ROOM == 0 }
                }
                tag::COUNTED => {
                    let bits = rest.number()?;
                    rest.changes(bits, &mut row)?;
                    all_bounded(&row)?;
                    Step::Counted(self.counted(&row))
                }
                tag::EVENTS => Step::Events(rest.number()?),
                tag::UNDELIVERED => Step::Undelivered(rest.number()?),
                tag::REFUSED => Step::Refused([bounded(rest.number()?)?, bounded(rest.number()?)?]),
                tag::UNSEEN_END => Step::UnseenEnd,
                tag::FOUND => Step::Found,
                tag::DRAINED => Step::Drained,
                tag::RARE => {
                    let now_unix_ns = rest.number()?;
                    time_ms(now_unix_ns / MS)?;
                    let rare: Rare = serde_json::from_slice(rest.text()?)
                        .map_err(|source| RecordingError::Step { source })?;
                    if let Rare::Begin(begin) = &rare {
                        begin.numbers().try_for_each(|number| bounded(number).map(drop))?;
                        self.columns = begin.columns.iter().map(|name| columns::place(name)).collect();
                    }
                    Step::Rare { now_unix_ns, rare: Box::new(rare) }
                }
                tag::HOLDS => {
                    let bits = rest.number()?;
                    let mut held = held(&usage.holds);
                    rest.changes(bits, &mut held)?;
                    time_ms(held[0] / MS)?;
                    all_bounded(&held[1..])?;
                    usage.holds = holding(held);
                    continue;
                }
                tag::CUT => Step::Cut,
                _ => return Err(RecordingError::Layout { what: "an unknown step" }),
            });
        }
        Ok(steps)
    }

    fn counted(&self, row: &[u64; MOST_COLUMNS]) -> Counted {
        let mut known = [0; columns::COUNT];
        for (place, value) in self.columns.iter().zip(row) {
            if let Some(place) = *place {
                known[place] = *value;
            }
        }
        columns::counted(&known)
    }
}

fn bounded(number: u64) -> Result<u64, RecordingError> {
    if number <= HIGHEST { Ok(number) } else { Err(RecordingError::Limit { what: "a number" }) }
}

fn all_bounded(numbers: &[u64]) -> Result<(), RecordingError> {
    numbers.iter().try_for_each(|number| bounded(*number).map(drop))
}

/// A time that is one in nanoseconds, too.
fn time_ms(ms: u64) -> Result<u64, RecordingError> {
    if ms <= u64::MAX / 2 / MS { Ok(ms) } else { Err(RecordingError::Limit { what: "a time" }) }
}
