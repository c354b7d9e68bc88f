//! The sensor's own synthetic run: a short process that does one act of each kind, and what of it came back through the
//! hooks and the rings. It is in no list of runs; its records go nowhere else.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use sentry_common::{kind, table::RunTag};

use super::{Registry, RunError};
use crate::cgroup::Cgroup;

/// What the canary does, by the kinds of records that each act makes; the name is the fact's in the table of hooks.
const EXPECTED: &[(u16, &str)] = &[
    (kind::CGROUP_MOVE, "cgroup move"),
    (kind::FORK, "fork"),
    (kind::EXEC, "exec"),
    (kind::EXIT, "exit"),
    (kind::OPEN, "file open, create"),
    (kind::RENAME, "file rename"),
    (kind::UNLINK, "file unlink"),
    (kind::CONNECT, "TCP, UDP connect"),
    (kind::SEND, "UDP destination"),
];

/// A canary under way.
pub struct Canary {
    pub(super) tag: RunTag,
    pub(super) cgroup: Cgroup,
    seen: Mutex<HashSet<u16>>,
}

impl Canary {
    pub(super) fn new(tag: RunTag, cgroup: Cgroup) -> Self {
        Self { tag, cgroup, seen: Mutex::new(HashSet::new()) }
    }

    pub(super) fn see(&self, kind: u16) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
    }

    /// The facts of which no record has come back.
    #[must_use]
    pub fn silent(&self) -> Vec<&'static str> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        EXPECTED.iter().filter(|(kind, _)| !seen.contains(kind)).map(|(_, fact)| *fact).collect()
    }

    /// Moves the process that is to act into the canary's cgroup.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self, pid: u32) -> Result<(), RunError> {
        Ok(self.cgroup.add(pid)?)
    }
}

/// Ends the canary when it goes.
pub struct Guard<'a> {
    pub(super) registry: &'a Registry,
    pub(super) canary: std::sync::Arc<Canary>,
}

impl std::ops::Deref for Guard<'_> {
    type Target = Canary;

    fn deref(&self) -> &Canary {
        &self.canary
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.registry.end_canary(&self.canary);
    }
}
