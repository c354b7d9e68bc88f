//! `cargo xtask <command>`: the one entry point for building, testing and checking Agent Sentry.
//!
//! One file (or folder) per command; this file only dispatches. Every command says in a line what
//! it does and why, keeps the output of the tools it starts under `target/xtask/`, and shows the
//! tail of it when something fails.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod bpf;
mod build;
mod cargo;
mod commands;
mod corpus;
mod count;
mod coverage;
mod demo;
mod fuzz;
mod help;
mod host;
mod image;
mod kubernetes;
mod lasted;
mod libraries;
mod lint;
mod long;
mod package;
mod paths;
mod run;
mod sensor;
mod setup;
mod step;
mod tally;
mod test;
mod tidy;
mod told;
mod verify;
mod vm;

use std::{process::ExitCode, time::Instant};

use crate::args::Args;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
    let is_help = |word: &str| matches!(word, "help" | "--help" | "-h");
    let before_dashes = arguments.iter().take_while(|word| *word != "--");
    if is_help(&name) {
        return help::print(arguments.first().map(String::as_str));
    } else if before_dashes.clone().any(|word| matches!(word.as_str(), "--help" | "-h")) {
        return help::print(Some(&name));
    } else if name.is_empty() {
        eprint!("{}", help::text(None).unwrap_or_default());
        return ExitCode::from(args::EX_USAGE);
    }
    let hidden = commands::HIDDEN.iter().find(|(hidden, _)| *hidden == name).map(|(_, run)| *run);
    let Some(run) = help::command(&name).map(|command| command.run).or(hidden) else {
        eprint!("{}", help::unknown(&name));
        return ExitCode::from(args::EX_USAGE);
    };
    let started = Instant::now();
    match run(Args::new(arguments.into_iter())) {
        Ok(code) => {
            if code == ExitCode::SUCCESS {
                lasted::note(&name, started.elapsed());
            }
            code
        }
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::from(step::exit_code(&error))
        }
    }
}
