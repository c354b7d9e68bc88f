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
mod coverage;
mod demo;
mod fuzz;
mod host;
mod image;
mod kubernetes;
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

use std::process::ExitCode;

use crate::args::Args;

const USAGE: &str = include_str!("usage.txt");

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let args = Args::new(arguments);
    let result = match command.as_str() {
        "setup" => setup::command(args),
        "build" => build::command(args),
        "run" => run::command(args),
        "demo" => demo::command(args),
        "test" => test::command(args),
        "vm" => vm::command(args),
        "vm-systemd" => vm::systemd_command(args),
        "coverage" => coverage::command(args),
        "fuzz" => fuzz::command(args),
        "package" => package::command(args),
        "lint" => lint::command(args),
        "bench" => bench::command(args),
        "workload" => bench::workload_command(args),
        "kubernetes" => kubernetes::command(args),
        "image" => image::command(args),
        "tidy" => tidy::command(args),
        "verify" => verify::command(args),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(args::EX_USAGE);
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::from(step::exit_code(&error))
        }
    }
}
