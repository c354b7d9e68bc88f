use std::sync::Arc;

use proptest::prelude::*;
use sentry_detect::event::Event;
use sentry_rules::{EXAMPLE, RuleSet, Source, trial};

use crate::support::{exec, judge, judged, read, source};

/// Rules that can be put in any order. Ids are taken for the order, so they are part of it.
const BODIES: [&str; 5] = [
    "on: [exec], when: \"exe.endsWith('a')\", verdict: allow",
    "on: [exec, read], when: uid == 1000, verdict: warn, again: 1ms",
    "on: [exec], match: [{field: exe, regex: ['[ab]$']}], verdict: block, again: 1ms",
    "on: [read], when: \"path == '/a'\", verdict: block, again: 1ms",
    "on: [exec], when: uid == 1000, window: {count: 3, within: 50ms}, verdict: block, again: 1ms",
];

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = (any::<bool>(), 0..3_usize, 0..40_u64);
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let mut ms = 0;
        let each = all.into_iter().enumerate().map(|(sequence, (is_exec, name, after))| {
            ms += after;
            let name = ["a", "b", "c"][name];
            if is_exec {
                exec(sequence as u64, ms, &[name])
            } else {
                read(sequence as u64, ms, &format!("/{name}"))
            }
        });
        each.collect()
    })
}

/// What was found by which event, under the number of the rule's body.
fn found(order: &[usize], events: &[Event]) -> Vec<(String, Vec<String>)> {
    let rule = |body: &usize| format!("  - {{id: own/x{body}, title: T, {}}}\n", BODIES[*body]);
    let set = crate::support::set(&order.iter().map(rule).collect::<String>());
    let found = judged(&mut judge(&set), events);
    let mut found: Vec<_> =
        found.into_iter().map(|ruled| (ruled.signal.rule.to_string(), ruled.evidence)).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_rules_does_not_matter(
        order in Just((0..BODIES.len()).collect::<Vec<_>>()).prop_shuffle(),
        events in events(),
    ) {
        let plain: Vec<usize> = (0..BODIES.len()).collect();
        prop_assert_eq!(found(&order, &events), found(&plain, &events));
    }

    #[test]
    fn the_same_events_are_judged_the_same(events in events()) {
        let order = [0, 1, 2, 3, 4];
        prop_assert_eq!(found(&order, &events), found(&order, &events));
    }

    /// The example, with pieces of it taken out, doubled or replaced.
    #[test]
    fn any_text_is_a_set_or_mistakes(
        edits in proptest::collection::vec((0..EXAMPLE.len(), 0..12_usize, "[ -~\n]{0,12}"), 1..6),
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, length, with) in edits {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, with.chars());
        }
        let text: String = text.into_iter().collect();
        match RuleSet::read(&[source(&text)]) {
            Ok(set) => drop(trial::run(&Arc::new(set))),
            Err(mistakes) => prop_assert!(!mistakes.is_empty() && mistakes.iter().all(|one| one.line > 0)),
        }
    }

    #[test]
    fn any_bytes_are_a_set_or_mistakes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        drop(RuleSet::read(&[Source { name: "x".to_owned(), text }]));
    }
}
