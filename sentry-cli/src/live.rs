//! What happens to a run, as lines in its own terminal while it lives: a frozen agent must not look
//! like one that hangs.

use std::collections::HashMap;

use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_view::{Action, Decision, Finding, Outcome, OutcomeResult};

use super::{
    client::Client,
    out,
    render::{
        RED, YELLOW, paint, safe,
        who::{asked_by, short},
    },
};

/// Shows findings and acts until the run or the sensor ends. What the sensor cannot report is
/// missing here and in the report.
pub(super) async fn tell(mut client: Client, run: String) {
    let kinds = [ItemKind::Finding, ItemKind::Decision, ItemKind::Outcome].map(i32::from).to_vec();
    let request = v1::ItemsRequest { run: Some(run), kinds, follow: true, ..v1::ItemsRequest::default() };
    let Ok(items) = client.items(request).await else { return };
    let mut items = items.into_inner();
    let mut decisions = HashMap::new();
    while let Ok(Some(stored)) = items.message().await {
        match stored.item.and_then(|item| item.item) {
            Some(Item::Finding(found)) => out::note(&finding(&(&found).into())),
            Some(Item::Decision(decision)) => {
                let decision = Decision::from(&decision);
                decisions.insert(decision.id.clone(), decision);
            }
            Some(Item::Outcome(of)) => {
                let of = Outcome::from(&of);
                if let Some(line) = outcome(&of, decisions.remove(&of.decision).as_ref()) {
                    out::note(&line);
                }
            }
            Some(Item::Event(_) | Item::Run(_) | Item::Gap(_) | Item::Block(_)) | None => {}
        }
    }
}

fn finding(found: &Finding) -> String {
    let rule = paint(YELLOW, &format!("found {}", safe(&found.rule)));
    format!("sentry: {rule}: {} · sentry explain {}\n", safe(&found.summary), safe(&found.id))
}

/// Nothing for what only observes.
fn outcome(outcome: &Outcome, decision: Option<&Decision>) -> Option<String> {
    let done = match (outcome.action, outcome.result) {
        (Action::Freeze, OutcomeResult::Applied) => "frozen",
        (Action::Thaw, OutcomeResult::Applied) => "thawed",
        (Action::Kill, OutcomeResult::Applied) => "killed",
        (Action::Freeze | Action::Thaw | Action::Kill, OutcomeResult::WouldApply) => {
            return Some(format!(
                "sentry: would {} it, but only observes · sentry run --enforce acts\n",
                outcome.action.name()
            ));
        }
        (Action::Freeze | Action::Thaw | Action::Kill, _) => {
            return Some(format!(
                "sentry: {} {}: {}\n",
                outcome.action.name(),
                paint(RED, "failed"),
                safe(&outcome.why)
            ));
        }
        _ => return None,
    };
    let who = decision.map(|decision| format!(" {}", asked_by(decision))).unwrap_or_default();
    let next = match outcome.action {
        Action::Freeze => format!(" · sentry thaw {}", short(&outcome.run)),
        _ => String::new(),
    };
    Some(format!("sentry: {}{who}{next}\n", paint(RED, done)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::out::plain;

    fn line(action: Action, result: OutcomeResult) -> Option<String> {
        let decision =
            Decision { origin: "user:0".into(), reason: "looking into it".into(), ..Decision::default() };
        let of = Outcome { action, result, run: "01a22c81-f3d5-723c".into(), ..Outcome::default() };
        outcome(&of, Some(&decision)).map(|line| plain(&line).unwrap())
    }

    #[test]
    fn an_act_says_who_did_it_and_what_undoes_it() {
        assert_eq!(
            line(Action::Freeze, OutcomeResult::Applied).unwrap(),
            "sentry: frozen by root: looking into it · sentry thaw 01a22c81-f3d5\n"
        );
        assert_eq!(
            line(Action::Kill, OutcomeResult::Applied).unwrap(),
            "sentry: killed by root: looking into it\n"
        );
        assert_eq!(line(Action::Observe, OutcomeResult::Applied), None);
    }
}
