//! `sentry export`: all that is known of a run in one file, which the ledger has an entry of.
//!
//! The file has another name until all of it is on disk and the ledger has the entry.

use std::{
    io::{self, BufWriter, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use sentry_agent::ledger::PartProof;
use sentry_archive::{ArchiveError, FORMAT, Kind, LedgerProof as _, Writer};
use sentry_proto::v1::{self, ItemKind, item::Item, ledger_request::Begins};
use sentry_view::{Decision, Exact, ExportManifest, ExportManifestType, LedgerPart, Outcome, Report, time};
use serde_json::json;

use super::{
    args::ExportArgs,
    client::{Client, block_on, connect},
    error::CliError,
    exit::Exit,
    local, out,
    output::Output,
    query, recorded,
    render::{
        archive::{self, Made},
        json::{self, Origin},
        report::{self, Form},
    },
    story,
};

/// Columns of the report.
const WIDTH: usize = 120;

pub(super) fn export(args: &ExportArgs) -> Result<Exit, CliError> {
    let output = Output::open(&args.output, "an archive", true)?;
    let to_stdout = output.is_stdout();
    let made = block_on(write(args, output))?;
    let text = if args.ask.json { json::line(&archive::made_json(&made)) } else { archive::made(&made) };
    if to_stdout {
        out::note(&text);
    } else {
        out::print(&text)?;
    }
    Ok(Exit::Ok)
}

async fn write(args: &ExportArgs, output: Output) -> Result<Made, CliError> {
    let mut client = connect(&args.ask.socket.socket).await?;
    let status = client.status(v1::StatusRequest { canary: true }).await?.into_inner();
    let mut origin = Origin::of(&status);
    origin.learn(query::runs(&mut client, true).await?, None);
    let target = match &args.run {
        Some(target) => target.clone(),
        None => story::newest(&mut client).await?,
    };
    let report = client.report_of(v1::TargetRequest { target }).await?.into_inner();
    let run = report.run.as_ref().ok_or(CliError::Incomplete { field: "run" })?.id.clone();

    let time_unix_ns = now_unix_ns();
    let output = BufWriter::new(output);
    let mut writer = Writer::new(output, &run, time_unix_ns).map_err(failed)?;
    let view = items(&mut client, &report, &origin, &mut writer).await?;
    let ledger = ledger(&mut client, &run, &mut writer).await?;
    let whole = Form { width: WIDTH, calls: true, all: true };
    let text = out::plain(&report::text(&view, whole)).map_err(|source| CliError::Output { source })?;
    let doctor = local::doctor_value().unwrap_or_else(|error| {
        // Not everybody may look at what the kernel has.
        json!({ "type": "doctor", "unavailable": sentry_service::error_chain(&error) })
    });
    for (kind, content) in [
        (Kind::ReportText, text),
        (Kind::ReportJson, json::line(&view)),
        (Kind::ReportPage, report::html(&view)),
        (Kind::Status, json::line(&json::status(&status))),
        (Kind::Doctor, json::line(&doctor)),
    ] {
        writer.file(kind, content.as_bytes()).map_err(failed)?;
    }

    let mut manifest = manifest(&view, &status, origin.host(), ledger, time_unix_ns);
    let mut files = 0;
    let finished = writer.finish(|all| {
        files = all.len() + 1;
        manifest.files = all;
        manifest
    });
    let (output, bytes, manifest_sha256) = finished.map_err(failed)?;
    let output = output.into_inner().map_err(|error| cannot_write(args, error.into_error()))?;
    output.sync().map_err(|source| cannot_write(args, source))?;
    let request = v1::NoteExportRequest { run: run.clone(), manifest_sha256: manifest_sha256.clone() };
    client.note_export(request).await?;
    // What the ledger really has, and not what was answered.
    let entry = recorded::by_sensor(&mut client, &manifest_sha256).await?.entry;
    let entry = entry.ok_or(CliError::Incomplete { field: "entries" })?.seq;
    let path = output.keep()?;
    Ok(Made { path, run, files, bytes, complete: view.complete, manifest_sha256, entry })
}

/// The run's items as lines; the report that follows from them.
async fn items<W: Write>(
    client: &mut Client,
    report: &v1::Report,
    origin: &Origin,
    writer: &mut Writer<W>,
) -> Result<Report, CliError> {
    let more = [ItemKind::Finding, ItemKind::Outcome, ItemKind::Gap];
    story::folded(client, report, origin, true, &more, |item| {
        let (list, line) = match item {
            Item::Event(event) => (Kind::Events, json::line(&origin.event(event))),
            Item::Gap(gap) => (Kind::Events, json::line(&json::gap(gap))),
            Item::Finding(finding) => (Kind::Findings, json::line(&origin.finding(&finding.into()))),
            Item::Decision(decision) => (Kind::Decisions, json::line(&Decision::from(decision))),
            Item::Outcome(outcome) => (Kind::Outcomes, json::line(&Outcome::from(outcome))),
            // Not asked for; and a sensor hands out events one by one.
            Item::Run(_) | Item::Block(_) => return Ok(()),
        };
        writer.line(list, line.as_bytes()).map_err(failed)
    })
    .await
}

/// The ledger from the run's first entry on, proven before it is handed on.
async fn ledger<W: Write>(
    client: &mut Client,
    run: &str,
    writer: &mut Writer<W>,
) -> Result<LedgerPart, CliError> {
    let mut proof = PartProof::default();
    let ends = recorded::each_part(client, Begins::Run(run.to_owned()), |entries| {
        for line in entries.split_inclusive(|byte| *byte == b'\n') {
            proof.entry(run, line.strip_suffix(b"\n").unwrap_or(line))?;
            writer.line(Kind::Ledger, line).map_err(failed)?;
        }
        Ok(())
    })
    .await?;
    writer.file(Kind::Head, &ends.head).map_err(failed)?;
    writer.file(Kind::PublicKey, &ends.public_key).map_err(failed)?;
    Ok(proof.finish(&ends.head, &ends.public_key)?.part)
}

/// Without the files.
fn manifest(
    report: &Report,
    status: &v1::StatusReply,
    host: &str,
    ledger: LedgerPart,
    time_unix_ns: u64,
) -> ExportManifest {
    let run = report.run.clone().unwrap_or_default();
    ExportManifest {
        of: ExportManifestType::ExportManifest,
        format: FORMAT,
        run: run.id,
        agent: run.agent.map(|agent| agent.name).unwrap_or_default(),
        state: run.state,
        complete: report.complete,
        completeness: run.completeness,
        sensor: status.sensor.clone(),
        version: status.version.clone(),
        host: host.to_owned(),
        time: time::rfc3339(time_unix_ns),
        time_unix_ns: Exact(time_unix_ns),
        ledger,
        files: Vec::new(),
    }
}

fn now_unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn failed(source: ArchiveError) -> CliError {
    CliError::Archive { source }
}

fn cannot_write(args: &ExportArgs, source: io::Error) -> CliError {
    CliError::Write { path: args.output.clone(), source }
}
