//! What runs were judged by is kept in order, within its room, and over a restart.

use sentry_recording::Part;

use super::{ROOMY, file, padding};
use crate::journal::{Journal, Limits, tapes};

fn part(run: &str, number: u64) -> (String, Part) {
    let plain = padding(number, 2_000).into_bytes();
    (run.to_owned(), Part { life: run.to_owned(), number, plain })
}

fn numbers(journal: &Journal, run: &str) -> Vec<u64> {
    let parts = tapes::of_run(&journal.connection, run).unwrap();
    parts.into_iter().map(|part| part.number).collect()
}

#[test]
fn parts_come_back_in_their_order_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.keep_tapes(&[part("a", 0), part("b", 0)]).unwrap();
    journal.keep_tapes(&[part("a", 1)]).unwrap();
    drop(journal);
    let journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let parts = tapes::of_run(&journal.connection, "a").unwrap();
    assert_eq!(parts, [part("a", 0), part("a", 1)].map(|(_, part)| part.pack().unwrap()));
    assert_eq!(numbers(&journal, "b"), [0]);
    assert_eq!(numbers(&journal, "none"), [0; 0]);
    assert_eq!(journal.last_seq(), 0, "they have no positions");
}

#[test]
fn the_oldest_parts_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { keep_bytes: 160_000, ..ROOMY };
    let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
    for number in 0..40 {
        journal.keep_tapes(&[part("a", number)]).unwrap();
    }
    let kept = numbers(&journal, "a");
    assert!((8..14).contains(&kept.len()), "{kept:?}");
    assert_eq!(kept, (40 - kept.len() as u64..40).collect::<Vec<_>>());
}
