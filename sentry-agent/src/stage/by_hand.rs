//! Acts that somebody asks for: decided, and followed to their outcome.

use std::sync::Arc;

use sentry_detect::decision::{Action, Decision, Outcome};
use tokio::sync::{mpsc, oneshot};

use super::act::Case;
use crate::runs::{Run, bounded};

/// The act stage has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sensor is stopping; try again when it is back")]
pub struct Stopping;

/// Decides by hand and waits for the verified outcome.
///
/// # Errors
/// While the sensor stops.
pub async fn act_by_hand(
    cases: &mpsc::Sender<Case>,
    run: &Arc<Run>,
    action: Action,
    origin: String,
    reason: String,
) -> Result<(Decision, Outcome), Stopping> {
    // Room first: a caller that goes away while it waits must not leave a decision that nobody acts
    // on.
    let room = cases.reserve().await.map_err(|_closed| Stopping)?;
    let (reply, outcome) = oneshot::channel();
    let order = (action, origin, bounded::reason(reason));
    let decision = run.order(order, |decision| {
        let decisions = vec![decision];
        room.send(Case::Decided { run: Arc::clone(run), finding: None, decisions, reply: Some(reply) });
    });
    let decision = decision.ok_or(Stopping)?;
    let outcome = outcome.await.map_err(|_closed| Stopping)?;
    Ok((decision, outcome))
}
