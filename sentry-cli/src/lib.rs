//! The command line: arguments in, one command, an exit code out.
//!
//! - `args`: what can be typed. `exit`, `error`: what a command ends with.
//! - `client`, `out`: the control socket and the terminal.
//! - `render`: pure text and JSON.
//! - the rest: one file per family of commands.
#![forbid(unsafe_code)]

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};
use sentry_service::completion;

mod exit;

mod args;

mod error;

mod client;

mod out;

mod output;

mod render;

mod standing;

mod query;

mod explain;

mod candidates;

mod metrics;

mod when;

mod events;

mod story;

mod act;

mod sensor;

mod local;

mod recorded;

mod export;

mod verify;

mod record;

mod replay;

mod live;

mod rules;

mod leftovers;

mod top;

mod run;

mod enter;

mod canary;

mod packaging;

mod demo;

#[cfg(test)]
mod docs;

use args::{Cli, Command, ConfigCommand, LedgerCommand};
use error::CliError;
use exit::Exit;

/// Runs one command and says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    if completion::answer(|| candidates::offered(Cli::command())) {
        return Exit::Ok.into();
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => return usage(&answer),
    };
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => {
            if !error.is_quiet() {
                let text = render::safe(&sentry_service::error_chain(&error));
                out::note(&format!("{} {text}\n", render::paint(render::RED, "sentry:")));
            }
            error.exit().into()
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, CliError> {
    let exit = match command {
        Command::Sensor(args) => sensor::run(args)?,
        // These two end with the command's own code.
        Command::Run(args) => return run::run(&args),
        Command::Enter(args) => enter::run(&args)?,
        Command::Tag(args) => act::tag(&args)?,
        Command::Untag(args) => act::untag(&args)?,
        Command::Agents(args) => query::agents(&args)?,
        Command::Events(args) => events::events(&args)?,
        Command::Findings(args) => query::findings(&args)?,
        Command::Explain(args) => explain::explain(&args)?,
        Command::Freeze(args) => act::act(&args, sentry_proto::v1::Action::Freeze)?,
        Command::Thaw(args) => act::act(&args, sentry_proto::v1::Action::Thaw)?,
        Command::Kill(args) => act::act(&args, sentry_proto::v1::Action::Kill)?,
        Command::Report(args) => story::report(&args)?,
        Command::Tree(args) => story::tree(&args)?,
        Command::Diff(args) => story::diff(&args)?,
        Command::Export(args) => export::export(&args)?,
        Command::Verify(args) => verify::verify(&args)?,
        Command::Record(args) => record::record(&args)?,
        Command::Replay(args) => replay::replay(&args)?,
        Command::Health(args) => query::health(&args)?,
        Command::Top(args) => top::run(&args)?,
        Command::Metrics(args) => metrics::metrics(&args)?,
        Command::Ledger(LedgerCommand::Verify { dir, json }) => local::ledger_verify(&dir, json)?,
        Command::Doctor(args) if args.programs => local::program_costs(args.json)?,
        Command::Doctor(args) => local::doctor(args.json)?,
        Command::Config(ConfigCommand::Check(args)) => local::config_check(args)?,
        Command::Config(ConfigCommand::Reload { socket, json }) => act::config_reload(&socket, json)?,
        Command::Config(ConfigCommand::Example) => local::config_example()?,
        Command::Rules(command) => rules::rules(&command)?,
        Command::Completions { shell } => local::completions(shell)?,
        Command::Packaging { dir } => packaging::run(&dir)?,
        Command::Demo => demo::run()?,
        Command::DemoAgent(args) => demo::agent(&args)?,
        Command::Canary { leaf } => canary::run(leaf),
    };
    Ok(exit.into())
}

/// Help and version are answers; anything else is a wrong command line.
fn usage(answer: &clap::Error) -> ExitCode {
    let shown = answer.print();
    match (answer.use_stderr(), shown) {
        (true, _) => Exit::Usage.into(),
        (false, Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => Exit::Io.into(),
        (false, _) => Exit::Ok.into(),
    }
}
