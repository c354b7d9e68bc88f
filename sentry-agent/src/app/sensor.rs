//! Building, running and draining the sensor.

use std::{io, path::PathBuf, sync::Arc, thread, time::Duration};

use sentry_kernel::{
    bpf::{LoadError, Programs, RingSizes, programs::Rings, tables::Held},
    cgroup::{CgroupError, CgroupRoot},
    clock::Clock,
    real,
    ring::{
        lanes::{Filler, Lanes},
        reader::{self, RingStats},
    },
};
use sentry_private::PrivateError;
use sentry_proto::v1::control_server::ControlServer;
use sentry_service::{notify, watchdog::Watchdog};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::{
    books, recover,
    reload::Reload,
    reserve::Reserve,
    status::{StateStatus, StatusBoard, Written},
    watchdog,
};
use crate::{
    config::{Config, Current, Flags, Holder},
    container::{Roots, kubelet},
    control::{
        callers::callers,
        service::{self, ControlService},
        socket::{self, SocketError},
    },
    digest,
    enforce::{Enforcer, Limits},
    enrich::{
        event::Enricher,
        process_table::{self, ProcessTable},
    },
    journal::{self, JournalError, JournalHandle, JournalWriter},
    ledger::{LedgerError, pending::PendingLedger},
    runs::Registry,
    stage::{
        StageStats,
        act::{self, Actor, Case},
        analyse::{self, Analyse},
        hash, hash_queue, moved, reconcile,
        select::{self, Select, Selecting},
        watch,
    },
};

/// Why the sensor does not run (any more).
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The state directory, or something in it.
    #[error(transparent)]
    State(#[from] PrivateError),
    #[error("cannot start {what}")]
    Start {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the control socket failed")]
    Serve {
        #[source]
        source: tonic::transport::Error,
    },
    #[error("stage {stage} ended by itself; the log says why")]
    DeadStage { stage: &'static str },
}

/// Format of the state directory as a whole. To be raised with that of the journal, of the ledger, or of any other file
/// in it that an older sensor would take for damaged.
pub const STATE_FORMAT: u32 = 1;
/// BTF of the running kernel.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Nice value of the sensor.
const PRIORITY: i32 = -10;
/// Nice value of the stages that have a run stopped: hundreds of its processes leave a thread of the sensor's priority a
/// twentieth of a processor.
const FIRST: i32 = -20;
/// The stage that everything else's fate passes through; the last to be started and to end.
const ACT: &str = "act";
const ANALYSE: &str = "analyse";
const SELECT: &str = "select";
/// The stages that wait while the journal's queue is full; `select` waits for `act`.
pub(super) const INTO_JOURNAL: [&str; 3] = [ACT, ANALYSE, SELECT];
/// How long a stop waits for calls that are being answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// Between two times that a start which takes long asks the service manager for more time, and how
/// often: five minutes are enough for the slowest machine that is tested, an emulated one.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_TIMES: usize = 30;

/// Runs the sensor until SIGTERM or SIGINT; then drains: no new calls, rings read out, books written.
/// SIGHUP has it read its configuration again, with the same flags.
///
/// # Errors
/// See [`AppError`].
pub fn run_sensor(config: Config, flags: Flags) -> Result<(), AppError> {
    // Fixed before anything is timed.
    let _clock = Clock::real();
    // Before any thread is made; threads inherit it. A run that takes all CPUs must not starve the one that stops it.
    // Without the right to it (CAP_SYS_NICE) the sensor competes as an equal.
    let raised = rustix::process::setpriority_process(None, PRIORITY);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| AppError::Start { what: "the runtime", source })?;
    runtime.block_on(async {
        let mut starting = JoinSet::new();
        starting.spawn(ask_for_time());
        // From here on it does not end the process.
        let hangups = signal(SignalKind::hangup())
            .map_err(|source| AppError::Start { what: "the signal handlers", source })?;
        let holder = Holder::new(config);
        let app = App::build(holder.current()).await?;
        starting.shutdown().await;
        // Told by a sensor that runs: one that cannot has something more important to say.
        if let Err(errno) = raised {
            tracing::warn!(%errno, "cannot raise the sensor's priority");
        }
        let reload =
            Reload { holder, flags, registry: Arc::clone(&app.registry), status: Arc::clone(&app.status) };
        app.run(reload, hangups).await
    })
}

/// While the programs are loaded and the runs are taken up.
async fn ask_for_time() {
    for _ in 0..ASK_TIMES {
        notify::extend();
        tokio::time::sleep(ASK_EVERY).await;
    }
}

struct App {
    current: Current,
    /// As at the start, for what does not change.
    config: Arc<Config>,
    registry: Arc<Registry>,
    status: Arc<StatusBoard>,
    journal: JournalWriter,
    journal_handle: JournalHandle,
    cases: mpsc::Sender<Case>,
    stages: Vec<(&'static str, thread::JoinHandle<()>)>,
    listener: tokio::net::UnixListener,
    /// Stops the watch and reconcile stages and the ring thread.
    sources: CancellationToken,
    reserve: Reserve,
}

impl App {
    async fn build(current: Current) -> Result<Self, AppError> {
        let config = current.get();
        let state_dir = sentry_private::make_dir(&config.sensor.state_dir)?;
        sentry_private::claim_format(&state_dir, STATE_FORMAT)?;
        let root = CgroupRoot::find()?;
        let ring_sizes =
            RingSizes { critical_bytes: config.rings.critical_bytes, bulk_bytes: config.rings.bulk_bytes };
        let btf = std::env::var_os("AGENTSENTRY_BTF").map_or_else(|| PathBuf::from(BTF), PathBuf::from);
        let (programs, rings, held) = Programs::load(&btf, root.mount(), ring_sizes)?;
        // Bound before the state is opened: a second sensor must not touch the first one's files.
        let listener = socket::bind(&config.sensor.socket, config.sensor.group.as_deref()).await?;
        let books = books::open(&state_dir, &config.journal)?;
        let (journal, journal_handle) = JournalWriter::start(books.journal, journal::QUEUE_CAPACITY)?;
        if let Some(limit) = programs.unknown_tier() {
            tracing::warn!(limit, "the tier may be lower than it has to be");
        }
        let mut roots = Roots::default().with(&config.containers.engines);
        roots.node.clone_from(&config.containers.node);
        roots.pods = config.containers.kubelet.is_some().then(Arc::default);
        let (tier, unseen) = (programs.tier().letter().to_owned(), programs.limits());
        let kernel = real::kernel(programs, root);
        let registry = Arc::new(Registry::new(kernel, current.clone(), state_dir, roots));
        let ledger = PendingLedger::start(books.ledger)
            .map_err(|source| AppError::Start { what: "the ledger", source })?;
        let mut troubles = books.troubles;
        let life = recover::Life {
            registry: &registry,
            journal: &journal_handle,
            ledger: &ledger,
            ledger_dir: &books.ledger_dir,
            kept_ledger: books.kept_ledger.as_deref(),
            strictest: config.strictest_mode(),
        };
        troubles.extend(life.take_up().await?);
        Stages { ledger, rings, held, registry, journal_handle, current, troubles }
            .spawn(journal, listener, tier, unseen)
    }

    async fn run(self, reload: Reload, hangups: Signal) -> Result<(), AppError> {
        let Self {
            current,
            config,
            registry,
            status,
            journal,
            journal_handle,
            cases,
            stages,
            listener,
            sources,
            reserve,
        } = self;
        let serving = CancellationToken::new();
        let (mut exporter, export_status) = super::export::start(&config, &registry, &journal_handle, &cases);
        status.export(export_status);
        let canary = super::canary::run(
            Arc::clone(&status.canary),
            Arc::clone(&registry),
            config.sensor.runtime_dir().to_owned(),
            serving.clone(),
        );
        status.spawn(canary);
        let service = ControlService {
            registry: Arc::clone(&registry),
            journal: journal_handle.clone(),
            cases: cases.clone(),
            config: current,
            status: Arc::clone(&status),
            runtime_dir: config.sensor.runtime_dir().to_owned(),
            reports: Arc::new(Semaphore::new(service::REPORTS_AT_ONCE)),
            stopping: serving.clone(),
        };
        let mut servers = serve(service, listener).await;
        let mut telling = JoinSet::new();
        telling.spawn(recover::keep_telling(Arc::clone(&registry), journal_handle.clone()));
        if let (Some(kubelet), Some(pods)) = (&config.containers.kubelet, &registry.roots().pods) {
            telling.spawn(kubelet::keep(kubelet.clone(), Arc::clone(pods)));
        }
        telling.spawn(reload.run(hangups, serving.clone()));
        tracing::info!(
            sensor.id = config.sensor.id,
            socket = %config.sensor.socket.display(),
            tier = status.tier,
            "sensor is ready"
        );
        notify::ready(&recover::standing(&registry));
        let watchdog = Watchdog::new(watchdog::parts(&status, &journal_handle));
        let fault = wait_for_end(&status, watchdog, &mut servers).await;
        notify::stopping();
        tracing::info!("draining");
        reserve.give_up();
        serving.cancel();
        // A caller that does not take its answer is not waited for.
        let served = tokio::time::timeout(ANSWERED_WITHIN, servers.join_next()).await.ok().flatten();
        exporter.stop_commands().await;
        telling.shutdown().await;
        sources.cancel();
        // Threads: off the runtime's own.
        let drained = tokio::task::spawn_blocking(move || {
            for (name, stage) in stages {
                // The last one, whose queue a caller may still hold.
                if name == ACT {
                    let _ended_before = cases.blocking_send(Case::Stop);
                }
                if stage.join().is_err() {
                    tracing::error!(stage = name, "stage panicked");
                }
            }
        });
        // The join error of a helper thread is a panic that is already in the log.
        let _panicked = drained.await;
        recover::leave_frozen(&registry);
        // The next sensor life goes on from these counters.
        recover::tell(&registry, &journal_handle).await;
        if let Err(error) = journal_handle.flush().await {
            tracing::error!(error = %sentry_service::error_chain(&error), "the last state of the runs is not written");
        }
        exporter.drain().await;
        journal.close().await?;
        if let Err(error) = std::fs::remove_file(&config.sensor.socket) {
            tracing::warn!(%error, "cannot remove the control socket");
        }
        match (fault, served) {
            (Some(fault), _) => Err(fault),
            (None, Some(Ok(Err(source)))) => Err(AppError::Serve { source }),
            (None, _) => Ok(()),
        }
    }
}

/// Serves the control socket until the service's own stop.
async fn serve(
    service: ControlService,
    listener: tokio::net::UnixListener,
) -> JoinSet<Result<(), tonic::transport::Error>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ControlServer<ControlService>>().await;
    let stopping = service.stopping.clone().cancelled_owned();
    let control = ControlServer::new(service)
        .max_decoding_message_size(service::REQUEST_BYTES)
        .max_encoding_message_size(service::ANSWER_BYTES);
    let server = Server::builder()
        .max_concurrent_streams(service::CALLS_AT_ONCE)
        .add_service(health_service)
        .add_service(control)
        .serve_with_incoming_shutdown(callers(listener), stopping);
    let mut servers = JoinSet::new();
    servers.spawn(server);
    servers
}

/// Waits for a signal, the end of the server, or a dead stage.
async fn wait_for_end(
    status: &StatusBoard,
    mut watchdog: Watchdog,
    servers: &mut JoinSet<Result<(), tonic::transport::Error>>,
) -> Option<AppError> {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return Some(AppError::Start { what: "the signal handlers", source: io::Error::last_os_error() });
    };
    let mut pulse = tokio::time::interval(watchdog.period());
    loop {
        tokio::select! {
            _ = terminate.recv() => return None,
            _ = interrupt.recv() => return None,
            ended = servers.join_next() => {
                return Some(match ended {
                    Some(Ok(Err(source))) => AppError::Serve { source },
                    _ => AppError::DeadStage { stage: "control socket" },
                });
            }
            _ = pulse.tick() => {
                if let Some(stage) = status.dead_stage() {
                    return Some(AppError::DeadStage { stage });
                }
                watchdog.beat();
            }
        }
    }
}

/// What the stages own.
struct Stages {
    ledger: PendingLedger,
    rings: Rings,
    held: Held,
    registry: Arc<Registry>,
    journal_handle: JournalHandle,
    current: Current,
    troubles: Vec<String>,
}

impl Stages {
    /// Starts a thread per stage.
    fn spawn(
        self,
        journal: JournalWriter,
        listener: tokio::net::UnixListener,
        tier: String,
        unseen: Vec<String>,
    ) -> Result<App, AppError> {
        let Self { ledger, rings, mut held, registry, journal_handle, current, troubles } = self;
        let config = current.get();
        let given_up = ledger.given_up();
        let sources = CancellationToken::new();
        let lanes = Arc::new(Lanes::new(Box::new(move |tag, on| {
            if let Err(error) = held.set(tag, on) {
                tracing::error!(error = %sentry_service::error_chain(&error), "cannot hold a flood");
            }
        })));
        let (cases, case_receiver) = mpsc::channel(act::QUEUE_CASES);
        let ring_stats = Arc::new(RingStats::default());
        let mut threads = Threads::default();

        let (token, stats) = (sources.clone(), Arc::clone(&ring_stats));
        let filler = Filler::new(Arc::clone(&lanes));
        threads.spawn("ring", move |stage| {
            if let Err(errno) = reader::run(rings, &filler, &stats, &stage.progress, &token) {
                tracing::error!(error = %errno, "cannot read the rings");
            }
        })?;

        let enricher = Enricher::new(ProcessTable::new(process_table::CAPACITY), Clock::real());
        let (hash, files) = config.evidence.hash_executed.then(hash_queue::queue).unzip();
        let (asked, questions) = select::queue();
        let to = Analyse { registry: Arc::clone(&registry), journal: journal_handle.clone(), hash, asked };
        let for_analyse = Arc::clone(&lanes);
        threads.spawn(ANALYSE, move |stats| analyse::run(&for_analyse, enricher, &to, stats))?;
        // Before anybody is answered: what is made from then on is selected.
        registry.select(&config.selection())?;
        let selecting = Arc::new(Selecting::default());
        let select = Select {
            registry: Arc::clone(&registry),
            lanes,
            cases: cases.clone(),
            selecting: Arc::clone(&selecting),
            config: current.clone(),
        };
        let token = sources.clone();
        threads.spawn(SELECT, move |stats| {
            come_first();
            select.run(&questions, stats, &token);
        })?;
        if let Some(files) = files {
            let (token, for_hash) = (sources.clone(), Arc::clone(&registry));
            threads.spawn("hash", move |stats| hash::run(&files, &for_hash, stats, &token))?;
        }

        let (token, for_watch, cases_of_watch) = (sources.clone(), Arc::clone(&registry), cases.clone());
        threads.spawn("watch", move |stats| {
            come_first();
            watch::run(&for_watch, &cases_of_watch, stats, &token);
        })?;

        let (token, for_reconcile) = (sources.clone(), Arc::clone(&registry));
        threads.spawn("reconcile", move |stats| reconcile::run(&for_reconcile, stats, &token))?;
        moved::start(&registry, sources.clone())
            .map_err(|source| AppError::Start { what: "the count of moved bytes", source })?;

        let enforcer =
            Enforcer::new(Limits::default(), Arc::clone(registry.processes()), registry.clock().clone());
        for run in registry.live() {
            enforcer.remember_all(&run.id, &run.account().stopped);
        }
        let actor =
            Actor { registry: Arc::clone(&registry), enforcer, ledger, journal: journal_handle.clone() };
        threads.spawn(ACT, move |stats| {
            come_first();
            actor.run(case_receiver, stats);
        })?;

        let sensor_limits = config.evidence.hash_executed.then(digest::limits).unwrap_or_default();
        for limit in &sensor_limits {
            tracing::warn!(limit, "not every executed file can be read");
        }
        let state = StateStatus { troubles, given_up };
        let status = StatusBoard::new(
            config.sensor.id.clone(),
            tier,
            unseen,
            sensor_limits,
            Written { ring: ring_stats, stages: threads.stats, selecting },
            state,
        );
        Ok(App {
            current,
            reserve: Reserve::make(&config.sensor.state_dir),
            config,
            registry,
            status: Arc::new(status),
            journal,
            journal_handle,
            cases,
            stages: threads.handles,
            listener,
            sources,
        })
    }
}

/// Raises the calling thread alone. That it may not was told at the start.
fn come_first() {
    let _refused = rustix::process::setpriority_process(None, FIRST);
}

#[derive(Default)]
struct Threads {
    handles: Vec<(&'static str, thread::JoinHandle<()>)>,
    stats: Vec<(&'static str, Arc<StageStats>)>,
}

impl Threads {
    fn spawn(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&StageStats) + Send + 'static,
    ) -> Result<(), AppError> {
        let stats = Arc::new(StageStats::default());
        let own = Arc::clone(&stats);
        let handle = thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                // Also when the stage panics: its end is a fault the health endpoint shows.
                struct End(Arc<StageStats>);
                impl Drop for End {
                    fn drop(&mut self) {
                        self.0.end();
                    }
                }
                let end = End(own);
                work(&end.0);
            })
            .map_err(|source| AppError::Start { what: name, source })?;
        self.handles.push((name, handle));
        self.stats.push((name, stats));
        Ok(())
    }
}
