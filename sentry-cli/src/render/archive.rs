//! What was exported, and what the proof of an archive says.

use std::path::PathBuf;

use sentry_archive::Checked;
use sentry_view::{ExportManifest, LedgerPart, time};
use serde_json::{Value, json};

use super::{
    BOLD, GREEN, RED, YELLOW, paint,
    report::{bytes, many},
    safe,
};

/// An archive that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// `None`: it went to standard output.
    pub(crate) path: Option<PathBuf>,
    pub(crate) run: String,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// The record of the run is.
    pub(crate) complete: bool,
    pub(crate) manifest_sha256: String,
    /// Number of the ledger's entry.
    pub(crate) entry: u64,
}

pub(crate) fn made(made: &Made) -> String {
    let Made { path, run, files, bytes: size, complete, manifest_sha256, entry } = made;
    let to = path.as_ref().map_or_else(|| "standard output".into(), |path| path.display().to_string());
    let mut out = format!(
        "{} run {} to {}: {}, {}\n  manifest  sha256 {manifest_sha256}, entry {entry} of the ledger\n",
        paint(GREEN, "Exported"),
        safe(run),
        safe(&to),
        many(*files as u64, "file", "files"),
        bytes(*size),
    );
    if !complete {
        out.push_str(&format!("  {}\n", paint(YELLOW, "the record of the run is not complete")));
    }
    if path.is_some() {
        out.push_str(&format!("{}  sentry verify {}\n", paint(BOLD, "Next"), super::command_line(&[to])));
    }
    out
}

pub(crate) fn made_json(made: &Made) -> Value {
    json!({
        "type": "export", "file": made.path, "run": made.run, "files": made.files, "bytes": made.bytes,
        "complete": made.complete, "manifest_sha256": made.manifest_sha256, "ledger_seq": made.entry,
    })
}

/// What a ledger says of an archive that is as it was exported.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It was noted by this entry.
    Recorded(Noted),
    /// It is the archive's ledger, and has no entry of it.
    Missing { head_seq: u64 },
    /// It is another sensor's.
    OtherLedger { chain_uid: String },
    /// There was none to ask.
    NotAsked { why: String },
}

/// The entry that an archive was noted by.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) seq: u64,
    pub(crate) time_unix_ns: u64,
    pub(crate) exported: sentry_view::Exported,
}

pub(crate) fn checked(checked: &Checked, standing: &Standing) -> String {
    let Checked { manifest, manifest_sha256, counts, bytes: size } = checked;
    let title = match standing {
        Standing::Missing { .. } => paint(RED, "Not the exported archive"),
        Standing::Recorded(_) | Standing::OtherLedger { .. } | Standing::NotAsked { .. } => {
            paint(GREEN, "Archive verified")
        }
    };
    let ExportManifest { run, agent, host, sensor, version, .. } = manifest;
    let mut out = format!(
        "{title}: run {} of agent {}, {}, record {}\n  made    {} by sensor {} {} on {}\n",
        safe(run),
        safe(agent),
        manifest.state.name(),
        if manifest.complete { "complete" } else { "not complete" },
        time::utc(manifest.time_unix_ns.0),
        safe(sensor),
        safe(version),
        safe(host),
    );
    out.push_str(&format!(
        "  holds   {}, {}, {}, {}; {}, {}\n",
        many(counts.events, "event", "events"),
        many(counts.findings, "finding", "findings"),
        many(counts.decisions, "decision", "decisions"),
        many(counts.outcomes, "outcome", "outcomes"),
        many(manifest.files.len() as u64 + 1, "file", "files"),
        bytes(*size),
    ));
    out.push_str(&part(&manifest.ledger));
    out.push_str(&format!("  sha256  {manifest_sha256} of the manifest\n          {}\n", stands(standing)));
    out
}

/// The part of the ledger that is in it.
fn part(ledger: &LedgerPart) -> String {
    let mut out = format!(
        "  ledger  entries {} to {} of chain {}, {} of this run\n          head {}\n          key  {}\n",
        ledger.first_seq,
        ledger.head_seq,
        safe(&ledger.chain_uid),
        ledger.of_run,
        safe(&ledger.head_fingerprint),
        safe(&ledger.public_key),
    );
    if ledger.of_run == 0 {
        let text = "no entry of the ledger is about this run: nothing but this archive says what it did";
        out.push_str(&format!("          {}\n", paint(YELLOW, text)));
    }
    out
}

/// What a ledger says of the manifest.
fn stands(standing: &Standing) -> String {
    match standing {
        Standing::Recorded(Noted { seq, time_unix_ns, exported }) => {
            let (origin, time) = (safe(&exported.origin), time::utc(*time_unix_ns));
            format!("entry {seq} of the ledger has it, exported by {origin} at {time}")
        }
        Standing::Missing { head_seq } => paint(
            RED,
            &format!("none of the ledger's {head_seq} entries has it: somebody else made this archive"),
        ),
        Standing::OtherLedger { chain_uid } => {
            paint(YELLOW, &format!("not checked: the ledger here is another one (chain {})", safe(chain_uid)))
        }
        Standing::NotAsked { why } => {
            paint(YELLOW, &format!("not checked whether the ledger has it: {}", safe(why)))
        }
    }
}

pub(crate) fn checked_json(checked: &Checked, standing: &Standing) -> Value {
    let Checked { manifest, manifest_sha256, counts, bytes: size } = checked;
    let recorded = match standing {
        Standing::Recorded(noted) => json!({
            "state": "recorded", "seq": noted.seq, "time": time::rfc3339(noted.time_unix_ns),
            "origin": noted.exported.origin,
        }),
        Standing::Missing { head_seq } => json!({ "state": "missing", "head_seq": head_seq }),
        Standing::OtherLedger { chain_uid } => json!({ "state": "other_ledger", "chain_uid": chain_uid }),
        Standing::NotAsked { why } => json!({ "state": "not_checked", "why": why }),
    };
    json!({
        "type": "archive", "verified": !matches!(standing, Standing::Missing { .. }), "recorded": recorded,
        "manifest_sha256": manifest_sha256, "bytes": size, "events": counts.events, "findings": counts.findings,
        "decisions": counts.decisions, "outcomes": counts.outcomes, "entries": counts.entries,
        "manifest": manifest,
    })
}

/// What is wrong with an archive.
pub(crate) fn bad(why: &str) -> String {
    format!("{}: {}\n", paint(RED, "Archive not verified"), safe(why))
}

pub(crate) fn bad_json(why: &str) -> Value {
    json!({ "type": "archive", "verified": false, "what": why })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_archive::Counts;
    use sentry_view::{Exact, Exported, RunState};

    use super::*;
    use crate::out::plain;

    fn archive() -> Checked {
        let ledger = LedgerPart {
            chain_uid: "c-1".into(),
            public_key: "aa".into(),
            first_seq: 3,
            head_seq: 11,
            head_fingerprint: "ff".into(),
            of_run: 5,
        };
        let manifest = ExportManifest {
            run: "01a2".into(),
            agent: "cla\u{1b}[31mude".into(),
            state: RunState::Ended,
            complete: true,
            sensor: "s".into(),
            version: "0.1.0".into(),
            host: "h".into(),
            time_unix_ns: Exact(1_764_000_000_123_000_000),
            ledger,
            ..ExportManifest::default()
        };
        let counts = Counts { events: 2_000, findings: 1, decisions: 1, outcomes: 0, entries: 9 };
        Checked { manifest, manifest_sha256: "ab".into(), counts, bytes: 244_000 }
    }

    #[test]
    fn an_archive_that_a_ledger_vouches_for() {
        let exported = Exported { origin: "user:0".into(), ..Exported::default() };
        let noted = Noted { seq: 12, time_unix_ns: 1_764_000_001_000_000_000, exported };
        let text = plain(&checked(&archive(), &Standing::Recorded(noted))).unwrap();
        assert_eq!(
            text,
            "Archive verified: run 01a2 of agent cla\\u{1b}[31mude, ended, record complete\n\
             \x20 made    2025-11-24 16:00:00.123Z by sensor s 0.1.0 on h\n\
             \x20 holds   2000 events, 1 finding, 1 decision, 0 outcomes; 1 file, 244 kB\n\
             \x20 ledger  entries 3 to 11 of chain c-1, 5 of this run\n\
             \x20         head ff\n\
             \x20         key  aa\n\
             \x20 sha256  ab of the manifest\n\
             \x20         entry 12 of the ledger has it, exported by user:0 at 2025-11-24 16:00:01.000Z\n"
        );
    }

    #[test]
    fn what_no_ledger_vouches_for_is_said() {
        let with = |standing| plain(&checked(&archive(), &standing)).unwrap();
        let missing = with(Standing::Missing { head_seq: 7 });
        assert!(missing.starts_with("Not the exported archive: run 01a2"), "{missing}");
        assert!(missing.contains("none of the ledger's 7 entries has it"), "{missing}");
        let alone = with(Standing::NotAsked { why: "no sensor is listening".into() });
        assert!(alone.contains("not checked whether the ledger has it: no sensor is listening\n"), "{alone}");
        let other = with(Standing::OtherLedger { chain_uid: "c-2".into() });
        assert!(other.contains("not checked: the ledger here is another one (chain c-2)\n"), "{other}");
    }
}
