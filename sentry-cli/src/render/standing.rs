//! How far an agent can be trusted, and what is normal for it.

use sentry_view::{Baseline, NormalRate, Standing, TrustPoint, time};

use super::{
    BOLD, DIM, GREEN, RED, YELLOW, duration, number, paint,
    report::many,
    safe,
    table::{Table, cell},
};

/// The score with every line of its arithmetic, then the baseline.
pub(crate) fn explain(standing: &Standing) -> String {
    let mut out = format!(
        "Trust in {}: {} of 100, {}\n\n",
        paint(BOLD, &safe(&standing.agent)),
        number(standing.score),
        paint(style(&standing.band), &safe(&standing.band))
    );
    for point in &standing.points {
        out.push_str(&line(point));
    }
    if !standing.not_looked_at.is_empty() {
        let text = format!("Not looked at: {}.\n", safe(&standing.not_looked_at.join("; ")));
        out.push_str(&paint(DIM, &text));
    }
    out.push_str(&standing.baseline.as_ref().map(baseline).unwrap_or_default());
    out
}

/// A score in a column.
pub(crate) fn short(standing: &Standing) -> (String, anstyle::Style) {
    (format!("{:.0} {}", standing.score.floor(), safe(&standing.band)), style(&standing.band))
}

fn style(band: &str) -> anstyle::Style {
    match band {
        "TRUSTED" => GREEN,
        "WATCH" => YELLOW,
        _ => RED,
    }
}

fn line(point: &TrustPoint) -> String {
    let counted = match (point.counted, point.of) {
        (counted, Some(of)) => format!(" ({counted} of {of})"),
        (0 | 1, None) => String::new(),
        (counted, None) => format!(" ({counted})"),
    };
    format!("  {:>+7.2}  {}{counted}\n", point.points, safe(&point.what))
}

fn baseline(baseline: &Baseline) -> String {
    let window = duration(baseline.window_ms.saturating_mul(1_000_000));
    let learned = format!(
        "{} of {window} in {}",
        many(baseline.windows, "window", "windows"),
        many(baseline.runs, "run", "runs")
    );
    let mut out = if baseline.known {
        format!("\nNormal, learned from {learned}\n")
    } else {
        format!(
            "\nThere is no baseline yet: learned from {learned}; it takes {} and {}.\n",
            many(baseline.min_runs, "run", "runs"),
            many(baseline.min_windows, "window", "windows")
        )
    };
    if baseline.retrainings > 0 {
        let since = time::utc(baseline.trained_since_unix_ns.0);
        let times = many(baseline.retrainings.into(), "new version", "new versions");
        out.push_str(&format!(
            "Learned anew since {since}, after {times} of {}.\n",
            safe(&baseline.executable)
        ));
    }
    if baseline.left_out > 0 {
        let left_out = many(baseline.left_out, "window was", "windows were");
        out.push_str(&format!("{left_out} beyond what one run may add, and left out.\n"));
    }
    let mut table =
        Table::new(&["IN A WINDOW", "MEDIAN", "MEAN", "DEVIATION", "P99", "SPREAD", "DEPARTS FROM"]);
    for normal in &baseline.rates {
        let NormalRate { rate, mean, variance, median, p99, spread, bound } = normal;
        let numbers =
            [*median, *mean, variance.sqrt(), *p99, *spread, *bound].map(|value| cell(number(value)));
        table.row([vec![cell(safe(rate))], numbers.to_vec()].concat());
    }
    out.push_str(&table.render());
    for remembered in &baseline.remembered {
        let forgotten = match remembered.forgotten {
            0 => String::new(),
            forgotten => format!(", {forgotten} forgotten"),
        };
        out.push_str(&format!(
            "{}: {} remembered{forgotten}; {} of runs use a new one\n",
            safe(&remembered.kind),
            remembered.names,
            percent(remembered.novelty)
        ));
    }
    out.push_str(&format!("order of programs: {} bit per step\n", number(baseline.entropy_bits)));
    out
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_view::Remembered;

    use super::*;
    use crate::out::plain;

    fn standing() -> Standing {
        let point = |what: &str, counted, of, points| TrustPoint { what: what.into(), counted, of, points };
        Standing {
            agent: "cla\u{1b}ude".into(),
            score: 68.5,
            band: "WATCH".into(),
            points: vec![
                point("posture: without fault", 3, None, 45.0),
                point("executed programs as root", 2, Some(3), -11.25),
                point("active within the last hour", 1, None, 10.0),
            ],
            not_looked_at: vec!["namespaces".into(), "limits on CPU time".into()],
            ..Standing::default()
        }
    }

    #[test]
    fn golden_standing() {
        let baseline = Baseline {
            known: true,
            runs: 3,
            windows: 42,
            window_ms: 10_000,
            retrainings: 1,
            trained_since_unix_ns: sentry_view::Exact(1_763_664_723_000_000_000),
            left_out: 2,
            executable: "/usr/bin/claude".into(),
            rates: vec![NormalRate {
                rate: "execs".into(),
                mean: 5.5,
                variance: 4.0,
                median: 5.0,
                p99: 9.0,
                spread: 8.0,
                bound: 29.0,
            }],
            remembered: vec![Remembered { kind: "executable".into(), names: 12, forgotten: 1, novelty: 0.2 }],
            entropy_bits: 0.75,
            ..Baseline::default()
        };
        let known = Standing { baseline: Some(baseline), ..standing() };
        assert_eq!(
            plain(&explain(&known)).unwrap(),
            "Trust in cla\\u{1b}ude: 68.5 of 100, WATCH

   +45.00  posture: without fault (3)
   -11.25  executed programs as root (2 of 3)
   +10.00  active within the last hour
Not looked at: namespaces; limits on CPU time.

Normal, learned from 42 windows of 10.00 s in 3 runs
Learned anew since 2025-11-20 18:52:03.000Z, after 1 new version of /usr/bin/claude.
2 windows were beyond what one run may add, and left out.
IN A WINDOW  MEDIAN  MEAN  DEVIATION  P99  SPREAD  DEPARTS FROM
execs        5       5.5   2          9    8       29
executable: 12 remembered, 1 forgotten; 20 % of runs use a new one
order of programs: 0.75 bit per step
"
        );
    }

    #[test]
    fn a_cold_start_says_what_is_missing() {
        let baseline = Baseline {
            runs: 1,
            windows: 4,
            min_runs: 3,
            min_windows: 30,
            window_ms: 1_000,
            ..Baseline::default()
        };
        let text = plain(&explain(&Standing { baseline: Some(baseline), ..standing() })).unwrap();
        let line = "There is no baseline yet: learned from 4 windows of 1.00 s in 1 run; it takes 3 runs and 30 windows.";
        assert!(text.contains(line), "{text}");
    }
}
