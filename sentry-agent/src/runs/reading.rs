//! The kernel's numbers as the core has them.

use sentry_common::counter::RunBlock;
use sentry_detect::run::{Counted, Holds, RingBooks, Usage};
use sentry_kernel::cgroup::CpuTime;

pub(super) fn usage(cpu: CpuTime, moved_bytes: u64, holds: Holds) -> Usage {
    Usage { cpu_usec: cpu.usage_usec, cpu_wait_usec: cpu.wait_usec, moved_bytes, holds }
}

/// The kernel's counters as the core has them.
pub(super) fn counted(block: &RunBlock) -> Counted {
    Counted {
        counts: block.counts,
        rings: std::array::from_fn(|ring| RingBooks {
            generated: block.generated[ring],
            delivered: 0,
            lost: block.lost[ring],
            throttled: block.throttled[ring],
        }),
    }
}
