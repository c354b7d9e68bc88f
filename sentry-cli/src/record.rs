//! `sentry record`: a run, with all that it was judged by, into a file.

use std::{
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use sentry_proto::v1;
use sentry_recording::Recording;
use serde_json::json;
use tempfile::NamedTempFile;

use super::{
    args::RecordArgs,
    client::{block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    render::{json as lines, safe},
};

const STDOUT: &str = "-";

pub(super) fn record(args: &RecordArgs) -> Result<Exit, CliError> {
    let to_stdout = args.file == Path::new(STDOUT);
    if to_stdout && io::stdout().is_terminal() {
        let what = "a recording is not for a terminal: name a file, or send it to a command".into();
        return Err(CliError::Other { what, exit: Exit::Usage });
    }
    // Before the sensor is asked for something that is not to be written.
    if !to_stdout && !args.force && args.file.symlink_metadata().is_ok() {
        return Err(CliError::Exists { path: args.file.clone() });
    }
    let bytes = block_on(read(args))?;
    // Whole, before it gets its name.
    let size = bytes.len();
    let unreadable = |source| CliError::Recording { path: args.file.clone(), source };
    if to_stdout {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
        written.map_err(|source| CliError::Output { source })?;
    } else {
        keep(args, &bytes).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => CliError::Exists { path: args.file.clone() },
            _ => CliError::Write { path: args.file.clone(), source },
        })?;
    }
    let recording = Recording::read(bytes).map_err(unreadable)?;
    let (run, events) = (&recording.run().id, recording.events());
    let text = if args.ask.json {
        lines::line(&json!({
            "type": "recorded", "run": run, "file": args.file, "bytes": size, "events": events,
            "findings": recording.findings().len(),
        }))
    } else {
        let file = safe(&args.file.display().to_string());
        format!("Recorded run {} into {file}: {events} events, {size} bytes\n", safe(run))
    };
    if to_stdout {
        out::note(&text)
    } else {
        out::print(&text)?
    }
    Ok(Exit::Ok)
}

async fn read(args: &RecordArgs) -> Result<Vec<u8>, CliError> {
    let mut client = connect(&args.ask.socket.socket).await?;
    let request = v1::TargetRequest { target: args.run.clone() };
    let mut parts = client.record(request).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        bytes.extend(part.content);
    }
    Ok(bytes)
}

/// Gives the file its name when all of it is on disk.
fn keep(args: &RecordArgs, bytes: &[u8]) -> io::Result<()> {
    let path: &PathBuf = &args.file;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut file: NamedTempFile = tempfile::Builder::new().prefix(".sentry-record-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let kept = if args.force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop).map_err(|error| error.error)
}
