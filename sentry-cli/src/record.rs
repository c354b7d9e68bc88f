//! `sentry record`: a run, with all that it was judged by, into a file.

use std::io::Write as _;

use sentry_proto::v1;
use sentry_recording::Recording;
use serde_json::json;

use super::{
    args::RecordArgs,
    client::{block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    output::Output,
    render::{json as lines, safe},
};

pub(super) fn record(args: &RecordArgs) -> Result<Exit, CliError> {
    // Before the sensor is asked for something that is not to be written.
    let mut output = Output::open(&args.file, "a recording", args.force)?;
    let to_stdout = output.is_stdout();
    let recording = Recording::read(block_on(read(args))?)
        .map_err(|source| CliError::Recording { path: args.file.clone(), source })?;
    let bytes = recording.bytes();
    let written = output.write_all(bytes).and_then(|()| output.flush()).and_then(|()| output.sync());
    written.map_err(|source| CliError::Write { path: args.file.clone(), source })?;
    output.keep()?;
    let (run, events) = (&recording.run().id, recording.events());
    let text = if args.ask.json {
        lines::line(&json!({
            "type": "recorded", "run": run, "file": args.file, "bytes": bytes.len(), "events": events,
            "findings": recording.findings().len(),
        }))
    } else {
        let file = safe(&args.file.display().to_string());
        format!("Recorded run {} into {file}: {events} events, {} bytes\n", safe(run), bytes.len())
    };
    if to_stdout {
        out::note(&text);
    } else {
        out::print(&text)?;
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
