use std::sync::{Arc, atomic::Ordering::Relaxed};

use sentry_detect::{
    decision::{Action, Outcome, OutcomeKind},
    finding::Reach,
    run::{Input, Mode, RunId},
    runaway::Severity,
};
use sentry_rules::{Judge, MOST_AT_ONCE, Tally};

use crate::support::{MS, START, exec, judge, judged, read, set};

fn summaries(found: &[sentry_detect::finding::Ruled]) -> Vec<&str> {
    found.iter().map(|ruled| ruled.signal.summary.as_str()).collect()
}

#[test]
fn an_event_that_matches_is_found_with_what_it_is_about() {
    let set = set("  - id: own/push
    title: A push that overwrites history
    on: [exec]
    match: [{field: exe, regex: ['/git$']}]
    when: argv.exists(a, a == '--force')
    verdict: block
    tags: [attack:T1485]
    next: look at the reflog
");
    let events = [
        exec(1, 0, &["git", "push", "--force"]),
        exec(2, 1, &["git", "push"]),
        exec(3, 2, &["sh", "--force"]),
    ];
    let found = judged(&mut judge(&set), &events);
    assert_eq!(
        summaries(&found),
        ["A push that overwrites history: /usr/bin/git exec git push --force; next: look at the reflog"]
    );
    let ruled = &found[0];
    assert_eq!(
        (ruled.signal.rule.as_str(), ruled.signal.severity, ruled.reach),
        ("own/push", Severity::High, Reach::Freeze)
    );
    assert_eq!(
        (ruled.evidence.as_slice(), ruled.tags.as_slice()),
        (&["r-c-1".to_owned()][..], &["attack:T1485".to_owned()][..])
    );
    assert_eq!(ruled.since_unix_ns, START);
    assert!(ruled.signal.arithmetic.iter().all(sentry_detect::runaway::Term::holds));
}

#[test]
fn of_several_rules_the_strictest_verdict_holds() {
    let rule = |id: &str, verdict: &str, program: &str| {
        format!(
            "  - {{id: own/{id}, title: {id}, on: [exec], when: \"exe == '/usr/bin/{program}' || uid == 1000\", verdict: {verdict}}}\n"
        )
    };
    let rules = [rule("a", "allow", "x"), rule("b", "warn", "x"), rule("c", "block", "x")];
    let of = |from: &[String]| {
        let found = judged(&mut judge(&set(&from.concat())), &[exec(1, 0, &["x"])]);
        found.iter().map(|ruled| ruled.signal.rule.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of(&rules), ["own/c"]);
    assert_eq!(of(&rules[..2]), ["own/b"]);
    assert!(of(&rules[..1]).is_empty());
}

#[test]
fn a_window_is_full_with_its_last_event_and_counts_apart_by_a_field() {
    let set = set("  - id: own/reads
    title: Reads
    on: [read]
    when: path.startsWith('/srv/')
    window: {count: 3, within: 1s, by: path}
");
    let of = |path: &str, times: &[u64]| -> Vec<_> {
        times.iter().enumerate().map(|(n, ms)| read(n as u64, *ms, path)).collect()
    };
    let slow = [of("/srv/a", &[0, 600, 1200]), of("/srv/b", &[1300, 1400])].concat();
    assert!(judged(&mut judge(&set), &slow).is_empty());
    let found = judged(&mut judge(&set), &of("/srv/a", &[0, 400, 800, 900]));
    assert_eq!(summaries(&found), ["Reads: /usr/bin/cat read /srv/a, 3 times within 1 s by path /srv/a"]);
    assert_eq!(found[0].evidence, ["r-c-0", "r-c-1", "r-c-2"]);
    let terms = &found[0].signal.arithmetic;
    assert_eq!(
        (terms[0].name.as_str(), terms[0].value, terms[0].limit),
        ("events within 1 s", 3.0, Some(3.0))
    );
}

#[test]
fn different_values_are_counted_once_each() {
    let set = set("  - id: own/spread
    title: Spread
    on: [read]
    when: path != ''
    window: {count: 3, within: 10s, distinct: path}
");
    let same: Vec<_> = (0..10).map(|n| read(n, n, "/a")).collect();
    assert!(judged(&mut judge(&set), &same).is_empty());
    let found =
        judged(&mut judge(&set), &[read(1, 0, "/a"), read(2, 1, "/b"), read(3, 2, "/a"), read(4, 3, "/c")]);
    assert_eq!(found[0].evidence, ["r-c-2", "r-c-3", "r-c-4"]);
}

#[test]
fn what_goes_on_is_found_again_once_its_time_is_over_with_what_came_meanwhile() {
    let set = set("  - {id: own/x, title: T, on: [exec], when: uid == 1000, again: 10s}\n");
    let events: Vec<_> = (0..25).map(|n| exec(n, n * 1000, &["x"])).collect();
    let found = judged(&mut judge(&set), &events);
    let counts: Vec<f64> = found.iter().map(|ruled| ruled.signal.arithmetic[0].value).collect();
    assert_eq!(counts, [1.0, 11.0, 11.0]);
}

#[test]
fn after_an_act_what_matches_again_is_found_at_once() {
    let set = set("  - {id: own/x, title: T, on: [exec], when: uid == 1000}\n");
    let mut judge = judge(&set);
    assert_eq!(judged(&mut judge, &[exec(1, 0, &["x"]), exec(2, 1, &["x"])]).len(), 1);
    let outcome = |action, result| Outcome {
        decision: "d".to_owned(),
        run: RunId("r".to_owned()),
        action,
        result,
        time_unix_ns: START,
        took_ns: 0,
        processes: 1,
        survivors: 0,
    };
    let mut after = |outcome: &Outcome, sequence: u64| {
        judge.input(&Input::Outcome { outcome, stopped: Vec::new() }, Mode::Enforce);
        judged(&mut judge, &[exec(sequence, sequence, &["x"])]).len()
    };
    assert_eq!(after(&outcome(Action::Freeze, OutcomeKind::WouldApply), 3), 0);
    assert_eq!(after(&outcome(Action::Freeze, OutcomeKind::Applied), 4), 1);
}

#[test]
fn a_rule_for_other_agents_is_not_there() {
    let set = set("  - {id: own/x, title: T, on: [exec], when: uid == 1000, agents: ['claude*', codex]}\n");
    let is_for = |agent| Judge::new(&set, agent, "r", &Arc::new(Tally::default())).is_some();
    assert_eq!(["claude", "claude-2", "codex", "codex2", "a"].map(is_for), [true, true, true, false, false]);
}

#[test]
fn a_condition_without_an_answer_matches_nothing_and_is_counted() {
    let set = set("  - {id: own/x, title: T, on: [exec], when: \"argv[5] == 'x'\"}\n");
    let tally = Arc::new(Tally::default());
    let mut judge = Judge::new(&set, "a", "r", &tally).unwrap();
    assert!(judged(&mut judge, &[exec(1, 0, &["x"]), read(2, 0, "/a")]).is_empty());
    assert_eq!((tally.judged.load(Relaxed), tally.errors.load(Relaxed)), (1, 1));
}

#[test]
fn windows_hold_no_more_than_they_may_and_count_what_they_gave_up() {
    let set = set(
        "  - {id: own/x, title: T, on: [read], when: uid == 1000, window: {count: 256, within: 1h, by: path}}\n",
    );
    let tally = Arc::new(Tally::default());
    let mut judge = Judge::new(&set, "a", "r", &tally).unwrap();
    let events: Vec<_> = (0..3000).map(|n| read(n, n, &format!("/{}", n % 100))).collect();
    assert!(judged(&mut judge, &events).is_empty());
    // Of a hundred paths in turn, 32 are known with one event each.
    assert_eq!(tally.given_up.load(Relaxed), 3000 - 32);
    let one: Vec<_> = (0..300).map(|n| read(n, 10_000 + n, "/one")).collect();
    assert_eq!(judged(&mut judge, &one).len(), 1);
}

#[test]
fn one_reading_takes_some_findings_and_the_next_the_others() {
    let rule = |n: usize| format!("  - {{id: own/x{n}, title: T, on: [exec], when: uid == 1000}}\n");
    let set = set(&(0..MOST_AT_ONCE + 3).map(rule).collect::<String>());
    let mut judge = judge(&set);
    let event = exec(1, 0, &["x"]);
    judge.input(&Input::Event { event: &event, delivered: true }, Mode::Observe);
    let counts: Vec<usize> = (0..3).map(|n| judge.due(START + n * MS).len()).collect();
    assert_eq!(counts, [MOST_AT_ONCE, 3, 0]);
}
