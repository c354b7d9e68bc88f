//! Archives with a real part of a real ledger, and every way to change one that can be enumerated.

use std::{fs, path::Path};

use sentry_archive::{ArchiveError, Checked, Counts, FORMAT, Kind, LedgerProof as _, Writer, check, sealed};
use sentry_proto::{
    ocsf::{self, HostContext},
    v1,
};
use sentry_view::{Exact, ExportManifest, Exported, ExportedFile};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::{Begins, Flaw, Ledger, Part, PartProof, entry::hex};

const ONE: &str = "01a2f3c0-0000-7000-8000-000000000001";
const OTHER: &str = "01a2f3c0-0000-7000-8000-000000000002";
const TIME: u64 = 1_764_000_000_123_456_789;

/// A ledger of two runs, the one in the middle of the other.
fn ledger(dir: &Path, segment_limit: u64) -> Ledger {
    let mut ledger = Ledger::open_with(dir, segment_limit).unwrap();
    let run = |id: &str| v1::Run { id: id.to_owned(), command: vec!["sh".into()], ..v1::Run::default() };
    ledger.run_started(&run(OTHER)).unwrap();
    ledger.run_started(&run(ONE)).unwrap();
    for id in [ONE, OTHER] {
        let body = |kind: &str| json!({ "id": format!("{id}-{kind}-1"), "run": id });
        ledger.append("finding", body("f"), TIME).unwrap();
        ledger.append("decision", body("d"), TIME).unwrap();
        let outcome = json!({ "decision": format!("{id}-d-1"), "run": id });
        ledger.append("outcome", outcome, TIME).unwrap();
    }
    ledger.run_ended(&run(ONE)).unwrap();
    ledger.run_ended(&run(OTHER)).unwrap();
    ledger
}

/// The lines of a part of a ledger, and what proves it.
fn part(dir: &Path, begins: Begins) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut part = Part::open(dir, begins).unwrap();
    let mut lines = Vec::new();
    while let Some(more) = part.next(100).unwrap() {
        lines.extend(more);
    }
    let ends = part.ends().clone();
    (lines, ends.head, ends.public_key)
}

fn proven(
    lines: &[u8],
    head: &[u8],
    public_key: &[u8],
    run: &str,
) -> Result<sentry_archive::ProvenLedger, Flaw> {
    let mut proof = PartProof::default();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        proof.entry(run, line.strip_suffix(b"\n").unwrap())?;
    }
    proof.finish(head, public_key)
}

type Files = Vec<(String, Vec<u8>)>;

/// What an archive of the run holds, without the manifest.
fn files(dir: &Path, run: &str) -> Files {
    let host = HostContext { sensor: "s", version: "0.1.0", host: "h", boot_id: "b", container: None };
    let event = |n: u64| v1::Event {
        id: format!("{run}-c-{n}"),
        run: run.into(),
        sequence: n,
        ..v1::Event::default()
    };
    let events: String = (0..3).map(|n| format!("{}\n", ocsf::event(&event(n), &host))).collect();
    let finding = sentry_view::Finding { id: format!("{run}-f-1"), run: run.into(), ..Default::default() };
    let decision = sentry_view::Decision { id: format!("{run}-d-1"), run: run.into(), ..Default::default() };
    let outcome =
        sentry_view::Outcome { decision: format!("{run}-d-1"), run: run.into(), ..Default::default() };
    let (lines, head, public_key) = part(dir, Begins::Run(run.into()));
    let mut files = Files::new();
    let mut put = |kind: Kind, content: Vec<u8>| files.push((kind.name().to_owned(), content));
    put(Kind::Head, head);
    put(Kind::PublicKey, public_key);
    put(Kind::ReportText, format!("run {run}\n").into());
    put(Kind::ReportJson, json!({ "run": { "id": run } }).to_string().into());
    put(Kind::ReportPage, format!("<p>{run}</p>\n").into());
    put(Kind::Status, json!({ "sensor": "s" }).to_string().into());
    put(Kind::Doctor, b"{}".to_vec());
    put(Kind::Events, events.into());
    put(Kind::Findings, format!("{}\n", ocsf::finding(&finding, &host)).into());
    put(Kind::Decisions, format!("{}\n", json!(decision)).into());
    put(Kind::Outcomes, format!("{}\n", json!(outcome)).into());
    put(Kind::Ledger, lines);
    files
}

fn content<'a>(files: &'a Files, kind: Kind) -> &'a [u8] {
    &files.iter().find(|(name, _)| name == kind.name()).unwrap().1
}

/// What a manifest says of these files.
fn manifest(run: &str, files: &Files) -> ExportManifest {
    let of = |kind| content(files, kind);
    let ledger = proven(of(Kind::Ledger), of(Kind::Head), of(Kind::PublicKey), run);
    ExportManifest {
        format: FORMAT,
        run: run.into(),
        sensor: "s".into(),
        time_unix_ns: Exact(TIME),
        ledger: ledger.map(|ledger| ledger.part).unwrap_or_default(),
        files: manifest_files(files),
        ..ExportManifest::default()
    }
}

/// A tar as an export writes it, by hand: whatever files, and a manifest.
fn plain(run: &str, files: &Files, manifest: &ExportManifest) -> Vec<u8> {
    let mut plain = Vec::new();
    let last = (Kind::Manifest.name().to_owned(), serde_json::to_vec_pretty(manifest).unwrap());
    for (name, content) in files.iter().chain([&last]) {
        let mut header = tar::Header::new_ustar();
        let path = format!("agentsentry-{run}/{name}");
        header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(TIME / 1_000_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        plain.extend(header.as_bytes());
        plain.extend(content);
        plain.resize(plain.len().next_multiple_of(512), 0);
    }
    plain.resize(plain.len() + 1_024, 0);
    plain
}

fn of_plain(plain: &[u8]) -> Result<Checked, ArchiveError> {
    check(sealed(plain).unwrap().as_slice(), PartProof::default())
}

/// As a forger makes it: the manifest fits the files, and the seal fits.
fn forged(run: &str, files: &Files) -> Result<Checked, ArchiveError> {
    of_plain(&plain(run, files, &manifest(run, files)))
}

/// As the command line makes it.
fn written(run: &str, files: &Files) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), run, TIME).unwrap();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Manifest) {
        if kind.is_list() {
            for line in content(files, kind).split_inclusive(|byte| *byte == b'\n') {
                writer.line(kind, line).unwrap();
            }
        } else {
            writer.file(kind, content(files, kind)).unwrap();
        }
    }
    let of = manifest(run, files);
    writer.finish(|files| ExportManifest { files, ..of }).unwrap().0
}

fn archive() -> (tempfile::TempDir, Files, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    drop(ledger(dir.path(), 1 << 20));
    let files = files(dir.path(), ONE);
    let archive = written(ONE, &files);
    (dir, files, archive)
}

#[test]
fn an_archive_is_proven_as_it_was_written() {
    let (_dir, files, archive) = archive();
    let checked = check(archive.as_slice(), PartProof::default()).unwrap();
    let counts = Counts { events: 3, findings: 1, decisions: 1, outcomes: 1, entries: 9 };
    assert_eq!((checked.counts, checked.bytes), (counts, archive.len() as u64));
    let ledger = &checked.manifest.ledger;
    assert_eq!((ledger.first_seq, ledger.head_seq, ledger.of_run), (3, 11, 5));
    let mut expected = manifest(ONE, &files);
    expected.files.sort_by(|one, other| one.name.cmp(&other.name));
    let mut found = checked.manifest.clone();
    found.files.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(found, expected);
    // And the forger's tool makes the same.
    assert_eq!(forged(ONE, &files).unwrap().counts, counts);
}

#[test]
fn a_long_list_goes_on_in_more_files() {
    let (_dir, mut files, _) = archive();
    let (_, events) = files.iter_mut().find(|(name, _)| name == Kind::Events.name()).unwrap();
    let agent = json!({ "instance_uid": ONE });
    for n in 0..9 {
        let event = json!({ "ai_agent": agent, "message": "x".repeat(1 << 20), "n": n });
        events.extend(format!("{event}\n").bytes());
    }
    let checked = check(written(ONE, &files).as_slice(), PartProof::default()).unwrap();
    assert_eq!(checked.counts.events, 12);
    let names = checked.manifest.files.iter().map(|file| file.name.as_str());
    let events: Vec<&str> = names.filter(|name| name.starts_with("events")).collect();
    assert_eq!(events, ["events.jsonl", "events.2.jsonl"]);
}

#[test]
fn every_flipped_byte_is_found() {
    let (_dir, _, mut archive) = archive();
    for at in 0..archive.len() {
        for mask in [1 << (at % 8), 0xff] {
            archive[at] ^= mask;
            assert!(check(archive.as_slice(), PartProof::default()).is_err(), "byte {at} mask {mask}");
            archive[at] ^= mask;
        }
    }
    check(archive.as_slice(), PartProof::default()).unwrap();
}

/// Whoever flips a byte and seals the file again is found too, or has made another manifest, which
/// no ledger has.
#[test]
fn a_byte_flipped_below_the_seal_is_found_or_makes_another_manifest() {
    let (_dir, files, _) = archive();
    let of = manifest(ONE, &files);
    let mut plain = plain(ONE, &files, &of);
    let known = of_plain(&plain).unwrap().manifest_sha256;
    let begins_manifest =
        plain.len() - 1_024 - serde_json::to_vec_pretty(&of).unwrap().len().next_multiple_of(512);
    let (mut found, mut other) = (0, 0);
    for at in (0..plain.len()).step_by(5) {
        plain[at] ^= 1 << (at % 8);
        match of_plain(&plain) {
            Err(_) => found += 1,
            Ok(checked) => {
                assert_ne!(checked.manifest_sha256, known, "byte {at}");
                assert!(at >= begins_manifest, "byte {at}");
                other += 1;
            }
        }
        plain[at] ^= 1 << (at % 8);
    }
    assert!(found > 10 * other && other > 0, "{found} {other}");
}

#[test]
fn every_cut_is_found() {
    let (_dir, _, archive) = archive();
    for length in 0..archive.len() {
        let cut = check(&archive[..length], PartProof::default());
        assert!(cut.is_err(), "{length} bytes");
    }
    let more = [archive.as_slice(), &[0]].concat();
    assert!(matches!(check(more.as_slice(), PartProof::default()), Err(ArchiveError::Behind)));
    let twice = [archive.as_slice(), &archive].concat();
    assert!(matches!(check(twice.as_slice(), PartProof::default()), Err(ArchiveError::Behind)));
}

#[test]
fn every_missing_file_is_found() {
    let (_dir, files, _) = archive();
    let of = manifest(ONE, &files);
    for at in 0..files.len() {
        let mut fewer = files.clone();
        let (name, _) = fewer.remove(at);
        for manifest in [&of, &ExportManifest { files: manifest_files(&fewer), ..of.clone() }] {
            let error = of_plain(&plain(ONE, &fewer, manifest)).unwrap_err();
            assert!(
                matches!(&error, ArchiveError::Missing { name: found } if *found == name),
                "{name}: {error}"
            );
        }
    }
    let no_manifest = plain(ONE, &files, &of);
    let end =
        no_manifest.len() - 1_024 - 512 - serde_json::to_vec_pretty(&of).unwrap().len().next_multiple_of(512);
    let no_manifest = [&no_manifest[..end], &[0; 1_024]].concat();
    assert!(matches!(of_plain(&no_manifest), Err(ArchiveError::Missing { .. })));
}

fn manifest_files(files: &Files) -> Vec<ExportedFile> {
    let listed = files.iter().map(|(name, content)| ExportedFile {
        name: name.clone(),
        bytes: content.len() as u64,
        sha256: hex(&Sha256::digest(content)),
    });
    listed.collect()
}

#[test]
fn every_extra_file_is_found() {
    let (_dir, files, _) = archive();
    let of = manifest(ONE, &files);
    let with = |name: &str| {
        let mut more = files.clone();
        more.push((name.to_owned(), Vec::new()));
        of_plain(&plain(ONE, &more, &of)).unwrap_err().to_string()
    };
    assert_eq!(with("events.2.jsonl"), "events.2.jsonl is not in the manifest: it was added");
    assert_eq!(with("HEAD"), "HEAD is in it out of order, or more than once");
    assert_eq!(with("events.3.jsonl"), "events.3.jsonl is in it out of order, or more than once");
    assert_eq!(with("x"), format!("`agentsentry-{ONE}/x` in it is no file of an export"));
    assert_eq!(
        with("../x"),
        "a file in it has a head that no export writes: it was packed by something else"
    );
    let mut behind = files.clone();
    behind.push((Kind::Manifest.name().to_owned(), serde_json::to_vec(&of).unwrap()));
    assert!(matches!(of_plain(&plain(ONE, &behind, &of)), Err(ArchiveError::Order { .. })));
}

#[test]
fn every_file_of_another_run_is_found() {
    let (dir, of_one, _) = archive();
    let of_other = files(dir.path(), OTHER);
    let honest = manifest(ONE, &of_one);
    let mut swapped = 0;
    for at in 0..of_one.len() {
        let mut files = of_one.clone();
        files[at].1.clone_from(&of_other[at].1);
        if files == of_one {
            // What is of the sensor, and not of a run.
            assert!(["HEAD", "ledger.pub", "status.json", "doctor.json"].contains(&files[at].0.as_str()));
            continue;
        }
        swapped += 1;
        assert!(of_plain(&plain(ONE, &files, &honest)).is_err(), "{}", files[at].0);
        let found = forged(ONE, &files);
        // A part that begins earlier proves the run as well, and makes another manifest.
        let is_ledger = files[at].0 == Kind::Ledger.name();
        assert!(found.is_err() || is_ledger, "{}", files[at].0);
    }
    assert_eq!(swapped, 8);
    // All of another run below the name of this one.
    assert!(forged(ONE, &of_other).is_err());
}

#[test]
fn what_the_ledger_does_not_have_is_found() {
    let (_dir, files, _) = archive();
    for kind in [Kind::Findings, Kind::Decisions, Kind::Outcomes] {
        let mut more = files.clone();
        let (_, lines) = more.iter_mut().find(|(name, _)| name == kind.name()).unwrap();
        let text = String::from_utf8(lines.clone()).unwrap();
        lines.extend(text.replace("-f-1", "-f-2").replace("-d-1", "-d-2").bytes());
        let error = forged(ONE, &more).unwrap_err();
        assert!(matches!(&error, ArchiveError::NotInLedger { name, .. } if *name == kind.name()), "{error}");
    }
}

#[test]
fn a_part_begins_with_the_entry_that_is_asked_for_and_ends_with_head() {
    let dir = tempfile::tempdir().unwrap();
    // Small segments: they are read one after the other.
    let mut ledger = ledger(dir.path(), 700);
    let exported = Exported { run: ONE.into(), origin: "user:0".into(), manifest_sha256: "ab".repeat(32) };
    ledger.exported(&exported).unwrap();
    ledger.append("note", json!({}), 1).unwrap();
    let of = |begins| {
        let (lines, head, public_key) = part(dir.path(), begins);
        let part = proven(&lines, &head, &public_key, ONE).unwrap().part;
        (part.first_seq, part.head_seq, part.of_run)
    };
    assert_eq!(of(Begins::Run(OTHER.into())), (2, 13, 6));
    assert_eq!(of(Begins::Run(ONE.into())), (3, 13, 6));
    assert_eq!(of(Begins::Export("ab".repeat(32))), (12, 13, 1));
    // The last one alone where there is none. A beginning is not enough.
    assert_eq!(of(Begins::Run(ONE[..8].into())), (13, 13, 0));
    assert_eq!(of(Begins::Export("cd".repeat(32))), (13, 13, 0));
}

#[test]
fn what_is_appended_while_a_part_is_read_is_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ledger(dir.path(), 1 << 20);
    let mut part = Part::open(dir.path(), Begins::Run(ONE.into())).unwrap();
    let mut lines = part.next(1).unwrap().unwrap();
    ledger.append("note", json!({ "run": ONE }), 1).unwrap();
    while let Some(more) = part.next(1).unwrap() {
        lines.extend(more);
    }
    let ends = part.ends();
    assert_eq!(proven(&lines, &ends.head, &ends.public_key, ONE).unwrap().part.head_seq, 11);
}

#[test]
fn a_ledger_without_its_end_has_no_part() {
    let dir = tempfile::tempdir().unwrap();
    drop(ledger(dir.path(), 1 << 20));
    let segment = dir.path().join("segment-00000001.jsonl");
    let text = fs::read_to_string(&segment).unwrap();
    let fewer: String = text.split_inclusive('\n').take(8).collect();
    fs::write(segment, fewer).unwrap();
    let mut part = Part::open(dir.path(), Begins::Run(ONE.into())).unwrap();
    let error = std::iter::repeat_with(|| part.next(1 << 20)).find_map(Result::err).unwrap();
    assert!(matches!(error.what, Flaw::EndsEarly { expected: 11, .. }), "{error}");
}
