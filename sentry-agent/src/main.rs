//! `sentry`: the sensor and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    sentry_agent::cli::main(std::env::args_os())
}
