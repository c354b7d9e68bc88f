//! The sensor's own synthetic run: a short process that does one act of each kind, and what of it
//! came back through the hooks and the rings. It is in no list of runs; its records go nowhere
//! else.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use sentry_common::{
    fact::{Fact, Kind},
    table::RunTag,
};
use sentry_kernel::kernel::{Group, Programs};

use super::error::RunError;

/// The kinds of records that the canary's acts make, if the programs report their fact.
const EXPECTED: [Kind; 21] = [
    Kind::CgroupMove,
    Kind::Fork,
    Kind::Exec,
    Kind::Exit,
    Kind::Open,
    Kind::Rename,
    Kind::Unlink,
    Kind::Connect,
    Kind::Send,
    Kind::Connected,
    Kind::Bind,
    Kind::Listen,
    Kind::Accept,
    Kind::UnixConnect,
    Kind::ExecFailed,
    Kind::Link,
    Kind::Symlink,
    Kind::MakeDirectory,
    Kind::Truncate,
    Kind::ChangeMode,
    Kind::CloseWritten,
];

/// Names of their cgroups begin so; the sensor's process id follows.
pub(super) const NAME: &str = "canary-";

/// Whether a cgroup of this name is a canary's.
pub(super) fn is_name(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(NAME.as_bytes())
}

/// A canary under way.
pub struct Canary {
    pub(super) tag: RunTag,
    pub(super) cgroup: Arc<dyn Group>,
    /// The part of [`EXPECTED`] that the programs report.
    expected: Vec<(Kind, Fact)>,
    seen: Mutex<HashSet<Kind>>,
    pub(super) read: AtomicU64,
}

/// How far a canary's records have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// By the kernel's counters.
    pub made: u64,
    /// How many of these were left out for lack of room.
    pub left_out: u64,
    pub read: u64,
}

impl Canary {
    pub(super) fn new(tag: RunTag, cgroup: Arc<dyn Group>, programs: &dyn Programs) -> Self {
        let with_fact = EXPECTED.into_iter().filter_map(|kind| Some((kind, kind.fact()?)));
        let expected = with_fact.filter(|(_, fact)| programs.tell(*fact)).collect();
        Self { tag, cgroup, expected, seen: Mutex::default(), read: AtomicU64::new(0) }
    }

    pub(super) fn see(&self, kind: u16) {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.seen.lock().extend(Kind::of(kind));
    }

    /// The facts of which no record has come back.
    #[must_use]
    pub fn silent(&self) -> Vec<Fact> {
        let seen = self.seen.lock();
        self.expected.iter().filter(|(kind, _)| !seen.contains(kind)).map(|(_, fact)| *fact).collect()
    }

    /// Moves the process that is to act into the canary's cgroup.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self, pid: u32) -> Result<(), RunError> {
        Ok(self.cgroup.add(pid)?)
    }
}
