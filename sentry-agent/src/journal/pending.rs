//! Items that wait for others to share their commit, by run: the events of a run come to stand one
//! behind the other, and fill blocks. Within a run the order stays. Pure.

use std::{collections::HashMap, time::Duration};

use sentry_detect::event::Ring;
use sentry_proto::{
    block::EVENTS,
    v1::{self, item::Item as Kind},
};
use tokio::time::Instant;

use super::entry::{Entry, Written as _};

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
    items: Vec<Entry>,
    due: Instant,
    /// Queues that were begun before.
    place: u64,
}

impl Pending {
    /// Puts items of one run behind those that it has. The most urgent makes all of them urgent.
    pub(super) fn push(&mut self, mut items: Vec<Entry>, now: Instant) {
        let Some(patience) = items.iter().map(patience).min() else { return };
        let due = now + patience;
        let run = items.first().and_then(Entry::run).unwrap_or_default();
        let queue = match self.runs.get_mut(run) {
            Some(queue) => queue,
            None => {
                self.begun += 1;
                let queue = Queue { items: Vec::new(), due, place: self.begun };
                self.runs.entry(run.to_owned()).or_insert(queue)
            }
        };
        self.items += items.len();
        queue.items.append(&mut items);
        queue.due = if queue.items.len() >= EVENTS { now } else { queue.due.min(due) };
        if self.items >= ITEMS {
            self.runs.values_mut().for_each(|queue| queue.due = now);
        }
    }

    /// When the next commit is due; `None`: nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.runs.values().map(|queue| queue.due).min()
    }

    /// The items of the runs that are due, one run behind the other.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Entry> {
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
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        let last = self.runs.values().map(|queue| queue.due).max();
        last.map(|last| self.take(last)).unwrap_or_default()
    }
}

/// How long an entry may wait.
fn patience(entry: &Entry) -> Duration {
    let is_critical = match entry {
        Entry::Event(event) => event.ring == Ring::Critical,
        Entry::Item(item) => match &item.item {
            Some(Kind::Event(event)) => event.ring() == v1::event::Ring::Critical,
            Some(
                Kind::Finding(_)
                | Kind::Decision(_)
                | Kind::Outcome(_)
                | Kind::Run(_)
                | Kind::Gap(_)
                | Kind::Block(_),
            )
            | None => return Duration::ZERO,
        },
    };
    if is_critical { CRITICAL } else { BULK }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentry_detect::event::Event;

    use super::*;

    fn event(run: &str, sequence: u64, ring: Ring) -> Entry {
        Entry::Event(Arc::new(Event { sequence, ring, ..crate::journal::tests::seed(run) }))
    }

    fn finding(run: &str) -> Entry {
        let finding = v1::Finding { run: run.to_owned(), ..v1::Finding::default() };
        Entry::Item(Box::new(v1::Item { item: Some(Kind::Finding(finding)) }))
    }

    /// Run and sequence; of what is no event 0.
    fn shape(items: &[Entry]) -> Vec<(&str, u64)> {
        let shape = |entry: &'_ Entry| entry.event().map_or(0, |event| event.sequence);
        items.iter().map(|entry| (entry.run().unwrap_or_default(), shape(entry))).collect()
    }

    #[test]
    fn a_commit_is_grouped_by_run_and_keeps_the_order_within() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        for n in 0..6 {
            pending.push(vec![event(["b", "a"][n as usize % 2], n, Ring::Bulk)], now);
        }
        let all = [("b", 0), ("b", 2), ("b", 4), ("a", 1), ("a", 3), ("a", 5)];
        assert_eq!(shape(&pending.take_all()), all);
        assert_eq!((pending.due(), pending.items), (None, 0));
    }

    #[test]
    fn a_finding_takes_what_its_run_did_before_along_and_no_other_runs_events() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        pending.push(vec![event("a", 1, Ring::Bulk)], now);
        pending.push(vec![event("b", 2, Ring::Bulk)], now);
        assert_eq!(pending.due(), Some(now + BULK));
        assert!(pending.take(now).is_empty());
        pending.push(vec![finding("a")], now);
        assert_eq!(pending.due(), Some(now));
        assert_eq!(shape(&pending.take(now)), [("a", 1), ("a", 0)]);
        assert_eq!(pending.due(), Some(now + BULK));
        pending.push(vec![event("b", 3, Ring::Critical)], now);
        assert_eq!(pending.due(), Some(now + CRITICAL));
        assert_eq!(pending.take(now + CRITICAL).len(), 2);
    }

    #[test]
    fn a_full_block_waits_no_longer_and_neither_do_too_many_items() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        for n in 1..=EVENTS as u64 {
            assert!(pending.take(now).is_empty());
            pending.push(vec![event("a", n, Ring::Bulk)], now);
        }
        assert_eq!(pending.take(now).len(), EVENTS);
        for n in 0..ITEMS as u64 {
            assert!(pending.take(now).is_empty());
            pending.push(vec![event(&(n % 100).to_string(), n, Ring::Bulk)], now);
        }
        assert_eq!(pending.take(now).len(), ITEMS);
    }
}
