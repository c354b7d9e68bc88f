//! Parses, builds, runs, exits.
#![forbid(unsafe_code)]

use std::{
    error::Error,
    io,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Parser as _;
use sentry_collector::{
    app::App,
    cli::{Cli, Command, ConfigCommand, DEFAULT_CONFIG, LogFormat},
    config::Config,
    exit::{Exit, chain},
    make,
    store::forget_way,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long threads that still block may take at the very end.
const LAST_GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            let exit = if asked.use_stderr() { Exit::Usage } else { Exit::Ok };
            return asked.print().map_or(Exit::Io, |()| exit).into();
        }
    };
    if let Some(Command::FeedKey { sensor, out }) = &cli.command {
        return match make::feed_key(sensor, out) {
            Ok(text) => say(&text, Exit::Ok),
            Err(error) => fail(&error, Exit::CannotCreate),
        };
    }
    let config = match Config::load(&cli) {
        Ok(config) => config,
        Err(error) => return fail(&error, error.exit()),
    };
    match &cli.command {
        Some(Command::Config { command: ConfigCommand::Check }) => return check(&config),
        Some(Command::FeedReset { sensor }) => return feed_reset(&config, sensor),
        Some(Command::FeedKey { .. }) | None => {}
    }
    log_to_stderr(cli.log_format);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, Exit::Other),
    };
    let exit = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_GRACE);
    exit
}

fn check(config: &Config) -> ExitCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Err(error) = config.check(now) {
        return fail(&error, error.exit());
    }
    match &config.file {
        Some(path) => say(&format!("{} is valid\n{config}", path.display()), Exit::Ok),
        None => {
            say(&format!("there is no {DEFAULT_CONFIG}; without it these hold:\n{config}"), Exit::NoInput)
        }
    }
}

fn feed_reset(config: &Config, sensor: &str) -> ExitCode {
    match forget_way(&config.data_dir, sensor) {
        Ok(true) => say(&format!("{sensor}: the next proof that holds decides"), Exit::Ok),
        Ok(false) => say(&format!("{sensor}: there is no such sensor"), Exit::NoInput),
        Err(error) => fail(&error, error.exit()),
    }
}

fn say(text: &str, exit: Exit) -> ExitCode {
    println!("{text}");
    exit.into()
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
    eprintln!("sentry-collector: {}", chain(error));
    exit.into()
}

fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
