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

use std::{
    borrow::Borrow,
    os::fd::AsFd as _,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use sentry_service::progress::Progress;
use tokio_util::sync::CancellationToken;

use super::{Batch, lanes::Filler};
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

/// What the ring thread has done; read by the status endpoint.
#[derive(Debug, Default)]
pub struct RingStats {
    pub records: AtomicU64,
    /// How many of these had no header.
    pub unreadable: AtomicU64,
    /// Wake-ups by a record, not by the timeout.
    pub wakeups: AtomicU64,
}

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
        loop {
            progress.begin();
            let (batch, unreadable) = turn(&mut rings);
            if batch.is_empty() && unreadable == 0 {
                break;
            }
            stats.records.fetch_add(batch.len() as u64 + unreadable, Ordering::Relaxed);
            stats.unreadable.fetch_add(unreadable, Ordering::Relaxed);
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

/// Records of both rings, oldest first, and how many bytes without a header.
fn turn(rings: &mut Rings) -> (Batch, u64) {
    let mut batch = Batch::new();
    let unreadable = take(&mut rings.bulk, (BULK_TURN, BULK_TURN_BYTES), &mut batch)
        + take(&mut rings.critical, (CRITICAL_TURN, usize::MAX), &mut batch);
    batch.sort_by_key(|record| record.header().time_boot_ns);
    (batch, unreadable)
}

/// How many records had no header.
fn take<T: Borrow<MapData>>(
    ring: &mut RingBuf<T>,
    (records, bytes): (usize, usize),
    batch: &mut Batch,
) -> u64 {
    let (mut taken, mut unreadable) = (0, 0);
    for _ in 0..records {
        if taken >= bytes {
            break;
        }
        let Some(item) = ring.next() else { break };
        taken += item.len();
        match Raw::read(&item) {
            Ok(record) => batch.push(record),
            Err(error) => {
                tracing::error!(%error, "unreadable record");
                unreadable += 1;
            }
        }
    }
    unreadable
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
