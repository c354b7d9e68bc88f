//! The stages that are threads, in the order of the flow: so they are started, and so they drain.

use std::{convert::Infallible, future::Future, sync::Arc};

use sentry_kernel::{
    bpf::{programs::Rings, tables::Held},
    clock::Clock,
    ring::{
        lanes::{Filler, Lanes},
        reader,
        stats::RingStats,
    },
};
use sentry_service::stages::{Stages, cancel};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::AppError;
use crate::{
    config::Current,
    enforce::{Enforcer, Limits},
    enrich::{
        event::Enricher,
        process_table::{self, ProcessTable},
    },
    journal::JournalHandle,
    learn::agents::Agents,
    ledger::pending::PendingLedger,
    runs::Registry,
    stage::{
        StageStats,
        act::{self, Actor, Case},
        analyse::{self, Analyse},
        counted::Counted,
        hash, hash_queue,
        learn::Learn,
        moved, reconcile,
        select::{self, Select, Selecting},
        watch,
    },
    status::{board::Written, watchdog},
};

/// Nice value of the stages that have a run stopped: hundreds of its processes leave a thread of
/// the sensor's priority a twentieth of a processor.
const FIRST: i32 = -20;

/// What the stages own.
pub(super) struct Work {
    pub(super) ledger: PendingLedger,
    pub(super) rings: Rings,
    pub(super) held: Held,
    pub(super) registry: Arc<Registry>,
    pub(super) journal: JournalHandle,
    pub(super) current: Current,
    /// SHA-256 of each executed file is wanted.
    pub(super) hash_executed: bool,
    /// `None`: no baselines are learned.
    pub(super) agents: Option<Arc<Agents>>,
}

/// The running threads, and what they write of themselves.
pub(super) struct Threads {
    pub(super) stages: Stages<Infallible>,
    pub(super) written: Written,
    pub(super) cases: mpsc::Sender<Case>,
}

/// Starts threads, each with its marks.
#[derive(Default)]
struct Starter {
    stages: Stages<Infallible>,
    stats: Vec<(&'static str, Arc<StageStats>)>,
}

// === impl Work ===

impl Work {
    /// Starts a thread per stage.
    #[expect(clippy::too_many_lines, reason = "a list: a thread after the other")]
    pub(super) fn start(self) -> Result<Threads, AppError> {
        let Self { ledger, rings, mut held, registry, journal, current, hash_executed, agents } = self;
        // Cancelled first: whoever reads something new ends, and whoever waits for it after that.
        let sources = CancellationToken::new();
        let lanes = Arc::new(Lanes::new(Box::new(move |tag, on| {
            if let Err(error) = held.set(tag, on) {
                tracing::error!(error = %sentry_service::error_chain(&error), "cannot hold a flood");
            }
        })));
        let (cases, case_receiver) = mpsc::channel(act::QUEUE_CASES);
        let ring_stats = Arc::new(RingStats::default());
        let mut threads = Starter::default();

        let (token, stats) = (sources.clone(), Arc::clone(&ring_stats));
        let filler = Filler::new(Arc::clone(&lanes));
        threads.start(watchdog::RING, cancel(&sources), move |stage| {
            if let Err(errno) = reader::run(rings, &filler, &stats, &stage.progress, &token) {
                tracing::error!(error = %errno, "cannot read the rings");
            }
        })?;

        let enricher = Enricher::new(ProcessTable::new(process_table::CAPACITY), Clock::real());
        let (hash, files) = hash_executed.then(hash_queue::queue).unzip();
        let (asked, questions) = select::queue();
        let to = Analyse { registry: Arc::clone(&registry), journal: journal.clone(), hash, asked };
        let for_analyse = Arc::clone(&lanes);
        threads.start(watchdog::ANALYSE, cancel(&sources), move |stats| {
            analyse::run(&for_analyse, enricher, &to, stats);
        })?;
        // Before any caller is answered, so that cgroups made from then on are selected.
        registry.select(&current.get().selection)?;
        let selecting = Arc::new(Selecting::default());
        let select = Select {
            registry: Arc::clone(&registry),
            lanes,
            cases: cases.clone(),
            selecting: Arc::clone(&selecting),
            policy: current,
        };
        let token = sources.clone();
        threads.start(watchdog::SELECT, cancel(&sources), move |stats| {
            come_first();
            select.run(&questions, stats, &token);
        })?;
        if let Some(files) = files {
            let (token, for_hash) = (sources.clone(), Arc::clone(&registry));
            threads.start("hash", cancel(&sources), move |stats| {
                hash::run(&files, &for_hash, stats, &token);
            })?;
        }

        let (token, for_watch, cases_of_watch) = (sources.clone(), Arc::clone(&registry), cases.clone());
        threads.start("watch", cancel(&sources), move |stats| {
            come_first();
            watch::run(&for_watch, &cases_of_watch, stats, &token);
        })?;

        let (token, for_reconcile) = (sources.clone(), Arc::clone(&registry));
        threads.start("reconcile", cancel(&sources), move |stats| {
            reconcile::run(&for_reconcile, stats, &token);
        })?;
        moved::start(&registry, sources.clone())
            .map_err(|source| AppError::Start { what: "the count of moved bytes", source })?;

        if let Some(agents) = agents {
            let (token, learn) = (sources.clone(), Learn::new(Arc::clone(&registry), agents, cases.clone()));
            threads.start(watchdog::LEARN, cancel(&sources), move |stats| learn.run(stats, &token))?;
        }

        let enforcer =
            Enforcer::new(Limits::default(), Arc::clone(registry.processes()), registry.clock().clone());
        for run in registry.live() {
            enforcer.remember_all(&run.id, &run.account().stopped);
        }
        let counted = Arc::new(Counted::default());
        let actor = Actor { registry, enforcer, ledger, journal, counted: Arc::clone(&counted) };
        // The last one, whose queue a caller may still hold.
        let of_stop = cases.clone();
        let stop = async move {
            let _ended_before = of_stop.send(Case::Stop).await;
        };
        threads.start(watchdog::ACT, stop, move |stats| {
            come_first();
            actor.run(case_receiver, stats);
        })?;
        let Starter { stages, stats } = threads;
        let written = Written { ring: ring_stats, stages: stats, selecting, counted };
        Ok(Threads { stages, written, cases })
    }
}

/// Raises the calling thread alone. That it may not was logged at the start.
fn come_first() {
    let _refused = rustix::process::setpriority_process(None, FIRST);
}

// === impl Starter ===

impl Starter {
    fn start(
        &mut self,
        name: &'static str,
        stop: impl Future<Output = ()> + Send + 'static,
        work: impl FnOnce(&StageStats) + Send + 'static,
    ) -> Result<(), AppError> {
        let stats = Arc::new(StageStats::default());
        let own = Arc::clone(&stats);
        let work = move || {
            // Also when the stage panics: its end is a fault that the health endpoint shows.
            struct End(Arc<StageStats>);
            impl Drop for End {
                fn drop(&mut self) {
                    self.0.end();
                }
            }
            let end = End(own);
            work(&end.0);
            Ok(())
        };
        self.stages.thread(name, stop, work).map_err(|source| AppError::Start { what: name, source })?;
        self.stats.push((name, stats));
        Ok(())
    }
}
