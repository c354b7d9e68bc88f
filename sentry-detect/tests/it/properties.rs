//! What holds for any trace.

use proptest::prelude::*;
use sentry_detect::{finding::Finding, rule::settings::Settings, runaway::Severity};

use crate::support::{Input, Trace, findings, settings};

/// One act of a made-up run.
#[derive(Clone, Copy, Debug)]
enum Act {
    Fork,
    Exit,
    Exec(u8),
    Fail(u8),
    Open(u8),
    Connect(u8),
}

/// What happens up to a reading.
#[derive(Clone, Debug)]
struct Tick {
    acts: Vec<(Act, u8)>,
    ms: u64,
    cores: f64,
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let act = prop_oneof![
        Just(Act::Fork),
        Just(Act::Exit),
        (0..40u8).prop_map(Act::Exec),
        Just(Act::Exec(0)),
        (0..3u8).prop_map(Act::Fail),
        any::<u8>().prop_map(Act::Open),
        (0..4u8).prop_map(Act::Connect),
    ];
    // Some traces are short of acts and busy, some repeat, some storm, some flood.
    let calm = (prop::collection::vec((act.clone(), 1..3u8), 0..2), 20..300u64, 0.7..1.5f64);
    let wild = (prop::collection::vec((act, 1..30u8), 0..6), 20..300u64, 0.0..2.5f64);
    let flood = (prop::collection::vec((Just(Act::Open(0)), 20..40u8), 1..3), 20..100u64, 0.0..1.5f64);
    let tick = |(acts, ms, cores)| Tick { acts, ms, cores };
    prop_oneof![
        prop::collection::vec(flood.prop_map(tick), 10..60),
        prop::collection::vec(calm.prop_map(tick), 1..60),
        prop::collection::vec(wild.prop_map(tick), 1..60),
    ]
}

fn trace(ticks: &[Tick], cpu_part: f64) -> Trace {
    let mut trace = Trace::new();
    for tick in ticks {
        for (act, times) in &tick.acts {
            for _ in 0..*times {
                match act {
                    Act::Fork => trace.fork(),
                    Act::Exit => trace.exit(),
                    Act::Exec(n) => trace.exec(&["/usr/bin/tool", &n.to_string()]),
                    Act::Fail(n) => trace.fail(&["/usr/bin/tool", &n.to_string()], 2),
                    Act::Open(n) => trace.open(&format!("/tmp/{n}")),
                    Act::Connect(n) => trace.connect([127, 0, 0, *n]),
                }
            }
        }
        trace.pass(tick.ms, tick.cores * cpu_part);
    }
    trace
}

/// Quick to fire, so that random traces reach every rule.
fn nervous() -> Settings {
    settings(|limits| {
        limits.spawn_storm.net_processes = 16;
        limits.spawn_storm.births_per_s = 20.0;
        limits.exec_loop.hold_ms = 500;
        limits.exec_loop.execs_per_s = 10.0;
        limits.exec_loop.repeated_share = 0.3;
        limits.cpu_spin.hold_ms = 800;
        limits.call_flood.calls_per_s = 200.0;
        limits.common.cool_down_ms = 1000;
    })
}

/// Turns the processes between two readings around: the acts of each keep their order, as the
/// kernel reports them.
fn reversed_within_windows(inputs: &[Input]) -> Vec<Input> {
    let is_reading = |input: &Input| matches!(input, Input::Reading { .. });
    (inputs.split_inclusive(is_reading))
        .flat_map(|window| {
            let (events, readings): (Vec<_>, Vec<_>) =
                window.iter().cloned().partition(|input| !is_reading(input));
            let key = |input: &Input| match input {
                Input::Event { event } => Some(event.process.key),
                Input::Reading { .. } => None,
            };
            let mut by_process: Vec<Vec<Input>> = Vec::new();
            for event in events {
                match by_process.iter_mut().find(|acts| key(&acts[0]) == key(&event)) {
                    Some(acts) => acts.push(event),
                    None => by_process.push(vec![event]),
                }
            }
            by_process.into_iter().rev().flatten().chain(readings)
        })
        .collect()
}

fn without_evidence(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.iter_mut().for_each(|finding| finding.evidence.clear());
    findings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn order_within_a_window_is_irrelevant(ticks in ticks()) {
        let inputs = trace(&ticks, 1.0).inputs;
        let turned = reversed_within_windows(&inputs);
        prop_assert_eq!(
            without_evidence(findings(nervous(), &inputs)),
            without_evidence(findings(nervous(), &turned)),
        );
    }

    #[test]
    fn the_same_input_gives_the_same_findings(ticks in ticks()) {
        let inputs = trace(&ticks, 1.0).inputs;
        prop_assert_eq!(findings(nervous(), &inputs), findings(nervous(), &inputs));
    }

    #[test]
    fn less_cpu_never_makes_a_spin(ticks in ticks(), part in 0.0..1.0f64) {
        let first_spin = |cpu_part| {
            findings(nervous(), &trace(&ticks, cpu_part).inputs)
                .into_iter()
                .find(|finding| finding.signal.rule.as_str() == "cpu-spin")
                .map(|finding| finding.time_unix_ns)
        };
        if let Some(with_less) = first_spin(part) {
            let with_all = first_spin(1.0);
            prop_assert!(with_all.is_some_and(|time| time <= with_less), "{with_all:?} > {with_less}");
        }
    }

    #[test]
    fn findings_are_well_formed(ticks in ticks()) {
        let found = findings(nervous(), &trace(&ticks, 1.0).inputs);
        for (n, finding) in (1..).zip(&found) {
            let end = format!("-f-{n}");
            prop_assert!(finding.id.ends_with(&end));
            prop_assert!(finding.since_unix_ns < finding.time_unix_ns);
            prop_assert!(finding.evidence.len() <= 32);
            prop_assert!((0.0..=1.0).contains(&finding.signal.confidence));
            let confidence = finding.signal.arithmetic.iter().find(|term| term.name == "confidence");
            prop_assert_eq!(confidence.map(|term| term.value), Some(finding.signal.confidence));
            for term in &finding.signal.arithmetic {
                prop_assert!(term.value.is_finite() && term.holds(), "{term:?}");
            }
        }
        // One rule is not found twice within the cool-down, unless it was not to be acted on and
        // now is.
        let least = nervous().limits().common.act_min_confidence;
        let sure = |finding: &Finding| {
            finding.signal.confidence >= least && finding.severity() >= Severity::High
        };
        for (n, finding) in found.iter().enumerate() {
            let again = found[n + 1..].iter().find(|later| later.signal.rule == finding.signal.rule);
            let cooled_down = |later: &Finding| later.time_unix_ns - finding.time_unix_ns >= 1_000_000_000;
            prop_assert!(again.is_none_or(|later| cooled_down(later) || !sure(finding) && sure(later)));
        }
    }
}

#[test]
fn the_made_up_traces_reach_every_rule() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut rules = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let ticks = ticks().new_tree(&mut runner).map(|tree| tree.current()).unwrap_or_default();
        let found = findings(nervous(), &trace(&ticks, 1.0).inputs);
        rules.extend(found.into_iter().map(|finding| finding.signal.rule.to_string()));
    }
    assert_eq!(rules.into_iter().collect::<Vec<_>>(), ["call-flood", "cpu-spin", "exec-loop", "spawn-storm"]);
}
