//! `sentry sensor`: configuration and logging, then the sensor itself.

use super::{args::SensorArgs, error::CliError, exit::Exit};
use crate::config::Config;

/// What is logged where RUST_LOG says nothing.
const DEFAULT_LOG: &str = "info";

pub(super) fn run(args: SensorArgs) -> Result<Exit, CliError> {
    let log_json = args.log_json;
    let config = Config::load(&args.into_flags())?;
    log_to_stderr(log_json);
    crate::app::run_sensor(config)
        .map_err(|error| CliError::Other { what: crate::error_chain(&error), exit: Exit::Failure })?;
    Ok(Exit::Ok)
}

fn log_to_stderr(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_absent| tracing_subscriber::EnvFilter::new(DEFAULT_LOG));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only where something has set up logging before, which then holds.
    if json {
        drop(builder.json().try_init());
    } else {
        let colours =
            std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
        drop(builder.with_ansi(colours).try_init());
    }
}
