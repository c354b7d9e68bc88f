//! `workload_daemon serve SOCKET`: listens, starts `workload_daemon branch` once the file SOCKET.go
//! is there, makes SOCKET.gone, then starts it for each connection, which it holds until
//! that has ended. `workload_daemon ask SOCKET`: makes SOCKET.go, waits for SOCKET.gone, connects,
//! and waits until the other side is done. `workload_daemon branch`: starts `workload_daemon leaf`,
//! which does nothing.

use std::{
    io::Read as _,
    os::unix::net::{UnixListener, UnixStream},
    process::Command,
};

use sentry_tests::{
    wait,
    work::{Arguments, Deadline, Failure, announce},
};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    match args.text("WHAT")?.as_str() {
        "serve" => {
            let socket = args.path("SOCKET")?;
            let listener = UnixListener::bind(&socket)?;
            let _unasked = wait::file(&socket.with_extension("go"));
            start("branch")?;
            announce(&socket.with_extension("gone"), "gone")?;
            for connection in listener.incoming() {
                let connection = connection?;
                start("branch")?;
                drop(connection);
            }
            Ok(())
        }
        "ask" => {
            let socket = args.path("SOCKET")?;
            announce(&socket.with_extension("go"), "go")?;
            let _gone = wait::file(&socket.with_extension("gone"));
            UnixStream::connect(socket)?.read_to_end(&mut Vec::new())?;
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
