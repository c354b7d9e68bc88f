//! `SIGHUP`: the configuration is read again. What can change does; a file that is not valid
//! changes nothing.

use std::sync::Arc;

use sentry_service::notify;
use tokio::signal::unix::Signal;

use super::recover;
use crate::{
    config::{Change, Config, ConfigError, Flags, Holder},
    runs::Registry,
    status::board::StatusBoard,
};

/// What is read again, and who has to know.
pub(super) struct Reload {
    pub(super) holder: Holder,
    /// As at the start: they win over the file.
    pub(super) flags: Flags,
    pub(super) registry: Arc<Registry>,
    pub(super) status: Arc<StatusBoard>,
}

impl Reload {
    /// Reads the configuration again each time that the signal comes.
    pub(super) async fn run(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            notify::reloading();
            let flags = self.flags.clone();
            // Off the runtime's threads: a file system may take its time.
            let read = tokio::task::spawn_blocking(move || Config::load(&flags)).await;
            let said = match read {
                Ok(read) => self.take(read),
                // Its panic is in the log.
                Err(_panicked) => None,
            };
            let standing = recover::standing(&self.registry);
            notify::ready(&said.map_or_else(|| standing.clone(), |said| format!("{standing}; {said}")));
        }
    }

    /// What the service manager has to show beside how the sensor stands.
    fn take(&self, read: Result<Config, ConfigError>) -> Option<String> {
        match read {
            Ok(config) => {
                self.status.config_refused(None);
                let Change { applied, needs_restart } = self.holder.replace(config);
                let (applied, left) = (applied.join(", "), needs_restart.join(", "));
                tracing::info!(
                    applied,
                    "configuration is read again; it holds for runs that start from now on"
                );
                if left.is_empty() {
                    return None;
                }
                tracing::warn!(keys = left, "these keys of the configuration hold only after a restart");
                Some(format!("restart it for the changes of {left}"))
            }
            Err(error) => {
                let why = sentry_service::error_chain(&error);
                tracing::error!(error = why, "configuration is not valid; what held before holds on");
                let refused = format!("the configuration is not taken: {why}");
                self.status.config_refused(Some(refused.clone()));
                Some(refused)
            }
        }
    }
}
