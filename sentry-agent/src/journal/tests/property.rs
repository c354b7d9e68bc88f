//! Whatever is appended, acknowledged, pruned and reopened: every position is an item or covered by
//! a Gap.

use proptest::{collection::vec, prelude::*};
use sentry_proto::v1;

use super::{Journal, Limits, Lost, event, file, gap_of, read_all};
use crate::journal::books;

#[derive(Clone, Debug)]
enum Act {
    Append(Vec<(u8, usize)>),
    /// Items that a full disk took, then one that was written.
    Lose(u8),
    /// Acknowledge this part (of 255) of what is not acknowledged.
    Ack(u8),
    /// The collector claimed something else.
    BeginEpoch,
    /// Refuse the first item that is not acknowledged.
    GiveUp,
    /// There is nothing else to do.
    Merge,
    Reopen(u16, u16),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => vec((prop_oneof![3 => Just(0_u8), 1 => 1..3_u8], 0..1_500_usize), 0..12).prop_map(Act::Append),
        1 => (1..20_u8).prop_map(Act::Lose),
        3 => any::<u8>().prop_map(Act::Ack),
        1 => Just(Act::BeginEpoch),
        1 => Just(Act::GiveUp),
        2 => Just(Act::Merge),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(spool, keep)| Act::Reopen(spool, keep)),
    ]
}

/// What the journal has been given: the item of each position from 1 on, `None` for what was lost.
#[derive(Default)]
struct Model {
    items: Vec<Option<v1::Item>>,
}

impl Model {
    fn at(&self, seq: u64) -> Option<&v1::Item> {
        self.items.get(usize::try_from(seq - 1).unwrap())?.as_ref()
    }

    fn next(&self) -> u64 {
        1 + self.items.len() as u64
    }
}

fn check(journal: &Journal, model: &Model, limits: Limits) -> Result<(), TestCaseError> {
    prop_assert_eq!(journal.last_seq() + 1, model.next());
    let unacked = read_all(journal, journal.acked_seq() + 1);
    let mut next = journal.acked_seq() + 1;
    for (seq, item) in &unacked {
        prop_assert_eq!(*seq, next);
        next = match gap_of(item) {
            Some(gap) => {
                prop_assert_ne!(&gap.reason, "not-kept", "a position vanished");
                prop_assert!(gap.items_by_run.values().sum::<u64>() <= gap.last - gap.first + 1);
                gap.last + 1
            }
            None => {
                prop_assert_eq!(Some(item), model.at(*seq));
                seq + 1
            }
        };
    }
    prop_assert_eq!(next, model.next(), "up to the end");
    for (seq, item) in read_all(journal, 1) {
        prop_assert!(gap_of(&item).is_some() || Some(&item) == model.at(seq), "old items are the right ones");
    }
    let (acked, unacked_bytes) = journal.bytes();
    prop_assert!(unacked_bytes <= limits.spool_bytes || unacked.len() <= 1, "{} in the spool", unacked_bytes);
    prop_assert!(acked <= limits.keep_bytes);
    let sum = "SELECT IFNULL(SUM(bytes), 0) FROM items WHERE (last > ?1) = ?2";
    let counted = |unacked: bool| {
        let of = rusqlite::params![i64::try_from(journal.acked_seq()).unwrap(), unacked];
        journal.connection.query_row(sum, of, |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    };
    prop_assert_eq!((acked, unacked_bytes), (counted(false), counted(true)));
    let stored = |after, until| books::shares(&journal.connection, (after, until)).unwrap();
    let (spool, history) =
        (stored(journal.books.border, journal.last_seq()), stored(0, journal.books.border));
    prop_assert_eq!(journal.books.shares.bytes(), spool.bytes());
    prop_assert_eq!(journal.books.kept.bytes(), history.bytes());
    Ok(())
}

fn apply(journal: &mut Journal, model: &mut Model, act: &Act, fresh: &mut u64) -> Result<(), TestCaseError> {
    let mut item = |run: u8, bytes: usize| {
        *fresh += 1;
        event(["a", "b", "c"][usize::from(run)], *fresh, bytes)
    };
    match act {
        Act::Append(sizes) => {
            let items: Vec<_> = sizes.iter().map(|(run, bytes)| item(*run, *bytes)).collect();
            let positions = journal.append(&items).unwrap();
            prop_assert_eq!(*positions.start(), model.next());
            model.items.extend(items.into_iter().map(Some));
        }
        Act::Lose(count) => {
            let mut lost = Lost::default();
            for n in 0..*count {
                lost.count(&item(n % 3, 1), "disk-full");
                model.items.push(None);
            }
            let kept = item(0, 50);
            journal.append_after(&lost, std::slice::from_ref(&kept)).unwrap();
            model.items.push(Some(kept));
        }
        Act::Ack(part) => {
            let (acked, last) = (journal.acked_seq(), journal.last_seq());
            journal.acked(acked + (last - acked) * u64::from(*part) / 255).unwrap();
        }
        Act::BeginEpoch => {
            let (epoch, acked, last) = (journal.epoch().to_owned(), journal.acked_seq(), journal.last_seq());
            journal.begin_epoch("a test").unwrap();
            prop_assert_ne!(journal.epoch(), epoch);
            prop_assert_eq!(
                (journal.base_seq(), journal.acked_seq(), journal.last_seq()),
                (acked, acked, last)
            );
        }
        Act::GiveUp => journal.give_up(journal.acked_seq() + 1).unwrap(),
        Act::Merge => while journal.merge().unwrap() {},
        Act::Reopen(..) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_position_is_an_item_or_covered(
        acts in vec(act(), 1..40),
        spool in 0_u64..40_000,
        keep in 0_u64..40_000,
    ) {
        // In memory: thousands of commits, and what a sync does is not the question.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut limits = Limits { spool_bytes: spool, keep_bytes: keep };
        let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
        let mut model = Model::default();
        let mut fresh = 0;
        for act in acts {
            if let Act::Reopen(spool, keep) = act {
                drop(journal);
                limits = Limits { spool_bytes: spool.into(), keep_bytes: keep.into() };
                journal = Journal::open(&file(dir.path()), limits).unwrap();
            }
            apply(&mut journal, &mut model, &act, &mut fresh)?;
            check(&journal, &model, limits)?;
        }
    }
}
