//! Baselines as runs make them.

use proptest::prelude::*;
use sentry_baseline::{Baseline, Bounds, Closed, Counts, Kind, Observed, Rate, RunFacts, Version};

pub(crate) const BOUNDS: Bounds = Bounds { min_runs: 3, min_windows: 20 };
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Counts with one rate in them.
pub(crate) fn counts(rate: Rate, count: u64) -> Counts {
    let mut counts = Counts::default();
    counts[rate as usize] = count;
    counts
}

pub(crate) fn closed(counts: Counts, windows: u32) -> Closed {
    Closed { counts, windows, began_unix_ns: 0, ended_unix_ns: SECOND }
}

/// A run with these windows, to its end.
pub(crate) fn run(baseline: &mut Baseline, windows: impl IntoIterator<Item = Counts>) {
    let mut share = baseline.share(&BOUNDS, 0);
    for counts in windows {
        let part = Observed::default().take(true);
        baseline.absorb(&part, Some(&closed(counts, 1)), &mut share, &BOUNDS, 0);
    }
    baseline.run_ended(None);
}

/// An agent that was seen in three runs, each of whose windows had about so many executions.
pub(crate) fn learned(rate: Rate, count: u64) -> Baseline {
    let mut baseline = Baseline::new("agent", 0);
    for _ in 0..3 {
        run(&mut baseline, (0..20).map(|n| counts(rate, count + n % 3)));
    }
    baseline
}

/// What a run uses: few names of each kind, so that runs share some.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    names: Vec<(usize, u8, u64)>,
    programs: Vec<u8>,
    windows: Vec<[u64; Rate::ALL.len()]>,
    version: u8,
    facts: u8,
    ends: bool,
}

pub(crate) fn work() -> impl Strategy<Value = Work> {
    (
        prop::collection::vec((0..Kind::ALL.len(), 0_u8..9, 1_u64..1_000), 0..12),
        prop::collection::vec(0_u8..5, 0..8),
        prop::collection::vec(prop::array::uniform8(prop_oneof![0_u64..50, any::<u64>()]), 0..6),
        0_u8..3,
        any::<u8>(),
        any::<bool>(),
    )
        .prop_map(|(names, programs, windows, version, facts, ends)| Work {
            names,
            programs,
            windows,
            version,
            facts,
            ends,
        })
}

/// The baseline that these runs of one agent leave.
pub(crate) fn of(works: &[Work]) -> Baseline {
    let mut baseline = Baseline::new("agent", 7);
    for (start, work) in (1..).zip(works) {
        let mut observed = Observed::default();
        for (kind, name, at) in &work.names {
            observed.used(Kind::ALL[*kind], format_args!("name {name}"), "e", *at);
        }
        work.programs.iter().for_each(|program| observed.executed(&format!("/bin/{program}"), "e", start));
        baseline.begins(Version { path: "/bin/agent".into(), mark: format!("{:?}", work.version) }, start);
        let mut share = baseline.share(&BOUNDS, start);
        let part = observed.take(true);
        baseline.absorb(&part, None, &mut share, &BOUNDS, start);
        for counts in &work.windows {
            baseline.absorb(
                &Observed::default().take(true),
                Some(&closed(*counts, 2)),
                &mut share,
                &BOUNDS,
                start,
            );
            baseline.standing.window(start, f64::from(work.facts) / 255.0);
        }
        let mut facts = RunFacts::default();
        sentry_baseline::Posture::ALL
            .into_iter()
            .filter(|fact| work.facts & (1 << (*fact as u32)) != 0)
            .for_each(|fact| facts.note(fact));
        baseline.standing.run(start, "run", facts);
        if work.ends {
            baseline.run_ended(Some([work.facts > 99; Kind::ALL.len()]));
        }
    }
    baseline
}
