//! Commands that only read: agents, findings, health; and what others read by.

use std::collections::BTreeMap;

use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_view::{Finding, Run};

use super::{
    args::{AgentsArgs, HealthArgs, HistoryArgs, SocketArgs},
    client::{Client, block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    render::{
        self, finding,
        json::{self, Origin},
        nothing, status,
    },
    standing,
};

pub(super) fn agents(args: &AgentsArgs) -> Result<Exit, CliError> {
    let (runs, standings, status) = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let runs: Vec<Run> = runs(&mut client, args.all).await?.iter().map(Run::from).collect();
        let standings = standing::of_runs(&mut client, &runs).await?;
        let status = client.status(v1::StatusRequest::default()).await?.into_inner();
        Ok::<_, CliError>((runs, standings, status))
    })?;
    let text = if args.ask.json {
        runs.iter().map(json::line).collect()
    } else {
        render::run::table(&runs, &standings, args.all) + &render::run::unwatched(&status.unwatched)
    };
    out::print(&text)?;
    Ok(Exit::Ok)
}

/// Every page of the list, in the order of their starts. One that ended in between comes twice; the
/// later state holds.
pub(super) async fn runs(client: &mut Client, include_ended: bool) -> Result<Vec<v1::Run>, CliError> {
    let mut runs = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = v1::RunsRequest { include_ended, page_token };
        let page = client.runs(request).await?.into_inner();
        runs.extend(page.runs.into_iter().map(|run| ((run.started_unix_ns, run.id.clone()), run)));
        if page.next_page_token.is_empty() {
            return Ok(runs.into_values().collect());
        }
        page_token = page.next_page_token;
    }
}

pub(super) fn findings(args: &HistoryArgs) -> Result<Exit, CliError> {
    let request = request(args, &[ItemKind::Finding]);
    let mut is_empty = true;
    let exit = each(&args.ask.socket, args.ask.json, request, |origin, item| {
        let Item::Finding(finding) = item else { return Ok(()) };
        is_empty = false;
        let finding = Finding::from(&finding);
        out::print(&if args.ask.json {
            json::line(&origin.finding(&finding))
        } else {
            finding::line(&finding)
        })
    })?;
    if is_empty && !args.ask.json {
        out::note(&nothing::findings(args.run.as_deref(), args.agent.as_deref()));
    }
    Ok(exit)
}

/// The items that a list is of.
pub(super) fn request(args: &HistoryArgs, kinds: &[ItemKind]) -> v1::ItemsRequest {
    v1::ItemsRequest {
        run: args.run.clone(),
        agent: args.agent.clone(),
        kinds: numbers(kinds),
        follow: args.follow,
        limit: args.limit,
        search: None,
    }
}

/// Shows each item that is asked for, as it comes.
pub(super) fn each(
    socket: &SocketArgs,
    as_json: bool,
    request: v1::ItemsRequest,
    mut show: impl FnMut(&Origin, Item) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    block_on(async {
        let mut client = connect(&socket.socket).await?;
        let mut origin = origin(&mut client, as_json).await?;
        let mut items = client.items(request).await?.into_inner();
        while let Some(stored) = items.message().await? {
            let Some(item) = stored.item.and_then(|item| item.item) else { continue };
            // A run that began meanwhile.
            if let (true, Item::Event(v1::Event { run, .. }) | Item::Finding(v1::Finding { run, .. })) =
                (as_json, &item)
                && !origin.knows(run)
            {
                origin.learn(runs(&mut client, false).await?, Some(run));
            }
            show(&origin, item)?;
        }
        Ok(Exit::Ok)
    })
}

/// Asked for only where OCSF needs it.
pub(super) async fn origin(client: &mut Client, wanted: bool) -> Result<Origin, CliError> {
    if !wanted {
        return Ok(Origin::default());
    }
    let mut origin = Origin::of(&client.status(v1::StatusRequest { canary: true }).await?.into_inner());
    origin.learn(runs(client, true).await?, None);
    Ok(origin)
}

/// The newest items of these kinds, of all runs; 0 asks for all.
pub(super) async fn newest(
    client: &mut Client,
    kinds: &[ItemKind],
    limit: u64,
) -> Result<Vec<Item>, CliError> {
    items(client, v1::ItemsRequest { kinds: numbers(kinds), limit, ..v1::ItemsRequest::default() }).await
}

/// Everything that is kept of a run, of these kinds.
pub(super) async fn all(client: &mut Client, run: &str, kinds: &[ItemKind]) -> Result<Vec<Item>, CliError> {
    newest_of(client, run, kinds, 0).await
}

/// The newest items of these kinds, of the run that `target` means, oldest first; 0 asks for all.
pub(super) async fn newest_of(
    client: &mut Client,
    target: &str,
    kinds: &[ItemKind],
    limit: u64,
) -> Result<Vec<Item>, CliError> {
    let (run, kinds) = (Some(target.to_owned()), numbers(kinds));
    items(client, v1::ItemsRequest { run, kinds, limit, ..v1::ItemsRequest::default() }).await
}

fn numbers(kinds: &[ItemKind]) -> Vec<i32> {
    kinds.iter().map(|kind| i32::from(*kind)).collect()
}

async fn items(client: &mut Client, request: v1::ItemsRequest) -> Result<Vec<Item>, CliError> {
    let mut stream = client.items(request).await?.into_inner();
    let mut items = Vec::new();
    while let Some(stored) = stream.message().await? {
        items.extend(stored.item.and_then(|item| item.item));
    }
    Ok(items)
}

pub(super) fn health(args: &HealthArgs) -> Result<Exit, CliError> {
    let reply = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let canary = !(args.live || args.ready);
        let reply = client.status(v1::StatusRequest { canary }).await?.into_inner();
        if args.ready && reply.live && !reply.ready {
            return Ok(client.status(v1::StatusRequest { canary: true }).await?.into_inner());
        }
        Ok(reply)
    })?;
    out::print(&if args.ask.json { json::line(&json::status(&reply)) } else { status::health(&reply) })?;
    let good = match args {
        HealthArgs { live: true, .. } => reply.live,
        HealthArgs { ready: true, .. } => reply.ready,
        _ => reply.health == status::SERVING,
    };
    Ok(if good { Exit::Ok } else { Exit::Failure })
}
