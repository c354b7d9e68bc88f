//! One run's share of the bulk ring, and the stream's own word on what is missing.
//!
//! While the ring is less than half full everybody writes. Beyond, a run may add so many records in
//! a window and no more: a flood by one run costs that run, never another. Of a run that the sensor
//! holds, because its queue behind the ring is full, nothing is written. What is left out is
//! counted as throttled, apart from lost.

use aya_ebpf::{bindings::BPF_RB_AVAIL_DATA, helpers::generated::bpf_ringbuf_query};
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

/// Bytes of the bulk ring; set by the sensor.
#[unsafe(no_mangle)]
static BULK_BYTES: u64 = 0;

/// Whether the run may add a record to the bulk ring now. Costs one query of the ring while it is
/// less than half full.
#[inline(always)]
pub fn has_room(run: &Run, now: u64) -> bool {
    let held = HELD.get(run.tag.slot).copied().unwrap_or(0);
    // VERIFIER: what two equal numbers tell it of each other keeps it from seeing that the ways
    // from here are one.
    if core::hint::black_box(held ^ run.tag.generation) == 0 {
        return false;
    }
    // SAFETY: a static. Volatile, because the loader replaces the value.
    let (used, size) = (used(), unsafe { (&raw const BULK_BYTES).read_volatile() });
    if used < size / 2 {
        return true;
    }
    let window = now >> WINDOW_SHIFT;
    if count::get(run, |block| &raw mut block.window) != window {
        count::set(run, |block| &raw mut block.window, window);
        count::set(run, |block| &raw mut block.window_records, 0);
    }
    let allowed = size >> if used < size / 4 * 3 { FAIR_SHIFT } else { SCARCE_SHIFT };
    count::next(run, |block| &raw mut block.window_records) <= allowed
}

#[inline(always)]
fn used() -> u64 {
    // SAFETY: the bulk ring is a ring buffer.
    unsafe { bpf_ringbuf_query(core::ptr::from_ref(&BULK).cast_mut().cast(), BPF_RB_AVAIL_DATA.into()) }
}

/// A record of this actor could not be written. The first one after a whole stretch is told of at
/// once.
#[inline(always)]
pub fn missing(run: &Run, actor: Actor, now: u64) {
    count::set(run, |block| &raw mut block.missing_last, now);
    if count::get(run, |block| &raw mut block.missing_since) == 0
        && count::swap(run, |block| &raw mut block.missing_since, 0, now)
    {
        tell(run, MISSING, actor, now);
    }
}

/// A record of this actor was written. If none was missing for a while after some were, the stream
/// says so.
#[inline(always)]
pub fn present(run: &Run, actor: Actor, now: u64) {
    let since = count::get(run, |block| &raw mut block.missing_since);
    if since == 0 {
        return;
    }
    let last = count::get(run, |block| &raw mut block.missing_last);
    // Another processor's may be the later one.
    if now.saturating_sub(last) > WHOLE_AFTER_NS
        && count::swap(run, |block| &raw mut block.missing_since, since, 0)
    {
        tell(run, 0, actor, now);
    }
}

#[inline(always)]
fn tell(run: &Run, flags: u32, actor: Actor, now: u64) {
    let Some(mut record) = record::critical_untold::<CompletenessRecord>(run, kind::COMPLETENESS, actor, now)
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
