//! `sentry enter RUN -- CMD`: moves itself into the run, then becomes the command.
//!
//! The sensor moves the process that calls it, known by the socket's peer credentials; what follows
//! is in the run from its first instruction. Nothing of `sentry` is left behind: descriptors are
//! closed on exec, and the standard library gives SIGPIPE and the signal mask their defaults back
//! when it executes a command.

use std::{convert::Infallible, os::unix::process::CommandExt as _, process::Command};

use sentry_proto::v1;

use super::{
    args::EnterArgs,
    client::{block_on, connect},
    error::CliError,
    exit::Exit,
    out,
};

/// Returns only where it failed, with the codes of [`Exit`] for `run`.
pub(super) fn run(args: &EnterArgs) -> Result<Exit, CliError> {
    match enter(args) {
        Ok(never) => match never {},
        Err(error @ CliError::Exec { .. }) => Err(error),
        // A failed connection is reported here: the caller only sees the code.
        Err(error) => {
            out::note(&format!(
                "sentry: {}; the command was not started\n",
                sentry_service::error_chain(&error)
            ));
            Ok(Exit::RunFailed)
        }
    }
}

fn enter(args: &EnterArgs) -> Result<Infallible, CliError> {
    block_on(async {
        let mut client = connect(&args.socket.socket).await?;
        client.enter(v1::EnterRequest { run: args.run.clone() }).await?;
        Ok(())
    })?;
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CliError::Other { what: "no command was given".into(), exit: Exit::Usage });
    };
    let source = Command::new(program).args(arguments).exec();
    Err(CliError::Exec { command: program.to_string_lossy().into_owned(), source })
}
