//! One run from its beginning to its end, input by input.

use sentry_common::counter::Counts;
use sentry_detect::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    event::{Event, Ring},
    finding::Departed,
    run::{
        Account, Counted, Input, Mode, Output, Phase, ProcessKey, RingBooks, RunMachine, Setup, State, Usage,
        machine::{Over, Recovered},
    },
    runaway::{RuleId, RunawaySignal, Severity},
};

use crate::support::{Input as Traced, MS, START, Trace, agent, run_id, settings};

fn machine(mode: Mode, owned: bool, before: Option<Account>) -> RunMachine {
    let settings = settings(|limits| limits.common.cool_down_ms = 1_000);
    let id_prefix = run_id().0;
    let setup = Setup { id: run_id(), id_prefix, agent: agent(), mode, owned, settings, before };
    RunMachine::new(setup, &Usage::default(), START)
}

/// Births within the second before `ms` after the start.
fn storm(machine: &mut RunMachine, ms: u64, born_so_far: u64) -> Vec<Output> {
    let now = START + ms * MS;
    let mut counted = Counted::default();
    counted.counts.processes_born = born_so_far;
    counted.rings[0].generated = born_so_far;
    machine.step(Input::Counted { counted, began_boot_ns: ms }, now);
    machine.step(Input::Reading { usage: Usage::default(), room: true }, now)
}

fn decided(outputs: Vec<Output>) -> Vec<Decision> {
    outputs
        .into_iter()
        .flat_map(|output| match output {
            Output::Found { decisions, .. } => decisions,
            Output::Decided(decision) => vec![decision],
            Output::LeftFrozen | Output::Close => Vec::new(),
        })
        .collect()
}

fn actions(decisions: &[Decision]) -> Vec<Action> {
    decisions.iter().map(|decision| decision.action).collect()
}

fn end(machine: &mut RunMachine, decision: &Decision, result: OutcomeKind) -> Vec<Output> {
    let outcome = Outcome {
        decision: decision.id.clone(),
        run: run_id(),
        action: decision.action,
        result,
        time_unix_ns: START,
        took_ns: 1,
        processes: 1,
        survivors: 0,
    };
    machine.step(Input::Outcome { outcome: &outcome, stopped: Vec::new() }, START)
}

fn order(machine: &mut RunMachine, action: Action) -> Decision {
    let order = Input::Order { action, origin: "user:0".to_owned(), reason: String::new() };
    decided(machine.step(order, START)).remove(0)
}

fn event() -> Event {
    let mut trace = Trace::new();
    trace.fork();
    let event = trace.inputs.into_iter().find_map(|input| match input {
        Traced::Event { event } => Some(*event),
        Traced::Reading { .. } => None,
    });
    let Some(event) = event else { unreachable!("it forked") };
    event
}

#[test]
fn a_storm_is_decided_once_and_moves_the_run_by_its_outcomes() {
    let mut run = machine(Mode::Enforce, true, None);
    let ladder = decided(storm(&mut run, 100, 500));
    assert_eq!((actions(&ladder), run.phase()), (vec![Action::Freeze, Action::Kill], Phase::Freezing));
    assert_eq!(run.state(), State::Running, "nothing is done yet");
    assert_eq!(decided(storm(&mut run, 1_200, 1_100)), [], "the ladder is in flight");
    assert_eq!(end(&mut run, &ladder[0], OutcomeKind::Applied), []);
    assert_eq!((run.phase(), run.state()), (Phase::Killing, State::Frozen));
    assert_eq!(end(&mut run, &ladder[1], OutcomeKind::Applied), []);
    assert_eq!((run.phase(), run.state()), (Phase::Killing, State::Running));
    assert_eq!(run.step(Input::Over(Over::Empty), START), [Output::Close]);
    run.step(Input::Closed { skipped: 3 }, START + 9);
    assert_eq!(run.phase(), Phase::Ended);
    let account = run.account();
    assert_eq!((account.ended_unix_ns, account.skipped, account.findings), (Some(START + 9), 3, 2));
}

#[test]
fn an_outcome_that_fails_frees_what_was_decided() {
    let mut run = machine(Mode::Enforce, true, None);
    let ladder = decided(storm(&mut run, 100, 500));
    for decision in &ladder {
        end(&mut run, decision, OutcomeKind::Failed { why: "busy".to_owned() });
    }
    assert_eq!(run.phase(), Phase::OutOfControl);
    let again = decided(storm(&mut run, 1_200, 1_100));
    assert_eq!(actions(&again), [Action::Freeze, Action::Kill]);
}

#[test]
fn observe_mode_takes_the_same_path_and_stays_running() {
    let mut run = machine(Mode::Observe, true, None);
    let ladder = decided(storm(&mut run, 100, 500));
    assert_eq!((actions(&ladder), run.phase()), (vec![Action::Freeze, Action::Kill], Phase::Running));
    for decision in &ladder {
        end(&mut run, decision, OutcomeKind::WouldApply);
    }
    assert_eq!(run.phase(), Phase::Running);
    assert_eq!(decided(storm(&mut run, 1_200, 1_100)), [], "it would be killed by now");
}

#[test]
fn without_room_nothing_is_decided_and_nothing_is_missed() {
    let mut run = machine(Mode::Enforce, true, None);
    let mut counted = Counted::default();
    counted.counts.processes_born = 500;
    run.step(Input::Counted { counted, began_boot_ns: 0 }, START + 100 * MS);
    let reading = Input::Reading { usage: Usage::default(), room: false };
    assert_eq!(run.step(reading, START + 100 * MS), []);
    assert_eq!(run.phase(), Phase::Running);
    assert_eq!(actions(&decided(storm(&mut run, 200, 500))), [Action::Freeze, Action::Kill]);
}

#[test]
fn a_run_that_is_let_go_is_thawed_first() {
    let freeze = |owned| {
        let mut run = machine(Mode::Observe, owned, None);
        let freeze = order(&mut run, Action::Freeze);
        end(&mut run, &freeze, OutcomeKind::Applied);
        run
    };
    for owned in [true, false] {
        let mut run = freeze(owned);
        let thaw = decided(run.step(Input::Over(Over::Released), START)).remove(0);
        assert_eq!(
            (thaw.action, thaw.origin.as_str(), thaw.mode),
            (Action::Thaw, "sensor:untag", Mode::Enforce)
        );
        assert_eq!(run.step(Input::Over(Over::Empty), START), [], "it may be queued twice");
        assert_eq!(end(&mut run, &thaw, OutcomeKind::Applied), [Output::Close]);
        let mut run = freeze(owned);
        let thaw = decided(run.step(Input::Over(Over::Released), START)).remove(0);
        let failed = OutcomeKind::Failed { why: "busy".to_owned() };
        assert_eq!(end(&mut run, &thaw, failed), [Output::LeftFrozen, Output::Close]);
    }
    assert_eq!(freeze(true).step(Input::Over(Over::Empty), START), [Output::Close], "nobody is left to thaw");
}

#[test]
fn other_thresholds_hold_at_once() {
    let mut run = machine(Mode::Enforce, true, None);
    let mode = Mode::Enforce;
    let settings_of = |settings| Input::Settings { settings, mode };
    run.step(settings_of(settings(|limits| limits.spawn_storm.net_processes = 600)), START);
    assert_eq!(storm(&mut run, 100, 500), []);
    run.step(settings_of(settings(|limits| limits.exec_loop.hold_ms = 500)), START + 200 * MS);
    assert_eq!(actions(&decided(storm(&mut run, 300, 500))), [Action::Freeze, Action::Kill]);
}

#[test]
fn a_stricter_mode_reckons_with_what_is_and_not_with_what_would_have_been() {
    let enforce = |run: &mut RunMachine| {
        let settings = run.settings().clone();
        run.step(Input::Settings { settings, mode: Mode::Enforce }, START)
    };
    // The ladder has outcomes, or is still in flight.
    for has_outcomes in [true, false] {
        let mut run = machine(Mode::Observe, true, None);
        let would = decided(storm(&mut run, 100, 500));
        assert_eq!(actions(&would), [Action::Freeze, Action::Kill]);
        if has_outcomes {
            would.iter().for_each(|decision| drop(end(&mut run, decision, OutcomeKind::WouldApply)));
        }
        assert_eq!(enforce(&mut run), []);
        would.iter().for_each(|decision| drop(end(&mut run, decision, OutcomeKind::WouldApply)));
        let does = decided(storm(&mut run, 2_000, 1_500));
        assert_eq!(actions(&does), [Action::Freeze, Action::Kill], "{has_outcomes}");
        assert!(does.iter().all(|decision| decision.mode == Mode::Enforce));
    }
    let mut run = machine(Mode::Observe, true, None);
    let freeze = order(&mut run, Action::Freeze);
    end(&mut run, &freeze, OutcomeKind::Applied);
    enforce(&mut run);
    storm(&mut run, 100, 0);
    assert_eq!(actions(&decided(storm(&mut run, 200, 500))), [Action::Kill], "it stands still already");
}

#[test]
fn a_milder_mode_leaves_what_was_done() {
    let mut run = machine(Mode::Enforce, true, None);
    let ladder = decided(storm(&mut run, 100, 500));
    end(&mut run, &ladder[0], OutcomeKind::Applied);
    let settings = run.settings().clone();
    run.step(Input::Settings { settings, mode: Mode::Observe }, START);
    assert_eq!((run.mode(), run.state()), (Mode::Observe, State::Frozen));
    end(&mut run, &ladder[1], OutcomeKind::Failed { why: "busy".to_owned() });
    let next = decided(storm(&mut run, 2_000, 1_500));
    assert!(next.iter().all(|decision| decision.mode == Mode::Observe), "{next:?}");
}

#[test]
fn the_books_are_those_of_the_kernel_with_what_it_cannot_know() {
    let mut run = machine(Mode::Observe, true, None);
    let mut counted = Counted::default();
    counted.counts.untold = 2;
    counted.counts.processes_ended = 4;
    counted.rings[0] = RingBooks { generated: 3, lost: 1, ..RingBooks::default() };
    run.step(Input::Counted { counted, began_boot_ns: 77 }, START);
    run.step(Input::UnseenEnd, START);
    assert!(!run.books_are_closed());
    run.step(Input::Refused([1, 0]), START);
    run.step(Input::Event { event: &event(), delivered: false }, START);
    assert!(!run.books_are_closed());
    run.step(Input::Event { event: &event(), delivered: true }, START);
    assert!(run.books_are_closed());
    let account = run.account();
    let critical = RingBooks { generated: 3, delivered: 1, lost: 1, throttled: 1 };
    assert_eq!(account.rings, [critical, RingBooks::default()]);
    assert_eq!((account.counts.processes_ended, account.counts.untold), (5, 3));
    assert_eq!((account.counted_boot_ns, event().ring), (77, Ring::Critical));
}

#[test]
fn a_run_that_is_taken_up_goes_on_where_it_was() {
    let ring = RingBooks { generated: 9, delivered: 8, lost: 1, throttled: 0 };
    let mut before = Account { rings: [ring; 2], findings: 2, interruptions: 1, ..Account::default() };
    // Six lived when it was last counted; four of them are found, one of these was stopped.
    (before.counts.processes_born, before.counts.processes_ended) = (10, 4);
    let mut run = machine(Mode::Enforce, true, Some(before));
    let stopped = vec![ProcessKey { tgid: 7, start_boot_ns: 1 }];
    run.step(Input::Recovered(Recovered { frozen: true, stopped: stopped.clone(), older: 4 }), START);
    let mut counted = Counted::default();
    counted.counts.processes_entered = 3;
    counted.rings[1].generated = 1;
    run.step(Input::Counted { counted, began_boot_ns: 5 }, START);
    let account = run.account();
    assert_eq!((account.state, account.stopped, account.interruptions), (State::Frozen, stopped, 2));
    assert_eq!(account.rings[1], RingBooks { generated: 10, ..ring });
    let counts = account.counts;
    assert_eq!((counts.processes_entered, counts.processes_ended, account.findings), (0, 6, 2));
    assert!(run.was_entered());
}

#[test]
fn a_record_is_complete_when_nothing_is_missing_of_it() {
    let ring = |generated| RingBooks { generated, ..RingBooks::default() };
    let whole = || Account { rings: [ring(1), ring(1)], ..Account::default() };
    assert!(whole().is_complete(2, 0));
    assert!(!whole().is_complete(1, 0), "a record is missing");
    assert!(!whole().is_complete(2, 1), "there is a gap");
    for less in [
        Account { interruptions: 1, ..whole() },
        Account { counts: Counts { untold: 1, ..Counts::default() }, ..whole() },
        Account { skipped: 1, ..whole() },
    ] {
        assert!(!less.is_complete(2, 0), "{less:?}");
    }
}

#[test]
fn a_departure_is_a_finding_that_is_only_observed_and_none_of_a_run_that_is_over() {
    let mut run = machine(Mode::Enforce, true, None);
    storm(&mut run, 100, 0);
    let signal = RunawaySignal {
        rule: RuleId::new("departure"),
        confidence: 0.5,
        severity: Severity::Medium,
        summary: "more than usual".to_owned(),
        arithmetic: Vec::new(),
    };
    let departed = || Departed {
        signal: signal.clone(),
        since_unix_ns: START,
        event: Some("e".to_owned()),
        tags: vec!["t".to_owned()],
    };
    let found = run.step(Input::Departed(departed()), START + MS);
    let [Output::Found { finding, decisions }] = found.as_slice() else { unreachable!("{found:?}") };
    assert_eq!(
        (&finding.signal, &finding.evidence, &finding.tags),
        (&signal, &vec!["e".into()], &vec!["t".into()])
    );
    assert_eq!((actions(decisions), run.account().findings), (vec![Action::Observe], 1));
    run.step(Input::Over(Over::Empty), START);
    assert_eq!(run.step(Input::Departed(departed()), START + MS), []);
}
