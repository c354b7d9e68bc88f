//! How a run begins: over a cgroup that is made for it, over one that is there, or taken up from an
//! earlier sensor life.

use std::{path::Path, sync::Arc};

use sentry_common::table::RunTag;
use sentry_detect::run::{AgentIdentity, Mode, ProcessKey, RunId};
use sentry_kernel::{cgroup::CgroupError, kernel::Group};
use sentry_proto::v1;
use uuid::Uuid;

use super::{
    Registry,
    before::Before,
    bounded, container,
    error::RunError,
    run::{NewRun, Run},
};

/// What a new run is.
#[derive(Clone, Debug)]
pub struct Start {
    pub name: String,
    /// What it is asked to be watched in; the configuration may have it stricter.
    pub mode: Mode,
    pub uid: u32,
    pub command: Vec<String>,
    /// Why a cgroup is watched that nobody asked for, for a person; empty where somebody did.
    pub selected_by: String,
}

/// A run to be registered.
pub(super) struct New {
    pub(super) id: RunId,
    pub(super) cgroup: Arc<dyn Group>,
    pub(super) owned: bool,
    pub(super) start: Start,
    pub(super) before: Option<Before>,
}

impl Registry {
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

    /// The same, if some may have this tag already.
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
        let policy = self.policy.get();
        let run = Arc::new(Run::new(NewRun {
            id,
            policy: &policy,
            agent: AgentIdentity { id: start.name.clone(), name: start.name },
            asked: start.mode,
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
            learns: self.learns,
            tally: Arc::clone(&self.tally),
            clock: self.clock.clone(),
        }));
        self.mark(&run, Some(run.mode()));
        let entered = self.lists().enter(&run);
        if let Err(error) = entered {
            if owned && let Err(error) = run.cgroup.remove() {
                tracing::warn!(
                    error = %sentry_service::error_chain(&error),
                    run.id = %run.id,
                    "cannot remove run cgroup"
                );
            }
            return Err(error);
        }
        // One that has replaced it before the run was on the list has gone past it.
        let now = self.policy.get();
        if !Arc::ptr_eq(&policy, &now) {
            self.have_follow(&run, &now);
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
}

/// Processes in the cgroup that are never stopped.
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
