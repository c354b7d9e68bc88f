//! Corrupt rows, files, versions.

use std::fs;

use rusqlite::params;

use super::{Form, Journal, JournalError, ROOMY, event, file, gap_of, read, read_all, schema};

#[test]
fn a_corrupt_row_and_a_missing_one_are_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    // A row each.
    for n in 1..=10 {
        journal.append(&[event("a", n, 10)]).unwrap();
    }
    for (seq, body) in [(3, &b"\xff\xff\xff"[..]), (5, b"")] {
        journal.connection.execute("UPDATE items SET body = ?2 WHERE seq = ?1", params![seq, body]).unwrap();
    }
    journal.connection.execute("DELETE FROM items WHERE seq IN (7, 8)", []).unwrap();
    let batch = read::read_from(&journal.connection, Form::Single, (0, 1), 1 << 20).unwrap();
    assert_eq!(batch.corrupt, 2);
    let gaps: Vec<_> =
        batch.items.iter().filter_map(gap_of).map(|gap| (gap.first, gap.last, &*gap.reason)).collect();
    assert_eq!(gaps, [(3, 3, "corrupt"), (5, 5, "corrupt"), (7, 8, "not-kept")]);
    assert_eq!(read_all(&journal, 1).len(), 9);
    assert_eq!(read::page(&journal.connection, &super::Filter::default(), 0, 1 << 20).unwrap().corrupt, 2);
}

#[test]
fn a_corrupt_file_is_moved_aside_and_a_new_epoch_begins() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let mut epochs = Vec::new();
    for round in 1..=3 {
        let mut journal = Journal::open(&path, ROOMY).unwrap();
        assert_eq!(journal.last_seq(), 0);
        epochs.push(journal.epoch().to_owned());
        journal.append(&(0..2_000).map(|n| event("a", n, 300)).collect::<Vec<_>>()).unwrap();
        journal.connection.pragma_query(None, "wal_checkpoint", |_| Ok(())).unwrap();
        drop(journal);
        let mut content = fs::read(&path).unwrap();
        match round {
            1 => content.fill(b'x'),
            2 => content.truncate(5_000),
            // Inside of the tree, where only a look at every page finds it.
            _ => {
                let middle = content.len() / 2 / 4096 * 4096;
                content[middle..middle + 4096].fill(0xa5);
            }
        }
        fs::write(&path, content).unwrap();
    }
    let mut journal = Journal::open(&path, ROOMY).unwrap();
    let kept = path.with_file_name("journal.db.corrupt-3").canonicalize().unwrap();
    assert_eq!(journal.origin(), &schema::Origin::InsteadOf(kept));
    assert_eq!(journal.append(&[event("a", 1, 1)]).unwrap(), 1..=1);
    epochs.push(journal.epoch().to_owned());
    epochs.dedup();
    assert_eq!(epochs.len(), 4);
    for n in 1..=3 {
        assert!(path.with_file_name(format!("journal.db.corrupt-{n}")).exists(), "kept as evidence");
    }
}

#[test]
fn an_empty_file_is_a_new_journal_and_a_newer_one_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"").unwrap();
    let journal = Journal::open(&path, ROOMY).unwrap();
    journal.connection.pragma_update(None, "user_version", 3).unwrap();
    drop(journal);
    assert!(matches!(Journal::open(&path, ROOMY), Err(JournalError::Version { found: 3, .. })));
    assert!(!path.with_file_name("journal.db.corrupt-1").exists());
}

#[test]
fn an_orderly_end_is_marked() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    Journal::open(&path, ROOMY).unwrap().close().unwrap();
    let reader = schema::open_reader(&path).unwrap();
    assert_eq!(schema::meta(&reader, "clean").unwrap().as_deref(), Some("1"));
    let _open = Journal::open(&path, ROOMY).unwrap();
    assert_eq!(schema::meta(&reader, "clean").unwrap().as_deref(), Some("0"));
}
