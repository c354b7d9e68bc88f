//! What runs beside the threads while the sensor serves: the control socket, commands of the
//! collector, the canary, and what is done again and again. They close before the threads drain,
//! since they need them.

use std::{future::Future, sync::Arc, time::Duration};

use sentry_proto::v1::control_server::ControlServer;
use sentry_service::{
    stages::{Bounds, Stages, cancel},
    watchdog::Watchdog,
};
use tokio::{
    net::UnixListener,
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::{books, recover};
use crate::{
    config::{Asked, Config},
    container::kubelet,
    control::{
        callers::callers,
        service::{self, ControlService},
    },
    expose,
    journal::JournalHandle,
    learn::agents::Agents,
    runs::Registry,
    stage::act::Case,
    status::{board::StatusBoard, canary, metrics::Meter, watchdog},
};

/// How long a stop waits for calls that are being answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// Tasks of callers have as long, at the same time; the rest closes at once.
pub(super) const BOUNDS: Bounds =
    Bounds { sides: ANSWERED_WITHIN, all: Duration::from_secs(6), last: Duration::from_millis(100) };

type Failed = tonic::transport::Error;

/// What callers reach through the doors.
pub(super) struct Doors {
    /// The configuration at the start, for the parts that do not change.
    pub(super) config: Arc<Config>,
    /// Requests to read the configuration again.
    pub(super) asked: mpsc::Sender<Asked>,
    pub(super) registry: Arc<Registry>,
    pub(super) status: Arc<StatusBoard>,
    pub(super) meter: Arc<Meter>,
    /// Answers with the metrics over HTTP.
    pub(super) scrapes: Option<UnixListener>,
    pub(super) journal: JournalHandle,
    pub(super) agents: Option<Arc<Agents>>,
    pub(super) cases: mpsc::Sender<Case>,
    /// Cancelled when the sensor drains.
    pub(super) serving: CancellationToken,
}

// === impl Doors ===

impl Doors {
    /// Opens all of them.
    pub(super) async fn open(
        self,
        doors: &mut Stages<Failed>,
        listener: UnixListener,
        commands: Option<impl Future<Output = ()> + Send + 'static>,
        reload: impl Future<Output = ()> + Send + 'static,
    ) {
        let Self { config, asked, registry, status, meter, scrapes, journal, agents, cases, serving } = self;
        let service = ControlService {
            registry: Arc::clone(&registry),
            journal: journal.clone(),
            cases,
            reload: asked,
            status: Arc::clone(&status),
            meter: Arc::clone(&meter),
            agents,
            runtime_dir: config.sensor.runtime_dir().to_owned(),
            ledger_dir: books::ledger_dir(&config.sensor.state_dir),
            reports: Arc::new(Semaphore::new(service::REPORTS_AT_ONCE)),
            stopping: serving.clone(),
        };
        doors.task("control socket", cancel(&serving), serve(service, listener).await);
        if let Some(commands) = commands {
            doors.endless("commands", commands);
        }
        let flights = canary::run(
            Arc::clone(&status.canary),
            Arc::clone(&registry),
            config.sensor.runtime_dir().to_owned(),
        );
        doors.endless("canary", flights);
        doors.endless("states", recover::keep_telling(Arc::clone(&registry), journal.clone()));
        if let (Some(kubelet), Some(pods)) = (&config.containers.kubelet, &registry.roots().pods) {
            doors.endless("kubelet", kubelet::keep(kubelet.clone(), Arc::clone(pods)));
        }
        if let Some(listener) = scrapes {
            doors.endless("metrics socket", expose::http::serve(listener, Arc::clone(&meter)));
        }
        if let Some(path) = config.metrics.textfile.clone() {
            doors.endless("metrics textfile", expose::textfile::keep(path, config.metrics.every, meter));
        }
        doors.endless("reload", reload);
        let parts = watchdog::parts(&status.stages, &status.canary, &journal);
        doors.endless("watchdog", beat(Watchdog::new(parts)));
    }
}

/// Serves the control socket until the service's own stop; a caller that does not take its answer
/// is not waited for.
async fn serve(
    service: ControlService,
    listener: UnixListener,
) -> impl Future<Output = Result<(), Failed>> + Send + 'static {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ControlServer<ControlService>>().await;
    let stopping = service.stopping.clone();
    let control = ControlServer::new(service)
        .max_decoding_message_size(service::REQUEST_BYTES)
        .max_encoding_message_size(service::ANSWER_BYTES);
    let server = Server::builder()
        .max_concurrent_streams(service::CALLS_AT_ONCE)
        .add_service(health_service)
        .add_service(control)
        .serve_with_incoming_shutdown(callers(listener), stopping.clone().cancelled_owned());
    async move {
        tokio::pin!(server);
        tokio::select! {
            served = &mut server => served,
            () = stopping.cancelled() => timeout(ANSWERED_WITHIN, server).await.unwrap_or(Ok(())),
        }
    }
}

/// Sends the service manager's watchdog its beats.
async fn beat(mut watchdog: Watchdog) {
    let mut pulse = tokio::time::interval(watchdog.period());
    loop {
        pulse.tick().await;
        watchdog.beat();
    }
}
