//! An agent's standing as the control socket shows it.

use sentry_baseline::{Baseline, Kind, NOT_LOOKED_AT, Normal, Point, Rate, trust};
use sentry_proto::v1;

use super::agents::bounds;
use crate::config::Baselines;

pub(super) fn standing(baseline: &Baseline, config: &Baselines, now_unix_ns: u64) -> v1::Standing {
    let trust = trust(&baseline.standing.facts(now_unix_ns));
    let point = |point: &Point| {
        let Point { what, counted, of, points } = *point;
        v1::TrustPoint { what: what.into(), counted, of, points }
    };
    v1::Standing {
        agent: baseline.agent.clone(),
        score: trust.score,
        band: trust.band.name().into(),
        posture: trust.posture,
        behaviour: trust.behaviour,
        recency: trust.recency,
        points: trust.points.iter().map(point).collect(),
        baseline: Some(learned(baseline, config)),
        not_looked_at: NOT_LOOKED_AT.iter().map(|what| (*what).to_owned()).collect(),
    }
}

fn learned(baseline: &Baseline, config: &Baselines) -> v1::Baseline {
    let rate = |rate: Rate| {
        let Normal { mean, variance, median, p99, spread, bound, unusual: _, is_held: _ } =
            baseline.normal(rate);
        v1::NormalRate { rate: rate.name().into(), mean, variance, median, p99, spread, bound }
    };
    let remembered = |kind: Kind| {
        let (names, forgotten) = baseline.remembered(kind);
        v1::Remembered { kind: kind.name().into(), names, forgotten, novelty: baseline.novelty(kind) }
    };
    v1::Baseline {
        known: baseline.is_known(&bounds(config)),
        runs: baseline.runs,
        windows: baseline.windows,
        min_runs: config.min_runs.into(),
        min_windows: config.min_windows.into(),
        window_ns: config.window.as_nanos() as u64,
        retrainings: baseline.retrainings,
        trained_since_unix_ns: baseline.trained_since_unix_ns,
        left_out: baseline.left_out,
        executable: baseline.version.path.clone(),
        version: baseline.version.mark.clone(),
        rates: Rate::ALL.into_iter().map(rate).collect(),
        remembered: Kind::ALL.into_iter().map(remembered).collect(),
        entropy_bits: baseline.entropy(),
    }
}
