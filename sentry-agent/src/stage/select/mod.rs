//! Which cgroups are agents, decided: what the kernel asks about becomes a run or is let go, and
//! what was there before is looked through.
//!
//! ```text
//! analyse → [asked] → decide → a run: its records, which have waited, are analysed
//!                        └───→ let go: they are dropped
//! every SCAN: all cgroups and processes → runs over what was missed; agents that nobody selected
//! ```

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sentry_common::table::RunTag;
use sentry_detect::run::Mode;
use sentry_kernel::{clock::Clock, ring::lanes::Lanes};
use sentry_service::error_chain;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{StageStats, act::Case};
use crate::{
    config::{Current, Policy},
    container::{self, Facts},
    digest::{self, Readers},
    runs::{Registry, Run, RunError, Start, candidates::Standing},
    select::{Decision, Discover, Execution, Selection},
};

pub mod asked;

mod scan;

mod tree;

pub use asked::Asked;
use asked::{Executed, Why};

/// Questions that may wait.
pub const QUEUE_ASKED: usize = 1_024;
/// Longest wait for a question: how soon a new selection holds.
const WAIT: Duration = Duration::from_millis(50);
/// Time between two looks at all that is there.
const SCAN: Duration = Duration::from_secs(10);
/// How long what is known of a container may stay too little to decide.
const PATIENCE: Duration = Duration::from_secs(10);
/// A candidate that nobody asked about for so long: its record was lost.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// A running agent that nobody selected, by the name of its executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    pub agent: String,
    pub pid: u32,
    pub uid: u32,
    /// Below the mount, from its slash on.
    pub cgroup: String,
}

/// What the stage has seen; shared with the control socket.
#[derive(Debug, Default)]
pub struct Selecting {
    unwatched: Mutex<Vec<Unwatched>>,
    /// Selected cgroups that were watched only after something had been executed in them.
    late: AtomicU64,
}

/// The stage.
pub struct Select {
    pub registry: Arc<Registry>,
    pub lanes: Arc<Lanes>,
    pub cases: mpsc::Sender<Case>,
    pub selecting: Arc<Selecting>,
    /// For the selectors, which can change.
    pub policy: Current,
}

/// A queue of questions.
#[must_use]
pub fn queue() -> (SyncSender<Asked>, Receiver<Asked>) {
    sync_channel(QUEUE_ASKED)
}

impl Selecting {
    /// Agents that nobody selected, as last looked for.
    #[must_use]
    pub fn unwatched(&self) -> Vec<Unwatched> {
        self.unwatched.lock().clone()
    }

    /// Selected cgroups that were watched late.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }
}

impl Select {
    /// Runs until cancelled.
    pub fn run(self, asked: &Receiver<Asked>, stats: &StageStats, token: &CancellationToken) {
        let mut turn = Turn::new(self);
        // The selectors, before the first question.
        turn.go_on();
        while !token.is_cancelled() {
            let question = asked.recv_timeout(WAIT);
            stats.progress.begin();
            match question {
                Ok(asked) => {
                    turn.decide(asked, Instant::now());
                    stats.handled(1);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The analyst has ended.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            turn.go_on();
            stats.progress.rest();
        }
    }
}

/// The state of the thread.
struct Turn {
    stage: Select,
    /// Whose selectors are in the kernel; `None` at first.
    policy: Option<Arc<Policy>>,
    selection: Arc<Selection>,
    discover: Discover,
    /// Undecided, and since when.
    later: Vec<(Asked, Instant)>,
    readers: Readers,
    scan_due: Instant,
    missed: u64,
    /// Everything has been looked at once.
    scanned: bool,
    /// Cgroups that cannot be watched, each reported once.
    refused: HashSet<u64>,
}

impl Turn {
    fn new(stage: Select) -> Self {
        Self {
            stage,
            policy: None,
            selection: Arc::default(),
            discover: Discover::Off,
            later: Vec::new(),
            readers: Readers::default(),
            scan_due: Instant::now(),
            missed: 0,
            scanned: false,
            refused: HashSet::new(),
        }
    }

    /// What is due beside the questions.
    fn go_on(&mut self) {
        let policy = self.stage.policy.get();
        if !self.policy.as_ref().is_some_and(|known| Arc::ptr_eq(known, &policy)) {
            self.selection = Arc::clone(&policy.selection);
            self.discover = policy.discover;
            self.policy = Some(policy);
            self.scan_due = Instant::now();
            self.refused.clear();
            if let Err(error) = self.stage.registry.select(&self.selection) {
                tracing::error!(error = %error_chain(&error), "the kernel does not take the selectors");
            }
        }
        for (asked, since) in std::mem::take(&mut self.later) {
            self.decide(asked, since);
        }
        if !self.selection.is_empty() {
            if let Err(error) = self.stage.registry.fill_reserve() {
                tracing::error!(error = %error_chain(&error), "cannot hold slots in reserve");
            }
            self.take_back();
        }
        if Instant::now() >= self.scan_due {
            self.scan_due = Instant::now() + SCAN;
            self.scan();
        }
    }

    /// Candidates that no question came for, and cgroups that no slot was left for: they are found
    /// by a scan.
    fn take_back(&mut self) {
        let registry = &self.stage.registry;
        let missed = registry.spares_missed();
        let mut scan = missed != std::mem::replace(&mut self.missed, missed);
        for tag in registry.undecided_for(FORGOTTEN) {
            tracing::warn!(slot = tag.slot, "a cgroup's record was lost; it is looked for");
            self.let_go(tag);
            scan = true;
        }
        if scan {
            self.scan_due = Instant::now();
        }
    }

    fn decide(&mut self, asked: Asked, since: Instant) {
        // It may have been let go while its question waited; its slot is another's then.
        if self.stage.registry.standing(asked.tag) != Some(Standing::Undecided) {
            self.stage.lanes.discard(asked.tag);
            return self.decide_late(&asked);
        }
        let mount = self.stage.registry.cgroup_mount().to_owned();
        let below = match &asked.why {
            Why::Made(Some(below)) if begins_in(&mount, below) => Some(below.clone()),
            // In a cgroup namespace the kernel's path begins further up than the mount.
            Why::Made(below) => tree::find(&mount, asked.cgroup).or_else(|| below.clone()),
            Why::Executed(_) => tree::find(&mount, asked.cgroup),
        };
        let (path, below) = match (below, &asked.why) {
            (Some(below), _) => (path_of(&below), below),
            // Its path is unknown by now, so no condition on the path holds.
            (None, Why::Executed(_)) => (String::new(), format!("gone-{}", asked.cgroup).into()),
            // Never in this hierarchy.
            (None, Why::Made(_)) => return self.let_go(asked.tag),
        };
        let mut facts = self.facts(&below);
        // A question that has waited so long is decided by what there is.
        facts.complete |= since.elapsed() > PATIENCE;
        let decision = match &asked.why {
            Why::Made(_) => self.selection.decide(&path, None, &facts),
            Why::Executed(executed) => {
                decide_execution(&Arc::clone(&self.selection), &path, executed, &facts, &mut self.readers)
            }
        };
        match decision {
            Decision::Unselected => match self.executed_meanwhile(&asked) {
                Some(executed) => self.decide(executed, since),
                None => self.let_go(asked.tag),
            },
            Decision::Later => self.later.push((asked, since)),
            Decision::Selected { agent, why } => {
                let command = match &asked.why {
                    Why::Made(_) => Vec::new(),
                    Why::Executed(executed) => executed.command(),
                };
                let start = Start { name: agent, mode: Mode::Observe, uid: 0, command, selected_by: why };
                self.admit(&asked, &below, start);
            }
        }
    }

    /// Where a cgroup was asked about when it was made: what was executed in it since, for which
    /// the kernel had no reason to ask again.
    fn executed_meanwhile(&mut self, asked: &Asked) -> Option<Asked> {
        if asked.is_about_an_execution() {
            return None;
        }
        let executed = self.stage.lanes.look_through(asked.tag, |record| {
            Asked::of(asked.tag, record).filter(Asked::is_about_an_execution)
        });
        executed.into_iter().find(|other| self.start_of(other).is_some())
    }

    /// Something was executed just before its cgroup was let go: it is watched from now on.
    fn decide_late(&mut self, asked: &Asked) {
        let mount = self.stage.registry.cgroup_mount().to_owned();
        if let Some(below) = tree::find(&mount, asked.cgroup)
            && let Some(start) = self.start_of(asked)
        {
            let _refused = self.tag(asked.cgroup, &below, start);
        }
    }

    /// The run that an execution makes of its cgroup.
    fn start_of(&mut self, asked: &Asked) -> Option<Start> {
        let Why::Executed(executed) = &asked.why else { return None };
        let below = tree::find(self.stage.registry.cgroup_mount(), asked.cgroup);
        let facts = below.as_ref().map_or_else(no_container, |below| self.facts(below));
        let path = below.map(|below| path_of(&below)).unwrap_or_default();
        let selection = Arc::clone(&self.selection);
        match decide_execution(&selection, &path, executed, &facts, &mut self.readers) {
            Decision::Selected { agent, why } => {
                let command = executed.command();
                Some(Start { name: agent, mode: Mode::Observe, uid: 0, command, selected_by: why })
            }
            Decision::Unselected | Decision::Later => None,
        }
    }

    fn admit(&self, asked: &Asked, below: &Path, start: Start) {
        let registry = &self.stage.registry;
        let cgroup = match registry.open_cgroup(below, asked.cgroup) {
            Ok(cgroup) => cgroup,
            Err(error) => {
                self.not_watched(below, &error.into());
                return self.let_go(asked.tag);
            }
        };
        match registry.admit(asked.tag, cgroup, start) {
            Ok(run) => {
                self.note(&run);
                self.stage.lanes.release(asked.tag);
            }
            Err(error) => {
                self.not_watched(below, &error);
                self.stage.lanes.discard(asked.tag);
            }
        }
    }

    /// The beginning of the run in the books, before anything that it did.
    fn note(&self, run: &Arc<Run>) {
        tracing::info!(
            run.id = %run.id, agent = run.agent.name, cgroup = %run.cgroup.below().display(),
            selected_by = run.selected_by, "a selected cgroup is watched"
        );
        let (noted, done) = oneshot::channel();
        if self.stage.cases.blocking_send(Case::Started { run: Arc::clone(run), noted }).is_ok() {
            // The sensor may be stopping.
            let _stopping = done.blocking_recv();
        }
    }

    fn not_watched(&self, below: &Path, error: &RunError) {
        tracing::warn!(
            error = %error_chain(error),
            path = %below.display(),
            "a selected cgroup is not watched"
        );
    }

    fn let_go(&self, tag: RunTag) {
        self.stage.registry.refuse(tag);
        let _unselected = self.stage.lanes.discard(tag);
    }

    fn facts(&self, below: &Path) -> Facts {
        let place = self.selection.asks_for_containers().then(|| container::place(below)).flatten();
        place.map_or_else(no_container, |place| container::look_up(&place, self.stage.registry.roots()))
    }
}

fn no_container() -> Facts {
    Facts { complete: true, ..Facts::default() }
}

/// Whether the first group of the path is in the mount; the group itself may be gone already.
fn begins_in(mount: &Path, below: &Path) -> bool {
    below.components().next().is_some_and(|first| mount.join(first).exists())
}

/// As selectors write it.
fn path_of(below: &Path) -> String {
    format!("/{}", below.to_string_lossy())
}

fn decide_execution(
    selection: &Selection,
    path: &str,
    executed: &Executed,
    facts: &Facts,
    readers: &mut Readers,
) -> Decision {
    let read = std::cell::RefCell::new(readers);
    let digests = || {
        let time_unix_ns = Clock::real().wall_ns_of(executed.time_boot_ns);
        let files = executed.files().enumerate().map(|(index, file)| digest::Executed {
            file: file.clone(),
            process: executed.process.key,
            parent: executed.process.parent,
            is_image: index == 0,
            time_boot_ns: executed.time_boot_ns,
            time_unix_ns,
        });
        let contents = files.filter_map(|file| read.borrow_mut().content(&file)?.ok());
        contents.map(|proven| proven.content.sha256).collect()
    };
    let (paths, files) = (executed.paths(), executed.file_ids());
    let execution = Execution {
        uid: executed.process.uid.unwrap_or(u32::MAX),
        paths: &paths,
        files: &files,
        digests: &digests,
    };
    selection.decide(path, Some(&execution), facts)
}
