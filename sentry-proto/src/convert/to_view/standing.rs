//! An agent's standing.

use sentry_view::{
    Baseline, Exact, NormalRate, Remembered, Standing, StandingType, TrustPoint, time::rfc3339,
};

use super::NS_PER_MS;
use crate::v1;

impl From<&v1::Standing> for Standing {
    fn from(standing: &v1::Standing) -> Self {
        Self {
            of: StandingType::Standing,
            agent: standing.agent.clone(),
            score: standing.score,
            band: standing.band.clone(),
            posture: standing.posture,
            behaviour: standing.behaviour,
            recency: standing.recency,
            points: standing.points.iter().map(TrustPoint::from).collect(),
            baseline: standing.baseline.as_ref().map(Baseline::from),
            not_looked_at: standing.not_looked_at.clone(),
        }
    }
}

impl From<&v1::TrustPoint> for TrustPoint {
    fn from(point: &v1::TrustPoint) -> Self {
        Self { what: point.what.clone(), counted: point.counted, of: point.of, points: point.points }
    }
}

impl From<&v1::Baseline> for Baseline {
    fn from(baseline: &v1::Baseline) -> Self {
        Self {
            known: baseline.known,
            runs: baseline.runs,
            windows: baseline.windows,
            min_runs: baseline.min_runs,
            min_windows: baseline.min_windows,
            window_ms: baseline.window_ns / NS_PER_MS,
            retrainings: baseline.retrainings,
            trained_since: rfc3339(baseline.trained_since_unix_ns),
            trained_since_unix_ns: Exact(baseline.trained_since_unix_ns),
            left_out: baseline.left_out,
            executable: baseline.executable.clone(),
            version: baseline.version.clone(),
            rates: baseline.rates.iter().map(NormalRate::from).collect(),
            remembered: baseline.remembered.iter().map(Remembered::from).collect(),
            entropy_bits: baseline.entropy_bits,
        }
    }
}

impl From<&v1::NormalRate> for NormalRate {
    fn from(normal: &v1::NormalRate) -> Self {
        let v1::NormalRate { rate, mean, variance, median, p99, spread, bound } = normal.clone();
        Self { rate, mean, variance, median, p99, spread, bound }
    }
}

impl From<&v1::Remembered> for Remembered {
    fn from(remembered: &v1::Remembered) -> Self {
        let v1::Remembered { kind, names, forgotten, novelty } = remembered.clone();
        Self { kind, names, forgotten, novelty }
    }
}
