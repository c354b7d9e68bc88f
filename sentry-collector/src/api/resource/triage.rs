//! `GET /api/v1/findings/{sensor}/{run}/{id}` and
//! `POST /api/v1/findings/{sensor}/{run}/{id}/{acknowledge|resolve|reopen|assign|comment}`: a
//! finding, what people made of it, and what they say of it.
//!
//! Reading needs a key that is not bound to an agent: what people say of an agent is not for it.
//! Limits: comments of 4096 bytes, assignees of 200, 200 acts on a finding.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::findings::{self, FindingRow, OcsfFinding};
use crate::{
    api::{
        answer::ApiError,
        entry::{Entry, Group},
        resource::commands::{MAX_REASON_BYTES, refuse_body},
        right::{Act as Operate, May, Read},
        state::Api,
    },
    store::{Act, Cell, Condition, FindingId, MAX_ACTS, Triage, TriageReply, listed},
};

const MAX_ASSIGNEE_BYTES: usize = 200;
/// Characters of what the audit names: ids may be long.
const TARGET: usize = 400;

listed! {
    struct ActRow of "listed_triage" {
        time_ms: i64,
        who: String,
        action: String,
        assignee: Option<String>,
        comment: String,
    }
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAct)]
struct Wanted {
    /// What there is to say about it; `comment` needs one.
    #[serde(default)]
    comment: String,
    /// Of `assign`: to whom; null or left out: to nobody.
    assignee: Option<String>,
}

/// A finding, and what people did with it.
#[derive(Serialize, ToSchema)]
struct TriagedFinding {
    finding: OcsfFinding,
    /// Oldest first.
    history: Vec<TriageAct>,
}

/// What somebody did with a finding.
#[derive(Serialize, ToSchema)]
struct TriageAct {
    time_ms: i64,
    /// As in the audit.
    who: String,
    /// acknowledge, resolve, reopen, assign or comment.
    action: String,
    /// Of `assign`: to whom; null: to nobody.
    assignee: Option<String>,
    comment: String,
}

pub(super) fn get() -> Entry {
    let about = "A finding, and what people did with it.";
    let path = "/api/v1/findings/{sensor}/{run}/{id}";
    of_finding(Entry::get(path, Group::Finds, "find_finding", about, find))
        .answers::<TriagedFinding>("200", "The finding.")
}

pub(super) fn post() -> Entry {
    let about = "Changes the state of a finding, assigns it, or comments on it.";
    let path = "/api/v1/findings/{sensor}/{run}/{id}/{action}";
    of_finding(Entry::post(path, Group::Commands, "triage", about, act))
        .path_parameter("action", "acknowledge, resolve, reopen, assign or comment.")
        .takes::<Wanted>()
        .answers::<TriagedFinding>("200", "The finding as it is now.")
}

fn of_finding(entry: Entry) -> Entry {
    entry
        .path_parameter("sensor", "Id of the sensor that reported it.")
        .path_parameter("run", "Id of its run.")
        .path_parameter("id", "Id of the finding.")
}

async fn find(
    _: May<Read>,
    State(api): State<Api>,
    Path((sensor, run, finding)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    answer(&api, &FindingId { sensor, run, finding }).await
}

async fn act(
    may: May<Operate>,
    State(api): State<Api>,
    Path((sensor, run, finding, action)): Path<(String, String, String, String)>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, ApiError> {
    let known = [Act::Acknowledge, Act::Resolve, Act::Reopen, Act::Assign(None), Act::Comment];
    let act = known.into_iter().find(|act| act.name() == action).ok_or_else(|| {
        ApiError::NotFound(format!(
            "no action {action:?}; there are acknowledge, resolve, reopen, assign and comment"
        ))
    })?;
    let Json(wanted) = body.map_err(refuse_body)?;
    let (act, comment) = checked(act, wanted)?;
    api.may_commit()?;
    let of = FindingId { sensor, run, finding };
    let target = format!("finding {} of {}", of.finding, of.sensor);
    let entry = may.entry(act.name(), target.chars().take(TARGET).collect(), comment.clone());
    let triage = Triage { of: of.clone(), act, comment, who: may.who() };
    match api.store.triage(triage, entry).await? {
        TriageReply::Done | TriageReply::Already => answer(&api, &of).await,
        TriageReply::Unknown => Err(not_found(&of)),
        TriageReply::Resolved => Err(ApiError::Conflict(format!(
            "the finding {:?} is resolved; reopen it before you acknowledge it",
            of.finding
        ))),
        TriageReply::TooMany => Err(ApiError::TooMany(format!(
            "{MAX_ACTS} acts on this finding are noted; there is no room for more"
        ))),
    }
}

/// The act with its assignee, and the comment.
fn checked(act: Act, wanted: Wanted) -> Result<(Act, String), ApiError> {
    let Wanted { comment, assignee } = wanted;
    let bad = |why: String| Err(ApiError::BadRequest(why));
    if comment.len() > MAX_REASON_BYTES {
        return bad(format!("comment is over {MAX_REASON_BYTES} bytes"));
    }
    if act == Act::Comment && comment.trim().is_empty() {
        return bad("comment is empty".to_owned());
    }
    match (act, assignee) {
        (Act::Assign(_), Some(to)) if to.trim().is_empty() || to.len() > MAX_ASSIGNEE_BYTES => {
            bad(format!("assignee is empty or over {MAX_ASSIGNEE_BYTES} bytes"))
        }
        (Act::Assign(_), assignee) => Ok((Act::Assign(assignee), comment)),
        (act, None) => Ok((act, comment)),
        (act, Some(_)) => bad(format!("{} has no assignee; only assign has one", act.name())),
    }
}

async fn answer(api: &Api, of: &FindingId) -> Result<Response, ApiError> {
    let is = |column, text: &str| Condition::Is(column, Cell::Text(text.to_owned()));
    let conditions = vec![is("finding", &of.finding), is("run", &of.run), is("sensor", &of.sensor)];
    let newest: Option<FindingRow> = api.rows(conditions.clone(), 1).await?.pop();
    let finding = findings::show(newest.ok_or_else(|| not_found(of))?).map_err(|error| {
        tracing::error!(%error, "a stored finding cannot be decoded");
        ApiError::Internal
    })?;
    let acts: Vec<ActRow> = api.rows(conditions, MAX_ACTS as usize).await?;
    let history = acts.into_iter().rev().map(show).collect();
    api.json(&TriagedFinding { finding, history })
}

fn show(row: ActRow) -> TriageAct {
    let ActRow { time_ms, who, action, assignee, comment } = row;
    TriageAct { time_ms, who, action, assignee, comment }
}

fn not_found(of: &FindingId) -> ApiError {
    let FindingId { sensor, run, finding } = of;
    ApiError::NotFound(format!("no finding {finding:?} of run {run:?} from sensor {sensor:?}"))
}
