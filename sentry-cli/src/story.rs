//! A report with what the run did, folded from the events that the sensor keeps of it.

use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_story::{Knowledge, Story};
use sentry_view::Report;

use super::{client::Client, error::CliError, render::json::Origin};

/// The sensor's report, and beside it the decisions and the activity of the run.
pub(super) async fn report(
    client: &mut Client,
    report: &v1::Report,
    origin: &Origin,
) -> Result<Report, CliError> {
    let mut view = origin.report(report);
    let Some(run) = &report.run else { return Ok(view) };
    let knowledge = Knowledge::built_in()?;
    let mut story = Story::new(&knowledge, &report.findings);
    let kinds = [ItemKind::Event, ItemKind::Decision].map(i32::from).to_vec();
    let request = v1::ItemsRequest { run: Some(run.id.clone()), kinds, ..v1::ItemsRequest::default() };
    let mut items = client.items(request).await?.into_inner();
    while let Some(stored) = items.message().await? {
        match stored.item.and_then(|item| item.item) {
            Some(Item::Event(event)) => story.event(&event),
            Some(Item::Decision(decision)) => view.decisions.push((&decision).into()),
            Some(Item::Finding(_) | Item::Outcome(_) | Item::Run(_) | Item::Gap(_)) | None => {}
        }
    }
    view.activity = Some(story.finish(&run.flows));
    Ok(view)
}
