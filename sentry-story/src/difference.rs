//! What one run did that another did not.

use std::collections::BTreeSet;

use sentry_view::{Activity, Difference, DifferenceType, Report};

/// What `run` did and `base` did not: programs, changed files, destinations, looked-up names and
/// sensitive files. A file below a run's directory is compared by its place in it.
#[must_use]
pub fn difference(base: &Report, run: &Report) -> Difference {
    let nothing = Activity::default();
    let before = base.activity.as_ref().unwrap_or(&nothing);
    let after = run.activity.as_ref().unwrap_or(&nothing);
    let id = |report: &Report| report.run.as_ref().map(|run| run.id.clone()).unwrap_or_default();
    Difference {
        of: DifferenceType::Difference,
        base: id(base),
        run: id(run),
        programs: new(programs(before), programs(after)),
        changed: new(changed(before), changed(after)),
        destinations: new(destinations(before), destinations(after)),
        lookups: new(lookups(before), lookups(after)),
        sensitive: new(sensitive(before), sensitive(after)),
        findings: new(rules(base), rules(run)),
    }
}

fn new(before: BTreeSet<String>, after: BTreeSet<String>) -> Vec<String> {
    after.difference(&before).cloned().collect()
}

fn programs(activity: &Activity) -> BTreeSet<String> {
    let calls = activity.calls.iter().flat_map(|call| &call.programs);
    calls.chain(&activity.own_programs).map(|tally| tally.what.clone()).collect()
}

/// Temporary files and the agent's own state have other names in each run.
fn changed(activity: &Activity) -> BTreeSet<String> {
    use sentry_view::Place;
    let directory = activity.directory.as_deref().map(|path| format!("{}/", path.trim_end_matches('/')));
    let name = |path: &str| {
        let below = directory.as_deref().and_then(|directory| path.strip_prefix(directory));
        below.unwrap_or(path).to_owned()
    };
    let listed = activity.changes.iter().filter(|change| match change.place {
        Place::Directory | Place::Elsewhere => true,
        Place::Git | Place::AgentState | Place::Cache | Place::Temporary => false,
    });
    listed.map(|change| name(&change.path)).collect()
}

fn destinations(activity: &Activity) -> BTreeSet<String> {
    let name = |one: &sentry_view::Destination| one.name.clone().unwrap_or_else(|| one.remote.clone());
    activity.destinations.iter().map(name).collect()
}

fn lookups(activity: &Activity) -> BTreeSet<String> {
    activity.lookups.iter().map(|lookup| lookup.name.clone()).collect()
}

fn sensitive(activity: &Activity) -> BTreeSet<String> {
    activity.sensitive.iter().map(|file| format!("{} ({})", file.path, file.title)).collect()
}

fn rules(report: &Report) -> BTreeSet<String> {
    report.found.iter().map(|found| found.rule.clone()).collect()
}

#[cfg(test)]
mod tests {
    use sentry_view::{Change, Destination, Place, Sensitive, Tally};

    use super::*;

    fn report(activity: Activity) -> Report {
        Report { activity: Some(activity), ..Report::default() }
    }

    fn change(path: &str) -> Change {
        Change { path: path.into(), place: Place::Directory, ..Change::default() }
    }

    #[test]
    fn only_what_is_new_is_listed_and_directories_do_not_matter() {
        let tally = |what: &str| Tally { what: what.into(), count: 1 };
        let base = report(Activity {
            directory: Some("/srv/one".into()),
            own_programs: vec![tally("/bin/sh")],
            changes: vec![change("/srv/one/a")],
            ..Activity::default()
        });
        let run = report(Activity {
            directory: Some("/srv/two/".into()),
            own_programs: vec![tally("/bin/sh"), tally("/bin/nc")],
            changes: vec![change("/srv/two/a"), change("/srv/two/b")],
            destinations: vec![Destination { remote: "192.0.2.1:443 tcp".into(), ..Destination::default() }],
            sensitive: vec![Sensitive { path: "/p".into(), title: "t".into(), ..Sensitive::default() }],
            ..Activity::default()
        });
        let expected = Difference {
            programs: vec!["/bin/nc".into()],
            changed: vec!["b".into()],
            destinations: vec!["192.0.2.1:443 tcp".into()],
            sensitive: vec!["/p (t)".into()],
            ..Difference::default()
        };
        assert_eq!(difference(&base, &run), expected);
        assert_eq!(difference(&run, &run), Difference::default());
    }
}
