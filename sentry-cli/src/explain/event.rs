//! What an event belongs to.

use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_story::{Answer, Circumstances, EventName, Inquiry, Knowledge};
use tonic::Code;

use crate::{
    client::Client,
    error::CliError,
    query::{all, runs},
};

/// Why something is not kept any more.
pub(super) const DELETED: &str = "the sensor deletes the oldest when its history is full (`journal.keep_bytes` in the \
                       configuration); a collector may still have it";

/// Why a record of a run that lost some is not there.
const LOST_OR_DELETED: &str = "it is one of the records that the run lost (`sentry report` counts them), or the \
                               sensor deleted it: the oldest goes when the history is full \
                               (`journal.keep_bytes` in the configuration)";

/// The event that is meant, and the findings that have it as evidence; `None` where there is no run
/// that it can be of.
pub(super) async fn look(
    client: &mut Client,
    name: &EventName,
) -> Result<Option<(Circumstances, Vec<v1::Finding>)>, CliError> {
    let items = match all(client, name.run(), &[ItemKind::Finding]).await {
        Err(CliError::Sensor(status)) if status.code() == Code::NotFound => return Ok(None),
        items => items?,
    };
    let finding = |item| match item {
        Item::Finding(finding) => Some(finding),
        _ => None,
    };
    let mut findings: Vec<v1::Finding> = items.into_iter().filter_map(finding).collect();
    let knowledge = Knowledge::built_in()?;
    let mut inquiry = Inquiry::about(name, &knowledge, &findings);
    let request = v1::ItemsRequest {
        run: Some(name.run().to_owned()),
        kinds: vec![ItemKind::Event.into()],
        ..v1::ItemsRequest::default()
    };
    let mut stream = client.items(request).await?.into_inner();
    while let Some(stored) = stream.message().await? {
        if let Some(Item::Event(event)) = stored.item.and_then(|item| item.item) {
            inquiry.event(&event);
        }
    }
    match inquiry.finish() {
        Answer::One(found) => {
            findings.retain(|finding| finding.evidence.contains(&found.event.id));
            Ok(Some((*found, findings)))
        }
        Answer::Several([one, other]) => {
            Err(CliError::Ambiguous { what: "event", id: name.to_string(), one, other })
        }
        Answer::None => Err(missing(client, name).await?),
    }
}

/// Why the run has no such event.
async fn missing(client: &mut Client, name: &EventName) -> Result<CliError, CliError> {
    let (what, id) = ("event", name.to_string());
    let runs = runs(client, true).await?;
    let run = runs.iter().find(|run| run.id.starts_with(name.run()));
    Ok(match run {
        Some(run) if name.was_made(run) => {
            let lost: u64 = [&run.critical, &run.bulk].into_iter().flatten().map(not_kept).sum();
            CliError::Gone { what, id, why: if lost > 0 { LOST_OR_DELETED } else { DELETED } }
        }
        _ => CliError::Unknown {
            what,
            id,
            next: "the run has none of that number; `sentry events --format long` shows the ids of events",
        },
    })
}

/// Records that were made and that the sensor never had.
fn not_kept(ring: &v1::RingBooks) -> u64 {
    ring.lost + ring.throttled
}
