//! `sentry explain`: how a finding or a decision came about, and what an event belongs to.

mod event;

use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_story::{Causes, EventName, Knowledge};
use sentry_view::{Cause, Finding};
use tonic::{Code, Status};

use self::event::DELETED;
use super::{
    args::ExplainArgs,
    client::{Client, block_on, connect},
    error::CliError,
    exit::Exit,
    out,
    query::{all, newest, newest_of, origin, runs},
    render::{
        circumstances,
        finding::{self, Explained},
        json::{self, Origin},
        standing::explain as shown,
    },
    standing,
};

pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, CliError> {
    let text = block_on(async {
        let mut client = connect(&args.ask.socket.socket).await?;
        let origin = origin(&mut client, args.ask.json).await?;
        // An agent may be called like an event.
        if let Some(name) = args.id.as_deref().and_then(EventName::read)
            && let Some((found, findings)) = event::look(&mut client, &name).await?
        {
            return Ok(if args.ask.json {
                json::line(&circumstances::view(&found, &findings, &origin))
            } else {
                circumstances::text(&found, &findings, out::width())
            });
        }
        let standing = standing::standings(&mut client, args.id.iter().cloned().collect()).await?.pop();
        let id = match &args.id {
            Some(id) => whole_id(&mut client, id).await,
            None => newest_finding(&mut client).await,
        };
        let id = match id {
            // An agent in which nothing was found has its standing.
            Err(CliError::Unknown { .. } | CliError::Nothing { .. }) if standing.is_some() => String::new(),
            id => id?,
        };
        let explained = match run_of(&id) {
            Some(run) => gather(&mut client, run, &id).await?,
            None => Explained::default(),
        };
        if explained.finding.is_none() && explained.decisions.is_empty() && standing.is_none() {
            return Err(missing(&mut client, id).await?);
        }
        Ok(if args.ask.json {
            lines(&explained, &origin) + &standing.iter().map(json::line).collect::<String>()
        } else {
            let parts = [finding::explain(&explained), standing.as_ref().map(shown).unwrap_or_default()];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
        })
    })?;
    out::print(&text)?;
    Ok(Exit::Ok)
}

fn lines(explained: &Explained, origin: &Origin) -> String {
    let mut text: String =
        explained.finding.iter().map(|finding| json::line(&origin.finding(finding))).collect();
    text.extend(explained.cause.iter().map(json::line));
    text.extend(explained.events.iter().map(|event| json::line(&origin.event(event))));
    text.extend(explained.decisions.iter().map(json::line));
    text.extend(explained.outcomes.iter().map(json::line));
    text
}

/// Why there is no finding or decision of this id.
async fn missing(client: &mut Client, id: String) -> Result<CliError, CliError> {
    let what = "finding or decision";
    let known = runs(client, true).await?;
    let run = known.into_iter().find(|run| run_of(&id).is_some_and(|begun| run.id.starts_with(begun)));
    let number = id.rsplit_once("-f-").and_then(|(_run, number)| number.parse::<u64>().ok());
    let is_gone = run.zip(number).is_some_and(|(run, number)| (1..=run.findings).contains(&number));
    Ok(if is_gone {
        CliError::Gone { what, id, why: DELETED }
    } else {
        CliError::Unknown { what, id, next: "`sentry findings` lists the findings" }
    })
}

/// The finding or decision that `id` is, or is the beginning of; of a run or an agent, the newest
/// finding, or else the newest decision.
async fn whole_id(client: &mut Client, id: &str) -> Result<String, CliError> {
    if run_of(id).is_some() {
        return Ok(id.to_owned());
    }
    for kind in [ItemKind::Finding, ItemKind::Decision] {
        let newest = match newest_of(client, id, &[kind], 1).await {
            // No run, or not one alone: only for that is all looked through.
            Err(CliError::Sensor(status))
                if matches!(status.code(), Code::NotFound | Code::InvalidArgument) =>
            {
                return begun(client, id, *status).await;
            }
            newest => newest?,
        };
        if let Some(id) = newest.into_iter().find_map(id_of) {
            return Ok(id);
        }
    }
    Err(CliError::Nothing {
        what: "finding",
        next: "nothing was found in that run; `sentry report` says what it did",
    })
}

fn id_of(item: Item) -> Option<String> {
    match item {
        Item::Finding(finding) => Some(finding.id),
        Item::Decision(decision) => Some(decision.id),
        _ => None,
    }
}

/// The finding or decision that begins so; `status`: why this is no run.
async fn begun(client: &mut Client, id: &str, status: Status) -> Result<String, CliError> {
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
        [] if status.code() == Code::NotFound => Err(CliError::Unknown {
            what: "finding, decision, event, run or agent",
            id: id.to_owned(),
            next: "`sentry findings` lists the findings, `sentry agents --all` the runs",
        }),
        [] => Err(status.into()),
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

async fn newest_finding(client: &mut Client) -> Result<String, CliError> {
    let found = newest(client, &[ItemKind::Finding], 1).await?;
    found.into_iter().find_map(id_of).ok_or(CliError::Nothing {
        what: "finding",
        next: "nothing was found so far; `sentry agents --all` lists the runs",
    })
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

/// The finding (of a decision: the one that led to it) with all that hangs on it. `run` may be the
/// beginning of one, here and in `id`.
pub(super) async fn gather(client: &mut Client, run: &str, id: &str) -> Result<Explained, CliError> {
    let kinds = [ItemKind::Finding, ItemKind::Decision, ItemKind::Outcome];
    let items = all(client, run, &kinds).await?;
    let rest = &id[run.len()..];
    let is_it = |of: &str, known: &str| known.strip_prefix(of) == Some(rest);
    let led_to = items.iter().find_map(|item| match item {
        Item::Decision(decision) if is_it(&decision.run, &decision.id) => decision.finding.clone(),
        _ => None,
    });
    let is_wanted = |finding: &v1::Finding| match &led_to {
        Some(led_to) => finding.id == *led_to,
        None => is_it(&finding.run, &finding.id),
    };
    let mut explained = Explained::default();
    for item in &items {
        if let Item::Finding(finding) = item
            && is_wanted(finding)
        {
            explained.finding = Some(finding.into());
        }
    }
    let found = explained.finding.as_ref().map(|finding| finding.id.clone());
    for item in &items {
        match item {
            Item::Decision(decision)
                if (found.is_some() && decision.finding == found) || is_it(&decision.run, &decision.id) =>
            {
                explained.decisions.push(decision.into());
            }
            Item::Outcome(outcome) => explained.outcomes.push(outcome.into()),
            _ => {}
        }
    }
    let decided: Vec<&String> = explained.decisions.iter().map(|decision| &decision.id).collect();
    explained.outcomes.retain(|outcome| decided.contains(&&outcome.decision));
    if let Some(finding) = &explained.finding {
        (explained.cause, explained.events) = behind(client, &finding.run, finding).await?;
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
