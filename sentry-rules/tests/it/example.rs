use std::sync::Arc;

use sentry_rules::{EXAMPLE, RuleSet, trial};

use crate::support::source;

#[test]
fn the_example_is_valid_and_its_cases_are_as_expected() {
    let set = Arc::new(RuleSet::read(&[source(EXAMPLE)]).unwrap());
    let tried = trial::run(&set);
    assert_eq!((set.rules().len(), tried.len()), (3, 7));
    let wrong: Vec<_> = tried.iter().filter(|tried| !tried.is_as_expected()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_case_that_is_not_as_expected_says_what_came_instead() {
    let set = crate::support::set(
        "  - id: own/x
    title: T
    on: [exec]
    when: uid == 0
    cases:
      - {name: root, event: {uid: 0}, verdict: none}
      - {name: another, event: {uid: 1}, verdict: warn}
",
    );
    let got: Vec<_> =
        trial::run(&set).into_iter().map(|tried| (tried.line, tried.expected, tried.verdict)).collect();
    let warn = Some(sentry_rules::Verdict::Warn);
    assert_eq!(got, [(8, None, warn), (9, warn, None)]);
}
