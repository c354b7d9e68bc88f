//! Items that wait for others to share their commit, by run: the events of a run come to stand one
//! behind the other, and fill blocks. Within a run the order stays. Pure.

use std::{collections::HashMap, time::Duration};

use sentry_proto::{
    block::EVENTS,
    v1::{self, event::Ring, item::Item as Kind},
};
use tokio::time::Instant;

use super::gap::run_of;

/// Longest time that an event of the bulk ring waits.
pub(super) const BULK: Duration = Duration::from_millis(250);
/// The same of the critical ring: starts and ends of processes, which come in bursts.
const CRITICAL: Duration = Duration::from_millis(20);
/// Most items that wait; with more, all are due.
const ITEMS: usize = 2 * EVENTS;

#[derive(Debug, Default)]
pub(super) struct Pending {
    runs: HashMap<String, Queue>,
    items: usize,
    /// Queues begun so far.
    begun: u64,
}

#[derive(Debug)]
struct Queue {
    items: Vec<v1::Item>,
    due: Instant,
    /// Queues that were begun before.
    place: u64,
}

impl Pending {
    /// Puts an item behind those of its run. What makes it urgent makes those before it urgent.
    pub(super) fn push(&mut self, item: v1::Item, now: Instant) {
        let due = now + patience(&item);
        let run = run_of(&item).unwrap_or_default();
        let queue = match self.runs.get_mut(run) {
            Some(queue) => queue,
            None => {
                self.begun += 1;
                let queue = Queue { items: Vec::new(), due, place: self.begun };
                self.runs.entry(run.to_owned()).or_insert(queue)
            }
        };
        queue.items.push(item);
        queue.due = if queue.items.len() >= EVENTS { now } else { queue.due.min(due) };
        self.items += 1;
        if self.items == ITEMS {
            self.runs.values_mut().for_each(|queue| queue.due = now);
        }
    }

    /// When the next commit is due; `None`: nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.runs.values().map(|queue| queue.due).min()
    }

    /// The items of the runs that are due, one run behind the other.
    pub(super) fn take(&mut self, now: Instant) -> Vec<v1::Item> {
        let mut due: Vec<Queue> =
            self.runs.extract_if(|_, queue| queue.due <= now).map(|(_, queue)| queue).collect();
        due.sort_unstable_by_key(|queue| queue.place);
        let mut queues = due.into_iter().map(|queue| queue.items);
        let mut taken = queues.next().unwrap_or_default();
        queues.for_each(|mut items| taken.append(&mut items));
        self.items -= taken.len();
        taken
    }

    /// All items, one run behind the other.
    pub(super) fn take_all(&mut self) -> Vec<v1::Item> {
        let last = self.runs.values().map(|queue| queue.due).max();
        last.map(|last| self.take(last)).unwrap_or_default()
    }
}

/// How long an item may wait.
fn patience(item: &v1::Item) -> Duration {
    match &item.item {
        Some(Kind::Event(event)) if event.ring() == Ring::Critical => CRITICAL,
        Some(Kind::Event(_)) => BULK,
        Some(
            Kind::Finding(_)
            | Kind::Decision(_)
            | Kind::Outcome(_)
            | Kind::Run(_)
            | Kind::Gap(_)
            | Kind::Block(_),
        )
        | None => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(run: &str, sequence: u64, ring: Ring) -> v1::Item {
        let event = v1::Event { run: run.to_owned(), sequence, ring: ring.into(), ..v1::Event::default() };
        v1::Item { item: Some(Kind::Event(event)) }
    }

    fn finding(run: &str) -> v1::Item {
        v1::Item { item: Some(Kind::Finding(v1::Finding { run: run.to_owned(), ..v1::Finding::default() })) }
    }

    fn shape(items: &[v1::Item]) -> Vec<(String, u64)> {
        let shape = |item: &v1::Item| match &item.item {
            Some(Kind::Event(event)) => (event.run.clone(), event.sequence),
            other => (format!("{:?}", other.as_ref().and_then(|_| run_of(item))), 0),
        };
        items.iter().map(shape).collect()
    }

    #[test]
    fn a_commit_is_grouped_by_run_and_keeps_the_order_within() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        for n in 0..6 {
            pending.push(event(["b", "a"][n as usize % 2], n, Ring::Bulk), now);
        }
        let all = [("b", 0), ("b", 2), ("b", 4), ("a", 1), ("a", 3), ("a", 5)];
        assert_eq!(shape(&pending.take_all()), all.map(|(run, n)| (run.to_owned(), n)));
        assert_eq!((pending.due(), pending.items), (None, 0));
    }

    #[test]
    fn a_finding_takes_what_its_run_did_before_along_and_no_other_runs_events() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        pending.push(event("a", 1, Ring::Bulk), now);
        pending.push(event("b", 2, Ring::Bulk), now);
        assert_eq!(pending.due(), Some(now + BULK));
        assert!(pending.take(now).is_empty());
        pending.push(finding("a"), now);
        assert_eq!(pending.due(), Some(now));
        assert_eq!(shape(&pending.take(now)), [("a".to_owned(), 1), ("Some(\"a\")".to_owned(), 0)]);
        assert_eq!(pending.due(), Some(now + BULK));
        pending.push(event("b", 3, Ring::Critical), now);
        assert_eq!(pending.due(), Some(now + CRITICAL));
        assert_eq!(pending.take(now + CRITICAL).len(), 2);
    }

    #[test]
    fn a_full_block_waits_no_longer_and_neither_do_too_many_items() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        for n in 1..=EVENTS as u64 {
            assert!(pending.take(now).is_empty());
            pending.push(event("a", n, Ring::Bulk), now);
        }
        assert_eq!(pending.take(now).len(), EVENTS);
        for n in 0..ITEMS as u64 {
            assert!(pending.take(now).is_empty());
            pending.push(event(&(n % 100).to_string(), n, Ring::Bulk), now);
        }
        assert_eq!(pending.take(now).len(), ITEMS);
    }
}
