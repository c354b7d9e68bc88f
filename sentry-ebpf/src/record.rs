//! Records in the rings: built in the reservation, then published.
//!
//! Programs are preemptible (since 5.11), so a per-CPU scratch buffer would be shared by two
//! programs at once.

use aya_ebpf::maps::ring_buf::RingBufEntry;
use sentry_common::abi::{RecordHeader, SCHEMA_VERSION, ring};

use crate::{
    count,
    maps::CRITICAL,
    subject::{Actor, Run},
};

/// A reserved record of type `T`, header filled. Dropping it without [`Record::submit`] does not
/// pass the verifier.
pub struct Record<T: 'static>(RingBufEntry<T>);

/// A record in the critical ring whose loss is counted but not reported in the stream: for those
/// reports themselves.
#[inline(always)]
pub(crate) fn critical_untold<T: 'static>(run: &Run, kind: u16, actor: Actor, now: u64) -> Option<Record<T>> {
    let sequence = count::next(run, |block| &raw mut block.generated[ring::CRITICAL]);
    match CRITICAL.reserve_untyped::<T>(0) {
        Some(entry) => Some(Record::start(entry, run, kind, ring::CRITICAL, sequence, actor, now)),
        None => {
            count::add(run, |block| &raw mut block.lost[ring::CRITICAL]);
            None
        }
    }
}

impl<T: 'static> Record<T> {
    #[inline(always)]
    pub(crate) fn start(
        mut entry: RingBufEntry<T>,
        run: &Run,
        kind: u16,
        ring: usize,
        sequence: u64,
        actor: Actor,
        now: u64,
    ) -> Self {
        // SAFETY: every record type starts with a header (repr(C), first field).
        unsafe {
            entry.as_mut_ptr().cast::<RecordHeader>().write(RecordHeader {
                schema: SCHEMA_VERSION,
                kind,
                ring: ring as u32,
                run_slot: run.tag.slot,
                run_generation: run.tag.generation,
                sequence,
                time_boot_ns: now,
                tgid: actor.tgid,
                tid: actor.tid,
                start_boot_ns: actor.start_boot_ns,
            });
        }
        Self(entry)
    }

    /// The record's memory. Fields not written hold old ring bytes, so write every field that will
    /// be read.
    #[inline(always)]
    pub fn fields(&mut self) -> &mut T {
        // SAFETY: reserved, writable, aligned to 8; all fields are integers, for which any bytes
        // are valid.
        unsafe { &mut *self.0.as_mut_ptr() }
    }

    /// Publishes with the default wake-up.
    #[inline(always)]
    pub fn submit(self) {
        self.0.submit(0);
    }
}
