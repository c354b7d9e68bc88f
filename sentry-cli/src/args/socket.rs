//! How a sensor is reached.

use std::path::PathBuf;

use clap::Args;
use sentry_agent::config::defaults;

#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The sensor's control socket.
    #[arg(long, value_name = "PATH", env = "AGENTSENTRY_SOCKET", default_value = defaults::SOCKET)]
    pub(crate) socket: PathBuf,
}
