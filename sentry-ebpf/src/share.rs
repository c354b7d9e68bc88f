//! One run's share of the bulk ring, and the stream's own word on what is missing.
//!
//! While the ring is less than half full everybody writes. Beyond, a run may add so many records in
//! a window and no more: a flood by one run costs that run, never another. Of a run that the sensor
//! holds, because its queue behind the ring is full, nothing is written. What is left out is
//! counted as throttled, apart from lost.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE},
    helpers::generated::{bpf_ktime_get_boot_ns, bpf_ringbuf_query},
};
use sentry_common::{
    abi::ring,
    counter::{FAIR_SHIFT, SCARCE_SHIFT, WHOLE_AFTER_NS, WINDOW_SHIFT},
    kind,
    record::cgroup::{CompletenessRecord, MISSING},
};

use crate::{
    count,
    maps::{BULK, HELD},
    record,
    subject::{Actor, Run},
};

/// Whether the run may add a record to the bulk ring now. Costs two queries of the ring while it is
/// less than half full.
#[inline(always)]
pub fn has_room(run: &Run) -> bool {
    let held = HELD.get(run.tag.slot).copied().unwrap_or(0);
    // VERIFIER: what two equal numbers tell it of each other keeps it from seeing that the ways
    // from here are one.
    if core::hint::black_box(held ^ run.tag.generation) == 0 {
        return false;
    }
    let (used, size) = (query(BPF_RB_AVAIL_DATA), query(BPF_RB_RING_SIZE));
    if used < size / 2 {
        return true;
    }
    // SAFETY: no preconditions.
    let window = unsafe { bpf_ktime_get_boot_ns() } >> WINDOW_SHIFT;
    if count::get(run, |block| &raw mut block.window) != window {
        count::set(run, |block| &raw mut block.window, window);
        count::set(run, |block| &raw mut block.window_records, 0);
    }
    let allowed = size >> if used < size / 4 * 3 { FAIR_SHIFT } else { SCARCE_SHIFT };
    count::next(run, |block| &raw mut block.window_records) <= allowed
}

#[inline(always)]
fn query(what: u32) -> u64 {
    // SAFETY: the bulk ring is a ring buffer.
    unsafe { bpf_ringbuf_query(core::ptr::from_ref(&BULK).cast_mut().cast(), what.into()) }
}

/// A record of this actor could not be written. The first one after a whole stretch is told of at
/// once.
#[inline(always)]
pub fn missing(run: &Run, actor: Actor) {
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    count::set(run, |block| &raw mut block.missing_last, now);
    if count::get(run, |block| &raw mut block.missing_since) == 0
        && count::swap(run, |block| &raw mut block.missing_since, 0, now)
    {
        tell(run, MISSING, actor);
    }
}

/// A record of this actor was written. If none was missing for a while after some were, the stream
/// says so.
#[inline(always)]
pub fn present(run: &Run, actor: Actor) {
    let since = count::get(run, |block| &raw mut block.missing_since);
    if since == 0 {
        return;
    }
    let last = count::get(run, |block| &raw mut block.missing_last);
    // SAFETY: no preconditions.
    if unsafe { bpf_ktime_get_boot_ns() }.wrapping_sub(last) > WHOLE_AFTER_NS
        && count::swap(run, |block| &raw mut block.missing_since, since, 0)
    {
        tell(run, 0, actor);
    }
}

#[inline(always)]
fn tell(run: &Run, flags: u32, actor: Actor) {
    let Some(mut record) = record::critical_untold::<CompletenessRecord>(run, kind::COMPLETENESS, actor)
    else {
        return;
    };
    let fields = record.fields();
    fields.lost = [
        count::get(run, |block| &raw mut block.lost[ring::CRITICAL]),
        count::get(run, |block| &raw mut block.lost[ring::BULK]),
    ];
    fields.throttled = [
        count::get(run, |block| &raw mut block.throttled[ring::CRITICAL]),
        count::get(run, |block| &raw mut block.throttled[ring::BULK]),
    ];
    fields.flags = flags;
    fields.reserved = 0;
    record.submit();
}
