//! Commands that only read: agents, events, findings, explain, report, health.

use std::collections::BTreeMap;

use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_story::{Causes, Knowledge};
use sentry_view::{Cause, Finding, Run};
use tonic::Code;

use super::{
    args::{AgentsArgs, ExplainArgs, HealthArgs, HistoryArgs, SocketArgs},
    client::{Client, block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    render::{
        self,
        finding::{self, Explained},
        json::{self, Origin},
        status,
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
        render::run::table(&runs, &standings) + &render::run::unwatched(&status.unwatched)
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
    each(&args.ask.socket, args.ask.json, request, |origin, item| match item {
        Item::Finding(finding) if args.ask.json => {
            out::print(&json::line(&origin.finding(&(&finding).into())))
        }
        Item::Finding(finding) => out::print(&finding::line(&(&finding).into())),
        _ => Ok(()),
    })
}

/// The items that a list is of.
pub(super) fn request(args: &HistoryArgs, kinds: &[ItemKind]) -> v1::ItemsRequest {
    v1::ItemsRequest {
        run: args.run.clone(),
        agent: args.agent.clone(),
        kinds: kinds.iter().map(|kind| i32::from(*kind)).collect(),
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

pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, CliError> {
    let (origin, explained, standing) = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let origin = origin(&mut client, args.ask.json).await?;
        let asked = args.id.clone();
        let standing = standing::standings(&mut client, asked.clone().into_iter().collect()).await?.pop();
        let id = match &asked {
            Some(id) => whole_id(&mut client, id).await,
            None => newest_finding(&mut client).await,
        };
        let id = match id {
            // An agent in which nothing was found has its standing.
            Err(CliError::NotKept { .. } | CliError::Nothing { .. }) if standing.is_some() => String::new(),
            id => id?,
        };
        let explained = match run_of(&id) {
            Some(run) => gather(&mut client, run, &id).await?,
            None => Explained::default(),
        };
        if explained.finding.is_none() && explained.decisions.is_empty() && standing.is_none() {
            return Err(CliError::NotKept { what: "finding or decision", id, list: "findings" });
        }
        Ok((origin, explained, standing))
    })?;
    let text = if args.ask.json {
        let mut text: String =
            explained.finding.iter().map(|finding| json::line(&origin.finding(finding))).collect();
        text.extend(explained.cause.iter().map(json::line));
        text.extend(explained.events.iter().map(|event| json::line(&origin.event(event))));
        text.extend(explained.decisions.iter().map(json::line));
        text.extend(explained.outcomes.iter().map(json::line));
        text.extend(standing.iter().map(json::line));
        text
    } else {
        let parts = [Some(finding::explain(&explained)), standing.as_ref().map(render::standing::explain)];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join("\n")
    };
    out::print(&text)?;
    Ok(Exit::Ok)
}

/// The finding or decision that `id` is, or is the beginning of; of a run or an agent, the newest
/// finding.
async fn whole_id(client: &mut Client, id: &str) -> Result<String, CliError> {
    if run_of(id).is_some() {
        return Ok(id.to_owned());
    }
    let mut known: Vec<String> = Vec::new();
    for item in newest(client, &[ItemKind::Finding, ItemKind::Decision], 0).await? {
        match item {
            Item::Finding(finding) if finding.id.starts_with(id) => known.push(finding.id),
            // A decision has its finding explained with it.
            Item::Decision(decision) if decision.finding.is_none() && decision.id.starts_with(id) => {
                known.push(decision.id);
            }
            _ => {}
        }
    }
    match known.as_slice() {
        [] => newest_finding_of(client, id).await,
        [one] => Ok(one.clone()),
        // The beginning of a run: of its findings, which come oldest first.
        [one, .., newest] if known.iter().all(|other| run_of(other) == run_of(one)) => Ok(newest.clone()),
        [one, other, ..] => Err(CliError::Ambiguous {
            what: "finding or decision",
            id: id.to_owned(),
            one: one.clone(),
            other: other.clone(),
        }),
    }
}

async fn newest_finding_of(client: &mut Client, target: &str) -> Result<String, CliError> {
    let request = v1::ItemsRequest {
        run: Some(target.to_owned()),
        kinds: vec![ItemKind::Finding.into()],
        ..v1::ItemsRequest::default()
    };
    let mut stream = match client.items(request).await {
        Ok(stream) => stream.into_inner(),
        Err(status) if status.code() == Code::NotFound => {
            let what = "finding, decision, run or agent";
            return Err(CliError::NotKept { what, id: target.to_owned(), list: "findings" });
        }
        Err(status) => return Err(status.into()),
    };
    let mut newest = None;
    while let Some(stored) = stream.message().await? {
        if let Some(Item::Finding(finding)) = stored.item.and_then(|item| item.item) {
            newest = Some(finding.id);
        }
    }
    newest.ok_or(CliError::Nothing {
        what: "finding",
        next: "nothing was found in that run; `sentry report` says what it did",
    })
}

async fn newest_finding(client: &mut Client) -> Result<String, CliError> {
    let found = newest(client, &[ItemKind::Finding], 1).await?;
    let id = found.into_iter().find_map(|item| match item {
        Item::Finding(finding) => Some(finding.id),
        _ => None,
    });
    id.ok_or(CliError::Nothing {
        what: "finding",
        next: "nothing was found so far; `sentry agents --all` lists the runs",
    })
}

/// The newest items of these kinds, of all runs; 0 asks for all.
async fn newest(client: &mut Client, kinds: &[ItemKind], limit: u64) -> Result<Vec<Item>, CliError> {
    let kinds = kinds.iter().map(|kind| i32::from(*kind)).collect();
    let request = v1::ItemsRequest { kinds, limit, ..v1::ItemsRequest::default() };
    let mut stream = client.items(request).await?.into_inner();
    let mut items = Vec::new();
    while let Some(stored) = stream.message().await? {
        items.extend(stored.item.and_then(|item| item.item));
    }
    Ok(items)
}

/// Ids are `<run>-f-<n>` and `<run>-d-<n>`; where a later sensor life took the run up,
/// `<run>.<life>-f-<n>`.
fn run_of(id: &str) -> Option<&str> {
    let (rest, number) = id.rsplit_once('-')?;
    let (prefix, kind) = rest.rsplit_once('-')?;
    let run = match prefix.split_once('.') {
        Some((run, life)) => u64::from_str_radix(life, 16).is_ok().then_some(run)?,
        None => prefix,
    };
    (matches!(kind, "f" | "d") && number.parse::<u64>().is_ok() && !run.is_empty()).then_some(run)
}

/// The finding (of a decision: the one that led to it) with all that hangs on it.
async fn gather(client: &mut Client, run: &str, id: &str) -> Result<Explained, CliError> {
    let kinds = [ItemKind::Finding, ItemKind::Decision, ItemKind::Outcome];
    let items = all(client, run, &kinds).await?;
    let asked = items.iter().find_map(|item| match item {
        Item::Decision(decision) if decision.id == id => Some(decision.clone()),
        _ => None,
    });
    let wanted =
        asked.as_ref().and_then(|decision| decision.finding.clone()).unwrap_or_else(|| id.to_owned());
    let mut explained = Explained::default();
    for item in items {
        match item {
            Item::Finding(finding) if finding.id == wanted => explained.finding = Some((&finding).into()),
            Item::Decision(decision) if decision.finding.as_ref() == Some(&wanted) || decision.id == id => {
                explained.decisions.push((&decision).into());
            }
            Item::Outcome(outcome) => explained.outcomes.push((&outcome).into()),
            _ => {}
        }
    }
    let decided: Vec<&String> = explained.decisions.iter().map(|decision| &decision.id).collect();
    explained.outcomes.retain(|outcome| decided.contains(&&outcome.decision));
    if let Some(finding) = &explained.finding {
        (explained.cause, explained.events) = behind(client, run, finding).await?;
    }
    Ok(explained)
}

/// What stands behind a finding, and its evidence as far as it is kept.
async fn behind(
    client: &mut Client,
    run: &str,
    finding: &Finding,
) -> Result<(Option<Cause>, Vec<v1::Event>), CliError> {
    let knowledge = Knowledge::built_in()?;
    let mut causes = Causes::behind(&knowledge, finding);
    let mut evidence = Vec::new();
    let until = Some(finding.time_unix_ns.0);
    let request = v1::ItemsRequest {
        run: Some(run.to_owned()),
        kinds: vec![ItemKind::Event.into()],
        search: Some(v1::Search { until_unix_ns: until, ..v1::Search::default() }),
        ..v1::ItemsRequest::default()
    };
    let mut stream = client.items(request).await?.into_inner();
    while let Some(stored) = stream.message().await? {
        let Some(Item::Event(event)) = stored.item.and_then(|item| item.item) else { continue };
        causes.event(&event);
        if finding.evidence.contains(&event.id) {
            evidence.push(event);
        }
    }
    Ok((causes.finish(), evidence))
}

/// Everything that is kept of a run, of these kinds.
pub(super) async fn all(client: &mut Client, run: &str, kinds: &[ItemKind]) -> Result<Vec<Item>, CliError> {
    let request = v1::ItemsRequest {
        run: Some(run.to_owned()),
        kinds: kinds.iter().map(|kind| i32::from(*kind)).collect(),
        ..v1::ItemsRequest::default()
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_is_part_of_the_id() {
        let run = "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11";
        assert_eq!(run_of(&format!("{run}-f-12")), Some(run));
        assert_eq!(run_of(&format!("{run}-d-1")), Some(run));
        assert_eq!(run_of(&format!("{run}.18af3c5d2e1b0000-f-3")), Some(run));
        for wrong in [run, "", "-f-1", "f-1", "x-f-", "x-c-1", "x.-f-1", "x.life-f-1", ".a-f-1"] {
            assert_eq!(run_of(wrong), None, "{wrong}");
        }
    }
}
