//! Every second: what the runs hold: memory, threads, descriptors.
//!
//! The memory is that of the cgroup where there is a memory controller. All else the kernel keeps
//! per process, so each process of the group is asked (`/proc/PID/stat`, the size of
//! `/proc/PID/fd`): at most `MOST` of a run and `MOST_IN_ALL` together, which takes some
//! milliseconds; runs that did not get their turn come first the next time. Nothing that is asked
//! waits for a process.

use std::time::{Duration, Instant};

use sentry_detect::run::Holds;
use sentry_recording::whole_ms;

use crate::runs::{Registry, Run};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Processes of a run that are asked, those with the lowest numbers.
const MOST: usize = 64;
/// Processes asked in one look.
const MOST_IN_ALL: usize = 512;

/// Whose turn it is.
pub(crate) struct Look {
    due: Instant,
    next: usize,
}

impl Look {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self { due: registry.clock().now(), next: 0 }
    }

    /// Looks where it is time.
    pub(crate) fn pass(&mut self, registry: &Registry) {
        let now = registry.clock().now();
        if now < self.due {
            return;
        }
        self.due = now + PERIOD;
        let (runs, mut asked) = (registry.live(), 0);
        let first = self.next;
        for turn in 0..runs.len() {
            if asked >= MOST_IN_ALL {
                break;
            }
            let place = (first + turn) % runs.len();
            asked += look(registry, &runs[place]);
            self.next = place + 1;
        }
    }
}

/// How many processes were asked.
fn look(registry: &Registry, run: &Run) -> usize {
    let group = run.cgroup.holds();
    // A group that is gone holds nothing.
    let mut processes = run.cgroup.procs().unwrap_or_default();
    processes.truncate(MOST);
    let sum = processes.iter().map(|pid| registry.holds(*pid)).fold(Holds::default(), |sum, of| Holds {
        memory_bytes: add(sum.memory_bytes, of.memory_bytes),
        threads: add(sum.threads, of.threads),
        descriptors: add(sum.descriptors, of.descriptors),
        ..sum
    });
    run.holds(Holds {
        looked_unix_ns: whole_ms(registry.clock().unix_ns()),
        memory_bytes: group.memory_bytes.or(sum.memory_bytes),
        memory_limit_bytes: group.memory_limit_bytes,
        ..sum
    });
    processes.len()
}

/// What is not known adds nothing.
fn add(sum: Option<u64>, of: Option<u64>) -> Option<u64> {
    sum.into_iter().chain(of).reduce(u64::saturating_add)
}
