//! The report of a run: wire → view. Its findings are OCSF, which names the host.

use sentry_view::{Ocsf, Outcome, Report, ReportType, Run, Tally};

use crate::{
    ocsf::{self, HostContext},
    v1,
};

/// The view of a report; `host` without a container: that of the run stands in for it.
#[must_use]
pub fn report(report: &v1::Report, host: &HostContext<'_>) -> Report {
    let host = HostContext { container: report.run.as_ref().and_then(|run| run.container.as_ref()), ..*host };
    let mut run = report.run.as_ref().map(Run::from);
    // The sensor knows of its store what the run's own message does not say.
    if let Some(known) = run.as_mut().map(|run| &mut run.completeness)
        && known.complete
        && !report.complete
    {
        known.complete = false;
        known.missing.push("the sensor's store does not hold all of it".to_owned());
    }
    let found: Vec<_> = report.findings.iter().map(Into::into).collect();
    let (executed, executed_unlisted, flows) = run
        .as_ref()
        .map(|run| (run.executed.clone(), run.executed_unlisted, run.flows.clone()))
        .unwrap_or_default();
    Report {
        of: ReportType::Report,
        programs: report.programs.iter().map(Tally::from).collect(),
        executed,
        executed_unlisted,
        destinations: report.destinations.iter().map(Tally::from).collect(),
        files_changed: report.files_changed.iter().map(Tally::from).collect(),
        flows,
        findings: found.iter().map(|found| Ocsf(ocsf::finding_object(found, &host))).collect(),
        outcomes: report.outcomes.iter().map(Outcome::from).collect(),
        complete: report.complete,
        limits: report.limits.clone(),
        run,
        found,
        decisions: Vec::new(),
        activity: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostContext<'static> =
        HostContext { sensor: "s", version: "v", host: "h", boot_id: "b", container: None };

    #[test]
    fn what_the_store_does_not_hold_is_missing_of_the_run_too() {
        let short = v1::Report { run: Some(v1::Run::default()), ..v1::Report::default() };
        let completeness = |wire: &v1::Report| report(wire, &HOST).run.map(|run| run.completeness);
        let missing = completeness(&short).map(|known| (known.complete, known.missing));
        assert_eq!(missing, Some((false, vec!["the sensor's store does not hold all of it".to_owned()])));
        let whole = completeness(&v1::Report { complete: true, ..short });
        assert_eq!(whole.map(|known| (known.complete, known.missing)), Some((true, Vec::new())));
    }

    #[test]
    fn a_finding_of_a_report_is_valid_ocsf_with_the_container_of_the_run() {
        let wire = v1::Report {
            run: Some(v1::Run { container: Some(v1::Container::default()), ..v1::Run::default() }),
            findings: vec![v1::Finding { id: "r-f-1".into(), ..v1::Finding::default() }],
            ..v1::Report::default()
        };
        let shown = report(&wire, &HOST);
        assert_eq!(shown.found[0].id, "r-f-1");
        let finding = serde_json::Value::Object(shown.findings[0].0.clone());
        assert_eq!(ocsf::check(&finding), Ok(()));
        assert!(finding["unmapped"]["container"].is_object(), "{finding}");
    }
}
