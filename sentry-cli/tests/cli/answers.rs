//! Messages for scripts.

use sentry_proto::v1::{self, item::Item, outcome::Result as OutcomeResult};

pub(crate) fn kill(run: &str, result: OutcomeResult) -> v1::Outcome {
    v1::Outcome {
        decision: format!("{run}-d-2"),
        run: run.into(),
        action: v1::Action::Kill.into(),
        result: result.into(),
        processes: 3,
        ..v1::Outcome::default()
    }
}

pub(crate) fn decision(run: &str, origin: &str) -> Item {
    Item::Decision(v1::Decision {
        id: format!("{run}-d-2"),
        run: run.into(),
        action: v1::Action::Kill.into(),
        finding: Some(format!("{run}-f-1")),
        origin: origin.into(),
        ..v1::Decision::default()
    })
}

pub(crate) fn finding(run: &str) -> Item {
    Item::Finding(v1::Finding {
        id: format!("{run}-f-1"),
        run: run.into(),
        rule: "cpu-spin".into(),
        summary: "spins".into(),
        evidence: vec![format!("{run}-c-1")],
        severity: v1::Severity::High.into(),
        ..v1::Finding::default()
    })
}

pub(crate) fn event(run: &str) -> Item {
    Item::Event(v1::Event {
        id: format!("{run}-c-1"),
        run: run.into(),
        kind: Some(v1::event::Kind::Exec(v1::Exec::default())),
        ..v1::Event::default()
    })
}
