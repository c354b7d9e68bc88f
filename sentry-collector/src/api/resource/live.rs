//! `GET /api/v1/live`: what the store commits, as Server-Sent Events.
//!
//! | event | data | id |
//! |---|---|---|
//! | `ready` | `{}`: the stream begins here | yes |
//! | `sensors` | `{"connected":["…"]}`: at the beginning, and when a sensor comes or goes | no |
//! | `run`, `finding`, `decision`, `outcome` | an item as in the listing of that name | yes |
//! | `reset` | `{}`: the id is of another store, read the listings again | yes |
//!
//! An id is a place in the store: a request with the header `Last-Event-ID` gets everything that
//! was committed behind it, each item once. A run or a finding that changed several times comes in
//! its newest state. The queue of a stream is the store itself: a stream holds one page, and reads
//! the next one when its peer has taken it. A peer that takes nothing is ended like any other
//! (`pace`), and resumes.
//!
//! Limits: 64 streams at once, a page of 64 items or 64 KiB, a pause of 100 ms between two looks
//! at the store, five minutes for a stream: then its reader asks again, and its right is checked
//! again.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use prost::DecodeError;
use serde::Serialize;
use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_stream::Stream;

use super::{decisions, findings, outcomes, runs};
use crate::{
    api::{
        answer::ApiError,
        entry::{Entry, Group},
        pace::Lasting,
        right::{May, Read},
        state::Api,
    },
    store::{Followed, Listed, Marks, Next, Paging, Query},
};

const LAST_EVENT_ID: &str = "last-event-id";
const ROWS: usize = 64;
const BYTES: usize = 64 << 10;
/// Between two looks at the store: a commit every few milliseconds makes one look.
const GATHER: Duration = Duration::from_millis(100);
const LIFE: Duration = Duration::from_secs(300);
/// When a browser asks again after the end of a stream.
const RETRY: Duration = Duration::from_millis(500);

/// Items of a page: their numbers, and their text where they can be shown.
type Items = Vec<(i64, Option<String>)>;

/// A stream.
struct Follower {
    api: Api,
    marks: watch::Receiver<Marks>,
    sensors: watch::Receiver<()>,
    /// Everything up to here is in `pending` or was sent.
    at: Marks,
    /// How far the store was: what is newer waits until all of this is read, so that a kind with
    /// many changes keeps no other one back.
    goal: Marks,
    pending: VecDeque<Event>,
    ends: Instant,
    _turn: OwnedSemaphorePermit,
}

pub(super) fn entry() -> Entry {
    let about =
        "What is committed from now on, or behind `Last-Event-ID`: runs, findings, decisions, outcomes.";
    Entry::get("/api/v1/live", Group::Unlimited, "live", about, follow)
        .header_parameter("Last-Event-ID", "Id of the last event that was received: go on behind it.")
        .answers_text("200", "Server-Sent Events.", "text/event-stream")
}

async fn follow(_: May<Read>, State(api): State<Api>, headers: HeaderMap) -> Result<Response, ApiError> {
    let turn = Arc::clone(&api.streams).try_acquire_owned().map_err(|_none_left| {
        api.metrics.api_shed_requests_total.fetch_add(1, Relaxed);
        ApiError::Busy
    })?;
    let here = *api.store.marks().borrow();
    let (at, first) = match headers.get(LAST_EVENT_ID) {
        None => (here, Some("ready")),
        Some(id) => {
            let asked: Option<Marks> = id.to_str().ok().and_then(|id| id.parse().ok());
            let asked = asked.ok_or_else(|| {
                ApiError::BadRequest(format!("Last-Event-ID {id:?} is not an id of this stream"))
            })?;
            // A store that was put back from a copy may not have come as far.
            if here.behind(&asked).is_some() { (here, Some("reset")) } else { (asked, None) }
        }
    };
    let mut follower = Follower::new(api, at, turn);
    let heartbeat = follower.api.heartbeat;
    let first = first.map(|name| Event::default().event(name).id(at.to_string()).data("{}").retry(RETRY));
    follower.pending.extend(first);
    follower.push_sensors();
    let alive = KeepAlive::new().interval(heartbeat).text("alive");
    let mut response = Sse::new(follower.stream()).keep_alive(alive).into_response();
    response.extensions_mut().insert(Lasting);
    Ok(response)
}

// === impl Follower ===

impl Follower {
    /// Everything behind `at`.
    fn new(api: Api, at: Marks, turn: OwnedSemaphorePermit) -> Self {
        let mut marks = api.store.marks();
        let goal = *marks.borrow_and_update();
        Self {
            sensors: api.registry.changes(),
            marks,
            at,
            goal,
            pending: VecDeque::new(),
            ends: Instant::now() + LIFE,
            _turn: turn,
            api,
        }
    }

    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        futures_util::stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        })
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            // Also before it has sent what it holds: a stream that is always behind ends, too.
            if self.api.drain.is_cancelled() || Instant::now() >= self.ends {
                return None;
            }
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            if self.sensors.has_changed().ok()? {
                self.sensors.mark_unchanged();
                self.push_sensors();
                continue;
            }
            match self.at.behind(&self.goal) {
                Some(kind) => self.fill(kind).await.ok()?,
                None => self.wait().await?,
            }
        }
    }

    /// Waits until there may be something; `None` when the stream must end.
    async fn wait(&mut self) -> Option<()> {
        tokio::select! {
            biased;
            () = self.api.drain.cancelled() => None,
            () = sleep_until(self.ends) => None,
            changed = self.sensors.changed() => {
                changed.ok()?;
                self.push_sensors();
                Some(())
            }
            changed = self.marks.changed() => {
                changed.ok()?;
                sleep(GATHER).await;
                self.goal = *self.marks.borrow_and_update();
                Some(())
            }
        }
    }

    fn push_sensors(&mut self) {
        let connected = json!({ "connected": self.api.registry.all() });
        self.pending.push_back(Event::default().event("sensors").data(connected.to_string()));
    }

    /// Reads the next page of a kind.
    async fn fill(&mut self, kind: Followed) -> Result<(), ApiError> {
        let after = self.at[kind];
        let (items, next) = match kind {
            Followed::Run => {
                let show = runs::shown(&self.api);
                let row = move |runs::ChangedRow(row)| (row.id, show(row));
                self.page(after, row).await?
            }
            Followed::Finding => {
                let row = |findings::ChangedRow(row)| (row.id, findings::show(row));
                self.page(after, row).await?
            }
            Followed::Decision => {
                let row = |row: decisions::DecisionRow| (row.id, decisions::show(row));
                self.page(after, row).await?
            }
            Followed::Outcome => {
                let row = |row: outcomes::OutcomeRow| (row.id, outcomes::show(row));
                self.page(after, row).await?
            }
        };
        for (number, text) in items {
            self.at[kind] = number;
            let event =
                text.map(|text| Event::default().event(kind.name()).id(self.at.to_string()).data(text));
            self.pending.extend(event);
        }
        if next.is_none() {
            // The rows in between may have been removed.
            self.at[kind] = self.at[kind].max(self.goal[kind]);
        }
        Ok(())
    }

    async fn page<R: Listed, V: Serialize>(
        &self,
        after: i64,
        show: impl Fn(R) -> (i64, Result<V, DecodeError>) + Send + 'static,
    ) -> Result<(Items, Next), ApiError> {
        let paging = Paging { after: Some(after), newest_first: false, limit: ROWS };
        let query = Query { conditions: Vec::new(), paging };
        let mut bytes = 0;
        let step = move |items: &mut Items, row: R| {
            let (number, item) = show(row);
            let text = item.map_err(|error| error.to_string());
            let text = text.and_then(|item| serde_json::to_string(&item).map_err(|error| error.to_string()));
            let text = text.inspect_err(|error| tracing::error!(error, "a stored item cannot be shown")).ok();
            bytes += text.as_ref().map_or(0, String::len);
            items.push((number, text));
            // More than a page may have, so that it ends.
            if bytes > BYTES { usize::MAX } else { 0 }
        };
        Ok(self.api.store.page(query, Items::new(), step).await?)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_proto::v1::{self, item::Item};

    use super::*;
    use crate::{
        api::attacks::Rig,
        feed::{item::Batch, way::Way},
        store::{Opened, Progress},
    };

    /// What one sensor reports, one item to a position.
    struct Feed {
        opened: Opened,
        acked: u64,
    }

    impl Feed {
        async fn open(api: &Api) -> Self {
            let hello = v1::Hello { sensor: "s1".to_owned(), epoch: "e1".to_owned(), ..v1::Hello::default() };
            Self { opened: api.store.open_feed(hello, Way::Key).await.unwrap().unwrap(), acked: 0 }
        }

        /// Returns once they are committed.
        async fn put(&mut self, api: &Api, items: impl IntoIterator<Item = Item>) {
            let items = items.into_iter().map(|item| v1::Item { item: Some(item) }).collect();
            let batch = Batch::check(v1::Items { first_seq: self.acked + 1, items }).unwrap().unwrap();
            self.acked = batch.last;
            let (sender, mut progress) = watch::channel(Progress { acked: 0, refused: None });
            api.store.apply(&self.opened, batch, 1, Arc::new(sender)).await.unwrap();
            progress.wait_for(|progress| progress.acked == self.acked).await.unwrap();
        }
    }

    fn agent() -> Option<v1::Agent> {
        Some(v1::Agent { id: "claude".to_owned(), name: "Claude".to_owned() })
    }

    fn run(n: u64) -> Item {
        let (id, state) = (format!("r{n}"), v1::RunState::Running as i32);
        Item::Run(v1::Run { id, agent: agent(), state, ..v1::Run::default() })
    }

    fn finding() -> Item {
        let (id, severity) = ("f1".to_owned(), v1::Severity::High as i32);
        let (rule, run) = ("spawn-storm".to_owned(), "r1".to_owned());
        Item::Finding(v1::Finding { id, run, agent: agent(), rule, severity, ..v1::Finding::default() })
    }

    /// A stream from the beginning of the store on.
    fn follower(api: &Api) -> Follower {
        let streams = Arc::clone(&api.streams);
        Follower::new(api.clone(), Marks::default(), streams.try_acquire_owned().unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_is_behind_ends_when_its_time_is_over() {
        let rig = Rig::new().await;
        Feed::open(&rig.api).await.put(&rig.api, (1..=200).map(run)).await;
        let mut follower = follower(&rig.api);
        assert!(follower.next().await.is_some());
        follower.ends = Instant::now();
        assert!(follower.next().await.is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_is_behind_ends_with_the_collector() {
        let rig = Rig::new().await;
        Feed::open(&rig.api).await.put(&rig.api, (1..=200).map(run)).await;
        let mut follower = follower(&rig.api);
        assert!(follower.next().await.is_some());
        rig.api.drain.cancel();
        assert!(follower.next().await.is_none());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn runs_that_go_on_changing_keep_nothing_else_back() {
        let rig = Rig::new().await;
        let mut feed = Feed::open(&rig.api).await;
        feed.put(&rig.api, (1..=65).map(run).chain([finding()])).await;
        let mut follower = follower(&rig.api);
        let mut changed = 65;
        while follower.at[Followed::Finding] == 0 {
            assert!(changed < 65 * 10, "the finding does not come");
            // Each page that it reads is followed by a page of newer states.
            feed.put(&rig.api, (1..=65).map(run)).await;
            changed += 65;
            for _ in 0..64 {
                assert!(follower.next().await.is_some());
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_is_behind_shows_the_sensors() {
        let rig = Rig::new().await;
        Feed::open(&rig.api).await.put(&rig.api, (1..=200).map(run)).await;
        let mut follower = follower(&rig.api);
        assert!(follower.next().await.is_some());
        let _seat = rig.api.registry.seat("s1");
        follower.pending.clear();
        let shown = format!("{:?}", follower.next().await.unwrap());
        assert!(shown.contains("sensors"), "{shown}");
    }
}
