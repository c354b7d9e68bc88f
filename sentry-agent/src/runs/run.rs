//! One run.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sentry_common::{abi::ring, counter::RunBlock, table::RunTag};
use sentry_detect::{
    aggregate::counters::Counters,
    decision::Decider,
    detector::RunDetector,
    run::{AgentIdentity, Mode, ProcessKey, RunId},
};
use sentry_kernel::{cgroup::CpuTime, clock::Clock, kernel::Group};
use sentry_proto::v1;
use tokio::sync::Notify;

use super::{executed::ExecutedFiles, moved::Moved};

/// A live or just ended run.
pub struct Run {
    pub id: RunId,
    pub agent: AgentIdentity,
    pub mode: Mode,
    pub cgroup: Arc<dyn Group>,
    /// The sensor made the cgroup and removes it.
    pub owned: bool,
    pub tag: RunTag,
    pub started_unix_ns: u64,
    /// When this sensor life took it up.
    pub registered: Instant,
    /// Who asked for it.
    pub uid: u32,
    pub command: Vec<String>,
    /// Why it is watched though nobody asked, for a person; else empty.
    pub selected_by: String,
    /// There was more of it.
    command_truncated: bool,
    pub moved: Moved,
    /// What the ids of events, findings and decisions begin with: the run, and for a later sensor life a mark of its own.
    pub event_prefix: String,
    /// The run as an earlier sensor life left it.
    pub(super) before: Option<v1::Run>,
    /// The container that its cgroup belongs to.
    pub container: Option<v1::Container>,
    /// Calls of programs that the kernel had left out when the run began.
    pub(super) skipped_before: u64,
    detector: Mutex<RunDetector>,
    decider: Mutex<Decider>,
    delivered: [AtomicU64; ring::COUNT],
    findings: AtomicU64,
    state: Mutex<RunState>,
    executed: Mutex<ExecutedFiles>,
    /// The run as it was last told to the journal.
    told: Mutex<Option<v1::Run>>,
    /// When it was first seen to be over.
    over: OnceLock<Instant>,
    /// Its end is in the act stage's queue.
    end_asked: AtomicBool,
    ended: Notify,
    /// Its command has entered; true from the start where none is waited for.
    entered: AtomicBool,
    /// The end is in the journal's queue: who asks for the run from now on is told of it.
    announced: AtomicBool,
    clock: Clock,
}

/// What changes in a run's life.
#[derive(Clone, Debug)]
pub struct RunState {
    pub state: v1::RunState,
    pub ended_unix_ns: Option<u64>,
    /// The last counters read; final when ended.
    pub block: RunBlock,
    /// What it exchanged, as last read; final when ended.
    pub flows: Vec<v1::Flow>,
    /// Calls of programs that the kernel left out meanwhile; known when ended, 0 if it could not be asked then.
    pub skipped: u64,
    /// Processes whose end no program was called for: found gone afterwards.
    pub(super) unseen_ends: u64,
    /// Records that found no room behind the ring, per ring.
    refused: [u64; ring::COUNT],
    /// Before `block` was read: what started earlier is in it.
    pub(super) counted_boot_ns: u64,
    pub(super) before: Before,
    /// Members outside of the cgroup that a freeze has stopped.
    pub stopped: Vec<ProcessKey>,
}

/// What became of the processes that an earlier sensor life had counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// Counted again when they were found.
    pub(super) found: u64,
    /// Found no more.
    pub(super) gone: u64,
}

impl RunState {
    /// The kernel's counters with what they cannot know.
    pub(super) fn completed(&self, block: RunBlock) -> RunBlock {
        RunBlock {
            processes_ended: block.processes_ended + self.unseen_ends,
            untold: block.untold + self.unseen_ends,
            throttled: std::array::from_fn(|ring| block.throttled[ring] + self.refused[ring]),
            ..block
        }
    }
}

/// What [`Run::new`] needs.
pub(super) struct NewRun {
    pub id: RunId,
    pub agent: AgentIdentity,
    pub mode: Mode,
    pub cgroup: Arc<dyn Group>,
    pub owned: bool,
    pub tag: RunTag,
    pub started_unix_ns: u64,
    pub uid: u32,
    pub command: Vec<String>,
    pub selected_by: String,
    pub command_truncated: bool,
    pub settings: sentry_detect::rule::settings::Settings,
    pub before: Option<v1::Run>,
    pub container: Option<v1::Container>,
    /// Calls of programs that the kernel has left out so far.
    pub skipped: Option<u64>,
    pub clock: Clock,
}

impl Run {
    pub(super) fn new(new: NewRun) -> Self {
        let event_prefix = match &new.before {
            None => new.id.0.clone(),
            Some(_) => format!("{}.{:x}", new.id, new.clock.unix_ns()),
        };
        // Its windows begin now, also where an earlier life, by another clock, began the run.
        let detector =
            RunDetector::new(new.id.clone(), new.agent.clone(), new.settings.clone(), new.clock.unix_ns())
                .with_id_prefix(&event_prefix);
        let decider =
            Decider::new(new.id.clone(), new.mode).with_settings(&new.settings).with_id_prefix(&event_prefix);
        let entered = !new.owned || new.before.is_some();
        Self {
            event_prefix,
            before: new.before,
            container: new.container,
            // Not known, it counts from the start of the sensor: too many rather than too few.
            skipped_before: new.skipped.unwrap_or(0),
            id: new.id,
            agent: new.agent,
            mode: new.mode,
            cgroup: new.cgroup,
            owned: new.owned,
            tag: new.tag,
            started_unix_ns: new.started_unix_ns,
            registered: new.clock.now(),
            uid: new.uid,
            command: new.command,
            selected_by: new.selected_by,
            command_truncated: new.command_truncated,
            moved: Moved::default(),
            detector: Mutex::new(detector),
            decider: Mutex::new(decider),
            delivered: Default::default(),
            findings: AtomicU64::new(0),
            state: Mutex::new(RunState {
                state: v1::RunState::Running,
                ended_unix_ns: None,
                block: RunBlock::default(),
                flows: Vec::new(),
                skipped: 0,
                unseen_ends: 0,
                refused: Default::default(),
                counted_boot_ns: 0,
                before: Before::default(),
                stopped: Vec::new(),
            }),
            executed: Mutex::default(),
            told: Mutex::new(None),
            over: OnceLock::new(),
            end_asked: AtomicBool::new(false),
            ended: Notify::new(),
            entered: AtomicBool::new(entered),
            announced: AtomicBool::new(false),
            clock: new.clock,
        }
    }

    /// Gives the detectors their origin: what comes up to the first reading of the counters is the run's doing too. A
    /// fork bomb is through by then.
    pub(super) fn begin(&self) {
        let cpu = self.cgroup.cpu_time().unwrap_or_default();
        let nothing_found =
            self.detector().reading(self.clock.unix_ns(), counters(&RunBlock::default(), cpu, 0));
        debug_assert!(nothing_found.is_empty());
    }

    /// The clock that it lives by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether an earlier sensor life began it: somebody has been in it.
    #[must_use]
    pub fn is_taken_up(&self) -> bool {
        self.before.is_some()
    }

    /// How long the run has been over, from the first call.
    pub fn over_for(&self) -> Duration {
        self.clock.since(*self.over.get_or_init(|| self.clock.now()))
    }

    /// True for the first who wants to put the end into the queue.
    pub fn ask_for_end(&self) -> bool {
        !self.end_asked.swap(true, Ordering::AcqRel)
    }

    /// The queue was full; another may try.
    pub fn end_not_asked(&self) {
        self.end_asked.store(false, Ordering::Release);
    }

    /// Wakes those who wait for the end: the books are closed and the last state is in the journal's queue.
    pub fn announce_end(&self) {
        self.announced.store(true, Ordering::Release);
        self.ended.notify_waiters();
    }

    /// Waits until the end is announced, at most for `limit`. True when it is.
    pub async fn wait_end(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.end()).await.is_ok()
    }

    /// Waits until the end is announced.
    pub async fn end(&self) {
        loop {
            let ended = self.ended.notified();
            if self.announced.load(Ordering::Acquire) {
                return;
            }
            ended.await;
        }
    }

    /// A process has entered.
    pub(super) fn note_entry(&self) {
        self.entered.store(true, Ordering::Release);
    }

    /// It was made for a command that has not come yet.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.entered.load(Ordering::Acquire)
    }

    pub fn detector(&self) -> MutexGuard<'_, RunDetector> {
        self.detector.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn decider(&self) -> MutexGuard<'_, Decider> {
        self.decider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empty where executed files are not read.
    pub fn executed(&self) -> MutexGuard<'_, ExecutedFiles> {
        self.executed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Books records that reached the journal's queue.
    pub fn delivered(&self, ring: usize, records: u64) {
        if let Some(counter) = self.delivered.get(ring) {
            counter.fetch_add(records, Ordering::Release);
        }
    }

    /// Books records that the run's queue behind the ring had no room for, as throttled.
    pub fn refused(&self, records: [u64; ring::COUNT]) {
        let mut state = self.state();
        for (ring, records) in records.into_iter().enumerate() {
            state.refused[ring] += records;
            // Read before; the next reading of the counters is completed with all of them.
            state.block.throttled[ring] += records;
        }
    }

    /// Records that have reached the journal's queue.
    #[must_use]
    pub fn delivered_so_far(&self, ring: usize) -> u64 {
        self.delivered[ring].load(Ordering::Acquire)
    }

    pub fn found(&self) {
        self.findings.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until every record of a run that was released has been read, and every executed file, at most for `limit`.
    pub async fn wait_read(&self, limit: Duration) {
        /// Between two looks; the rings are read more often.
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let read = || -> [u64; ring::COUNT] {
            std::array::from_fn(|ring| {
                let block = self.state().block;
                self.delivered_so_far(ring) + block.lost[ring] + block.throttled[ring]
            })
        };
        let end = Instant::now() + limit;
        let mut before = read();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = read();
            let generated = self.state().block.generated;
            let all_read = now == before && (0..ring::COUNT).all(|ring| now[ring] >= generated[ring]);
            if (all_read && self.executed().is_settled()) || Instant::now() >= end {
                // A record whose count fell beside the last look at the counters is a record all the same.
                self.state().block.generated = std::array::from_fn(|ring| now[ring].max(generated[ring]));
                return;
            }
            before = now;
        }
    }

    /// Whether the kernel's books and ours agree: nothing is under way any more.
    #[must_use]
    pub fn books_closed(&self, block: &RunBlock) -> bool {
        (0..ring::COUNT).all(|ring| {
            self.delivered_so_far(ring) + block.lost[ring] + block.throttled[ring] == block.generated[ring]
        })
    }

    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state().state == v1::RunState::Ended
    }

    /// Hands the run as it is now to `submit`, unless nothing has changed since that was last done. One at a time, so
    /// that what is told last is the newest.
    pub fn tell(&self, submit: impl FnOnce(v1::Run)) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.wire();
        if told.as_ref() != Some(&now) {
            *told = Some(now.clone());
            submit(now);
        }
    }

    /// The run as the feed and the control socket show it.
    #[must_use]
    pub fn wire(&self) -> v1::Run {
        let state = self.state().clone();
        let (executed, executed_unlisted) = self.executed().list();
        let block = &state.block;
        let books = |ring: usize| v1::RingBooks {
            generated: block.generated[ring],
            delivered: self.delivered_so_far(ring),
            lost: block.lost[ring],
            throttled: block.throttled[ring],
        };
        let mut run = v1::Run {
            interruptions: 0,
            untold: block.untold,
            skipped: state.skipped,
            id: self.id.0.clone(),
            agent: Some(v1::Agent { id: self.agent.id.clone(), name: self.agent.name.clone() }),
            state: state.state.into(),
            mode: match self.mode {
                Mode::Observe => v1::Mode::Observe,
                Mode::Enforce => v1::Mode::Enforce,
            }
            .into(),
            cgroup_path: format!("/{}", self.cgroup.below().display()),
            cgroup_id: self.cgroup.id(),
            started_unix_ns: self.started_unix_ns,
            ended_unix_ns: state.ended_unix_ns,
            critical: Some(books(ring::CRITICAL)),
            bulk: Some(books(ring::BULK)),
            execs: block.execs,
            processes_born: block.processes_born,
            processes_ended: block.processes_ended,
            connects: block.connects,
            sends: block.sends,
            opens: block.opens,
            opens_for_write: block.opens_for_write,
            creates: block.creates,
            unlinks: block.unlinks,
            renames: block.renames,
            processes_entered: block.processes_entered,
            cgroup_moves: block.cgroup_moves,
            findings: self.findings.load(Ordering::Relaxed),
            uid: self.uid,
            command: self.command.clone(),
            selected_by: self.selected_by.clone(),
            command_truncated: self.command_truncated,
            end_unseen: false,
            flows: state.flows.clone(),
            executed,
            executed_unlisted,
            counted_boot_ns: state.counted_boot_ns,
            stopped: state.stopped.iter().map(|key| (*key).into()).collect(),
            container: self.container.clone(),
        };
        if let Some(before) = &self.before {
            add_earlier_life(&mut run, before);
            run.processes_entered = run.processes_entered.saturating_sub(state.before.found);
            run.processes_ended += state.before.gone;
        }
        run
    }
}

/// Adds what an earlier sensor life counted.
fn add_earlier_life(run: &mut v1::Run, before: &v1::Run) {
    fn add(books: &mut Option<v1::RingBooks>, before: &Option<v1::RingBooks>) {
        if let (Some(books), Some(before)) = (books, before) {
            books.generated += before.generated;
            books.delivered += before.delivered;
            books.lost += before.lost;
            books.throttled += before.throttled;
        }
    }
    run.interruptions = before.interruptions + 1;
    run.untold += before.untold;
    run.skipped += before.skipped;
    add(&mut run.critical, &before.critical);
    add(&mut run.bulk, &before.bulk);
    run.execs += before.execs;
    run.processes_born += before.processes_born;
    run.processes_ended += before.processes_ended;
    run.connects += before.connects;
    run.sends += before.sends;
    run.opens += before.opens;
    run.opens_for_write += before.opens_for_write;
    run.creates += before.creates;
    run.unlinks += before.unlinks;
    run.renames += before.renames;
    run.processes_entered += before.processes_entered;
    run.cgroup_moves += before.cgroup_moves;
    run.findings += before.findings;
    run.flows =
        super::flows::sum(std::mem::take(&mut run.flows).into_iter().chain(before.flows.iter().cloned()));
    super::executed::add_earlier_life(run, before);
}

/// The kernel's counters as the detectors read them.
#[must_use]
pub fn counters(block: &RunBlock, cpu: CpuTime, moved_bytes: u64) -> Counters {
    Counters {
        tasks_born: block.tasks_born,
        processes_born: block.processes_born,
        processes_entered: block.processes_entered,
        processes_ended: block.processes_ended,
        execs: block.execs,
        cgroup_moves: block.cgroup_moves,
        cgroups_made: block.cgroups_made,
        connects: block.connects,
        sends: block.sends,
        opens: block.opens,
        opens_for_write: block.opens_for_write,
        creates: block.creates,
        unlinks: block.unlinks,
        renames: block.renames,
        cpu_usec: cpu.usage_usec,
        cpu_wait_usec: cpu.wait_usec,
        moved_bytes,
        // Missing is missing, whether by want of room or on purpose.
        lost_critical: block.lost[ring::CRITICAL] + block.throttled[ring::CRITICAL],
        lost_bulk: block.lost[ring::BULK] + block.throttled[ring::BULK],
    }
}
