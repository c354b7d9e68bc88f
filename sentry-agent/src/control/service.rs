//! The answers of `agentsentry.v1.Control`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sentry_detect::{
    decision::Action,
    run::{Mode, machine::Over},
};
use sentry_proto::v1::{self, control_server::Control};
use sentry_service::error_chain;
use sentry_story::{Search, question};
use sentry_view::{Exported, KeyChange};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    find::{find, live_run},
    listing::PageToken,
    peer::{Peer, identify},
    proof,
    record::Recorder,
    refusal::{blocking, stopping},
    report::Gather,
};
use crate::{
    AgentName,
    config::{Asked, Change},
    journal::{Filter, Form, JournalHandle},
    learn::agents::Agents,
    runs::{self, Registry, Run, Start},
    stage::{act::Case, by_hand::act_by_hand},
    status::{
        board::StatusBoard,
        metrics::{self, Meter},
    },
};

/// Most bytes of a request. More than `sentry` sends: it cuts the command before.
pub const REQUEST_BYTES: usize = 256 << 10;
/// Most bytes of an answer; a page is about 1 MiB.
pub const ANSWER_BYTES: usize = 4 << 20;
/// Calls of one connection at a time.
pub const CALLS_AT_ONCE: u32 = 8;
/// How long `Finish` waits for the members that outlive the command.
const LINGER: Duration = Duration::from_secs(2);
/// How long it waits for the last records of a run that has no members any more.
const SETTLE: Duration = Duration::from_secs(30);
/// Items of one answer that wait for a slow reader; each has at most 1 MiB.
const STREAM_QUEUE: usize = 16;
/// Messages of the ledger that wait for a slow reader; each has at most 1.3 MiB.
const PARTS_QUEUE: usize = 2;
/// Agents of one question about standings.
const STANDINGS: usize = 1_000;
/// Reports that are made, and archives that are noted, at one time: a report may read all that a
/// run has done.
pub const REPORTS_AT_ONCE: usize = 2;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct ControlService {
    pub registry: Arc<Registry>,
    pub journal: JournalHandle,
    pub cases: mpsc::Sender<Case>,
    /// Requests to read the configuration again.
    pub reload: mpsc::Sender<Asked>,
    pub status: Arc<StatusBoard>,
    pub meter: Arc<Meter>,
    /// `None`: no baselines are learned.
    pub agents: Option<Arc<Agents>>,
    /// For the files of a canary.
    pub runtime_dir: PathBuf,
    pub ledger_dir: PathBuf,
    pub reports: Arc<Semaphore>,
    /// Cancelled when the sensor begins to stop.
    pub stopping: CancellationToken,
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn start(&self, request: Request<v1::StartRequest>) -> Result<Response<v1::StartReply>, Status> {
        let peer = identify(&request, &self.registry)?;
        let request = request.into_inner();
        let start = start_of(request.name, request.mode, peer, request.command)?;
        let registry = Arc::clone(&self.registry);
        let run = blocking(move || registry.start(start)).await??;
        self.note_start(&run).await?;
        Ok(Response::new(v1::StartReply { run: Some(run.wire()) }))
    }

    async fn attend(&self, request: Request<v1::AttendRequest>) -> Result<Response<v1::AttendReply>, Status> {
        let peer = identify(&request, &self.registry)?;
        let run = self.registry.find(&request.into_inner().run)?;
        peer.may_act_on(run.uid, &run.id.0)?;
        tokio::select! {
            () = run.end() => {}
            () = self.stopping.cancelled() => {}
        }
        let state = runs::state(run.state()).into();
        Ok(Response::new(v1::AttendReply { state }))
    }

    async fn enter(&self, request: Request<v1::EnterRequest>) -> Result<Response<v1::EnterReply>, Status> {
        let peer = identify(&request, &self.registry)?;
        let run = self.registry.find(&request.into_inner().run)?;
        peer.may_act_on(run.uid, &run.id.0)?;
        let registry = Arc::clone(&self.registry);
        blocking(move || registry.enter(&run, peer.pid)).await??;
        Ok(Response::new(v1::EnterReply {}))
    }

    async fn finish(&self, request: Request<v1::FinishRequest>) -> Result<Response<v1::Report>, Status> {
        let peer = identify(&request, &self.registry)?;
        let id = request.into_inner().run;
        let mut left_over = Vec::new();
        if let Ok(run) = self.registry.find(&id) {
            peer.may_act_on(run.uid, &run.id.0)?;
            let mut ended = run.wait_end(LINGER).await;
            let mut count = self.registry.members(&run).len();
            if !ended && count == 0 {
                // No member is left, but records are still coming in.
                ended = run.wait_end(SETTLE).await;
                count = self.registry.members(&run).len();
            }
            if !ended {
                left_over.push(format!(
                    "{count} processes of the run outlived its command and are still watched; `sentry kill \
                    {id}` ends them"
                ));
            }
        }
        self.report(id, left_over).await.map(Response::new)
    }

    async fn tag(&self, request: Request<v1::TagRequest>) -> Result<Response<v1::StartReply>, Status> {
        let peer = identify(&request, &self.registry)?;
        peer.must_be_root("tag a cgroup, which takes the processes of others under watch")?;
        let request = request.into_inner();
        let start = start_of(request.name, request.mode, peer, Vec::new())?;
        let registry = Arc::clone(&self.registry);
        let path = PathBuf::from(request.cgroup);
        let run = blocking(move || registry.tag(&path, start)).await??;
        self.note_start(&run).await?;
        Ok(Response::new(v1::StartReply { run: Some(run.wire()) }))
    }

    async fn untag(&self, request: Request<v1::TargetRequest>) -> Result<Response<v1::Report>, Status> {
        let peer = identify(&request, &self.registry)?;
        peer.must_be_root("untag a cgroup")?;
        let run = live_run(&self.registry, &self.journal, &request.into_inner().target).await?;
        tracing::info!(run.id = %run.id, agent = run.agent.name, user.id = peer.uid, "run is to be let go");
        let (service, released) = (self.clone(), Arc::clone(&run));
        // To the end, also when the caller goes away: a run whose tags are void must not stay on
        // the list.
        let (done, ended) = oneshot::channel();
        self.status.spawn(async move {
            let result = service.let_go(&released).await;
            // The caller may have gone away.
            let _gone = done.send(result);
        });
        ended.await.map_err(|_closed| stopping())??;
        self.report(run.id.0.clone(), Vec::new()).await.map(Response::new)
    }

    async fn runs(&self, request: Request<v1::RunsRequest>) -> Result<Response<v1::RunsReply>, Status> {
        identify(&request, &self.registry)?;
        let request = request.into_inner();
        let page = match request.page_token.parse()? {
            PageToken::Live(after) => {
                super::listing::live(&self.registry.live(), &after, request.include_ended)
            }
            PageToken::Kept(after) => {
                let live = self.registry.live();
                let kept = self.journal.runs_page(after).await?;
                super::listing::kept(kept, |id| live.iter().any(|run| run.id.0 == id))
            }
        };
        Ok(Response::new(page))
    }

    type ItemsStream = ReceiverStream<Result<v1::StoredItem, Status>>;

    async fn items(&self, request: Request<v1::ItemsRequest>) -> Result<Response<Self::ItemsStream>, Status> {
        identify(&request, &self.registry)?;
        let request = request.into_inner();
        let run = match &request.run {
            Some(target) => Some(find(&self.registry, &self.journal, target).await?.id),
            None => None,
        };
        // To look for nothing in particular must not cost a look at everything.
        let asked = request.search.as_ref().filter(|search| **search != v1::Search::default());
        let search = asked.map(Search::new).transpose();
        let search = search.map_err(|error| Status::invalid_argument(error_chain(&error)))?;
        let kinds = request.kinds().collect();
        let (question, sieve) = (asked.map(question), search.as_ref().and_then(Search::sieve));
        let filter = Filter { run, agent: request.agent, kinds, question, sieve, ..Filter::default() };
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let stopping = self.stopping.clone();
        let pump = super::pump::Pump { journal: self.journal.clone(), filter, search, sender, stopping };
        self.status.spawn(pump.run(request.limit, request.follow));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn report_of(&self, request: Request<v1::TargetRequest>) -> Result<Response<v1::Report>, Status> {
        identify(&request, &self.registry)?;
        let run = find(&self.registry, &self.journal, &request.into_inner().target).await?;
        self.report(run.id, Vec::new()).await.map(Response::new)
    }

    async fn act(&self, request: Request<v1::ActRequest>) -> Result<Response<v1::ActReply>, Status> {
        let peer = identify(&request, &self.registry)?;
        let request = request.into_inner();
        let action = match request.action() {
            v1::Action::Freeze => Action::Freeze,
            v1::Action::Thaw => Action::Thaw,
            v1::Action::Kill => Action::Kill,
            other => {
                return Err(Status::invalid_argument(format!(
                    "{} cannot be asked for; freeze, thaw and kill can",
                    other.as_str_name()
                )));
            }
        };
        let run = live_run(&self.registry, &self.journal, &request.target).await?;
        peer.may_act_on(run.uid, &run.id.0)?;
        let reason = if request.reason.is_empty() { "asked for by hand".into() } else { request.reason };
        let (decision, outcome) =
            act_by_hand(&self.cases, &run, action, format!("user:{}", peer.uid), reason).await?;
        Ok(Response::new(v1::ActReply {
            decision: Some(v1::Decision::from(&decision)),
            outcome: Some(v1::Outcome::from(&outcome)),
        }))
    }

    async fn reload(&self, request: Request<v1::ReloadRequest>) -> Result<Response<v1::ReloadReply>, Status> {
        let peer = identify(&request, &self.registry)?;
        peer.must_be_root("have the configuration read again, which holds for the runs of others")?;
        let (asked, answer) = oneshot::channel();
        self.reload.send(asked).await.map_err(|_closed| stopping())?;
        let reply = match answer.await.map_err(|_closed| stopping())? {
            Ok(change) => reply_of(change),
            Err(errors) => v1::ReloadReply { errors, ..v1::ReloadReply::default() },
        };
        Ok(Response::new(reply))
    }

    type LedgerStream = ReceiverStream<Result<v1::LedgerPart, Status>>;

    async fn ledger(
        &self,
        request: Request<v1::LedgerRequest>,
    ) -> Result<Response<Self::LedgerStream>, Status> {
        identify(&request, &self.registry)?;
        let begins = proof::begins(request.into_inner())?;
        let (sender, receiver) = mpsc::channel(PARTS_QUEUE);
        self.status.spawn(proof::serve(self.ledger_dir.clone(), begins, sender, self.stopping.clone()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn note_export(
        &self,
        request: Request<v1::NoteExportRequest>,
    ) -> Result<Response<v1::NoteExportReply>, Status> {
        let peer = identify(&request, &self.registry)?;
        let v1::NoteExportRequest { run, manifest_sha256 } = request.into_inner();
        let manifest_sha256 = proof::sha256(manifest_sha256)?;
        let run = find(&self.registry, &self.journal, &run).await?.id;
        let exported = Exported { run, origin: format!("user:{}", peer.uid), manifest_sha256 };
        let turn = Arc::clone(&self.reports).acquire_owned().await.map_err(|_closed| stopping())?;
        let (service, (told, answer)) = (self.clone(), oneshot::channel());
        // To the end, also when the caller goes away: an act must not wait behind as many entries
        // as somebody cares to ask for.
        self.status.spawn(async move {
            let durable = service.note_exported(exported).await;
            drop(turn);
            let _gone = told.send(durable);
        });
        if answer.await.map_err(|_closed| stopping())?? {
            return Ok(Response::new(v1::NoteExportReply {}));
        }
        Err(Status::aborted(
            "the ledger's disk has not taken the entry yet; see `sentry health`, then try again",
        ))
    }

    type RecordStream = ReceiverStream<Result<v1::RecordedBytes, Status>>;

    async fn record(
        &self,
        request: Request<v1::TargetRequest>,
    ) -> Result<Response<Self::RecordStream>, Status> {
        identify(&request, &self.registry)?;
        let run = find(&self.registry, &self.journal, &request.into_inner().target).await?;
        if let Ok(live) = self.registry.find(&run.id) {
            let journal = self.journal.clone();
            let parts = move || live.tape(true).map(|part| (live.id.0.clone(), part)).into_iter().collect();
            blocking(move || journal.submit_tapes(parts())).await?;
        }
        self.journal.flush().await?;
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let (journal, stopping) = (self.journal.clone(), self.stopping.clone());
        self.status.spawn(Recorder { journal, run, sender, stopping }.run());
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusReply>, Status> {
        identify(&request, &self.registry)?;
        if request.get_ref().canary {
            self.status.canary.fly(&self.registry, &self.runtime_dir).await;
        }
        Ok(Response::new(self.status.reply(&self.registry, &self.journal)))
    }

    async fn standing(
        &self,
        request: Request<v1::StandingRequest>,
    ) -> Result<Response<v1::StandingReply>, Status> {
        identify(&request, &self.registry)?;
        let mut names = request.into_inner().agents;
        names.truncate(STANDINGS);
        let Some(agents) = self.agents.clone() else {
            return Ok(Response::new(v1::StandingReply::default()));
        };
        // It reads the files of agents without a live run.
        let agents = blocking(move || agents.standings(&names)).await?;
        Ok(Response::new(v1::StandingReply { agents }))
    }

    async fn metrics(
        &self,
        request: Request<v1::MetricsRequest>,
    ) -> Result<Response<v1::MetricsReply>, Status> {
        identify(&request, &self.registry)?;
        let families = self.meter.families().into_iter().map(metrics::wire).collect();
        Ok(Response::new(v1::MetricsReply { families }))
    }
}

impl ControlService {
    async fn note_start(&self, run: &Arc<Run>) -> Result<(), Status> {
        let (noted, done) = oneshot::channel();
        self.send(Case::Started { run: Arc::clone(run), noted }).await?;
        done.await.map_err(|_closed| stopping())
    }

    /// Whether the ledger's disk has taken the entry.
    async fn note_exported(&self, exported: Exported) -> Result<bool, Status> {
        let (noted, done) = oneshot::channel();
        self.send(Case::Exported { exported, noted }).await?;
        done.await.map_err(|_closed| stopping())
    }

    /// Ends the watch over a run whose processes live on. The act stage thaws it if it is frozen.
    async fn let_go(&self, run: &Arc<Run>) -> Result<(), Status> {
        let (registry, released) = (Arc::clone(&self.registry), Arc::clone(run));
        blocking(move || registry.release(&released)).await??;
        run.wait_read(LINGER).await;
        self.send(Case::Over { run: Arc::clone(run), over: Over::Released }).await?;
        if !run.wait_end(LINGER).await {
            return Err(Status::deadline_exceeded(
                "the sensor is busy; the run will end soon, see `sentry agents`",
            ));
        }
        Ok(())
    }

    async fn send(&self, case: Case) -> Result<(), Status> {
        self.cases.send(case).await.map_err(|_closed| stopping())
    }

    async fn report(&self, id: String, mut limits: Vec<String>) -> Result<v1::Report, Status> {
        let _turn = self.reports.acquire().await.map_err(|_closed| stopping())?;
        limits.extend(self.status.limits());
        self.journal.flush().await?;
        if let Ok(run) = self.registry.find(&id)
            && !run.is_ended()
        {
            self.registry.read_flows(&run);
        }
        let run = find(&self.registry, &self.journal, &id).await?;
        let form = Form::Blocks;
        let filter = Filter { run: Some(run.id.clone()), form, ..Filter::default() };
        let mut gather = Gather::default();
        let mut from = Some(0);
        while let Some(start) = from {
            let page = self.journal.page(filter.clone(), start).await?;
            for (_seq, item) in page.items {
                gather.item(item);
            }
            from = page.next;
        }
        Ok(gather.report(run, limits, self.registry.sensitive().own()))
    }
}

/// What a caller asks to be watched.
fn start_of(name: String, mode: i32, peer: Peer, command: Vec<String>) -> Result<Start, Status> {
    let name: String =
        AgentName::try_from(name).map_err(|error| Status::invalid_argument(error.to_string()))?.into();
    let mode = match v1::Mode::try_from(mode) {
        Ok(v1::Mode::Enforce) => Mode::Enforce,
        Ok(v1::Mode::Observe | v1::Mode::Unspecified) | Err(_) => Mode::Observe,
    };
    Ok(Start { name, mode, uid: peer.uid, command, selected_by: String::new() })
}

fn reply_of(change: Change) -> v1::ReloadReply {
    let Change { changed, needs_restart } = change;
    let of_key = |KeyChange { key, before, after }| v1::KeyChange { key, before, after };
    v1::ReloadReply {
        changed: changed.into_iter().map(of_key).collect(),
        needs_restart: needs_restart.into_iter().map(str::to_owned).collect(),
        errors: Vec::new(),
    }
}
