//! Items that wait in memory for a disk that refuses them: what a run was, what was found and what
//! was done. Events do not wait, a Gap counts them. Pure.
//!
//! Limits: [`ITEMS`] items, [`BYTES`] encoded; beyond that the oldest are given up, and a Gap
//! counts them as well.

use std::collections::VecDeque;

use prost::Message as _;
use sentry_proto::v1::{self, item::Item as Kind};

use super::{ITEM_LIMIT, gap::Lost};

pub(super) const ITEMS: usize = 16_384;
pub(super) const BYTES: usize = 8 << 20;
/// Of one commit: little, so that it fits where there is little room.
const COMMIT_ITEMS: usize = 256;
const COMMIT_BYTES: usize = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Oldest first, each with its size.
    items: VecDeque<(v1::Item, usize)>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Keeps an item, or counts it where it is one that does not wait. Says how many were counted.
    pub(super) fn keep(&mut self, item: v1::Item, reason: &'static str, lost: &mut Lost) -> u64 {
        let size = item.encoded_len();
        let waits =
            matches!(item.item, Some(Kind::Run(_) | Kind::Finding(_) | Kind::Decision(_) | Kind::Outcome(_)));
        // A larger one would become a Gap on the disk, too.
        if !waits || size > ITEM_LIMIT {
            lost.count(&item, if waits { "too-large" } else { reason });
            return 1;
        }
        self.bytes += size;
        self.items.push_back((item, size));
        let mut counted = 0;
        while (self.items.len() > ITEMS || self.bytes > BYTES)
            && let Some((oldest, size)) = self.items.pop_front()
        {
            self.bytes -= size;
            lost.count(&oldest, reason);
            counted += 1;
        }
        counted
    }

    /// Counts everything that waits; says how much that was.
    pub(super) fn count_all(&mut self, reason: &'static str, lost: &mut Lost) -> u64 {
        let counted = self.items.len() as u64;
        self.items.drain(..).for_each(|(item, _)| lost.count(&item, reason));
        self.bytes = 0;
        counted
    }

    /// The oldest items, as many as make one commit.
    pub(super) fn next(&self) -> Vec<v1::Item> {
        let mut bytes = 0;
        let fit = self.items.iter().take(COMMIT_ITEMS).take_while(|(_, size)| {
            let fits = bytes == 0 || bytes + size <= COMMIT_BYTES;
            bytes += size;
            fits
        });
        fit.map(|(item, _)| item.clone()).collect()
    }

    /// The oldest `count` items are on the disk.
    pub(super) fn written(&mut self, count: usize) {
        self.bytes -= self.items.drain(..count.min(self.items.len())).map(|(_, size)| size).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(n: usize, bytes: usize) -> v1::Item {
        let summary = "x".repeat(bytes);
        let finding =
            v1::Finding { id: n.to_string(), run: "a".to_owned(), summary, ..v1::Finding::default() };
        v1::Item { item: Some(Kind::Finding(finding)) }
    }

    fn ids(items: &[v1::Item]) -> Vec<usize> {
        let id = |item: &v1::Item| match &item.item {
            Some(Kind::Finding(finding)) => finding.id.parse().ok(),
            _ => None,
        };
        items.iter().filter_map(id).collect()
    }

    #[test]
    fn what_waits_comes_back_in_order_and_once() {
        let (mut waiting, mut lost) = (Waiting::default(), Lost::default());
        for n in 0..1_000 {
            assert_eq!(waiting.keep(finding(n, 2_000), "disk-full", &mut lost), 0);
        }
        let mut back = Vec::new();
        while !waiting.is_empty() {
            let next = waiting.next();
            assert!((1..=COMMIT_ITEMS).contains(&next.len()));
            back.extend(ids(&next));
            waiting.written(next.len());
        }
        assert_eq!(back, (0..1_000).collect::<Vec<_>>());
        assert_eq!((waiting.bytes, lost), (0, Lost::default()));
    }

    #[test]
    fn beyond_the_limits_the_oldest_are_counted() {
        for (bytes, count) in [(0, ITEMS + 10), (900 << 10, 12)] {
            let (mut waiting, mut lost) = (Waiting::default(), Lost::default());
            let counted: u64 =
                (0..count).map(|n| waiting.keep(finding(n, bytes), "disk-full", &mut lost)).sum();
            assert!(counted > 0 && waiting.len() <= ITEMS && waiting.bytes <= BYTES);
            assert_eq!((waiting.len() as u64 + counted, lost.items), (count as u64, counted));
            assert_eq!(ids(&waiting.next())[0] as u64, counted, "the newest stay");
            waiting.count_all("write-failed", &mut lost);
            assert_eq!((waiting.len(), waiting.bytes, lost.items), (0, 0, count as u64));
        }
    }

    #[test]
    fn events_and_what_is_too_large_do_not_wait() {
        let (mut waiting, mut lost) = (Waiting::default(), Lost::default());
        let event = v1::Event { run: "a".to_owned(), ..v1::Event::default() };
        let event = v1::Item { item: Some(Kind::Event(event)) };
        assert_eq!(waiting.keep(event, "disk-full", &mut lost), 1);
        assert_eq!(waiting.keep(finding(1, ITEM_LIMIT), "disk-full", &mut lost), 1);
        assert!(waiting.is_empty());
        let gap = lost.gap(1, 2);
        assert_eq!((gap.reason.as_str(), gap.items_by_run["a"]), ("disk-full, too-large", 2));
    }
}
