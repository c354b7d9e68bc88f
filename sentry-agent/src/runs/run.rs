//! One run.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sentry_common::{abi::ring, counter::RunBlock, table::RunTag};
use sentry_detect::{
    decision::{Action, Decision},
    event::Event,
    run::{Account, AgentIdentity, Holds, Input, Mode, Output, RingBooks, RunId, Setup, State, Usage},
};
use sentry_kernel::{cgroup::CpuTime, clock::Clock, kernel::Group};
use sentry_proto::v1;
use sentry_recording::Part;
use sentry_rules::{Judge, Tally};
use tokio::sync::Notify;

use super::{
    before::Before,
    executed::{self, ExecutedFile, ExecutedFiles},
    flows::{self, Flow},
    life::Life,
    mode::mode_in,
    reading,
    seen::Seen,
};
use crate::config::Policy;

/// A live or just ended run.
pub struct Run {
    pub id: RunId,
    pub agent: AgentIdentity,
    /// What it was asked to be watched in; the configuration may have it stricter.
    asked: Mode,
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
    pub(super) command_truncated: bool,
    /// What the ids of events, findings and decisions begin with: the run, and for a later sensor
    /// life a mark of its own.
    pub event_prefix: String,
    /// The run as an earlier sensor life left it.
    pub(super) before: Option<Before>,
    /// The container that its cgroup belongs to.
    pub container: Option<v1::Container>,
    /// Calls of programs that the kernel had left out when the run began.
    pub(super) skipped_before: u64,
    clock: Clock,
    /// What rules of somebody's own count, over all runs.
    tally: Arc<Tally>,
    /// All that changes.
    life: Mutex<Life>,
    /// The run as the journal last got it. A lock of its own: it is held while the journal's queue
    /// is waited for, so that the newest state comes last, and nothing else may wait for that.
    pub(super) reported: Mutex<Option<v1::Run>>,
    /// Its command has entered; true from the start where none is waited for. Outside of the lock:
    /// it is asked of every run while the lists are locked.
    entered: AtomicBool,
    ended: Notify,
    /// The end is in the journal's queue: who asks for the run from now on gets that.
    announced: AtomicBool,
}

/// What [`Run::new`] needs.
pub(super) struct NewRun<'a> {
    pub id: RunId,
    pub agent: AgentIdentity,
    /// What it was asked to be watched in.
    pub asked: Mode,
    pub cgroup: Arc<dyn Group>,
    pub owned: bool,
    pub tag: RunTag,
    pub started_unix_ns: u64,
    pub uid: u32,
    pub command: Vec<String>,
    pub selected_by: String,
    pub command_truncated: bool,
    pub policy: &'a Policy,
    pub before: Option<Before>,
    pub container: Option<v1::Container>,
    /// Calls of programs that the kernel has left out so far.
    pub skipped: Option<u64>,
    /// Its agent's baseline is learned.
    pub learns: bool,
    pub tally: Arc<Tally>,
    pub clock: Clock,
}

impl Run {
    pub(super) fn new(new: NewRun<'_>) -> Self {
        let now = new.clock.unix_ns();
        let event_prefix = match &new.before {
            None => new.id.0.clone(),
            Some(_) => format!("{}.{now:x}", new.id),
        };
        let setup = Setup {
            id: new.id.clone(),
            id_prefix: event_prefix.clone(),
            agent: new.agent.clone(),
            mode: mode_in(new.policy, &new.agent, &new.selected_by, new.asked),
            owned: new.owned,
            settings: new.policy.settings_of(&new.agent.name).clone(),
            before: new.before.as_ref().map(|before| before.account.clone()),
        };
        // What it uses from now on is the run's doing, also where an earlier life, by another
        // clock, began it.
        let usage = reading::usage(new.cgroup.cpu_time().unwrap_or_default(), 0, Holds::default());
        let seen = new.learns.then(|| Box::new(Seen::new(new.owned && new.before.is_none())));
        let own = Judge::new(&new.policy.own, &new.agent.name, &event_prefix, &new.tally).map(Box::new);
        let entered = !new.owned || new.before.is_some();
        Self {
            event_prefix,
            before: new.before,
            container: new.container,
            // Not known, it counts from the start of the sensor: too many rather than too few.
            skipped_before: new.skipped.unwrap_or(0),
            id: new.id,
            agent: new.agent,
            asked: new.asked,
            cgroup: new.cgroup,
            owned: new.owned,
            tag: new.tag,
            started_unix_ns: new.started_unix_ns,
            registered: new.clock.now(),
            uid: new.uid,
            command: new.command,
            selected_by: new.selected_by,
            command_truncated: new.command_truncated,
            life: Mutex::new(Life::new(setup, &usage, now, own, seen)),
            clock: new.clock,
            tally: new.tally,
            reported: Mutex::new(None),
            entered: AtomicBool::new(entered),
            ended: Notify::new(),
            announced: AtomicBool::new(false),
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock that it lives by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The mode of what is decided from now on.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.life().machine.mode()
    }

    /// Has the policy hold from now on; true where that changes its mode.
    pub(super) fn follow(&self, policy: &Policy) -> bool {
        let mode = mode_in(policy, &self.agent, &self.selected_by, self.asked);
        let settings = policy.settings_of(&self.agent.name).clone();
        let now_unix_ns = self.clock.unix_ns();
        let mut life = self.life();
        let is_other = life.machine.mode() != mode;
        life.step(Input::Settings { settings, mode }, now_unix_ns);
        let held = life.own.as_ref().map(|own| own.set());
        if held.map_or(!policy.own.is_empty(), |held| **held != *policy.own) {
            let (prefix, tally) = (&self.event_prefix, &self.tally);
            life.own = Judge::new(&policy.own, &self.agent.name, prefix, tally).map(Box::new);
        }
        is_other
    }

    /// Takes one input.
    pub fn step(&self, input: Input<'_>) -> Vec<Output> {
        self.step_and_queue(input, |outputs| outputs)
    }

    /// Takes one input, and hands on what follows before the next can come: so a queue has the
    /// order of the decisions. `queue` must not wait.
    pub fn step_and_queue<T>(&self, input: Input<'_>, queue: impl FnOnce(Vec<Output>) -> T) -> T {
        let now_unix_ns = self.clock.unix_ns();
        let mut life = self.life();
        queue(life.step(input, now_unix_ns))
    }

    /// Decides what somebody asked for; `queue` as in [`Self::step_and_queue`].
    pub fn order(
        &self,
        (action, origin, reason): (Action, String, String),
        queue: impl FnOnce(Decision),
    ) -> Option<Decision> {
        let order = Input::Order { action, origin, reason };
        self.step_and_queue(order, |outputs| {
            let decision = outputs.into_iter().find_map(|output| match output {
                Output::Decided(decision) => Some(decision),
                Output::Found { .. } | Output::LeftFrozen | Output::Close => None,
            })?;
            queue(decision.clone());
            Some(decision)
        })
    }

    /// Takes events, and whether their records have reached the journal's queue.
    pub fn events(&self, events: &[Arc<Event>], delivered: bool) {
        let mut life = self.life();
        for event in events {
            // No clock is asked on this path: an event belongs to the window that the next reading
            // closes.
            life.step(Input::Event { event, delivered }, event.time_unix_ns);
        }
    }

    /// Takes what it was given since the last time off its tape: all of it, or where it is worth a
    /// row.
    pub fn tape(&self, all: bool) -> Option<Part> {
        let tape = &mut self.life().tape;
        if all || tape.is_due() { tape.take() } else { None }
    }

    /// Books records that the run's queue behind the ring had no room for, as throttled.
    pub fn refused(&self, records: [u64; ring::COUNT]) {
        if records != [0; ring::COUNT] {
            self.step(Input::Refused(records));
        }
    }

    /// Takes the kernel's counters, read after `began_boot_ns`.
    pub(super) fn counted(&self, block: &RunBlock, began_boot_ns: u64) {
        self.step(Input::Counted { counted: reading::counted(block), began_boot_ns });
    }

    /// What it uses, where that is all of its CPU time. Bytes are asked for where it is busy.
    pub fn usage(&self, cpu: CpuTime) -> Usage {
        let mut life = self.life();
        reading::usage(cpu, life.moved.reading(cpu.usage_usec), life.holds)
    }

    /// Whether the bytes that it moves are to be looked at.
    pub fn is_asked_for_bytes(&self) -> bool {
        self.life().moved.is_asked_for()
    }

    /// Takes what its processes have moved in their lives.
    pub fn moved(&self, bytes: u64) {
        let now = self.clock.now();
        self.life().moved.look(now, bytes);
    }

    /// Takes what it was seen to hold.
    pub fn holds(&self, holds: Holds) {
        self.life().holds = holds;
    }

    /// How long the run has been over, from the first call.
    pub fn over_for(&self) -> Duration {
        let now = self.clock.now();
        now.saturating_duration_since(*self.life().over.get_or_insert(now))
    }

    /// True for the first who wants to put the end into the queue.
    pub fn ask_for_end(&self) -> bool {
        !std::mem::replace(&mut self.life().end_asked, true)
    }

    /// The end was not queued, or it was not the end: another attempt may follow.
    pub fn end_not_asked(&self) {
        self.life().end_asked = false;
    }

    /// Wakes those who wait for the end: the books are closed and the last state is in the
    /// journal's queue.
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

    /// The run was made for a command that has not entered yet.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.entered.load(Ordering::Acquire)
    }

    /// Anybody has ever been in it.
    #[must_use]
    pub fn was_entered(&self) -> bool {
        self.life().machine.was_entered()
    }

    /// Looks at the executed files, or changes what is known of them; none where they are not read.
    pub fn executed<T>(&self, look: impl FnOnce(&mut ExecutedFiles) -> T) -> T {
        look(&mut self.life().executed)
    }

    /// Looks at what is learned of it; `None` where nothing is.
    pub fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> Option<T> {
        self.life().seen.as_deref_mut().map(look)
    }

    pub(super) fn set_flows(&self, flows: Vec<Flow>) {
        self.life().flows = flows;
    }

    /// The books of this sensor life.
    #[must_use]
    pub fn rings(&self) -> [RingBooks; ring::COUNT] {
        self.life().machine.rings()
    }

    /// Nothing is under way any more: no record, and no executed file.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let life = self.life();
        life.machine.books_are_closed() && life.executed.is_settled()
    }

    /// Waits until every record of a run that was released has been read, and every executed file,
    /// at most for `limit`.
    pub async fn wait_read(&self, limit: Duration) {
        /// Between two looks; the rings are read more often.
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let end = Instant::now() + limit;
        let mut before = self.rings();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.rings();
            let all_read = now == before && now.iter().all(|ring| ring.settled() >= ring.generated);
            if (all_read && self.executed(|files| files.is_settled())) || Instant::now() >= end {
                self.step(Input::Drained);
                return;
            }
            before = now;
        }
    }

    #[must_use]
    pub fn state(&self) -> State {
        self.life().machine.state()
    }

    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state() == State::Ended
    }

    /// The totals over all sensor lives.
    #[must_use]
    pub fn account(&self) -> Account {
        self.life().machine.account()
    }

    /// The same, with what it exchanged and executed, and the number of executions that are not
    /// listed.
    pub(super) fn sum(&self) -> (Account, Vec<Flow>, (Vec<ExecutedFile>, u64)) {
        let life = self.life();
        let (account, flows, executed) = (life.machine.account(), life.flows.clone(), life.executed.list());
        drop(life);
        match &self.before {
            None => (account, flows, executed),
            Some(before) => (
                account,
                flows::sum(flows.into_iter().chain(before.flows.iter().cloned())),
                executed::sum(executed, &before.executed),
            ),
        }
    }
}
