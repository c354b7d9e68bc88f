//! One run's share of the bulk ring, and the stream's own reports of missing records.
//!
//! While the ring is less than half full, every run may write. Above that, each run may add a fixed
//! number of records per window: a flood by one run costs that run alone. The sensor can suspend a
//! run whose queue behind the ring is full: then none of its records is written. Records left out
//! in these ways count as throttled, not as lost.

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
    // VERIFIER: a plain comparison would let it conclude something from equality, and then it could
    // not merge the branches that follow.
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

/// A record of this actor could not be written. The first one after a time without losses is
/// reported at once.
#[inline(always)]
pub fn missing(run: &Run, actor: Actor, now: u64) {
    count::set(run, |block| &raw mut block.missing_last, now);
    if count::get(run, |block| &raw mut block.missing_since) == 0
        && count::swap(run, |block| &raw mut block.missing_since, 0, now)
    {
        tell(run, MISSING, actor, now);
    }
}

/// A record of this actor was written. Once none has been missing for [`WHOLE_AFTER_NS`], the
/// stream reports that it is complete again.
#[inline(always)]
pub fn present(run: &Run, actor: Actor, now: u64) {
    let since = count::get(run, |block| &raw mut block.missing_since);
    if since == 0 {
        return;
    }
    let last = count::get(run, |block| &raw mut block.missing_last);
    // `last` may be later than `now`: another processor wrote it.
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
