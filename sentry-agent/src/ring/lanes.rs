//! What was read from the rings and waits to be analysed: a queue for each run, served in turn.
//!
//! Everything here is bounded by `CAPACITY_BYTES`. A run may have as much as is left free, of bulk
//! records half of that: one flood leaves two thirds to the others, a hundred floods a hundredth. A
//! run whose queue grows beyond half of its part is *held*: the kernel leaves its bulk records out
//! and counts them as throttled, until a quarter is left. What was in the ring by then and finds no
//! room is left out here, and booked in the same way.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use sentry_common::{
    abi::{RecordHeader, ring},
    table::RunTag,
};
use zerocopy::FromBytes as _;

use super::Batch;

/// Bytes of all records that wait.
const CAPACITY_BYTES: usize = 96 << 20;
/// What a record takes beside its bytes.
const OVERHEAD_BYTES: usize = 32;
/// Records of one run that are analysed before another run has its turn.
const TURN_RECORDS: usize = 64;

/// Tells the kernel whether to leave out the bulk records of a run.
pub type Hold = Box<dyn FnMut(RunTag, bool) + Send>;

/// Some of a run's records, oldest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn {
    pub tag: RunTag,
    pub records: Batch,
    /// Records, per ring, that found no room since the run's last turn.
    pub refused: [u64; ring::COUNT],
}

/// The end that is filled. When it goes, no more records will come.
pub struct Filler(Arc<Lanes>);

impl Filler {
    #[must_use]
    pub fn new(lanes: Arc<Lanes>) -> Self {
        Self(lanes)
    }

    /// Adds records, oldest first. Never waits.
    pub fn push(&self, batch: Batch) {
        self.0.push(batch);
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.news.notify_all();
    }
}

/// The queues; one thread fills, one empties them.
pub struct Lanes {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

struct Waiting {
    lanes: HashMap<RunTag, Lane>,
    /// Every lane once, the next one first.
    order: VecDeque<RunTag>,
    bytes: usize,
    capacity: usize,
    closed: bool,
    hold: Hold,
}

#[derive(Default)]
struct Lane {
    records: VecDeque<Box<[u8]>>,
    bytes: usize,
    refused: [u64; ring::COUNT],
    held: bool,
}

impl Lanes {
    #[must_use]
    pub fn new(hold: Hold) -> Self {
        Self::with_capacity(CAPACITY_BYTES, hold)
    }

    fn with_capacity(capacity: usize, hold: Hold) -> Self {
        let waiting = Waiting {
            lanes: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            capacity,
            closed: false,
            hold,
        };
        Self { waiting: Mutex::new(waiting), news: Condvar::new() }
    }

    fn push(&self, batch: Batch) {
        let mut waiting = self.lock();
        for record in batch {
            waiting.push(record);
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// The next run's turn; waits for one. `None` when nothing is left and nothing will come.
    pub fn take(&self) -> Option<Turn> {
        let mut waiting = self.lock();
        loop {
            if let Some(turn) = waiting.take() {
                return Some(turn);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.news.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, record: Box<[u8]>) {
        let (tag, ring) = owner(&record);
        let free = self.capacity - self.bytes;
        let lane = self.lanes.entry(tag).or_insert_with(|| {
            self.order.push_back(tag);
            Lane::default()
        });
        let bytes = record.len() + OVERHEAD_BYTES;
        let most = if ring == ring::BULK { free / 2 } else { free };
        if lane.bytes + bytes > most {
            lane.refused[ring] += 1;
        } else {
            lane.bytes += bytes;
            self.bytes += bytes;
            lane.records.push_back(record);
        }
        if !lane.held && lane.bytes >= free / 4 {
            lane.held = true;
            (self.hold)(tag, true);
        }
    }

    fn take(&mut self) -> Option<Turn> {
        let tag = self.order.pop_front()?;
        let lane = self.lanes.get_mut(&tag)?;
        let records: Batch = lane.records.drain(..lane.records.len().min(TURN_RECORDS)).collect();
        let bytes = records.iter().map(|record| record.len() + OVERHEAD_BYTES).sum::<usize>();
        lane.bytes -= bytes;
        self.bytes -= bytes;
        let refused = std::mem::take(&mut lane.refused);
        if lane.held && lane.bytes <= (self.capacity - self.bytes) / 8 {
            lane.held = false;
            (self.hold)(tag, false);
        }
        if lane.records.is_empty() {
            self.lanes.remove(&tag);
        } else {
            self.order.push_back(tag);
        }
        Some(Turn { tag, records, refused })
    }
}

/// Whose a record is, and its ring. One without a header is nobody's: the analyst will refuse it.
fn owner(record: &[u8]) -> (RunTag, usize) {
    RecordHeader::read_from_prefix(record).map_or((RunTag::default(), ring::BULK), |(header, _)| {
        let ring = if header.ring as usize == ring::CRITICAL { ring::CRITICAL } else { ring::BULK };
        (RunTag { slot: header.run_slot, generation: header.run_generation }, ring)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_common::abi::SCHEMA_VERSION;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;

    type Held = Arc<Mutex<Vec<(u32, bool)>>>;

    /// Room for so many records.
    fn lanes(records: usize) -> (Lanes, Held) {
        let held = Held::default();
        let of_hold = Arc::clone(&held);
        let hold = move |tag: RunTag, on| of_hold.lock().unwrap().push((tag.slot, on));
        (Lanes::with_capacity(records * (size_of::<RecordHeader>() + OVERHEAD_BYTES), Box::new(hold)), held)
    }

    fn record(slot: u32, ring: usize, sequence: u64) -> Box<[u8]> {
        let header = RecordHeader {
            schema: SCHEMA_VERSION,
            ring: ring.try_into().unwrap(),
            run_slot: slot,
            run_generation: 1,
            sequence,
            ..RecordHeader::new_zeroed()
        };
        Box::from(header.as_bytes())
    }

    fn bulk(slot: u32, numbers: std::ops::Range<u64>) -> Batch {
        numbers.map(|number| record(slot, ring::BULK, number)).collect()
    }

    /// Slot and sequence numbers of the next turn, and what was refused of the run.
    fn next(lanes: &Lanes) -> (u32, Vec<u64>, [u64; ring::COUNT]) {
        let turn = lanes.take().unwrap();
        let headers = turn.records.iter().map(|record| RecordHeader::read_from_prefix(record).unwrap().0);
        (turn.tag.slot, headers.map(|header| header.sequence).collect(), turn.refused)
    }

    #[test]
    fn a_run_waits_for_one_turn_of_each_other_run() {
        let (lanes, _) = lanes(10_000);
        lanes.push(bulk(1, 0..200));
        lanes.push(bulk(2, 0..2));
        lanes.push(bulk(1, 200..201));
        let turns: Vec<_> = (0..5).map(|_| next(&lanes)).map(|(slot, of, _)| (slot, of)).collect();
        let part = |range: std::ops::Range<u64>| (1, range.collect::<Vec<_>>());
        assert_eq!(turns, [part(0..64), (2, vec![0, 1]), part(64..128), part(128..192), part(192..201)]);
    }

    #[test]
    fn a_flood_is_held_then_refused_and_leaves_room_for_the_others() {
        let (lanes, held) = lanes(300);
        // While n are there a bulk record needs (300 - n) / 2 for n + 1: 100 fit.
        lanes.push(bulk(1, 0..250));
        assert_eq!(*held.lock().unwrap(), [(1, true)]);
        lanes.push(vec![record(1, ring::CRITICAL, 7)]);
        lanes.push(bulk(2, 0..30));
        let (slot, records, refused) = next(&lanes);
        assert_eq!((slot, records.len(), refused), (1, 64, [0, 150]));
        assert_eq!(next(&lanes), (2, (0..30).collect(), [0, 0]));
        assert_eq!(next(&lanes), (1, (64..100).chain([7]).collect(), [0, 0]));
        assert_eq!(*held.lock().unwrap(), [(1, true), (1, false)]);
    }

    #[test]
    fn what_waits_is_bounded_however_many_runs_flood() {
        let (lanes, _) = lanes(300);
        for slot in 0..50 {
            lanes.push(bulk(slot, 0..300));
        }
        let waiting = lanes.lock();
        assert!(waiting.bytes <= waiting.capacity);
        assert!(waiting.capacity - waiting.bytes > 0, "one more run has room");
        drop(waiting);
        lanes.push((0..300).map(|number| record(9, ring::CRITICAL, number)).collect());
        let waiting = lanes.lock();
        assert!(waiting.bytes <= waiting.capacity);
    }

    #[test]
    fn what_is_left_when_it_is_closed_is_taken() {
        let lanes = Arc::new(lanes(10).0);
        let filler = Filler::new(Arc::clone(&lanes));
        filler.push(vec![Box::from([1_u8, 2])]);
        drop(filler);
        let nobodys = Turn { tag: RunTag::default(), records: vec![Box::from([1_u8, 2])], refused: [0, 0] };
        assert_eq!((lanes.take(), lanes.take()), (Some(nobodys), None));
    }
}
