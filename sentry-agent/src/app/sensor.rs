//! Building, running and draining the sensor.

use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};

use sentry_kernel::{
    bpf::{Programs, RingSizes},
    cgroup::CgroupRoot,
    clock::Clock,
    real,
};
use sentry_service::{
    notify,
    stages::{Bounds, Stages},
};
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    books,
    doors::Doors,
    error::AppError,
    export, recover,
    reload::Reload,
    reserve::Reserve,
    threads::{Threads, Work},
};
use crate::{
    config::{Config, Flags, Holder},
    container::Roots,
    control::socket,
    digest, expose,
    journal::{self, JournalHandle, JournalWriter},
    learn::{agents::Agents, shelf::Shelf},
    ledger::pending::PendingLedger,
    runs::Registry,
    stage::act::Case,
    status::{
        board::{StateStatus, StatusBoard},
        metrics::Meter,
    },
};

/// Format of the state directory as a whole. To be raised with that of the journal, of the ledger,
/// or of any other file in it that an older sensor would take for damaged.
pub const STATE_FORMAT: u32 = 2;
/// BTF of the running kernel.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Nice value of the sensor.
const PRIORITY: i32 = -10;
/// How long the stages may take to write down what is under way: with what comes before and after
/// less than the service manager waits (`TimeoutStopSec=`).
const STAGES: Bounds =
    Bounds { sides: Duration::ZERO, all: Duration::from_secs(15), last: Duration::from_millis(100) };
/// Callers that may wait for the configuration to be read again.
const QUEUE_RELOADS: usize = 8;
/// Between two times that a start which takes long asks the service manager for more time, and how
/// often: five minutes are enough for the slowest machine that is tested, an emulated one.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_TIMES: usize = 30;

/// Runs the sensor until SIGTERM or SIGINT; then drains: no new calls, rings read out, books
/// written. SIGHUP has it read its configuration again, with the same flags.
///
/// # Errors
/// See [`AppError`].
pub fn run_sensor(config: Config, flags: Flags) -> Result<(), AppError> {
    // Fixed before anything is timed.
    let _clock = Clock::real();
    // Before any thread is made; threads inherit it. A run that takes all CPUs must not starve the
    // one that stops it. Without the right to it (CAP_SYS_NICE) the sensor competes as an equal.
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
        let holder = Holder::new(config.clone());
        let app = App::build(config, &holder).await?;
        starting.shutdown().await;
        // Warn only after a successful start; otherwise the start error matters more.
        if let Err(errno) = raised {
            tracing::warn!(%errno, "cannot raise the sensor's priority");
        }
        let reload = Reload {
            holder,
            flags,
            registry: Arc::clone(&app.registry),
            status: Arc::clone(&app.status),
            cases: app.cases.clone(),
        };
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
    /// The configuration at the start, for the parts that do not change.
    config: Arc<Config>,
    registry: Arc<Registry>,
    status: Arc<StatusBoard>,
    journal: JournalWriter,
    journal_handle: JournalHandle,
    cases: mpsc::Sender<Case>,
    stages: Stages<Infallible>,
    /// What lets callers in; nothing of it runs before [`App::run`].
    doors: Stages<tonic::transport::Error>,
    listener: UnixListener,
    /// For scrapers of metrics.
    scrapes: Option<UnixListener>,
    reserve: Reserve,
    /// `None`: no baselines are learned.
    agents: Option<Arc<Agents>>,
}

impl App {
    #[expect(clippy::too_many_lines, reason = "a list: a part after the other")]
    async fn build(config: Config, holder: &Holder) -> Result<Self, AppError> {
        let current = holder.current();
        let config = Arc::new(config);
        let state_dir = sentry_private::make_dir(&config.sensor.state_dir)?;
        sentry_private::claim_format(&state_dir, STATE_FORMAT)?;
        let root = CgroupRoot::find()?;
        let ring_sizes =
            RingSizes { critical_bytes: config.rings.critical_bytes, bulk_bytes: config.rings.bulk_bytes };
        let btf = std::env::var_os("AGENTSENTRY_BTF").map_or_else(|| PathBuf::from(BTF), PathBuf::from);
        let (programs, rings, held) = Programs::load(&btf, root.mount(), ring_sizes)?;
        // Bound before the state is opened: a second sensor must not touch the first one's files.
        let listener = socket::bind(&config.sensor.socket, config.sensor.group.as_deref()).await?;
        let scrapes = match &config.metrics.socket {
            Some(path) => Some(socket::bind(path, config.sensor.group.as_deref()).await?),
            None => None,
        };
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
        let agents = match config.baselines.learn {
            true => {
                let shelf = Shelf::open(&state_dir)?;
                Some(Arc::new(Agents::new(shelf, config.baselines, Clock::real())))
            }
            false => None,
        };
        let registry = Registry::new(kernel, current.clone(), state_dir, roots);
        let registry = Arc::new(registry.learning(agents.is_some()));
        let ledger = PendingLedger::start(books.ledger)
            .map_err(|source| AppError::Start { what: "the ledger", source })?;
        let mut troubles = books.troubles;
        let life = recover::Life {
            registry: &registry,
            journal: &journal_handle,
            ledger: &ledger,
            ledger_dir: &books.ledger_dir,
            kept_ledger: books.kept_ledger.as_deref(),
            strictest: config.policy.strictest_mode(),
        };
        troubles.extend(life.take_up().await?);
        let state = StateStatus { troubles, given_up: ledger.given_up(), agents: agents.clone() };
        let work = Work {
            ledger,
            rings,
            held,
            registry: Arc::clone(&registry),
            journal: journal_handle.clone(),
            current,
            hash_executed: config.evidence.hash_executed,
            agents: agents.clone(),
        };
        let Threads { stages, written, cases } = work.start()?;

        let sensor_limits = config.evidence.hash_executed.then(digest::limits).unwrap_or_default();
        for limit in &sensor_limits {
            tracing::warn!(limit, "not every executed file can be read");
        }
        let doors = Stages::default();
        let status = StatusBoard::new(
            config.sensor.id.clone(),
            tier,
            unseen,
            sensor_limits,
            written,
            state,
            doors.sides(),
        );
        Ok(Self {
            reserve: Reserve::make(&config.sensor.state_dir),
            config,
            registry,
            status: Arc::new(status),
            journal,
            journal_handle,
            cases,
            stages,
            doors,
            listener,
            scrapes,
            agents,
        })
    }

    #[expect(clippy::too_many_lines, reason = "a list: what is opened, and what is closed after it")]
    async fn run(self, reload: Reload, hangups: Signal) -> Result<(), AppError> {
        let Self {
            config,
            registry,
            status,
            journal,
            journal_handle,
            cases,
            mut stages,
            mut doors,
            listener,
            scrapes,
            reserve,
            agents,
        } = self;
        let serving = CancellationToken::new();
        let (mut outlets, export_status, commands) =
            export::start(&config, &registry, &journal_handle, cases.clone());
        status.export(export_status);
        let (asked, requests) = mpsc::channel(QUEUE_RELOADS);
        let open = Doors {
            config: Arc::clone(&config),
            asked,
            registry: Arc::clone(&registry),
            status: Arc::clone(&status),
            meter: Arc::new(Meter::new(
                Arc::clone(&registry),
                Arc::clone(&status),
                journal_handle.clone(),
                config.journal,
                config.rings,
            )),
            scrapes,
            journal: journal_handle.clone(),
            agents,
            cases,
            serving: serving.clone(),
        };
        open.open(&mut doors, listener, commands, reload.run(hangups, requests)).await;
        tracing::info!(
            sensor.id = config.sensor.id,
            version = env!("CARGO_PKG_VERSION"),
            socket = %config.sensor.socket.display(),
            tier = status.tier,
            "sensor is ready"
        );
        notify::ready(&recover::standing(&registry));
        let end = tokio::select! {
            signal = asked_to_end() => signal,
            fault = doors.fault() => Err(fault.into()),
            fault = stages.fault() => Err(fault.into()),
            fault = outlets.fault() => Err(fault.into()),
        };
        notify::stopping();
        match &end {
            Ok(signal) => tracing::info!(why = signal, "draining"),
            Err(fault) => tracing::error!(why = sentry_service::error_chain(fault), "draining"),
        }
        reserve.give_up();
        serving.cancel();
        let closed = doors.drain(super::doors::BOUNDS, || ()).await;
        let drained = stages.drain(STAGES, || ()).await;
        recover::leave_frozen(&registry);
        // The next sensor life goes on from these counters.
        recover::tell(&registry, &journal_handle).await;
        recover::keep_tapes(&registry, &journal_handle, true).await;
        if let Err(error) = journal_handle.flush().await {
            tracing::error!(
                error = %sentry_service::error_chain(&error),
                "the last state of the runs is not written"
            );
        }
        let sent = outlets.drain(export::BOUNDS, || ()).await;
        journal.close().await?;
        for socket in [Some(&config.sensor.socket), config.metrics.socket.as_ref()].into_iter().flatten() {
            if let Err(error) = std::fs::remove_file(socket) {
                tracing::warn!(%error, path = %socket.display(), "cannot remove a socket");
            }
        }
        config.metrics.textfile.as_deref().into_iter().for_each(expose::textfile::remove);
        tracing::info!(sensor.id = config.sensor.id, "sensor has ended");
        end?;
        closed?;
        drained?;
        Ok(sent?)
    }
}

/// Waits for SIGTERM or SIGINT, and names the one that came.
async fn asked_to_end() -> Result<&'static str, AppError> {
    let failed = |source| AppError::Start { what: "the signal handlers", source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
