//! Records that were read from the rings and wait for analysis: one queue per run, served in turn.
//!
//! Everything here is bounded by `CAPACITY_BYTES`. A run's queue may grow as large as the room that
//! is left free, in bulk records half of that: one flood leaves two thirds to the others, a hundred
//! floods a hundredth. A run whose queue exceeds half of its part is *held*: the kernel leaves out
//! its bulk records and counts them as throttled, until the queue is down to a quarter. Records
//! that were in the ring by then and find no room are left out here and counted in the same way.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use sentry_common::{abi::ring, table::RunTag};

use super::Batch;
use crate::decode::Raw;

/// Most bytes of all waiting records.
const CAPACITY_BYTES: usize = 96 << 20;
/// Bytes that a record takes beyond its own size, for the allocator.
const OVERHEAD_BYTES: usize = 16;
/// Most records of one run that are analysed before the next run's turn.
pub const TURN_RECORDS: usize = 64;

/// Asks the kernel to leave out the bulk records of a run, or to write them again.
pub type Hold = Box<dyn FnMut(RunTag, bool) + Send>;

/// Some of a run's records, oldest first.
pub struct Turn {
    pub tag: RunTag,
    pub records: Batch,
    /// Records, per ring, that found no room since the run's last turn.
    pub refused: [u64; ring::COUNT],
}

/// The end that is filled. Dropping it ends the stream of records.
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
    /// Runs with waiting records, each once, the next one first.
    order: VecDeque<RunTag>,
    bytes: usize,
    capacity: usize,
    closed: bool,
    hold: Hold,
}

#[derive(Default)]
struct Lane {
    records: VecDeque<Raw>,
    bytes: usize,
    refused: [u64; ring::COUNT],
    held: bool,
    /// The run gets no turn until then.
    parked: Option<Until>,
}

/// When a parked run gets its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When more of its records have come.
    More,
    /// When [`Lanes::release`] is called.
    Released,
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

    /// Waits for the next turn of a run. `None` when nothing waits and nothing more will come.
    pub fn take(&self) -> Option<Turn> {
        let mut waiting = self.lock();
        loop {
            if let Some(turn) = waiting.take() {
                return Some(turn);
            }
            if waiting.closed {
                return None;
            }
            self.news.wait(&mut waiting);
        }
    }

    /// Puts the records of a turn back, before those that have come since. The run gets no turn
    /// until `until`.
    pub fn park(&self, turn: Turn, until: Until) {
        self.lock().park(turn, until);
    }

    /// Ends the parking of a run.
    pub fn release(&self, tag: RunTag) {
        let mut waiting = self.lock();
        if waiting.lanes.get_mut(&tag).is_some_and(|lane| lane.parked.take().is_some()) {
            waiting.order.push_back(tag);
            drop(waiting);
            self.news.notify_one();
        }
    }

    /// Maps the waiting records of a run by `of`, oldest first.
    pub fn look_through<T>(&self, tag: RunTag, of: impl FnMut(&Raw) -> Option<T>) -> Vec<T> {
        let waiting = self.lock();
        let lane = waiting.lanes.get(&tag);
        lane.into_iter().flat_map(|lane| &lane.records).filter_map(of).collect()
    }

    /// Drops the waiting records of a run. Returns their number.
    pub fn discard(&self, tag: RunTag) -> usize {
        self.lock().discard(tag)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

impl Waiting {
    fn push(&mut self, record: Raw) {
        let (tag, ring) = (record.tag(), record.ring());
        let free = self.capacity.saturating_sub(self.bytes);
        let lane = self.lanes.entry(tag).or_insert_with(|| {
            self.order.push_back(tag);
            Lane::default()
        });
        if lane.parked == Some(Until::More) {
            lane.parked = None;
            self.order.push_back(tag);
        }
        let bytes = cost(&record);
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

    fn park(&mut self, turn: Turn, until: Until) {
        let Turn { tag, records, refused } = turn;
        let lane = self.lanes.entry(tag).or_default();
        // More records have come since the turn was taken, so the wait is over.
        let parked = until == Until::Released || lane.records.is_empty();
        let bytes = records.iter().map(cost).sum::<usize>();
        lane.bytes += bytes;
        self.bytes += bytes;
        for record in records.into_iter().rev() {
            lane.records.push_front(record);
        }
        for (sum, refused) in lane.refused.iter_mut().zip(refused) {
            *sum += refused;
        }
        if parked {
            lane.parked = Some(until);
            self.order.retain(|other| *other != tag);
        }
    }

    fn discard(&mut self, tag: RunTag) -> usize {
        let Some(lane) = self.lanes.remove(&tag) else { return 0 };
        self.order.retain(|other| *other != tag);
        self.bytes -= lane.bytes;
        if lane.held {
            (self.hold)(tag, false);
        }
        lane.records.len()
    }

    fn take(&mut self) -> Option<Turn> {
        let tag = self.order.pop_front()?;
        let lane = self.lanes.get_mut(&tag)?;
        let records: Batch = lane.records.drain(..lane.records.len().min(TURN_RECORDS)).collect();
        let bytes = records.iter().map(cost).sum::<usize>();
        lane.bytes -= bytes;
        self.bytes -= bytes;
        let refused = std::mem::take(&mut lane.refused);
        if lane.held && lane.bytes <= self.capacity.saturating_sub(self.bytes) / 8 {
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

/// Bytes of the capacity that a record takes.
fn cost(record: &Raw) -> usize {
    record.size_bytes() + OVERHEAD_BYTES
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_common::abi::{RecordHeader, SCHEMA_VERSION};
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;

    type Held = Arc<Mutex<Vec<(u32, bool)>>>;

    /// Room for this many records.
    fn lanes(records: usize) -> (Lanes, Held) {
        let held = Held::default();
        let of_hold = Arc::clone(&held);
        let hold = move |tag: RunTag, on| of_hold.lock().push((tag.slot, on));
        (Lanes::with_capacity(records * cost(&record(0, 0, 0)), Box::new(hold)), held)
    }

    fn record(slot: u32, ring: usize, sequence: u64) -> Raw {
        let header = RecordHeader {
            schema: SCHEMA_VERSION,
            ring: ring.try_into().unwrap(),
            run_slot: slot,
            run_generation: 1,
            sequence,
            ..RecordHeader::new_zeroed()
        };
        Raw::read(header.as_bytes()).unwrap()
    }

    fn bulk(slot: u32, numbers: std::ops::Range<u64>) -> Batch {
        numbers.map(|number| record(slot, ring::BULK, number)).collect()
    }

    /// Slot and sequence numbers of the next turn, and how many records of the run were refused.
    fn next(lanes: &Lanes) -> (u32, Vec<u64>, [u64; ring::COUNT]) {
        let turn = lanes.take().unwrap();
        let sequences = turn.records.iter().map(|record| record.header().sequence);
        (turn.tag.slot, sequences.collect(), turn.refused)
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
        assert_eq!(*held.lock(), [(1, true)]);
        lanes.push(vec![record(1, ring::CRITICAL, 7)]);
        lanes.push(bulk(2, 0..30));
        let (slot, records, refused) = next(&lanes);
        assert_eq!((slot, records.len(), refused), (1, 64, [0, 150]));
        assert_eq!(next(&lanes), (2, (0..30).collect(), [0, 0]));
        assert_eq!(next(&lanes), (1, (64..100).chain([7]).collect(), [0, 0]));
        assert_eq!(*held.lock(), [(1, true), (1, false)]);
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

    const ONE: RunTag = RunTag { slot: 1, generation: 1 };

    #[test]
    fn a_parked_run_waits_until_it_is_released_and_keeps_its_order() {
        let (lanes, _) = lanes(100);
        lanes.push(bulk(1, 0..2));
        let turn = lanes.take().unwrap();
        lanes.push(bulk(1, 2..3));
        lanes.park(turn, Until::Released);
        lanes.push(bulk(1, 3..4));
        lanes.push(bulk(2, 0..1));
        assert_eq!(next(&lanes), (2, vec![0], [0, 0]), "the other one only");
        lanes.release(ONE);
        assert_eq!(next(&lanes), (1, vec![0, 1, 2, 3], [0, 0]));
        assert_eq!(lanes.lock().bytes, 0);
    }

    #[test]
    fn a_run_parked_for_more_has_its_turn_with_the_next_record() {
        let (lanes, _) = lanes(100);
        lanes.push(bulk(1, 0..1));
        let turn = lanes.take().unwrap();
        lanes.park(turn, Until::More);
        assert!(lanes.lock().take().is_none());
        lanes.push(bulk(1, 1..2));
        let turn = lanes.take().unwrap();
        lanes.push(bulk(1, 2..3));
        lanes.park(turn, Until::More);
        assert_eq!(next(&lanes), (1, vec![0, 1, 2], [0, 0]), "more had come already");
    }

    #[test]
    fn what_is_discarded_gives_its_room_back() {
        let (lanes, held) = lanes(40);
        lanes.push(bulk(1, 0..30));
        let turn = lanes.take().unwrap();
        lanes.park(turn, Until::Released);
        assert!(lanes.discard(ONE) > 0);
        assert_eq!(lanes.discard(ONE), 0);
        let waiting = lanes.lock();
        assert_eq!((waiting.bytes, waiting.order.len()), (0, 0));
        assert_eq!(held.lock().last(), Some(&(1, false)));
    }

    #[test]
    fn what_is_left_when_it_is_closed_is_taken() {
        let lanes = Arc::new(lanes(10).0);
        let filler = Filler::new(Arc::clone(&lanes));
        filler.push(bulk(1, 7..8));
        drop(filler);
        assert_eq!(next(&lanes), (1, vec![7], [0, 0]));
        assert!(lanes.take().is_none());
    }
}
