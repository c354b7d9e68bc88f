//! Runs under way follow the policy that holds.

use super::{Registry, Run};
use crate::config::Policy;

impl Registry {
    /// Has every live run follow the policy as it is now. A run that begins meanwhile looks for
    /// itself.
    pub fn follow_policy(&self) {
        let policy = self.policy.get();
        for run in self.live() {
            self.have_follow(&run, &policy);
        }
    }

    pub(super) fn have_follow(&self, run: &Run, policy: &Policy) {
        if run.follow(policy) {
            self.mark(run, Some(run.mode()));
        }
    }
}
