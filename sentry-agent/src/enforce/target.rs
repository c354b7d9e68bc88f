//! What an act is about.

use std::sync::Arc;

use sentry_detect::run::ProcessKey;
use sentry_kernel::kernel::Group;

/// Lineage members of a run as they are known at the moment of the call; they may be outside of its
/// cgroup.
pub type Members = Box<dyn Fn() -> Vec<ProcessKey> + Send + Sync>;

/// What a decision is about.
pub struct Target {
    pub cgroup: Arc<dyn Group>,
    pub members: Members,
    /// Whether the run is tagged now; the enforcer touches nothing else.
    pub tagged: bool,
}
