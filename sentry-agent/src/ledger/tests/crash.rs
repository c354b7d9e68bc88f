//! What a crash or a full disk leaves behind.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{
    super::{Entry, Flaw, Ledger, LedgerError, VerifyError, entry, head, store},
    Files, body, filled, verify,
};

fn last_entry(dir: &Path) -> Entry {
    let lines = Files::read(dir).lines();
    Entry::parse(lines.last().unwrap().strip_suffix(b"\n").unwrap()).unwrap()
}

fn newest_segment(dir: &Path) -> PathBuf {
    dir.join(store::name(*store::segments(dir).unwrap().last().unwrap()))
}

/// `bytes` of the segment's last line are lost, as when the machine stops in the middle of a write.
fn tear(dir: &Path, keep: usize) {
    let files = Files::read(dir);
    let line = files.lines().last().unwrap().clone();
    let path = newest_segment(dir);
    let mut content = fs::read(&path).unwrap();
    content.extend_from_slice(&line[..keep]);
    fs::write(path, content).unwrap();
}

#[test]
fn a_torn_line_is_cut_and_told() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5, 64 << 10);
    let mut entries = 5;
    for keep in [1, 100, 300] {
        tear(dir.path(), keep);
        assert!(matches!(verify(dir.path()), Err(VerifyError { what: Flaw::Torn, .. })));
        drop(Ledger::open(dir.path()).unwrap());
        entries += 1;
        assert_eq!(verify(dir.path()).unwrap().entries, entries);
        let told = last_entry(dir.path());
        assert_eq!(told.kind, entry::RECOVERED);
        assert_eq!(told.body["cut_bytes"], json!(keep));
    }
    // Nothing more to record.
    drop(Ledger::open(dir.path()).unwrap());
    assert_eq!(verify(dir.path()).unwrap().entries, entries);
}

#[test]
fn an_entry_ahead_of_head_is_kept_and_told() {
    for limit in [64 << 10, 600] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 6, limit);
        let head = dir.path().join(head::FILE);
        let before = fs::read(&head).unwrap();
        let mut ledger = Ledger::open_with(dir.path(), limit).unwrap();
        let kept = ledger.append("outcome", body(9), 9).unwrap();
        drop(ledger);
        fs::write(&head, before).unwrap();
        assert!(matches!(verify(dir.path()), Err(VerifyError { what: Flaw::Unsigned { .. }, .. })));

        drop(Ledger::open_with(dir.path(), limit).unwrap());
        assert_eq!(verify(dir.path()).unwrap().entries, 8);
        let told = last_entry(dir.path());
        assert_eq!(told.kind, entry::RECOVERED);
        assert_eq!(told.body["unsigned_entries"], json!(1));
        assert_eq!(told.prev, kept.fingerprint);
    }
}

#[test]
fn a_crash_while_the_first_entry_is_written_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    fs::remove_file(dir.path().join(head::FILE)).unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    assert_eq!(verify(dir.path()).unwrap().entries, 2);
    assert_eq!(last_entry(dir.path()).body["head_rebuilt"], json!(true));

    fs::remove_file(dir.path().join(head::FILE)).unwrap();
    fs::write(newest_segment(dir.path()), b"{\"body\":").unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    assert_eq!(verify(dir.path()).unwrap().entries, 2, "a new beginning, then what was cut");
    assert_eq!(last_entry(dir.path()).body["cut_bytes"], json!(8));
}

#[test]
fn an_empty_segment_of_a_crashed_rotation_is_used() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 6, 600);
    let next = format!("segment-{:08}.jsonl", Files::read(dir.path()).segments.len() + 1);
    fs::write(dir.path().join(next), b"").unwrap();
    assert_eq!(verify(dir.path()).unwrap().entries, 6);
    let mut ledger = Ledger::open_with(dir.path(), 600).unwrap();
    ledger.append("x", Value::Null, 1).unwrap();
    assert_eq!(verify(dir.path()).unwrap().entries, 7);
}

#[test]
fn more_than_a_crash_can_leave_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let files = filled(dir.path(), 6, 64 << 10);
    let path = newest_segment(dir.path());
    let refused = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        assert!(matches!(Ledger::open(dir.path()), Err(LedgerError::Tampered { .. })));
    };
    let lines = files.lines();
    refused(&lines[..5].concat());
    refused(&[]);
    let mut changed = lines.concat();
    changed[30] ^= 1;
    refused(&changed);
    fs::write(&path, lines.concat()).unwrap();
    fs::remove_file(dir.path().join(head::FILE)).unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(LedgerError::Tampered { .. })));
    fs::write(dir.path().join(head::FILE), &files.head).unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    fs::remove_file(&path).unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(LedgerError::Tampered { .. })));
}

const CHILD: &str = "LEDGER_TEST_DIR_WITH_LITTLE_SPACE";

/// The kernel refuses to let any file grow past a limit: every write path meets it, with no
/// privilege needed.
#[test]
fn a_full_disk_leaves_the_ledger_whole() {
    let dir = tempfile::tempdir().unwrap();
    let own = env::current_exe().unwrap();
    let status = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 8; exec "$0" --exact "$1" --nocapture"#])
        .arg(own)
        .arg(format!("{}::fill_until_refused", module_path!().split_once("::").unwrap().1))
        .env(CHILD, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    // Space again: it goes on.
    let entries = verify(dir.path()).unwrap().entries;
    assert!(entries > 3);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    ledger.append("x", body(1), 1).unwrap();
    assert_eq!(verify(dir.path()).unwrap().entries, entries + 1, "nothing was there to repair");
}

/// Runs in a process of its own under a limit of 4 KiB (8 blocks) per file; alone it has nothing to
/// do.
#[test]
fn fill_until_refused() {
    let Some(dir) = env::var_os(CHILD) else { return };
    let dir = PathBuf::from(dir);
    let mut ledger = Ledger::open(&dir).unwrap();
    let mut written = 1;
    loop {
        match ledger.append("x", body(written), written) {
            Ok(entry) => written = entry.seq,
            Err(LedgerError::NoSpace { .. }) => break,
            Err(error) => unreachable!("{error:?}"),
        }
    }
    for _ in 0..3 {
        assert!(matches!(ledger.append("x", body(1), 1), Err(LedgerError::NoSpace { .. })));
        assert_eq!(verify(&dir).unwrap().entries, written);
    }
}
