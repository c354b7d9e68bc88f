//! Whether the record has everything, and what this kernel cannot show.

use sentry_view::{Report, Run};

use super::{
    super::{BOLD, DIM, GREEN, RED, paint, safe},
    words,
};

/// Limits before only their number is shown.
const LIMIT_ROWS: usize = 4;

/// Whether the record is complete, and the sums that show it.
pub(super) fn books(report: &Report) -> String {
    let unknown = Run::default();
    let run = report.run.as_ref().unwrap_or(&unknown);
    let (critical, bulk) = (run.rings.critical.unwrap_or_default(), run.rings.bulk.unwrap_or_default());
    let generated = critical.generated + bulk.generated;
    let lost = critical.lost + bulk.lost;
    let more: String = [
        (critical.throttled + bulk.throttled, "throttled", "throttled"),
        (u64::from(run.interruptions), "time the sensor was away", "times the sensor was away"),
        (run.untold, "act without a record", "acts without a record"),
        (
            run.skipped,
            "call of a program that the kernel left out",
            "calls of programs that the kernel left out",
        ),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, more)| format!(", {}", words::many(count, one, more)))
    .collect();
    let verdict = if report.complete { paint(GREEN, "complete") } else { paint(RED, "not complete") };
    format!(
        "{}  {verdict}: {} made, {} read, {lost} lost{more}\n",
        paint(BOLD, "Record"),
        words::many(generated, "record", "records"),
        critical.delivered + bulk.delivered
    )
}

/// What this kernel does not let the sensor see. A long list is the doctor's: it is the same for
/// every run.
pub(in crate::render) fn limits(limits: &[String]) -> String {
    let title = paint(BOLD, "Not seen here");
    if limits.len() > LIMIT_ROWS {
        let text = format!("{} limits of this kernel's hooks; `sentry doctor` lists them", limits.len());
        return format!("{}\n", paint(DIM, &format!("Not seen here  {text}")));
    }
    limits.iter().map(|limit| format!("{title}  {}\n", safe(limit))).collect()
}
