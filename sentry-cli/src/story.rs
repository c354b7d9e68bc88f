//! What a run did: its report, its tree of processes, and how it differs from another run.

use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_story::{Knowledge, Story};
use sentry_view::Report;

use super::{
    args::{AskArgs, DiffArgs, ReportArgs, TreeArgs},
    client::{Client, block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    query::{origin, runs},
    render::{
        diff,
        json::{self, Origin},
        report::{self, Form},
    },
};

pub(super) fn report(args: &ReportArgs) -> Result<Exit, CliError> {
    let report = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let origin = origin(&mut client, args.ask.json).await?;
        of_target(&mut client, args.run.as_deref(), &origin, args.tree || args.html).await
    })?;
    let form = Form { width: out::width(), calls: args.calls, all: args.all };
    let text = match args {
        ReportArgs { ask: AskArgs { json: true, .. }, .. } => json::line(&report),
        ReportArgs { html: true, .. } => report::html(&report),
        ReportArgs { markdown: true, .. } => report::markdown(&report),
        _ => report::text(&report, form),
    };
    out::print(&text)?;
    Ok(Exit::Ok)
}

pub(super) fn tree(args: &TreeArgs) -> Result<Exit, CliError> {
    let report = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let origin = origin(&mut client, args.ask.json).await?;
        of_target(&mut client, args.run.as_deref(), &origin, true).await
    })?;
    let form = Form { width: out::width(), all: args.all, ..Form::default() };
    out::print(&if args.ask.json { json::line(&report) } else { report::tree(&report, form) })?;
    Ok(Exit::Ok)
}

pub(super) fn diff(args: &DiffArgs) -> Result<Exit, CliError> {
    let (base, run) = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let origin = Origin::default();
        let base = of_target(&mut client, Some(&args.base), &origin, false).await?;
        let run = of_target(&mut client, args.run.as_deref(), &origin, false).await?;
        Ok::<_, CliError>((base, run))
    })?;
    let new = sentry_story::difference(&base, &run);
    out::print(&if args.ask.json { json::line(&new) } else { diff::text(&new) })?;
    Ok(Exit::Ok)
}

/// The report of the run that `target` means; of the newest one, where it means none.
pub(super) async fn of_target(
    client: &mut Client,
    target: Option<&str>,
    origin: &Origin,
    with_tree: bool,
) -> Result<Report, CliError> {
    let target = match target {
        Some(target) => target.to_owned(),
        None => newest(client).await?,
    };
    let report = client.report_of(v1::TargetRequest { target }).await?.into_inner();
    told(client, &report, origin, with_tree).await
}

pub(super) async fn newest(client: &mut Client) -> Result<String, CliError> {
    let newest = runs(client, true).await?.pop();
    newest.map(|run| run.id).ok_or(CliError::Nothing {
        what: "run",
        next: "none was watched so far; `sentry run CMD` watches a command",
    })
}

/// The sensor's report, and beside it the decisions and the activity of the run; its processes only
/// where the tree is wanted.
pub(super) async fn told(
    client: &mut Client,
    report: &v1::Report,
    origin: &Origin,
    with_tree: bool,
) -> Result<Report, CliError> {
    folded(client, report, origin, with_tree, &[], |_item| Ok(())).await
}

/// As `told`, and shows each item that it reads, also those of more kinds, in their order.
pub(super) async fn folded(
    client: &mut Client,
    report: &v1::Report,
    origin: &Origin,
    with_tree: bool,
    more: &[ItemKind],
    mut show: impl FnMut(&Item) -> Result<(), CliError>,
) -> Result<Report, CliError> {
    let mut view = origin.report(report);
    let Some(run) = &report.run else { return Ok(view) };
    let knowledge = Knowledge::built_in()?.with_classes(&report.sensitive);
    let mut story = Story::new(&knowledge, &report.findings);
    if with_tree {
        story = story.with_tree();
    }
    let kinds =
        [ItemKind::Event, ItemKind::Decision].iter().chain(more).map(|kind| i32::from(*kind)).collect();
    let request = v1::ItemsRequest { run: Some(run.id.clone()), kinds, ..v1::ItemsRequest::default() };
    let mut items = client.items(request).await?.into_inner();
    while let Some(stored) = items.message().await? {
        let Some(item) = stored.item.and_then(|item| item.item) else { continue };
        show(&item)?;
        match item {
            Item::Event(event) => story.event(&event),
            Item::Decision(decision) => view.decisions.push((&decision).into()),
            Item::Finding(_) | Item::Outcome(_) | Item::Run(_) | Item::Gap(_) | Item::Block(_) => {}
        }
    }
    view.activity = Some(story.finish(&run.flows));
    Ok(view)
}
