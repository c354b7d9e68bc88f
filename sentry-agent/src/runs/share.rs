//! How many runs there may be, and how long one may wait for its command.

use std::time::Duration;

use sentry_common::table::RUN_SLOTS;

/// Most live runs of one user but root.
pub(super) const RUNS_OF_ONE: usize = RUN_SLOTS as usize / 4;
/// Most live runs of all users but root, who finds a slot in any case.
pub(super) const RUNS_OF_USERS: usize = RUN_SLOTS as usize / 4 * 3;
/// Most runs of one user but root that wait for their command.
pub(super) const AWAITED_OF_ONE: usize = 16;

/// A run nobody entered is given up after this time.
pub const NEVER_ENTERED: Duration = Duration::from_secs(60);
