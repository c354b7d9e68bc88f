//! Whether a cgroup, or one above it, bounds what a run can use.

use sentry_kernel::kernel::Group;

/// `memory.max` or `pids.max` says a number somewhere on the way up. Where the file is missing, no
/// controller is on there, and nothing is bounded.
#[must_use]
pub fn is_limited(group: &dyn Group, file: &str) -> bool {
    let (path, levels) = (group.path(), group.below().components().count());
    path.ancestors().take(levels).any(|above| {
        std::fs::read_to_string(above.join(file)).is_ok_and(|limit| limit.trim().parse::<u64>().is_ok())
    })
}
