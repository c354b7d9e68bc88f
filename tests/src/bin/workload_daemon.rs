//! `workload_daemon serve SOCKET`: starts `workload_daemon branch`, then listens, and starts it again for each connection, which it
//! holds until that has ended.
//! `workload_daemon ask SOCKET`: connects and waits until the other side is done.
//! `workload_daemon branch`: starts `workload_daemon leaf`, which does nothing.

use std::{
    io::Read as _,
    os::unix::net::{UnixListener, UnixStream},
    process::Command,
};

use sentry_tests::work::{Arguments, Deadline, Failure};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    match args.text("WHAT")?.as_str() {
        "serve" => {
            start("branch")?;
            for connection in UnixListener::bind(args.path("SOCKET")?)?.incoming() {
                let connection = connection?;
                start("branch")?;
                drop(connection);
            }
            Ok(())
        }
        "ask" => {
            UnixStream::connect(args.path("SOCKET")?)?.read_to_end(&mut Vec::new())?;
            Ok(())
        }
        "branch" => start("leaf"),
        "leaf" => Ok(()),
        what => Err(format!("{what} is none of serve, ask, branch, leaf").into()),
    }
}

fn start(what: &str) -> Result<(), Failure> {
    let status = Command::new(std::env::current_exe()?).arg(what).status()?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}").into()) }
}
