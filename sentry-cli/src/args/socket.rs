//! How a sensor is reached, and how its answer is printed.

use std::path::PathBuf;

use clap::Args;
use sentry_agent::config::defaults;

#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The sensor's control socket.
    #[arg(long, value_name = "PATH", env = "AGENTSENTRY_SOCKET", default_value = defaults::SOCKET)]
    pub(crate) socket: PathBuf,
}

// Plain comments: clap takes the documentation of a flattened struct for that of the command.
//
// The arguments of every command that asks the sensor and prints the answer. A command whose
// `--json` prints something else changes the help with `mut_arg`.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}
