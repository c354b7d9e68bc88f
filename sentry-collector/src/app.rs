//! Builds the stages, runs them, drains them. If a stage ends by itself, the process ends with an
//! error that names it.
//!
//! Drain order: streams stop reading and wait for their commits → the writer commits what is queued
//! and ends → connections close. All of it has 10 s.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustix::process::{Resource, geteuid, getrlimit, setrlimit};
use sentry_proto::v1::feed_server::FeedServer;
use sentry_service::{
    notify,
    stages::{Bounds, Fault, Stages, cancel},
    watchdog::{Part, Watchdog},
};
use serde_json::json;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Semaphore, mpsc, watch},
};
use tokio_rustls::rustls::ServerConfig;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::server::HealthReporter;

use crate::{
    access::{
        key::Hasher,
        keyring::{FirstKeyError, Keyring, first_key},
        secret::SecretError,
        token::Token,
    },
    api::{self, access::Access, host::Names, outbox::Outbox, state::Api},
    config::Config,
    exit::Exit,
    ingest::{
        address::GrpcAddress, listen::Listener, registry::Registry, service::FeedService, session::Shared,
    },
    metrics::Metrics,
    store::{Cause, Stop, Store, StoreError, Trouble, Writer},
};

const DRAIN: Bounds =
    Bounds { sides: Duration::from_secs(10), all: Duration::from_secs(10), last: Duration::from_secs(1) };
const KEEPALIVE: Duration = Duration::from_secs(20);
const STREAMS_PER_CONNECTION: u32 = 8;
/// Live streams of the API at once.
const STREAMS: usize = 64;
/// Longest time between two signs of life of such a stream.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Longest time for one commit, or for one step of the removal of old rows. A slow disk takes
/// seconds. If it takes longer the watchdog restarts the process, and the log shows it.
const COMMIT: Duration = Duration::from_secs(120);

/// Why the collector does not start, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("cannot open the store")]
    Store { source: StoreError },
    #[error("keys cannot be checked")]
    Secret { source: SecretError },
    #[error("there is no first key")]
    FirstKey { source: FirstKeyError },
    #[error("the keys cannot be read")]
    Keys { source: Cause },
    #[error("cannot listen on {address} ({key}); choose another address or stop who uses it")]
    Listen { key: &'static str, address: String, source: io::Error },
    #[error("the TLS material is refused by the server of `listen_grpc`")]
    Tls { source: tonic::transport::Error },
    #[error("cannot start the writer")]
    Thread { source: io::Error },
    #[error(transparent)]
    Stage(#[from] Fault<StageError>),
}

/// How a stage fails.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("the server stopped")]
    Server(#[source] tonic::transport::Error),
    #[error("the writer stopped")]
    Writer(#[source] StoreError),
}

/// The collector with everything open and nothing running.
pub struct App {
    config: Config,
    grpc: Listener,
    http: TcpListener,
    http_address: SocketAddr,
    /// `None`: it cannot be bound, so commands on the host do not work.
    local: Option<UnixListener>,
    grpc_address: GrpcAddress,
    access: Access,
    store: Store,
    writer: Writer,
    writer_stop: Stop,
    metrics: Arc<Metrics>,
}

// === impl App ===

impl App {
    /// Opens the store, reads or makes the secrets and binds the listeners.
    ///
    /// # Errors
    /// Where one of them cannot be opened.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        raise_open_files();
        let metrics = Arc::new(Metrics::default());
        let writer_stop = Stop::default();
        let (store, mut writer) =
            Store::open(&config.data_dir, config.retention_bytes, Arc::clone(&metrics), writer_stop.clone())
                .map_err(|source| AppError::Store { source })?;
        let access = access(&config, &store, &mut writer, &metrics).await?;
        let failed = |key, address: String| move |source| AppError::Listen { key, address, source };
        let grpc_failed = failed("listen_grpc", config.listen_grpc.to_string());
        let shared = config.gate.shared(geteuid().as_raw());
        let grpc = Listener::bind(&config.listen_grpc, shared).await.map_err(grpc_failed.clone())?;
        let grpc_address = grpc.address().map_err(grpc_failed)?;
        let http_failed = failed("listen_http", config.listen_http.to_string());
        let http = api::server::bind(config.listen_http).map_err(http_failed.clone())?;
        let http_address = http.local_addr().map_err(http_failed)?;
        let local = match api::local::bind(&config.data_dir) {
            Ok(local) => Some(local),
            Err(error) => {
                let path = config.data_dir.join(api::local::SOCKET);
                tracing::warn!(%error, path = %path.display(), "`sentry-collector key` and `login` do not work");
                None
            }
        };
        Ok(Self {
            config,
            grpc,
            http,
            http_address,
            local,
            grpc_address,
            access,
            store,
            writer,
            writer_stop,
            metrics,
        })
    }

    /// The addresses as bound: `{"grpc":"…","http":"…"}`.
    #[must_use]
    pub fn addresses(&self) -> String {
        json!({"grpc": self.grpc_address.to_string(), "http": self.http_address.to_string()}).to_string()
    }

    /// Serves until `stop` is cancelled, then drains.
    ///
    /// # Errors
    /// Where a stage failed or did not end in time.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AppError> {
        let abandon = self.writer_stop.abandon.clone();
        let drain = CancellationToken::new();
        let (grpc, http) = (self.grpc_address.to_string(), self.http_address.to_string());
        let mut stages = self.start(&drain).await?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), grpc, http, "collector is ready");
        notify::ready("serving");
        tokio::select! {
            biased;
            fault = stages.fault() => return Err(fault.into()),
            () = stop.cancelled() => {}
        }
        notify::stopping();
        tracing::info!("draining");
        drain.cancel();
        // A writer that cannot commit gives up at the end, with the reason as its error.
        stages.drain(DRAIN, || abandon.cancel()).await?;
        tracing::info!("collector has ended");
        Ok(())
    }

    /// Starts the stages in the order in which they drain. Cancelling `drain` ends the streams and
    /// the listeners.
    async fn start(self, drain: &CancellationToken) -> Result<Stages<StageError>, AppError> {
        let registry = Registry::new(Arc::clone(&self.metrics));
        let mut stages = Stages::default();
        let writer = self.writer;
        let watchdog = Watchdog::new(vec![Part {
            name: "writer",
            progress: writer.progress(),
            limit: COMMIT,
            waits_for: None,
        }]);
        stages.task("watchdog", cancel(drain), keep_alive(watchdog, drain.clone()));

        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<FeedServer<FeedService>>().await;
        stages.task("health", cancel(drain), follow(self.store.trouble(), reporter, drain.clone()));

        let (connections, incoming) = mpsc::channel(1);
        let (grpc, accept_stop) = (self.grpc, drain.clone());
        stages.task("grpc-accept", cancel(drain), async move {
            grpc.accept_into(connections, accept_stop).await;
            Ok(())
        });

        // Before the servers end, so that a slow peer cannot prevent the last commit.
        let write = move || writer.run().map_err(StageError::Writer);
        stages
            .thread("writer", cancel(&self.writer_stop.finish), write)
            .map_err(|source| AppError::Thread { source })?;

        let shared = Shared {
            store: self.store.clone(),
            registry: Arc::clone(&registry),
            metrics: Arc::clone(&self.metrics),
            drain: drain.clone(),
            gate: Arc::new(self.config.gate.clone()),
        };
        let feed = FeedService { shared, sessions: stages.sides() };
        let mut server = Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE));
        if let Some(tls) = &self.config.tls {
            server = server.tls_config(tls.grpc()).map_err(|source| AppError::Tls { source })?;
        }
        let router = server.add_service(health).add_service(feed.server());
        let grpc_stop = drain.clone().cancelled_owned();
        stages.task("grpc", cancel(drain), async move {
            let served = router.serve_with_incoming_shutdown(ReceiverStream::new(incoming), grpc_stop);
            served.await.map_err(StageError::Server)
        });

        let tls = self.config.http_tls.as_ref().map(crate::tls::Tls::http);
        let api = Api {
            store: self.store,
            registry,
            metrics: self.metrics,
            names: Names::new(self.http_address, tls.is_some(), &self.config.http_names),
            outbox: Outbox::new(),
            access: self.access,
            streams: Arc::new(Semaphore::new(STREAMS)),
            // Often enough that a stream never looks as if its peer took nothing.
            heartbeat: (self.config.http_patience / 3).min(HEARTBEAT),
            drain: drain.clone(),
        };
        serve(&mut stages, api, tls, self.config.http_patience, (self.http, self.local));
        Ok(stages)
    }
}

impl AppError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Store { source } => source.exit(),
            Self::Secret { source } | Self::FirstKey { source: FirstKeyError::Secret(source) } => {
                source.exit()
            }
            Self::FirstKey { source: FirstKeyError::Store(source) } => source.exit(),
            Self::Keys { .. } | Self::Listen { .. } => Exit::Io,
            Self::Tls { .. } => Exit::Config,
            Self::Stage(Fault::Failed { source: StageError::Writer(source), .. }) => source.exit(),
            Self::Thread { .. } | Self::Stage(_) => Exit::Other,
        }
    }
}

/// Starts the HTTP side, at its listener and at the unix socket.
fn serve(
    stages: &mut Stages<StageError>,
    api: Api,
    tls: Option<Arc<ServerConfig>>,
    patience: Duration,
    (http, local): (TcpListener, Option<UnixListener>),
) {
    let (metrics, close) = (Arc::clone(&api.metrics), CancellationToken::new());
    let server =
        api::server::Server { tls, router: api::router(api), patience, metrics, stop: close.clone() };
    if let Some(listener) = local {
        let server = server.clone();
        stages.task("local", cancel(&close), async move {
            server.serve_local(listener).await;
            Ok(())
        });
    }
    stages.task("http", cancel(&close), async move {
        server.serve(http).await;
        Ok(())
    });
}

/// Reads or makes what keys are checked with. The store has locked the directory, so no other
/// process makes the files at the same time.
async fn access(
    config: &Config,
    store: &Store,
    writer: &mut Writer,
    metrics: &Arc<Metrics>,
) -> Result<Access, AppError> {
    let secret = |source| AppError::Secret { source };
    let token = Token::load(&config.data_dir).map_err(secret)?;
    let hasher = Hasher::load(&config.data_dir, config.key_secret.as_deref()).map_err(secret)?;
    first_key(writer, &hasher, &config.data_dir).map_err(|source| AppError::FirstKey { source })?;
    let rows = store.keys().await.map_err(|source| AppError::Keys { source: source.into() })?;
    Ok(Access::new(token, Keyring::new(hasher, rows), store.clone(), Arc::clone(metrics)))
}

/// Raises the soft limit of descriptors: both listeners at their limits have more connections than
/// the usual 1,024.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
}

/// Sends the service manager's watchdog its beats.
async fn keep_alive(mut watchdog: Watchdog, drain: CancellationToken) -> Result<(), StageError> {
    let mut pulse = tokio::time::interval(watchdog.period());
    loop {
        tokio::select! {
            biased;
            () = drain.cancelled() => return Ok(()),
            _ = pulse.tick() => watchdog.beat(),
        }
    }
}

/// Keeps the gRPC health answer, and what `systemctl status` shows, in step with the store.
async fn follow(
    mut trouble: watch::Receiver<Trouble>,
    reporter: HealthReporter,
    drain: CancellationToken,
) -> Result<(), StageError> {
    loop {
        let why = trouble.borrow_and_update().clone();
        if !drain.is_cancelled() {
            notify::status(why.as_deref().unwrap_or("serving"));
        }
        if drain.is_cancelled() || why.is_some() {
            reporter.set_not_serving::<FeedServer<FeedService>>().await;
        } else {
            reporter.set_serving::<FeedServer<FeedService>>().await;
        }
        tokio::select! {
            biased;
            () = drain.cancelled() => {
                reporter.set_not_serving::<FeedServer<FeedService>>().await;
                return Ok(());
            }
            changed = trouble.changed() => {
                // The writer has ended; its own stage reports why.
                if changed.is_err() {
                    drain.cancelled().await;
                }
            }
        }
    }
}
