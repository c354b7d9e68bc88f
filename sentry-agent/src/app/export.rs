//! The export to the collector, if there is one, and the commands that come back.

use std::{
    convert::Infallible,
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use sentry_detect::{
    decision::{Action, Outcome, OutcomeKind},
    run::RunId,
};
use sentry_kernel::clock::Clock;
use sentry_proto::v1;
use sentry_service::stages::{Bounds, Stages, cancel};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Collector, Config},
    export::{self, CommandRequest, ExportConfig, ExportStatus},
    journal::JournalHandle,
    runs::Registry,
    sink::{self, Origin},
    stage::{act::Case, by_hand::act_by_hand},
};

/// Commands from the collector that may wait.
const QUEUE_COMMANDS: usize = 64;
/// Between two tries to reach the collector.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a stop waits for the collector to take what is committed.
const GRACE: Duration = Duration::from_secs(3);

/// How long a stop waits for the stream, and for the result of an act that is under way.
pub(super) const BOUNDS: Bounds =
    Bounds { sides: Duration::ZERO, all: Duration::from_secs(7), last: Duration::from_millis(100) };

/// The export, started; what the collector orders is carried out by the other future, if there is a
/// collector.
pub(super) fn start(
    config: &Config,
    registry: &Arc<Registry>,
    journal: &JournalHandle,
    cases: mpsc::Sender<Case>,
) -> (Stages<Infallible>, watch::Receiver<ExportStatus>, Option<impl Future<Output = ()> + Send + 'static>) {
    let configured = config.collector != Collector::Disabled;
    let (status, watched) = watch::channel(ExportStatus::new(configured));
    let mut outlets = Stages::default();
    let hello = hello(config, registry);
    sink::start(&config.export, journal, &Origin::of(&hello), &mut outlets);
    let Collector::Enabled { endpoint, proof } = &config.collector else {
        drop(status);
        outlets.endless("release", keep_for_ourselves(journal.clone()));
        return (outlets, watched, None);
    };
    let token = CancellationToken::new();
    let (sender, requests) = mpsc::channel(QUEUE_COMMANDS);
    let stream = export::run(
        ExportConfig {
            uri: endpoint.to_string(),
            proof: proof.clone(),
            longest_wait: LONGEST_WAIT,
            grace: GRACE,
        },
        journal.clone(),
        hello,
        sender,
        status,
        token.clone(),
    );
    outlets.task("export", cancel(&token), async {
        stream.await;
        Ok(())
    });
    (outlets, watched, Some(carry_out(requests, Arc::clone(registry), cases)))
}

/// Without a collector nothing waits to be sent: the journal's bound for kept items rules, and not
/// the one for the spool. A collector that is configured later gets what is still kept.
async fn keep_for_ourselves(journal: JournalHandle) {
    let mut position = journal.watch();
    loop {
        let (epoch, last) = {
            let position = position.borrow_and_update();
            (Arc::clone(&position.epoch), position.last)
        };
        journal.release(&epoch, last);
        if position.changed().await.is_err() {
            // The journal has ended, which `sentry health` says.
            return pending().await;
        }
    }
}

fn hello(config: &Config, registry: &Registry) -> v1::Hello {
    let (tier, limits, _faults) = registry.kernel_status();
    let host = nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".into(), |name| name.nodename().to_string_lossy().into_owned());
    v1::Hello {
        sensor: config.sensor.id.clone(),
        host,
        version: env!("CARGO_PKG_VERSION").into(),
        boot_id: boot_id(),
        tier,
        limits,
        // Filled in by the export, as are epoch and nonce.
        ..v1::Hello::default()
    }
}

/// Names this boot of the host.
#[must_use]
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".into(), |id| id.trim().to_owned())
}

async fn carry_out(
    mut requests: mpsc::Receiver<CommandRequest>,
    registry: Arc<Registry>,
    cases: mpsc::Sender<Case>,
) {
    while let Some(CommandRequest { command, reply }) = requests.recv().await {
        let outcome = match act(&command, &registry, &cases).await {
            Ok(outcome) => outcome,
            Err(why) => refused(&command, why),
        };
        // The stream that asked may be gone; the journal keeps the result.
        let _gone = reply.send(v1::Outcome::from(&outcome));
    }
}

async fn act(
    command: &v1::Command,
    registry: &Registry,
    cases: &mpsc::Sender<Case>,
) -> Result<Outcome, String> {
    let action = action_of(command).ok_or("only freeze, thaw and kill can be commanded")?;
    let run = registry.find(&command.run).map_err(|error| error.to_string())?;
    let origin = format!("collector:{}", command.key);
    let (_decision, outcome) = act_by_hand(cases, &run, action, origin, command.reason.clone())
        .await
        .map_err(|stopping| stopping.to_string())?;
    Ok(outcome)
}

fn action_of(command: &v1::Command) -> Option<Action> {
    match command.action() {
        v1::Action::Freeze => Some(Action::Freeze),
        v1::Action::Thaw => Some(Action::Thaw),
        v1::Action::Kill => Some(Action::Kill),
        v1::Action::Unspecified | v1::Action::Observe | v1::Action::Restart => None,
    }
}

fn refused(command: &v1::Command, why: String) -> Outcome {
    Outcome {
        decision: String::new(),
        run: RunId(command.run.clone()),
        action: action_of(command).unwrap_or(Action::Observe),
        result: OutcomeKind::Refused { why },
        time_unix_ns: Clock::real().unix_ns(),
        took_ns: 0,
        processes: 0,
        survivors: 0,
    }
}
