//! How well runaways are distinguished: precision and recall, with intervals by resampling.

use sentry_detect::{finding::Finding, runaway::Severity};

use crate::load::{Label, Seen};

/// Resamples of an interval.
const RESAMPLES: usize = 2_000;
/// Of the resampling: the page is the same each time.
const SEED: u64 = 16;

/// A share, and the interval that holds it in 95 of 100 resamples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) share: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Whether a run ran away, and whether that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) is_runaway: bool,
    pub(crate) is_found: bool,
}

/// A run is found where a finding has at least this severity; of a runaway, since its onset.
pub(crate) fn cases<'a>(runs: impl Iterator<Item = &'a Seen>, least: Severity) -> Vec<Case> {
    runs.map(|seen| case(seen, |finding| finding.severity() >= least)).collect()
}

/// The same by findings of one rule.
pub(crate) fn by_rule<'a>(runs: impl Iterator<Item = &'a Seen>, rule: &str) -> Vec<Case> {
    runs.map(|seen| case(seen, |finding| finding.signal.rule.as_str() == rule)).collect()
}

fn case(seen: &Seen, is_one: impl Fn(&Finding) -> bool) -> Case {
    let since = seen.onset.unwrap_or_default();
    let is_found =
        seen.findings.iter().any(|finding| is_one(finding) && finding.time_unix_ns + 1_000_000 > since);
    Case { is_runaway: seen.row.label == Label::Runaway, is_found }
}

/// Of what is found, what is a runaway.
pub(crate) fn precision(cases: &[Case]) -> Option<f64> {
    share(cases.iter().filter(|case| case.is_found), |case| case.is_runaway)
}

/// Of the runaways, what is found.
pub(crate) fn recall(cases: &[Case]) -> Option<f64> {
    share(cases.iter().filter(|case| case.is_runaway), |case| case.is_found)
}

fn share<'a>(cases: impl Iterator<Item = &'a Case>, holds: impl Fn(&Case) -> bool) -> Option<f64> {
    let (mut all, mut those) = (0_u32, 0_u32);
    for case in cases {
        all += 1;
        those += u32::from(holds(case));
    }
    (all > 0).then(|| f64::from(those) / f64::from(all))
}

pub(crate) fn interval(cases: &[Case], measure: impl Fn(&[Case]) -> Option<f64>) -> Option<Share> {
    let share = measure(cases)?;
    let mut state = SEED;
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let sample: Vec<Case> =
                cases.iter().map(|_| cases[(next(&mut state) % cases.len() as u64) as usize]).collect();
            measure(&sample)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let at = |part: f64| drawn[((drawn.len() - 1) as f64 * part).round() as usize];
    Some(Share { share, low: at(0.025), high: at(0.975) })
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
