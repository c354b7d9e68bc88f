//! All runs, and the kernel tables behind them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use sentry_common::{abi::ring, fault, table::RunTag};
use sentry_detect::{
    run::{Holds, ProcessKey, RingBooks},
    sensitive::SensitiveFiles,
};
use sentry_kernel::{
    clock::Clock,
    kernel::{Groups, Hooks, Kernel, Processes, Programs},
};
use sentry_rules::Tally;

use super::{
    canary::Canary,
    candidates::Candidates,
    error::RunError,
    flows,
    lists::{Lists, Whose},
    name::named,
    run::Run,
    slots::Slots,
};
use crate::{config::Current, container::Roots};

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
    /// What holds for runs.
    pub(super) policy: Current,
    /// Where names of containers are found.
    pub(super) roots: Roots,
    pub(super) seed_wanted: AtomicBool,
    /// What rules of somebody's own count.
    pub(super) tally: Arc<Tally>,
    /// Baselines are learned.
    pub(super) learns: bool,
    /// Runs that have ended since somebody who learns last asked; at most [`ENDED`].
    ended: Mutex<Vec<Arc<Run>>>,
    /// Those for which there was no room.
    not_learned: AtomicU64,
}

/// Ended runs kept for who learns of them.
const ENDED: usize = 1_024;

pub(super) struct Tables {
    pub(super) programs: Box<dyn Programs>,
    pub(super) slots: Slots,
    /// When a run last ended; `None` when none has since everything was detached.
    pub(super) last_end: Option<Instant>,
}

impl Registry {
    #[must_use]
    pub fn new(kernel: Kernel, policy: Current, state_dir: PathBuf, roots: Roots) -> Self {
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
            policy,
            roots,
            seed_wanted: AtomicBool::new(false),
            tally: Arc::default(),
            learns: false,
            ended: Mutex::default(),
            not_learned: AtomicU64::new(0),
        }
    }

    /// What rules of somebody's own have counted, over all runs.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many such rules hold.
    #[must_use]
    pub fn own_rules(&self) -> usize {
        self.policy.get().own.rules().len()
    }

    /// Has the runs keep what baselines are learned from.
    #[must_use]
    pub fn learning(self, learns: bool) -> Self {
        Self { learns, ..self }
    }

    /// Keeps a run that has ended for who learns of it. Where that one does not come, the run is
    /// not learned of, and counted.
    pub fn keep_ended(&self, run: &Arc<Run>) {
        if !self.learns {
            return;
        }
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() < ENDED {
            ended.push(Arc::clone(run));
        } else {
            self.not_learned.fetch_add(1, Relaxed);
        }
    }

    /// Runs that have ended since the last call.
    #[must_use]
    pub fn take_ended(&self) -> Vec<Arc<Run>> {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs that had ended and were not kept for who learns of them.
    #[must_use]
    pub fn not_learned(&self) -> u64 {
        self.not_learned.load(Relaxed)
    }

    /// Where names of containers are found.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Which files are sensitive now.
    #[must_use]
    pub fn sensitive(&self) -> Arc<SensitiveFiles> {
        Arc::clone(self.policy.get().detect.sensitive())
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
                tracing::error!(
                    error = %sentry_service::error_chain(&error),
                    run.id = %run.id,
                    "cannot read run counters"
                );
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

    /// Reads what the run exchanged, for a report while it lives.
    pub fn read_flows(&self, run: &Run) {
        let rows = self.tables().programs.flows(run.tag);
        run.set_flows(flows::of_kernel(rows));
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

    /// Tier letter, what it cannot see, and kernel-side failures by name.
    #[must_use]
    pub fn kernel_status(&self) -> (String, Vec<String>, HashMap<String, u64>) {
        let tables = self.tables();
        let faults = tables.programs.faults();
        let faults = fault::NAMES.iter().zip(faults).map(|(name, count)| ((*name).into(), count)).collect();
        (tables.programs.tier().into(), tables.programs.limits(), faults)
    }

    /// How many programs stand at their hooks now.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        self.tables().programs.hooks()
    }

    /// The books of all runs of this sensor life, those that have ended included.
    #[must_use]
    pub fn rings(&self) -> [RingBooks; ring::COUNT] {
        let lists = self.lists();
        let (mut sums, live) = (lists.retired(), lists.live());
        drop(lists);
        for run in live {
            for (sum, books) in sums.iter_mut().zip(run.rings()) {
                *sum = sum.plus(&books);
            }
        }
        sums
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

    /// What a process holds, as far as it may be asked.
    #[must_use]
    pub fn holds(&self, pid: u32) -> Holds {
        self.processes.holds(pid)
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

    pub(super) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
