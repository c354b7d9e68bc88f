//! A process and its descendants.

use std::collections::HashSet;

use sentry_proto::v1::{self, event::Kind};

use crate::process::{Key, key};

/// Processes that are followed.
const PROCESSES: usize = 1_000_000;

/// Events of a process and its descendants, taken in their order.
#[derive(Clone, Debug)]
pub struct Lineage {
    pid: u32,
    members: HashSet<Key>,
}

impl Lineage {
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self { pid, members: HashSet::new() }
    }

    /// Whether the event is one of them. Every event has to be shown, those of others too.
    pub fn contains(&mut self, event: &v1::Event) -> bool {
        let actor = key(event.process.as_ref().and_then(|process| process.key.as_ref()));
        let is_member = actor.0 == self.pid || self.members.contains(&actor);
        if let (true, Some(Kind::Fork(fork))) = (is_member, &event.kind)
            && self.members.len() < PROCESSES
        {
            self.members.insert(key(fork.child.as_ref()));
        }
        is_member
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pid: u32, kind: Kind) -> v1::Event {
        let key = Some(v1::ProcessKey { tgid: pid, start_boot_ns: u64::from(pid) });
        let process = Some(v1::Process { key, ..v1::Process::default() });
        v1::Event { process, kind: Some(kind), ..v1::Event::default() }
    }

    fn fork(child: u32) -> Kind {
        Kind::Fork(v1::Fork { child: Some(v1::ProcessKey { tgid: child, start_boot_ns: u64::from(child) }) })
    }

    #[test]
    fn children_of_children_belong_to_it_and_siblings_do_not() {
        let mut lineage = Lineage::of(2);
        let events = [(1, fork(2)), (1, fork(3)), (2, fork(4)), (4, fork(5)), (5, fork(6)), (3, fork(7))];
        let contained = events.map(|(pid, kind)| lineage.contains(&event(pid, kind)));
        assert_eq!(contained, [false, false, true, true, true, false]);
    }
}
