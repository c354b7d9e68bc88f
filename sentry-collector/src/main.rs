//! Parses, builds, runs, exits.
#![forbid(unsafe_code)]

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser as _;
use sentry_collector::{app::App, cli::Cli, config::Config, exit::Exit, once};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long blocked threads may take at the very end.
const LAST_GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if once::completed() {
        return Exit::Ok.into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            let exit = if asked.use_stderr() { Exit::Usage } else { Exit::Ok };
            return asked.print().map_or(Exit::Io, |()| exit).into();
        }
    };
    if let Some(command) = &cli.command {
        return match once::run(command) {
            Ok((text, exit)) => {
                println!("{text}");
                exit.into()
            }
            Err(error) => fail(&error, error.exit()),
        };
    }
    let config = match Config::load(&cli.flags) {
        Ok(config) => config,
        Err(error) => return fail(&error, error.exit()),
    };
    sentry_service::log::start(cli.log_format);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, Exit::Other),
    };
    let exit = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_GRACE);
    exit
}

async fn serve(config: Config) -> ExitCode {
    let app = match App::build(config).await {
        Ok(app) => app,
        Err(error) => return fail(&error, error.exit()),
    };
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) =
        match signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?))) {
            Ok(signals) => signals,
            Err(error) => return fail(&error, Exit::Other),
        };
    println!("{}", app.addresses());
    let running = app.run(stop.clone());
    tokio::pin!(running);
    let ended = tokio::select! {
        ended = &mut running => ended,
        _ = terminate.recv() => { stop.cancel(); running.await }
        _ = interrupt.recv() => { stop.cancel(); running.await }
    };
    ended.map_or_else(|error| fail(&error, error.exit()), |()| Exit::Ok.into())
}

fn fail(error: &dyn Error, exit: Exit) -> ExitCode {
    eprintln!("sentry-collector: {}", sentry_service::error_chain(error));
    exit.into()
}
