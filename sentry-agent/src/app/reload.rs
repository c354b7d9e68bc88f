//! The configuration is read again, for SIGHUP and `sentry config reload`. Its policy holds from
//! then on, also for runs that are under way; a file that is not valid changes nothing.

use std::sync::Arc;

use sentry_service::notify;
use sentry_view::{ConfigChanged, KeyChange};
use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot},
};

use super::recover;
use crate::{
    config::{Asked, Change, Config, Flags, Holder},
    runs::Registry,
    stage::act::Case,
    status::board::StatusBoard,
};

/// What is read again, and who has to know.
pub(super) struct Reload {
    pub(super) holder: Holder,
    /// The flags of the start: they take precedence over the file.
    pub(super) flags: Flags,
    pub(super) registry: Arc<Registry>,
    pub(super) status: Arc<StatusBoard>,
    pub(super) cases: mpsc::Sender<Case>,
}

impl Reload {
    /// Reads the configuration again each time that the signal comes or somebody asks for it.
    pub(super) async fn run(self, mut hangups: Signal, mut asked: mpsc::Receiver<Asked>) {
        loop {
            let asked = tokio::select! {
                Some(()) = hangups.recv() => None,
                Some(asked) = asked.recv() => Some(asked),
                else => return,
            };
            notify::reloading();
            let answer = self.read_again().await;
            let standing = recover::standing(&self.registry);
            notify::ready(&match in_short(&answer) {
                Some(said) => format!("{standing}; {said}"),
                None => standing,
            });
            if let Some(asked) = asked {
                // The caller may have gone away.
                let _gone = asked.send(answer);
            }
        }
    }

    async fn read_again(&self) -> Result<Change, Vec<String>> {
        let flags = self.flags.clone();
        // Off the runtime's threads: a file system may take its time.
        let errors: Vec<String> = match tokio::task::spawn_blocking(move || Config::load(&flags)).await {
            Ok(Ok(config)) => return Ok(self.take(config).await),
            Ok(Err(error)) => error.all().iter().map(|error| sentry_service::error_chain(error)).collect(),
            Err(panicked) => vec![format!("a worker failed: {panicked}")],
        };
        let why = errors.join("; ");
        tracing::error!(error = why, "configuration is not valid; what held before holds on");
        self.status.config_refused(Some(refused(&why)));
        Err(errors)
    }

    /// Has the policy hold, and writes down what that changes.
    async fn take(&self, config: Config) -> Change {
        self.status.config_refused(None);
        let change = self.holder.replace(config);
        let registry = Arc::clone(&self.registry);
        // A cgroup is marked with its run's mode, which may wait for a file system.
        if let Err(panicked) = tokio::task::spawn_blocking(move || registry.follow_policy()).await {
            tracing::error!(error = %panicked, "not every run follows the configuration");
        }
        let changed: Vec<String> = change.changed.iter().map(in_words).collect();
        tracing::info!(
            changed = changed.join(", "),
            needs_restart = change.needs_restart.join(", "),
            "configuration is read again; what changed holds from now on"
        );
        if !change.changed.is_empty() {
            self.write_down(&change).await;
        }
        change
    }

    /// Into the ledger; the sensor may be stopping.
    async fn write_down(&self, change: &Change) {
        let (noted, done) = oneshot::channel();
        let change = ConfigChanged {
            changed: change.changed.clone(),
            needs_restart: change.needs_restart.iter().map(|key| (*key).to_owned()).collect(),
        };
        if self.cases.send(Case::Configured { change, noted }).await.is_ok() {
            let _stopping = done.await;
        }
    }
}

/// What the service manager has to show beside how the sensor stands.
fn in_short(answer: &Result<Change, Vec<String>>) -> Option<String> {
    match answer {
        Ok(change) if change.needs_restart.is_empty() => None,
        Ok(change) => Some(format!("restart it for the changes of {}", change.needs_restart.join(", "))),
        Err(errors) => Some(refused(&errors.join("; "))),
    }
}

fn refused(why: &str) -> String {
    format!("the configuration is not taken: {why}")
}

fn in_words(KeyChange { key, before, after }: &KeyChange) -> String {
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
    format!("{key}: {} → {}", or_none(before), or_none(after))
}
