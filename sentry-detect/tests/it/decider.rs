//! From findings to decisions: the ladder, its limits, and people's own decisions.

use proptest::prelude::*;
use sentry_detect::{
    decision::{Action, Decider, Decision, Outcome, OutcomeKind, Standing},
    finding::Finding,
    rule::Limits,
    run::Mode,
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
    let mut decider = Decider::new(run_id(), Mode::Enforce);
    let decisions = decider.on_finding(&sure(), START + 5);
    assert_eq!(actions(&decisions), [Action::Freeze, Action::Kill]);
    for (n, decision) in (1..).zip(&decisions) {
        assert_eq!(decision.id, format!("{}-d-{n}", run_id()));
        assert_eq!(decision.finding, Some(sure().id));
        assert_eq!(decision.origin, "detector:spawn-storm");
        assert_eq!((decision.mode, decision.time_unix_ns), (Mode::Enforce, START + 5));
    }
    assert_eq!(decisions[0].reason, "spawn-storm (confidence 0.90): It grows.");
    assert_eq!(decider.standing(), Standing::Ended);
    assert_eq!(decider.on_finding(&sure(), START), []);
}

#[test]
fn a_later_life_has_ids_of_its_own() {
    let mut decider = Decider::new(run_id(), Mode::Enforce).with_id_prefix("r.18af");
    let ids: Vec<_> = decider.on_finding(&sure(), START).into_iter().map(|decision| decision.id).collect();
    assert_eq!(ids, ["r.18af-d-1", "r.18af-d-2"]);
}

#[test]
fn an_unsure_or_mild_finding_is_observed() {
    let mut decider = Decider::new(run_id(), Mode::Enforce);
    for mild in [finding(Severity::High, 0.79), finding(Severity::Medium, 1.0)] {
        assert_eq!(actions(&decider.on_finding(&mild, START)), [Action::Observe]);
    }
    assert_eq!(decider.standing(), Standing::Running);
    let mut bold = decider.with_settings(&settings(|limits| limits.common.act_min_confidence = 0.7));
    assert_eq!(
        actions(&bold.on_finding(&finding(Severity::High, 0.79), START)),
        [Action::Freeze, Action::Kill]
    );
}

#[test]
fn cpu_and_calls_lead_to_acts_only_where_the_settings_have_it_so() {
    let of = |rule: &str, change: fn(&mut Limits)| {
        let mut finding = sure();
        finding.signal.rule = rule.to_owned().into();
        let decider = Decider::new(run_id(), Mode::Enforce).with_settings(&settings(change));
        actions(&{ decider }.on_finding(&finding, START))
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
    let mut decider = Decider::new(run_id(), Mode::Observe);
    let by_hand = decider.by_hand(Action::Freeze, "user:1000".to_owned(), "look at it".to_owned(), START);
    assert_eq!((by_hand.mode, by_hand.finding, by_hand.origin.as_str()), (Mode::Enforce, None, "user:1000"));
    assert_eq!(actions(&decider.on_finding(&sure(), START)), [Action::Kill]);
}

#[test]
fn a_thawed_run_is_frozen_again() {
    let mut decider = Decider::new(run_id(), Mode::Enforce);
    decider.by_hand(Action::Freeze, "user:0".to_owned(), String::new(), START);
    decider.by_hand(Action::Thaw, "user:0".to_owned(), String::new(), START);
    assert_eq!(actions(&decider.on_finding(&sure(), START)), [Action::Freeze, Action::Kill]);
}

#[test]
fn a_kill_by_hand_ends_decisions() {
    let mut decider = Decider::new(run_id(), Mode::Enforce);
    decider.by_hand(Action::Kill, "user:0".to_owned(), String::new(), START);
    decider.by_hand(Action::Freeze, "user:0".to_owned(), String::new(), START);
    assert_eq!(decider.on_finding(&sure(), START), []);
}

#[test]
fn a_kill_that_failed_is_tried_again() {
    let mut decider = Decider::new(run_id(), Mode::Enforce);
    let decisions = decider.on_finding(&sure(), START);
    decider.on_outcome(&outcome(&decisions[0], OutcomeKind::Applied));
    decider.on_outcome(&outcome(&decisions[1], OutcomeKind::Failed { why: "two survive".to_owned() }));
    let decisions = decider.on_finding(&sure(), START);
    assert_eq!(actions(&decisions), [Action::Freeze, Action::Kill]);
    for decision in &decisions {
        decider.on_outcome(&outcome(decision, OutcomeKind::Applied));
    }
    assert_eq!(decider.on_finding(&sure(), START), []);
}

#[test]
fn a_cgroup_that_outlives_its_kill_is_stopped_again() {
    let mut decider = Decider::new(run_id(), Mode::Enforce);
    for _life in 0..3 {
        let decisions = decider.on_finding(&sure(), START);
        assert_eq!(actions(&decisions), [Action::Freeze, Action::Kill]);
        for decision in &decisions {
            decider.on_outcome(&outcome(decision, OutcomeKind::Applied));
        }
        assert_eq!(decider.standing(), Standing::Ended);
        decider.outlived();
    }
    assert_eq!(decider.standing(), Standing::Running);
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
        let mut decider = Decider::new(run_id(), Mode::Enforce);
        let decisions: Vec<_> = findings.iter().flat_map(|finding| decider.on_finding(finding, START)).collect();
        let acts: Vec<_> = actions(&decisions).into_iter().filter(|action| *action != Action::Observe).collect();
        prop_assert!(acts.is_empty() || acts == [Action::Freeze, Action::Kill], "{acts:?}");
        for (n, decision) in (1..).zip(&decisions) {
            prop_assert_eq!(&decision.id, &format!("{}-d-{n}", run_id()));
        }
    }

    #[test]
    fn observe_and_enforce_decide_the_same(findings in any_findings()) {
        let decide = |mode| {
            let mut decider = Decider::new(run_id(), mode);
            findings.iter().flat_map(|finding| decider.on_finding(finding, START)).collect::<Vec<_>>()
        };
        let (observed, enforced) = (decide(Mode::Observe), decide(Mode::Enforce));
        prop_assert!(observed.iter().all(|decision| decision.mode == Mode::Observe));
        let as_enforced: Vec<_> =
            observed.into_iter().map(|decision| Decision { mode: Mode::Enforce, ..decision }).collect();
        prop_assert_eq!(as_enforced, enforced);
    }
}
