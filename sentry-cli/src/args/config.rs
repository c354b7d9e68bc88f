//! Arguments of `sentry config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::socket::SocketArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the configuration, and the keys and certificates that it names.
    ///
    /// Prints what holds, or all that is wrong and where.
    #[command(after_help = "\
Examples:
  sentry config check
  sentry config check ./sensor.yaml --json

Ends with 0 where nothing is wrong, also where there is no file at its usual place: the defaults hold then. A
certificate that expires within 30 days is a warning. Nothing is opened and nobody is connected to.")]
    Check(ConfigCheckArgs),
    /// Print a complete file with every default.
    Example,
    /// Have the sensor read its configuration again, and print what that changed.
    ///
    /// Agents, modes and thresholds change at once, also for runs that are under way. A configuration
    /// that is not valid changes nothing.
    #[command(after_help = "Needs root. Ends with 78 where the configuration is not valid.")]
    Reload {
        #[command(flatten)]
        socket: SocketArgs,
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCheckArgs {
    /// The file; default: /etc/agentsentry/config.yaml.
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The same, as the sensor has it.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) config: Option<PathBuf>,
    /// Name of this sensor, as the sensor has it.
    #[arg(long, value_name = "ID", env = "AGENTSENTRY_SENSOR_ID")]
    pub(crate) sensor_id: Option<String>,
    /// A certificate of the collector, to compare with what this sensor expects at its endpoint.
    #[arg(long, value_name = "FILE")]
    pub(crate) collector_cert: Option<PathBuf>,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}
