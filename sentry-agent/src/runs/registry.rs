//! All runs, and the kernel tables behind them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use sentry_common::{fault, table::RunTag};
use sentry_detect::run::{AgentIdentity, Input, Mode, ProcessKey, RunId};
use sentry_kernel::{
    cgroup::CgroupError,
    clock::Clock,
    kernel::{Group, Groups, Kernel, Processes, Programs},
};
use sentry_proto::v1;
use uuid::Uuid;

use super::{
    before::Before,
    bounded,
    canary::Canary,
    candidates::Candidates,
    container,
    error::RunError,
    lists::{Lists, Whose},
    name::named,
    run::{NewRun, Run},
    slots::Slots,
};
use crate::{config::Current, container::Roots};

/// What a new run is.
#[derive(Clone, Debug)]
pub struct Start {
    pub name: String,
    pub mode: Mode,
    pub uid: u32,
    pub command: Vec<String>,
    /// Why a cgroup is watched that nobody asked for, for a person; empty where somebody did.
    pub selected_by: String,
}

/// Owner of the programs and of every run. Its locks are never held together: `tables` (programs,
/// slots), `runs` (the lists) and `canary`; but `attaching` is taken before `tables`, and
/// `candidates` after it.
pub struct Registry {
    tables: Mutex<Tables>,
    /// Held while programs are attached or detached.
    attaching: Mutex<()>,
    runs: Mutex<Lists>,
    /// At most one at a time.
    canary: Mutex<Option<Arc<Canary>>>,
    /// Taken after `tables`, where both are.
    candidates: Mutex<Candidates>,
    pub(super) groups: Arc<dyn Groups>,
    pub(super) processes: Arc<dyn Processes>,
    pub(super) clock: Clock,
    /// What the groups of runs are marked with.
    pub(super) state_dir: PathBuf,
    /// For the thresholds of runs that start.
    config: Current,
    /// Where names of containers are found.
    roots: Roots,
    pub(super) seed_wanted: AtomicBool,
}

/// A run to be registered.
pub(super) struct New {
    pub(super) id: RunId,
    pub(super) cgroup: Arc<dyn Group>,
    pub(super) owned: bool,
    pub(super) start: Start,
    pub(super) before: Option<Before>,
}

pub(super) struct Tables {
    pub(super) programs: Box<dyn Programs>,
    pub(super) slots: Slots,
    /// When a run last ended; `None` when none has since everything was detached.
    pub(super) last_end: Option<Instant>,
}

impl Registry {
    #[must_use]
    pub fn new(kernel: Kernel, config: Current, state_dir: PathBuf, roots: Roots) -> Self {
        let Kernel { programs, groups, processes, clock } = kernel;
        Self {
            tables: Mutex::new(Tables { programs, slots: Slots::new(), last_end: None }),
            attaching: Mutex::new(()),
            runs: Mutex::new(Lists::new()),
            canary: Mutex::new(None),
            candidates: Mutex::new(Candidates::new()),
            groups,
            processes,
            clock,
            state_dir,
            config,
            roots,
            seed_wanted: AtomicBool::new(false),
        }
    }

    /// Where names of containers are found.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// A run with an empty cgroup of its own.
    ///
    /// # Errors
    /// When there is no slot, or the cgroup or the tables refuse.
    pub fn start(&self, start: Start) -> Result<Arc<Run>, RunError> {
        // Before anything is made; it is asked again when the run enters the lists.
        self.lists().admits(start.uid)?;
        let id = Uuid::now_v7().to_string();
        let cgroup = self.groups.create(&id)?;
        // On failure the empty cgroup is removed with the run.
        self.register(New { id: RunId(id), cgroup, owned: true, start, before: None })
    }

    /// Takes up a run that an earlier sensor life left, with the processes that are in its cgroup
    /// now, and those outside that were stopped. Other members that had left the cgroup are not
    /// known any more. One whose own cgroup is empty and whose members were not stopped is over:
    /// the cgroup is removed.
    ///
    /// # Errors
    /// When its cgroup is gone, empty or another one, there is no slot, or the tables refuse.
    pub fn adopt(&self, stored: v1::Run) -> Result<Arc<Run>, RunError> {
        let below = stored.cgroup_path.trim_start_matches('/');
        let cgroup = self.groups.open(Path::new(below))?;
        if cgroup.id() != stored.cgroup_id {
            return Err(CgroupError::Gone { path: cgroup.path() }.into());
        }
        let agent = stored.agent.clone().unwrap_or_default();
        let start = Start {
            name: agent.name,
            mode: if stored.mode() == v1::Mode::Enforce { Mode::Enforce } else { Mode::Observe },
            uid: stored.uid,
            command: stored.command.clone(),
            selected_by: stored.selected_by.clone(),
        };
        let owned = Path::new(below).starts_with(sentry_kernel::cgroup::RUNS_DIR);
        let waits_outside =
            || stored.stopped.iter().any(|key| !self.processes.is_gone(ProcessKey::from(*key)));
        if owned && !cgroup.populated()? && !waits_outside() {
            cgroup.remove()?;
            return Err(RunError::Deserted { run: stored.id });
        }
        let id = RunId(stored.id.clone());
        let before = Before::from(stored);
        let run = self.register(New { id, cgroup, owned, start, before: Some(before.clone()) })?;
        let known = self
            .adopt_subtree(&*run.cgroup, run.tag)
            .and_then(|()| self.adopt_stopped(&run, &before.account.stopped))
            .and_then(|stopped| Ok((stopped, run.cgroup.is_frozen()?)));
        let (stopped, frozen) = known.inspect_err(|_error| self.give_up(&run))?;
        self.know_again(&run, &before.account, stopped, frozen);
        Ok(run)
    }

    /// A run over an existing cgroup, with the processes and cgroups already in it.
    ///
    /// # Errors
    /// When the cgroup is not fit or is a run's already, there is no slot, or the tables refuse.
    pub fn tag(&self, path: &Path, start: Start) -> Result<Arc<Run>, RunError> {
        let cgroup = self.groups.open(path)?;
        self.must_be_nobodys(&*cgroup)?;
        let id = RunId(Uuid::now_v7().to_string());
        let run =
            self.register(New { id, cgroup: Arc::clone(&cgroup), owned: false, start, before: None })?;
        self.adopt_subtree(&*cgroup, run.tag).inspect_err(|_error| self.give_up(&run))?;
        Ok(run)
    }

    /// Neither the cgroup nor one below it belongs to a live run.
    fn must_be_nobodys(&self, cgroup: &dyn Group) -> Result<(), RunError> {
        self.must_be_nobodys_but(cgroup, RunTag::default())
    }

    /// The same, where some may have this tag already.
    pub(super) fn must_be_nobodys_but(&self, cgroup: &dyn Group, tag: RunTag) -> Result<(), RunError> {
        let path = || cgroup.path().display().to_string();
        if Path::new(sentry_kernel::cgroup::RUNS_DIR).starts_with(cgroup.below()) {
            return Err(RunError::OfTheSensor { path: path() });
        }
        if let Some(what) = protected(cgroup)? {
            return Err(RunError::Protected { path: path(), what });
        }
        visit(cgroup, |id| {
            let owner = self.tables().programs.cgroup(id).filter(|owner| *owner != tag);
            let Some(run) = owner.and_then(|tag| self.by_tag(tag)).filter(|run| !run.is_ended()) else {
                return Ok(());
            };
            let run = run.id.0.clone();
            Err(if id == cgroup.id() {
                RunError::Tagged { path: path(), run }
            } else {
                RunError::Contains { path: path(), run }
            })
        })
    }

    /// Undoes a registration.
    fn give_up(&self, run: &Run) {
        self.close(run);
        self.retire(run);
    }

    /// Moves a process into a run's cgroup.
    ///
    /// # Errors
    /// When the run has ended or the kernel refuses.
    pub fn enter(&self, run: &Run, pid: u32) -> Result<(), RunError> {
        if run.is_ended() {
            return Err(RunError::Ended { run: run.id.0.clone() });
        }
        run.cgroup.add(pid).map_err(|source| RunError::Enter { pid, run: run.id.0.clone(), source })?;
        run.note_entry();
        Ok(())
    }

    /// Ends the watch over a run whose processes live on: no record of it is made from now on.
    /// Those that were made are still on their way; [`Registry::close`] comes after them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn release(&self, run: &Run) -> Result<(), RunError> {
        let mut tables = self.tables();
        tables.programs.forget(run.tag);
        let block = tables.programs.stop_run(run.tag.slot)?;
        drop(tables);
        self.mark(run, None);
        run.counted(&block, self.clock.boot_ns());
        Ok(())
    }

    /// Reads the run's counters into its books. False when it has ended or the kernel refuses
    /// (logged).
    pub fn read(&self, run: &Run) -> bool {
        let began = self.clock.boot_ns();
        let read = self.tables().programs.run(run.tag.slot);
        match read {
            Ok(block) if block.generation == run.tag.generation => {
                run.counted(&block, began);
                true
            }
            Ok(_of_another_run) => false,
            Err(error) => {
                tracing::error!(error = %sentry_service::error_chain(&error), run.id = %run.id, "cannot read run counters");
                false
            }
        }
    }

    /// Live members by lineage.
    #[must_use]
    pub fn members(&self, run: &Run) -> Vec<ProcessKey> {
        self.tables().programs.members(run.tag)
    }

    /// The live run of a process.
    #[must_use]
    pub fn of_process(&self, tgid: u32) -> Option<Arc<Run>> {
        let tag = self.tables().programs.process(tgid)?;
        self.by_tag(tag)
    }

    pub(super) fn by_tag(&self, tag: RunTag) -> Option<Arc<Run>> {
        self.lists().by_tag(tag)
    }

    /// The run that a record belongs to, live or lately ended.
    #[must_use]
    pub fn whose(&self, tag: RunTag) -> Option<Whose> {
        self.lists().whose(tag)
    }

    /// All live runs.
    #[must_use]
    pub fn live(&self) -> Vec<Arc<Run>> {
        self.lists().live()
    }

    /// The live run that `target` names: see [`named`].
    ///
    /// # Errors
    /// When none or several match.
    pub fn find(&self, target: &str) -> Result<Arc<Run>, RunError> {
        let live = self.live();
        let named = named(target, live.iter().map(|run| (run.id.0.as_str(), run.agent.name.as_str())));
        named.map(|index| Arc::clone(&live[index]))
    }

    /// Takes the run out of the kernel's tables: its tags are void, its slot is free, its cgroup
    /// (if ours) is removed.
    pub fn close(&self, run: &Run) {
        // The last reading, before the slot is cleared for the next run.
        self.read(run);
        let flows = super::flows::of_kernel(self.tables().programs.take_flows(run.tag));
        let skipped = self.skipped().unwrap_or(0).saturating_sub(run.skipped_before);
        run.set_flows(flows);
        run.step(Input::Closed { skipped });
        self.free(run.tag);
        if run.owned
            && let Err(error) = run.cgroup.remove()
            && !error.is_gone()
        {
            tracing::warn!(error = %sentry_service::error_chain(&error), run.id = %run.id, "cannot remove run cgroup");
        }
    }

    /// Voids the tag in the kernel's tables and gives its slot back.
    pub(super) fn free(&self, tag: RunTag) {
        let mut tables = self.tables();
        tables.programs.forget(tag);
        match tables.programs.set_run(tag.slot, 0) {
            Ok(()) => tables.slots.give_back(tag),
            Err(error) => {
                tracing::error!(error = %sentry_service::error_chain(&error), slot = tag.slot, "cannot free run slot");
            }
        }
        tables.last_end = Some(self.clock.now());
    }

    /// Takes the run off the list of live runs. Only after its last state is in the journal: until
    /// then it is found here, from then on there.
    pub fn retire(&self, run: &Run) {
        self.lists().retire(run);
    }

    /// Tier letter, what it cannot see, and kernel-side failures by name.
    #[must_use]
    pub fn kernel_status(&self) -> (String, Vec<String>, HashMap<String, u64>) {
        let tables = self.tables();
        let faults = tables.programs.faults();
        let faults = fault::NAMES.iter().zip(faults).map(|(name, count)| ((*name).into(), count)).collect();
        (tables.programs.tier().into(), tables.programs.limits(), faults)
    }

    /// Enters the run into the lists first, so that no record of it finds nobody, then into the
    /// kernel's tables.
    fn register(&self, new: New) -> Result<Arc<Run>, RunError> {
        let tag = self.tables().slots.take().ok_or(RunError::NoSlot)?;
        let run = match self.enter_lists(new, tag) {
            Ok(run) => run,
            Err(error) => {
                self.tables().slots.give_back(tag);
                return Err(error);
            }
        };
        if let Err(error) = self.watch(run.cgroup.id(), tag) {
            self.give_up(&run);
            return Err(error.into());
        }
        Ok(run)
    }

    /// The run, on the list of live ones. Where the list refuses it, its cgroup (if ours) is
    /// removed.
    pub(super) fn enter_lists(&self, new: New, tag: RunTag) -> Result<Arc<Run>, RunError> {
        let New { id, cgroup, owned, start, before } = new;
        let (command, cut) = bounded::command(start.command);
        let container = container::of_run(&*cgroup, before.as_ref(), &self.roots);
        let run = Arc::new(Run::new(NewRun {
            id,
            settings: self.config.get().settings_of(&start.name).clone(),
            agent: AgentIdentity { id: start.name.clone(), name: start.name },
            mode: start.mode,
            cgroup,
            owned,
            tag,
            started_unix_ns: before
                .as_ref()
                .map_or_else(|| self.clock.unix_ns(), |before| before.started_unix_ns),
            command_truncated: cut || before.as_ref().is_some_and(|before| before.command_truncated),
            before,
            container,
            uid: start.uid,
            command,
            selected_by: start.selected_by,
            skipped: self.skipped(),
            clock: self.clock.clone(),
        }));
        self.mark(&run, Some(run.mode));
        let entered = self.lists().enter(&run);
        if let Err(error) = entered {
            if owned && let Err(error) = run.cgroup.remove() {
                tracing::warn!(error = %sentry_service::error_chain(&error), run.id = %run.id, "cannot remove run cgroup");
            }
            return Err(error);
        }
        Ok(run)
    }

    /// Tags the cgroups below, top down, then the tasks. A cgroup made meanwhile below a tagged one
    /// is tagged by the kernel; one made below a not yet tagged one is found by the walk. One that
    /// belongs to another run stays its.
    pub(super) fn adopt_subtree(&self, cgroup: &dyn Group, tag: RunTag) -> Result<(), RunError> {
        visit(cgroup, |id| {
            let programs = &mut self.tables().programs;
            let free = programs.cgroup(id).is_none_or(|owner| owner == tag || !programs.is_live(owner));
            if free { programs.add_cgroup(id, tag).map_err(RunError::from) } else { Ok(()) }
        })?;
        Ok(self.seed()?)
    }

    /// Calls of programs that the kernel has left out.
    #[must_use]
    pub fn skipped(&self) -> Option<u64> {
        self.tables().programs.skipped()
    }

    /// Bytes that a process has read and written; 0 where it has ended or may not be asked.
    #[must_use]
    pub fn moved_bytes(&self, pid: u32) -> u64 {
        self.processes.moved_bytes(pid)
    }

    /// What signals processes.
    #[must_use]
    pub fn processes(&self) -> &Arc<dyn Processes> {
        &self.processes
    }

    /// The clock that the runs live by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attaching(&self) -> MutexGuard<'_, ()> {
        self.attaching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn canary(&self) -> MutexGuard<'_, Option<Arc<Canary>>> {
        self.canary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn candidates(&self) -> MutexGuard<'_, Candidates> {
        self.candidates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in the cgroup that is never stopped.
fn protected(cgroup: &dyn Group) -> Result<Option<&'static str>, CgroupError> {
    let processes = match cgroup.procs() {
        Err(error) if error.is_gone() => return Ok(None),
        other => other?,
    };
    let holds = |process: u32| processes.binary_search(&process).is_ok();
    Ok(if holds(std::process::id()) {
        Some("the sensor itself")
    } else if holds(1) {
        Some("the first process of the system")
    } else {
        None
    })
}

/// Calls `visit` with the id of every group of the subtree, until that fails.
fn visit(group: &dyn Group, mut visit: impl FnMut(u64) -> Result<(), RunError>) -> Result<(), RunError> {
    let mut visited = Ok(());
    group.visit(&mut |id| {
        visited = visit(id);
        visited.is_ok()
    })?;
    visited
}
