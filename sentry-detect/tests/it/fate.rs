//! From findings to decisions: the ladder, its limits, and people's own decisions.

use proptest::prelude::*;
use sentry_detect::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    finding::{Finding, Reach},
    rule::{Limits, Settings},
    run::{Mode, Phase, fate::Fate},
    runaway::{RuleId, RunawaySignal, Severity},
};

use crate::support::{START, agent, run_id, settings};

fn finding(severity: Severity, confidence: f64) -> Finding {
    Finding {
        id: format!("{}-f-1", run_id()),
        run: run_id(),
        agent: agent(),
        time_unix_ns: START,
        since_unix_ns: START,
        signal: RunawaySignal {
            rule: RuleId::new("spawn-storm"),
            confidence,
            severity,
            summary: "It grows.".to_owned(),
            arithmetic: Vec::new(),
        },
        evidence: Vec::new(),
        tags: Vec::new(),
        complete: true,
    }
}

fn sure() -> Finding {
    finding(Severity::High, 0.9)
}

fn actions(decisions: &[Decision]) -> Vec<Action> {
    decisions.iter().map(|decision| decision.action).collect()
}

fn fate(mode: Mode) -> Fate {
    Fate::new(run_id(), run_id().0, mode, true)
}

fn found(fate: &mut Fate, finding: &Finding) -> Vec<Decision> {
    fate.on_finding(finding, Reach::Kill, &Settings::default(), START)
}

fn outcome(decision: &Decision, result: OutcomeKind) -> Outcome {
    Outcome {
        decision: decision.id.clone(),
        run: decision.run.clone(),
        action: decision.action,
        result,
        time_unix_ns: START,
        took_ns: 1,
        processes: 1,
        survivors: 0,
    }
}

#[test]
fn a_sure_finding_goes_down_the_ladder() {
    let mut fate = fate(Mode::Enforce);
    let decisions = fate.on_finding(&sure(), Reach::Kill, &Settings::default(), START + 5);
    assert_eq!(actions(&decisions), [Action::Freeze, Action::Kill]);
    for (n, decision) in (1..).zip(&decisions) {
        assert_eq!(decision.id, format!("{}-d-{n}", run_id()));
        assert_eq!(decision.finding, Some(sure().id));
        assert_eq!(decision.origin, "detector:spawn-storm");
        assert_eq!((decision.mode, decision.time_unix_ns), (Mode::Enforce, START + 5));
    }
    assert_eq!(decisions[0].reason, "spawn-storm (confidence 0.90): It grows.");
    assert_eq!(fate.phase(), Phase::Freezing);
    assert_eq!(found(&mut fate, &sure()), []);
}

#[test]
fn a_later_life_has_ids_of_its_own() {
    let mut fate = Fate::new(run_id(), "r.18af".to_owned(), Mode::Enforce, true);
    let ids: Vec<_> = found(&mut fate, &sure()).into_iter().map(|decision| decision.id).collect();
    assert_eq!(ids, ["r.18af-d-1", "r.18af-d-2"]);
}

#[test]
fn an_unsure_or_mild_finding_is_observed() {
    let mut fate = fate(Mode::Enforce);
    for mild in [finding(Severity::High, 0.79), finding(Severity::Medium, 1.0)] {
        assert_eq!(actions(&found(&mut fate, &mild)), [Action::Observe]);
    }
    assert_eq!(fate.phase(), Phase::Running);
    let bold = settings(|limits| limits.common.act_min_confidence = 0.7);
    let decisions = fate.on_finding(&finding(Severity::High, 0.79), Reach::Kill, &bold, START);
    assert_eq!(actions(&decisions), [Action::Freeze, Action::Kill]);
}

#[test]
fn cpu_and_calls_lead_to_acts_only_where_the_settings_have_it_so() {
    let of = |rule: &str, change: fn(&mut Limits)| {
        let mut finding = sure();
        finding.signal.rule = rule.to_owned().into();
        actions(&fate(Mode::Enforce).on_finding(&finding, Reach::Kill, &settings(change), START))
    };
    let ladder = vec![Action::Freeze, Action::Kill];
    for rule in ["spawn-storm", "exec-loop"] {
        assert_eq!(of(rule, |_| {}), ladder, "{rule}");
    }
    for rule in ["cpu-spin", "call-flood", "left-control"] {
        assert_eq!(of(rule, |_| {}), [Action::Observe], "{rule}");
    }
    assert_eq!(of("cpu-spin", |limits| limits.cpu_spin.leads_to_acts = true), ladder);
    assert_eq!(of("call-flood", |limits| limits.cpu_spin.leads_to_acts = true), [Action::Observe]);
    assert_eq!(of("call-flood", |limits| limits.call_flood.leads_to_acts = true), ladder);
}

#[test]
fn a_frozen_run_is_not_frozen_again() {
    let mut fate = fate(Mode::Observe);
    let by_hand = fate.by_hand(Action::Freeze, "user:1000".to_owned(), "look at it".to_owned(), START);
    assert_eq!((by_hand.mode, by_hand.finding, by_hand.origin.as_str()), (Mode::Enforce, None, "user:1000"));
    assert_eq!(actions(&found(&mut fate, &sure())), [Action::Kill]);
}

#[test]
fn a_thawed_run_is_frozen_again() {
    let mut fate = fate(Mode::Enforce);
    fate.by_hand(Action::Freeze, "user:0".to_owned(), String::new(), START);
    fate.by_hand(Action::Thaw, "user:0".to_owned(), String::new(), START);
    assert_eq!(actions(&found(&mut fate, &sure())), [Action::Freeze, Action::Kill]);
}

#[test]
fn a_kill_by_hand_ends_decisions() {
    let mut fate = fate(Mode::Enforce);
    fate.by_hand(Action::Kill, "user:0".to_owned(), String::new(), START);
    fate.by_hand(Action::Freeze, "user:0".to_owned(), String::new(), START);
    assert_eq!(found(&mut fate, &sure()), []);
}

#[test]
fn a_kill_that_failed_is_tried_again() {
    let mut fate = fate(Mode::Enforce);
    let decisions = found(&mut fate, &sure());
    fate.outcome(&outcome(&decisions[0], OutcomeKind::Applied), 0);
    fate.outcome(&outcome(&decisions[1], OutcomeKind::Failed { why: "two survive".to_owned() }), 0);
    let decisions = found(&mut fate, &sure());
    assert_eq!(actions(&decisions), [Action::Freeze, Action::Kill]);
    for decision in &decisions {
        fate.outcome(&outcome(decision, OutcomeKind::Applied), 0);
    }
    assert_eq!(found(&mut fate, &sure()), []);
}

#[test]
fn a_cgroup_that_outlives_its_kill_is_stopped_again() {
    let mut fate = Fate::new(run_id(), run_id().0, Mode::Enforce, false);
    for _life in 0..3 {
        let decisions = found(&mut fate, &sure());
        assert_eq!(actions(&decisions), [Action::Freeze, Action::Kill]);
        for decision in &decisions {
            fate.outcome(&outcome(decision, OutcomeKind::Applied), 0);
        }
    }
    assert_eq!(fate.phase(), Phase::Running);
}

#[test]
fn who_enters_after_a_kill_is_watched_over_again() {
    let mut fate = fate(Mode::Enforce);
    let kill = fate.by_hand(Action::Kill, "user:0".to_owned(), String::new(), START);
    assert!(fate.outcome(&outcome(&kill, OutcomeKind::Applied), 7));
    fate.lives(7);
    assert_eq!((fate.phase(), found(&mut fate, &sure())), (Phase::Killing, vec![]));
    fate.lives(8);
    assert_eq!(fate.phase(), Phase::Running);
    assert_eq!(actions(&found(&mut fate, &sure())), [Action::Freeze, Action::Kill]);
}

#[test]
fn an_act_that_is_not_done_leaves_the_run_out_of_control() {
    let failed = || OutcomeKind::Failed { why: "busy".to_owned() };
    let refused = || OutcomeKind::Refused { why: "fenced".to_owned() };
    for (result, may_be_frozen) in [(failed(), true), (refused(), false)] {
        for action in [Action::Freeze, Action::Kill] {
            let mut fate = fate(Mode::Observe);
            let act = fate.by_hand(action, "user:0".to_owned(), String::new(), START);
            assert!(!fate.outcome(&outcome(&act, result.clone()), 0));
            assert_eq!((fate.phase(), fate.may_be_frozen()), (Phase::OutOfControl, may_be_frozen));
        }
    }
    let mut observed = fate(Mode::Observe);
    for decision in found(&mut observed, &sure()) {
        observed.outcome(&outcome(&decision, refused()), 0);
    }
    assert_eq!(observed.phase(), Phase::Running, "nothing was to be done");
}

#[test]
fn a_thaw_that_fails_leaves_it_frozen() {
    let mut fate = fate(Mode::Enforce);
    let freeze = fate.by_hand(Action::Freeze, "user:0".to_owned(), String::new(), START);
    fate.outcome(&outcome(&freeze, OutcomeKind::Applied), 0);
    let thaw = fate.by_hand(Action::Thaw, "user:0".to_owned(), String::new(), START);
    assert_eq!(fate.phase(), Phase::Thawing);
    fate.outcome(&outcome(&thaw, OutcomeKind::Failed { why: "busy".to_owned() }), 0);
    assert_eq!((fate.phase(), fate.is_frozen()), (Phase::Frozen, true));
    assert_eq!(actions(&found(&mut fate, &sure())), [Action::Kill]);
}

fn any_findings() -> impl Strategy<Value = Vec<Finding>> {
    let severity = prop_oneof![
        Just(Severity::Informational),
        Just(Severity::Medium),
        Just(Severity::High),
        Just(Severity::Critical),
    ];
    prop::collection::vec((severity, 0.5..1.0f64).prop_map(|(s, c)| finding(s, c)), 0..30)
}

proptest! {
    #[test]
    fn the_ladder_is_climbed_in_order_and_once(findings in any_findings()) {
        let mut fate = fate(Mode::Enforce);
        let decisions: Vec<_> = findings.iter().flat_map(|finding| found(&mut fate, finding)).collect();
        let mut acts = actions(&decisions);
        acts.retain(|action| *action != Action::Observe);
        prop_assert!(acts.is_empty() || acts == [Action::Freeze, Action::Kill], "{acts:?}");
        for (n, decision) in (1..).zip(&decisions) {
            prop_assert_eq!(&decision.id, &format!("{}-d-{n}", run_id()));
        }
    }

    #[test]
    fn observe_and_enforce_decide_the_same(findings in any_findings()) {
        let decide = |mode| {
            let mut fate = fate(mode);
            findings.iter().flat_map(|finding| found(&mut fate, finding)).collect::<Vec<_>>()
        };
        let (observed, enforced) = (decide(Mode::Observe), decide(Mode::Enforce));
        prop_assert!(observed.iter().all(|decision| decision.mode == Mode::Observe));
        let as_enforced: Vec<_> =
            observed.into_iter().map(|decision| Decision { mode: Mode::Enforce, ..decision }).collect();
        prop_assert_eq!(as_enforced, enforced);
    }
}
