//! The stages together, from the kernel's counters to journal and ledger, in virtual time: on a
//! kernel in memory, so that no right is needed and each of its calls can be made to fail.
//!
//! [`Sensor`] is one sensor life: the real registry, detectors, enforcer, act stage, journal and
//! ledger. Only what reads records is left out: a tick books as delivered what the kernel has made.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sentry_detect::{
    decision::{Action, Outcome},
    event,
    run::{Mode, ProcessKey},
};
use sentry_kernel::fake::{Ring, World};
use sentry_proto::v1::{self, item::Item as Kind};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::{
    app::{books, recover::Life},
    config::{Config, Flags, Holder},
    container::Roots,
    enforce::{Enforcer, Limits},
    enrich::process_table::unknown,
    journal::{self, JournalHandle, JournalWriter},
    ledger::pending::PendingLedger,
    runs::{Registry, Run, RunError, Start},
    stage::{
        StageStats,
        act::{self, Actor, Case},
        by_hand::act_by_hand,
        moved,
        reconcile::Sweep,
        watch,
    },
};

mod by_hand;
mod configured;
mod faults;
mod learning;
mod life;
mod members;
mod own_rules;
mod recovery;
mod replay;
mod runaway;

/// Time between two ticks.
const TICK: Duration = Duration::from_millis(100);

/// One sensor life on a machine.
struct Sensor {
    world: World,
    holder: Holder,
    registry: Arc<Registry>,
    actor: Actor,
    cases: mpsc::Sender<Case>,
    waiting: mpsc::Receiver<Case>,
    sweep: Sweep,
    stats: StageStats,
    journal: JournalHandle,
    writer: Option<JournalWriter>,
    runtime: tokio::runtime::Runtime,
    /// What taking up earlier runs complained about.
    troubles: Vec<String>,
    dir: Arc<TempDir>,
}

impl Sensor {
    fn new() -> Self {
        Self::on(&World::new())
    }

    fn on(world: &World) -> Self {
        Self::begin(world, Arc::new(tempfile::tempdir().unwrap()), act::QUEUE_CASES)
    }

    /// With room for so many cases before the act stage.
    fn with_room(cases: usize) -> Self {
        Self::begin(&World::new(), Arc::new(tempfile::tempdir().unwrap()), cases)
    }

    fn begin(world: &World, dir: Arc<TempDir>, room: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = Config::parse(Path::new("c.yaml"), None, &Flags::default()).unwrap();
        let books = books::open(dir.path(), &config.journal).unwrap();
        let (writer, journal) = JournalWriter::start(books.journal, journal::QUEUE_CAPACITY).unwrap();
        let holder = Holder::new(config);
        // No engine's files are looked for on the machine that tests.
        let roots = Roots::below(dir.path());
        let state_dir = dir.path().to_path_buf();
        let registry = Registry::new(world.kernel(), holder.current(), state_dir, roots);
        let registry = Arc::new(registry.learning(true));
        let ledger = PendingLedger::start(books.ledger).unwrap();
        let life = Life {
            registry: &registry,
            journal: &journal,
            ledger: &ledger,
            ledger_dir: &books.ledger_dir,
            kept_ledger: books.kept_ledger.as_deref(),
            strictest: Mode::Observe,
        };
        let troubles = runtime.block_on(life.take_up()).unwrap();
        let enforcer =
            Enforcer::new(Limits::default(), Arc::clone(registry.processes()), registry.clock().clone());
        for run in registry.live() {
            enforcer.remember_all(&run.id, &run.account().stopped);
        }
        let counted = Arc::default();
        let actor =
            Actor { registry: Arc::clone(&registry), enforcer, ledger, journal: journal.clone(), counted };
        let (cases, waiting) = mpsc::channel(room);
        let sweep = Sweep::new(&registry);
        Self {
            world: world.clone(),
            holder,
            registry,
            actor,
            cases,
            waiting,
            sweep,
            stats: StageStats::default(),
            journal,
            writer: Some(writer),
            runtime,
            troubles,
            dir,
        }
    }

    /// What is read again is this, without the version.
    fn configure(&self, lines: &str) {
        let text = format!("version: 1\n{lines}\n");
        let config = Config::parse(Path::new("c.yaml"), Some(&text), &Flags::default()).unwrap();
        self.holder.replace(config);
        self.registry.follow_policy();
    }

    /// The sensor is killed, and another one starts. What was in the journal's queue is written,
    /// what waited before the act stage is lost.
    fn killed_and_started(mut self) -> Self {
        let (world, dir) = (self.world.clone(), Arc::clone(&self.dir));
        let writer = self.writer.take().unwrap();
        self.runtime.block_on(writer.close()).unwrap();
        drop(self);
        world.unload();
        Self::begin(&world, dir, act::QUEUE_CASES)
    }

    /// A run with one process in it.
    fn run(&mut self, mode: Mode) -> (Arc<Run>, u32) {
        let run = self.empty_run(mode).unwrap();
        let pid = self.world.spawn();
        self.registry.enter(&run, pid).unwrap();
        (run, pid)
    }

    fn empty_run(&mut self, mode: Mode) -> Result<Arc<Run>, RunError> {
        let run = self.registry.start(start(mode, 1_000))?;
        self.announce(&run);
        Ok(run)
    }

    /// A run over a group that somebody else has made, with one process in it.
    fn tagged(&mut self, mode: Mode, below: &str) -> (Arc<Run>, u32) {
        self.world.make_group(below);
        let pid = self.world.spawn();
        self.world.leave(pid, Path::new(below));
        let run = self.registry.tag(Path::new(below), start(mode, 0)).unwrap();
        self.announce(&run);
        (run, pid)
    }

    fn announce(&mut self, run: &Arc<Run>) {
        let (noted, _heard) = oneshot::channel();
        self.cases.try_send(Case::Started { run: Arc::clone(run), noted }).unwrap();
        self.act();
    }

    /// What the stages do in a tenth of a second, and the tenth.
    fn tick(&mut self) {
        self.deliver();
        self.watch();
        self.act();
        moved::pass(&self.registry);
        self.sweep.pass(&self.registry);
        self.world.advance(TICK);
    }

    fn ticks(&mut self, time: Duration) {
        let end = self.now() + time;
        while self.now() < end {
            self.tick();
        }
    }

    /// Ticks until it holds; fails after a minute of the machine's time.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.now() + Duration::from_secs(60);
        while !holds(self) {
            assert!(self.now() < end, "not within a minute: {what}");
            self.tick();
        }
    }

    fn now(&self) -> Instant {
        self.registry.clock().now()
    }

    /// Books what the kernel has made as delivered, as the analyse stage does with records.
    fn deliver(&self) {
        for run in self.registry.live() {
            if !self.registry.read(&run) {
                continue;
            }
            for (ring, books) in [event::Ring::Critical, event::Ring::Bulk].into_iter().zip(run.rings()) {
                (books.settled()..books.generated)
                    .for_each(|_| run.events(&[record(&run, ring).into()], true));
            }
        }
    }

    fn watch(&self) {
        watch::pass(&self.registry, &self.cases, &self.stats);
    }

    /// Everything that waits for the act stage.
    fn act(&mut self) {
        while let Ok(case) = self.waiting.try_recv() {
            let _goes_on = self.actor.handle(case);
        }
    }

    /// What `sentry freeze`, `thaw` and `kill` do.
    fn by_hand(&mut self, run: &Arc<Run>, action: Action) -> Outcome {
        let cases = self.cases.clone();
        let asked = act_by_hand(&cases, run, action, "user:1000".into(), "test".into());
        let mut asked = Box::pin(asked);
        let waits = self.runtime.block_on(async { futures_util::poll!(&mut asked).is_pending() });
        assert!(waits, "nobody has acted yet");
        self.act();
        self.runtime.block_on(asked).unwrap().1
    }

    /// Everything that the journal holds.
    fn items(&self) -> Vec<Kind> {
        self.runtime.block_on(async {
            self.journal.flush().await.unwrap();
            let (mut all, mut next) = (Vec::new(), 1);
            loop {
                let batch = self.journal.read_from(next, 1 << 20).await.unwrap();
                if batch.items.is_empty() {
                    return all;
                }
                next = batch.last + 1;
                all.extend(batch.items.into_iter().filter_map(|item| item.item));
            }
        })
    }

    /// The newest state of a run in the journal.
    fn stored(&self, run: &Run) -> v1::Run {
        let runs = self.items().into_iter().filter_map(|item| match item {
            Kind::Run(stored) if stored.id == run.id.0 => Some(stored),
            _ => None,
        });
        runs.last().unwrap()
    }

    /// Rules of the findings, in order.
    fn findings(&self) -> Vec<String> {
        let findings = self.items().into_iter().filter_map(|item| match item {
            Kind::Finding(finding) => Some(finding.rule),
            _ => None,
        });
        findings.collect()
    }

    /// Action and result of each outcome, in order.
    fn outcomes(&self) -> Vec<(v1::Action, String)> {
        let outcomes = self.items().into_iter().filter_map(|item| match item {
            Kind::Outcome(outcome) => Some((outcome.action(), result(&outcome).to_owned())),
            _ => None,
        });
        outcomes.collect()
    }

    /// Kinds of the ledger's entries, without the chain's own.
    fn ledger(&self) -> Vec<String> {
        // Its writer is a thread that waits for the disk.
        while !self.actor.ledger.settle() {}
        let mut kinds = Vec::new();
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for file in fs::read_dir(self.dir.path().join("ledger")).unwrap().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with("segment-") {
                files.insert(name, fs::read_to_string(file.path()).unwrap());
            }
        }
        for line in files.values().flat_map(|text| text.lines()) {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            kinds.push(entry["kind"].as_str().unwrap().to_owned());
        }
        kinds.retain(|kind| kind != "chain-start");
        kinds
    }

    /// Whether the run has ended, with all its traces in the kernel gone.
    fn is_over(&self, run: &Run) -> bool {
        run.is_ended() && self.registry.live().iter().all(|live| live.id != run.id)
    }
}

/// A fork bomb, 200 births a second: it goes on for as long as nothing stops it.
fn bomb(world: &World, pid: u32) {
    for _ in 0..20 {
        let _born = world.fork(pid);
    }
    if world.is_alive(pid) {
        world.after(TICK, move |world| bomb(world, pid));
    }
}

fn start(mode: Mode, uid: u32) -> Start {
    Start { name: "agent".into(), mode, uid, command: vec!["/bin/agent".into()], selected_by: String::new() }
}

fn result(outcome: &v1::Outcome) -> &'static str {
    use v1::outcome::Result;
    match outcome.result() {
        Result::Applied => "applied",
        Result::WouldApply => "would apply",
        Result::Refused => "refused",
        Result::Failed => "failed",
        Result::Unspecified => "unspecified",
    }
}

/// The event of a record that detection ignores.
fn record(run: &Run, ring: event::Ring) -> event::Event {
    event::Event {
        id: String::new(),
        run: run.id.clone().into(),
        agent: run.agent.clone().into(),
        ring,
        sequence: 0,
        time_unix_ns: 0,
        process: Arc::new(unknown(ProcessKey { tgid: 1, start_boot_ns: 1 })),
        kind: event::EventKind::Seed,
    }
}
