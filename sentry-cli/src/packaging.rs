//! `sentry packaging`: what a package has beside the program, made from the program itself.

use std::{fs, io, path::Path};

use clap::CommandFactory as _;
use clap_complete::{Generator as _, Shell};
use sentry_service::completion;

use super::{args::Cli, error::CliError, exit::Exit};
use sentry_agent::app::STATE_FORMAT;

/// Writes manual pages into `man`, completions into `completions`, and the number of the state
/// directory's format, which the package's scripts compare, into `format`.
pub(super) fn run(dir: &Path) -> Result<Exit, CliError> {
    let written = write(dir).map_err(|source| CliError::Write { path: dir.to_owned(), source });
    written.map(|()| Exit::Ok)
}

fn write(dir: &Path) -> io::Result<()> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Cli::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        fs::write(completions.join(shell.file_name("sentry")), completion::script(shell, &Cli::command()))?;
    }
    fs::write(dir.join("format"), format!("{STATE_FORMAT}\n"))
}
