//! The sensor's own synthetic run: a short process that does one act of each kind, and what of it
//! came back through the hooks and the rings. It is in no list of runs; its records go nowhere
//! else.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use sentry_common::{
    fact::{Fact, Kind},
    table::RunTag,
};
use sentry_kernel::kernel::{Group, Programs};
use uuid::Uuid;

use super::{Registry, RunError};

/// The kinds of records that the canary's acts make, where the programs can tell their fact.
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
const NAME: &str = "canary-";
/// Whether a cgroup of this name is a canary's.
pub(super) fn is_name(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(NAME.as_bytes())
}

/// How long the end of a killed canary may take.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// A canary under way.
pub struct Canary {
    tag: RunTag,
    cgroup: Arc<dyn Group>,
    /// Of [`EXPECTED`], what the programs tell.
    expected: Vec<(Kind, Fact)>,
    seen: Mutex<HashSet<Kind>>,
    read: AtomicU64,
}

/// How far a canary's records have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// By the kernel's counters.
    pub made: u64,
    /// Of these, left out for want of room.
    pub left_out: u64,
    pub read: u64,
}

impl Canary {
    fn new(tag: RunTag, cgroup: Arc<dyn Group>, programs: &dyn Programs) -> Self {
        let with_fact = EXPECTED.into_iter().filter_map(|kind| Some((kind, kind.fact()?)));
        let expected = with_fact.filter(|(_, fact)| programs.tell(*fact)).collect();
        Self { tag, cgroup, expected, seen: Mutex::default(), read: AtomicU64::new(0) }
    }

    fn see(&self, kind: u16) {
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

/// Ends the canary when it goes.
pub struct Guard<'a> {
    registry: &'a Registry,
    canary: Arc<Canary>,
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

impl Registry {
    /// Starts a canary. The programs are attached as for any run.
    ///
    /// # Errors
    /// When there is no slot, or the cgroup or the tables refuse.
    pub fn start_canary(&self) -> Result<Guard<'_>, RunError> {
        let name = format!("{NAME}{}-{}", std::process::id(), Uuid::now_v7());
        let cgroup = match self.groups.own()? {
            Some(own) => self.groups.create_in(&own, &name)?,
            None => self.groups.create(&name)?,
        };
        let id = cgroup.id();
        let canary = {
            let mut tables = self.tables();
            let tag = tables.slots.take().ok_or(RunError::NoSlot)?;
            Arc::new(Canary::new(tag, cgroup, &*tables.programs))
        };
        let tag = canary.tag;
        *self.canary() = Some(Arc::clone(&canary));
        // From here on the guard cleans up.
        let guard = Guard { registry: self, canary };
        self.watch(id, tag)?;
        Ok(guard)
    }

    /// How far the records of `canary` have come.
    ///
    /// # Errors
    /// When the kernel refuses to read its counters.
    pub fn progress(&self, canary: &Canary) -> Result<Progress, RunError> {
        // Before the counters: what comes between the two is then not taken for read but never
        // made.
        let read = canary.read.load(Ordering::Relaxed);
        let block = self.tables().programs.run(canary.tag.slot)?;
        let left_out = block.lost.iter().chain(&block.throttled).sum();
        Ok(Progress { made: block.generated.iter().sum(), left_out, read })
    }

    fn end_canary(&self, canary: &Canary) {
        self.free(canary.tag);
        *self.canary() = None;
        // Its process has been killed; on a busy machine it may not be gone yet.
        let removed = canary.cgroup.kill(GONE_WITHIN).and_then(|()| canary.cgroup.remove());
        if let Err(error) = removed {
            tracing::warn!(error = %sentry_service::error_chain(&error), "cannot remove the canary's cgroup");
        }
    }

    /// Removes the cgroups of canaries whose sensor was killed while they flew. Those of a sensor
    /// that lives are its own.
    pub fn sweep_canaries(&self) {
        let runs = self.groups.mount().join(sentry_kernel::cgroup::RUNS_DIR);
        for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let sensor = name
                .to_str()
                .and_then(|name| name.strip_prefix(NAME)?.split('-').next()?.parse::<u32>().ok());
            if sensor.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
                && let Err(error) = std::fs::remove_dir(entry.path())
            {
                tracing::warn!(%error, path = %entry.path().display(), "cannot remove an old canary's cgroup");
            }
        }
    }

    /// Takes a record of the canary's. False when it is not one.
    pub fn of_canary(&self, tag: RunTag, kind: u16) -> bool {
        match &*self.canary() {
            Some(canary) if canary.tag == tag => {
                canary.see(kind);
                true
            }
            _ => false,
        }
    }

    /// Facts whose programs somebody has detached; empty while none is meant to be attached.
    ///
    /// # Errors
    /// When the process's own descriptors cannot be listed.
    pub fn detached(&self) -> std::io::Result<Vec<Fact>> {
        self.tables().programs.detached()
    }
}
