//! The mode that a run gets.

use sentry_detect::run::{AgentIdentity, Mode};

use crate::config::Policy;

/// How `Run::selected_by` begins for an agent that was known by the name of its program alone.
pub const DISCOVERED: &str = "discovered: ";

/// An agent that was known by the name of its program alone is only observed.
pub(super) fn mode_in(policy: &Policy, agent: &AgentIdentity, selected_by: &str, asked: Mode) -> Mode {
    if selected_by.starts_with(DISCOVERED) { asked } else { policy.mode_of(&agent.name, asked) }
}
