//! The hierarchy of control groups.

use std::{
    ffi::OsString,
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::MutexGuard;
use sentry_detect::run::Holds;

use super::{
    Call, World, refused,
    state::{ROOT, State},
};
use crate::{
    cgroup::{CgroupError, CgroupEvents, CpuTime, Mark, RUNS_DIR},
    kernel::{Group, Groups},
};

/// A mount point that does not exist on the machine that runs the tests.
const MOUNT: &str = "/cgroups-in-memory";

pub(super) struct FakeGroups(World);

impl FakeGroups {
    pub(super) fn new(world: World) -> Self {
        Self(world)
    }

    fn handle(&self, id: u64, below: &Path) -> Arc<dyn Group> {
        Arc::new(FakeGroup { world: self.0.clone(), id, below: below.to_path_buf() })
    }

    fn call(&self, call: Call) -> Result<MutexGuard<'_, State>, CgroupError> {
        self.0.call(call).ok_or_else(|| failed(call, Path::new(MOUNT)))
    }
}

impl std::fmt::Debug for FakeGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeGroups")
    }
}

impl Groups for FakeGroups {
    fn mount(&self) -> &Path {
        Path::new(MOUNT)
    }

    fn own(&self) -> Result<Option<PathBuf>, CgroupError> {
        self.call(Call::Own).map(|_state| None)
    }

    fn create(&self, run: &str) -> Result<Arc<dyn Group>, CgroupError> {
        let mut state = self.0.state();
        if state.group_at(Path::new(RUNS_DIR)).is_none() {
            state.add_group(RUNS_DIR.into());
        }
        drop(state);
        self.create_in(Path::new(RUNS_DIR), run)
    }

    fn create_in(&self, parent: &Path, name: &str) -> Result<Arc<dyn Group>, CgroupError> {
        let below = parent.join(name);
        let mut state = self.call(Call::Create)?;
        if state.group_at(&below).is_some() {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(CgroupError::Io { what: "make cgroup", path: below, source });
        }
        let id = state.add_group(below.clone());
        drop(state);
        Ok(self.handle(id, &below))
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn Group>, CgroupError> {
        let state = self.call(Call::Open)?;
        let below = path.strip_prefix(MOUNT).unwrap_or(path);
        if below.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(CgroupError::Outside { path: path.into(), mount: MOUNT.into() });
        }
        let id = state.group_at(below).ok_or_else(|| CgroupError::Gone { path: path.into() })?;
        if id == ROOT {
            return Err(CgroupError::IsRoot { path: path.into() });
        }
        drop(state);
        Ok(self.handle(id, below))
    }

    fn gone(&self, below: &Path, id: u64) -> Result<Arc<dyn Group>, CgroupError> {
        drop(self.call(Call::Gone)?);
        // No other group has this number.
        Ok(self.handle(id, below))
    }

    fn names_of_runs(&self) -> Result<Vec<OsString>, CgroupError> {
        let state = self.call(Call::NamesOfRuns)?;
        let below = state.groups.values().map(|group| group.below.as_path());
        let runs = below.filter(|below| below.parent() == Some(Path::new(RUNS_DIR)));
        Ok(runs.filter_map(Path::file_name).map(ToOwned::to_owned).collect())
    }
}

/// One group, by its number.
#[derive(Clone)]
struct FakeGroup {
    world: World,
    id: u64,
    below: PathBuf,
}

impl std::fmt::Debug for FakeGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FakeGroup({}, {})", self.id, self.below.display())
    }
}

impl FakeGroup {
    fn call(&self, call: Call) -> Result<MutexGuard<'_, State>, CgroupError> {
        let state = self.world.call(call).ok_or_else(|| failed(call, &self.path()))?;
        if state.groups.contains_key(&self.id) {
            Ok(state)
        } else {
            Err(CgroupError::Gone { path: self.path() })
        }
    }

    fn timeout(&self, wanted: &'static str, limit: Duration) -> CgroupError {
        self.world.advance(limit);
        let waited_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        CgroupError::Timeout { path: self.path(), wanted, waited_ms, state: "frozen 0".into() }
    }
}

impl Group for FakeGroup {
    fn id(&self) -> u64 {
        self.id
    }

    fn below(&self) -> &Path {
        &self.below
    }

    fn path(&self) -> PathBuf {
        Path::new(MOUNT).join(&self.below)
    }

    fn is_root(&self) -> bool {
        self.id == ROOT
    }

    fn procs(&self) -> Result<Vec<u32>, CgroupError> {
        Ok(self.call(Call::Procs)?.inside(self.id))
    }

    fn add(&self, pid: u32) -> Result<(), CgroupError> {
        let mut state = self.call(Call::Add)?;
        if !state.processes.contains_key(&pid) {
            let source = io::Error::from_raw_os_error(nix::libc::ESRCH);
            return Err(CgroupError::Io { what: "write to", path: self.path(), source });
        }
        state.move_process(pid, self.id);
        Ok(())
    }

    fn events(&self) -> Result<CgroupEvents, CgroupError> {
        let state = self.call(Call::Events)?;
        let is_frozen = state.is_frozen(self.id) && !state.has_stuck(self.id);
        let is_populated = !state.inside(self.id).is_empty();
        Ok(CgroupEvents { populated: Some(is_populated), frozen: Some(is_frozen) })
    }

    fn populated(&self) -> Result<bool, CgroupError> {
        match self.events() {
            Err(error) if error.is_gone() => Ok(false),
            other => Ok(other?.populated.unwrap_or(false)),
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(u64) -> bool) -> Result<(), CgroupError> {
        // Not locked during the visit, because the visitor asks the same machine.
        let subtree = self.call(Call::Visit)?.subtree(self.id);
        subtree.into_iter().all(visit);
        Ok(())
    }

    fn cpu_time(&self) -> Result<CpuTime, CgroupError> {
        let state = self.call(Call::CpuTime)?;
        let usage_usec = state.subtree(self.id).iter().map(|id| state.groups[id].cpu_usec).sum();
        Ok(CpuTime { usage_usec, wait_usec: 0 })
    }

    /// There is no memory controller here.
    fn holds(&self) -> Holds {
        Holds { memory_limit_bytes: Some(16 << 30), ..Holds::default() }
    }

    fn remove(&self) -> Result<(), CgroupError> {
        let mut state = match self.call(Call::Remove) {
            Err(error) if error.is_gone() => return Ok(()),
            other => other?,
        };
        if !state.inside(self.id).is_empty() {
            let source = io::Error::from(io::ErrorKind::ResourceBusy);
            return Err(CgroupError::Io { what: "remove cgroup", path: self.path(), source });
        }
        for id in state.subtree(self.id) {
            state.groups.remove(&id);
            state.run_cgroups.remove(&id);
        }
        Ok(())
    }

    fn freeze(&self, limit: Duration) -> Result<(), CgroupError> {
        let mut state = self.call(Call::Freeze)?;
        if let Some(group) = state.groups.get_mut(&self.id) {
            group.is_frozen = true;
        }
        let is_stuck = state.has_stuck(self.id);
        drop(state);
        if is_stuck { Err(self.timeout("frozen", limit)) } else { Ok(()) }
    }

    fn thaw(&self, limit: Duration) -> Result<(), CgroupError> {
        let mut state = match self.call(Call::Thaw) {
            Err(error) if error.is_gone() => return Ok(()),
            other => other?,
        };
        if let Some(group) = state.groups.get_mut(&self.id) {
            group.is_frozen = false;
        }
        let is_frozen = state.is_frozen(self.id);
        drop(state);
        if is_frozen { Err(self.timeout("thawed", limit)) } else { Ok(()) }
    }

    fn is_frozen(&self) -> Result<bool, CgroupError> {
        Ok(self.events()?.frozen.unwrap_or(false))
    }

    fn kill(&self, _limit: Duration) -> Result<(), CgroupError> {
        let mut state = match self.call(Call::Kill) {
            Err(error) if error.is_gone() => return Ok(()),
            other => other?,
        };
        for pid in state.inside(self.id) {
            if !state.processes[&pid].is_stuck {
                state.end_process(pid);
            }
        }
        Ok(())
    }

    fn set_mark(&self, mark: &Mark) -> Result<(), CgroupError> {
        let mut state = self.call(Call::SetMark)?;
        if let Some(group) = state.groups.get_mut(&self.id) {
            group.mark = Some(mark.clone());
        }
        Ok(())
    }

    fn mark(&self) -> Option<Mark> {
        self.call(Call::Mark).ok()?.groups[&self.id].mark.clone()
    }

    fn changed_unix_s(&self) -> Result<u64, CgroupError> {
        let changed = self.call(Call::ChangedUnixS)?.groups[&self.id].changed_boot_ns;
        Ok(self.world.clock().unix_ns_of(changed) / 1_000_000_000)
    }
}

/// The error of a call that was made to fail.
fn failed(call: Call, path: &Path) -> CgroupError {
    CgroupError::Io { what: call.name(), path: path.into(), source: refused() }
}
