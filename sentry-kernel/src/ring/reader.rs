//! The ring thread.
//!
//! Each turn copies the records of the bulk ring (bounded), then those of the critical ring, and
//! sorts both by time. In this order every critical record that precedes a bulk record (the exec
//! before the open) is in the same or an earlier batch. This thread never waits for the analysis:
//! all runs share the rings, but each has a queue of its own behind them.
//!
//! The kernel wakes the reader whenever a record comes into an empty ring. A reader that always
//! takes records at once is therefore woken for each one, at the expense of the watched process. So
//! this thread lets records gather before it takes them.

use std::{borrow::Borrow, os::fd::AsFd as _, sync::atomic::Ordering, thread, time::Duration};

use aya::maps::{MapData, RingBuf};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use sentry_common::abi::ring;
use sentry_service::progress::Progress;
use tokio_util::sync::CancellationToken;

use super::{
    Batch,
    lanes::Filler,
    stats::{Class, RingStats},
};
use crate::{bpf::programs::Rings, decode::Raw};

/// Most records, and most bytes, taken from the bulk ring in one turn: bounds a batch (a record may
/// have several KiB) and the delay of the critical ring.
const BULK_TURN: usize = 2_048;
const BULK_TURN_BYTES: usize = 1 << 20;
/// Most records taken from the critical ring in one turn. More than the largest ring holds: the
/// bound only guards against a producer that is faster than this loop.
const CRITICAL_TURN: usize = 1 << 20;
/// Longest wait for a wake-up; also how soon a cancellation is noticed.
const WAIT: Duration = Duration::from_millis(100);
/// How long records gather after the first has woken the thread. Short compared with the watch's
/// 100 ms; and the records of that time, 1 MiB at 800 000 opens per second, fit easily into the
/// ring.
const GATHER: Duration = Duration::from_millis(1);
/// What the kernel puts before each record in a ring, and what the sum is rounded up to, bytes.
const RECORD_HEADER: usize = 8;
const RECORD_ALIGNMENT: usize = 8;

/// Runs until cancelled, then drains the rings once more and ends.
///
/// # Errors
/// When the kernel refuses to poll the rings.
pub fn run(
    mut rings: Rings,
    lanes: &Filler,
    stats: &RingStats,
    progress: &Progress,
    token: &CancellationToken,
) -> Result<(), Errno> {
    loop {
        // Read before the drain: only records that come after the cancellation may be left behind.
        let last = token.is_cancelled();
        let mut filled = [0; ring::COUNT];
        loop {
            progress.begin();
            let mut batch = Batch::new();
            let taken = turn(&mut rings, &mut batch);
            if batch.is_empty() && taken.unreadable == 0 {
                break;
            }
            for (filled, bytes) in filled.iter_mut().zip(taken.bytes) {
                *filled += bytes;
            }
            count(stats, &batch, &taken, &filled);
            lanes.push(batch);
        }
        if last {
            return Ok(());
        }
        if wait(&rings)? {
            stats.wakeups.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a turn took beside the batch.
#[derive(Debug, Default)]
struct Taken {
    /// Records without a header.
    unreadable: u64,
    /// What all of its records took in each ring.
    bytes: [u64; ring::COUNT],
}

/// Records of both rings, oldest first.
fn turn(rings: &mut Rings, batch: &mut Batch) -> Taken {
    let mut taken = Taken::default();
    let bulk = (BULK_TURN, BULK_TURN_BYTES);
    taken.bytes[ring::BULK] = take(&mut rings.bulk, bulk, batch, &mut taken.unreadable);
    let critical = (CRITICAL_TURN, usize::MAX);
    taken.bytes[ring::CRITICAL] = take(&mut rings.critical, critical, batch, &mut taken.unreadable);
    batch.sort_by_key(|record| record.header().time_boot_ns);
    taken
}

/// Once for the whole batch; `filled` is what was taken since the rings were last empty.
fn count(stats: &RingStats, batch: &Batch, taken: &Taken, filled: &[u64; ring::COUNT]) {
    stats.records.fetch_add(batch.len() as u64 + taken.unreadable, Ordering::Relaxed);
    stats.unreadable.fetch_add(taken.unreadable, Ordering::Relaxed);
    let mut classes = [0; Class::ALL.len()];
    for record in batch {
        classes[Class::of(record.header().kind) as usize] += 1;
    }
    for (class, count) in Class::ALL.iter().zip(classes) {
        stats.classes.add(class, count);
    }
    for (fill, bytes) in stats.fill.iter().zip(filled) {
        fill.now.store(*bytes, Ordering::Relaxed);
        fill.most.fetch_max(*bytes, Ordering::Relaxed);
    }
}

/// What the records took in the ring, bytes.
fn take<T: Borrow<MapData>>(
    ring: &mut RingBuf<T>,
    (records, bytes): (usize, usize),
    batch: &mut Batch,
    unreadable: &mut u64,
) -> u64 {
    let (mut taken, mut in_ring) = (0, 0);
    for _ in 0..records {
        if taken >= bytes {
            break;
        }
        let Some(item) = ring.next() else { break };
        taken += item.len();
        in_ring += (item.len() + RECORD_HEADER).next_multiple_of(RECORD_ALIGNMENT) as u64;
        match Raw::read(&item) {
            Ok(record) => batch.push(record),
            Err(error) => {
                tracing::error!(%error, "unreadable record");
                *unreadable += 1;
            }
        }
    }
    in_ring
}

/// Waits for a record, then for more. True if there is one.
fn wait(rings: &Rings) -> Result<bool, Errno> {
    let mut both =
        [rings.critical.as_fd(), rings.bulk.as_fd()].map(|ring| PollFd::new(ring, PollFlags::POLLIN));
    match poll(&mut both, PollTimeout::try_from(WAIT).unwrap_or(PollTimeout::ZERO)) {
        Ok(0) | Err(Errno::EINTR) => Ok(false),
        Ok(_ready) => {
            thread::sleep(GATHER);
            Ok(true)
        }
        Err(errno) => Err(errno),
    }
}
