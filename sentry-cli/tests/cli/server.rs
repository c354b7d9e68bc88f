//! A control service that notes what it is asked and answers what the test gave it.

use std::{
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};

use sentry_proto::v1::{
    self,
    control_server::{Control, ControlServer},
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, transport::server::UdsConnectInfo};

type Answer<T> = Result<Response<T>, Status>;

/// What was asked, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    Start(v1::StartRequest),
    /// Run, and the process that entered.
    Enter(String, u32),
    Finish(String),
    Items(Box<v1::ItemsRequest>),
    Act(v1::ActRequest),
}

/// The answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// Of the nth Finish.
    pub(crate) reports: Vec<v1::Report>,
    pub(crate) items: Vec<v1::item::Item>,
    pub(crate) runs: Vec<v1::Run>,
    pub(crate) act: v1::ActReply,
    pub(crate) status: v1::StatusReply,
    pub(crate) reload: v1::ReloadReply,
    pub(crate) standings: Vec<v1::Standing>,
    /// Refuses every call with this message.
    pub(crate) refuse: Option<&'static str>,
}

/// The service on a socket of its own, until it is dropped.
pub(crate) struct Sensor {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Sensor {
    pub(crate) fn with(script: Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let asked = Arc::default();
        let service = Service { script, asked: Arc::clone(&asked) };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let path = dir.path().join("sensor.sock");
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(path).unwrap() });
        let server = tonic::transport::Server::builder().add_service(ControlServer::new(service));
        runtime.spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        Self { dir, asked, _runtime: runtime }
    }

    pub(crate) fn new() -> Self {
        Self::with(Script::default())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sensor.sock")
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `sentry` with its socket set to this one.
    pub(crate) fn sentry(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentry"));
        command.args(arguments).env("AGENTSENTRY_SOCKET", self.socket());
        command
    }
}

struct Service {
    script: Script,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    fn note(&self, asked: Asked) -> Result<usize, Status> {
        if let Some(message) = self.script.refuse {
            return Err(Status::permission_denied(message));
        }
        let mut all = self.asked.lock().unwrap();
        all.push(asked);
        Ok(all.len())
    }

    fn count(&self, of: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| of(asked)).count()
    }
}

#[tonic::async_trait]
impl Control for Service {
    async fn start(&self, request: Request<v1::StartRequest>) -> Answer<v1::StartReply> {
        self.note(Asked::Start(request.into_inner()))?;
        let number = self.count(|asked| matches!(asked, Asked::Start(_)));
        let run = v1::Run { id: format!("run-{number}"), ..v1::Run::default() };
        Ok(Response::new(v1::StartReply { run: Some(run) }))
    }

    async fn enter(&self, request: Request<v1::EnterRequest>) -> Answer<v1::EnterReply> {
        let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
        let pid = peer.and_then(|peer| peer.pid()).map_or(0, i32::unsigned_abs);
        self.note(Asked::Enter(request.into_inner().run, pid))?;
        Ok(Response::new(v1::EnterReply {}))
    }

    async fn finish(&self, request: Request<v1::FinishRequest>) -> Answer<v1::Report> {
        let finished = self.count(|asked| matches!(asked, Asked::Finish(_)));
        self.note(Asked::Finish(request.into_inner().run))?;
        Ok(Response::new(self.script.reports.get(finished).cloned().unwrap_or_default()))
    }

    /// The run goes on and on.
    async fn attend(&self, _request: Request<v1::AttendRequest>) -> Answer<v1::AttendReply> {
        std::future::pending().await
    }

    async fn tag(&self, _request: Request<v1::TagRequest>) -> Answer<v1::StartReply> {
        Err(Status::not_found("cgroup /x does not exist any more"))
    }

    async fn untag(&self, _request: Request<v1::TargetRequest>) -> Answer<v1::Report> {
        Ok(Response::new(v1::Report::default()))
    }

    async fn runs(&self, _request: Request<v1::RunsRequest>) -> Answer<v1::RunsReply> {
        Ok(Response::new(v1::RunsReply { runs: self.script.runs.clone(), next_page_token: String::new() }))
    }

    type ItemsStream = tokio_stream::Iter<std::vec::IntoIter<Result<v1::StoredItem, Status>>>;

    async fn items(&self, request: Request<v1::ItemsRequest>) -> Answer<Self::ItemsStream> {
        self.note(Asked::Items(Box::new(request.into_inner())))?;
        let items = self.script.items.iter().cloned();
        let stored =
            items.map(|item| Ok(v1::StoredItem { seq: 1, item: Some(v1::Item { item: Some(item) }) }));
        Ok(Response::new(tokio_stream::iter(stored.collect::<Vec<_>>())))
    }

    async fn report_of(&self, _request: Request<v1::TargetRequest>) -> Answer<v1::Report> {
        Ok(Response::new(self.script.reports.first().cloned().unwrap_or_default()))
    }

    async fn act(&self, request: Request<v1::ActRequest>) -> Answer<v1::ActReply> {
        self.note(Asked::Act(request.into_inner()))?;
        Ok(Response::new(self.script.act.clone()))
    }

    async fn metrics(&self, _request: Request<v1::MetricsRequest>) -> Answer<v1::MetricsReply> {
        let label = v1::MetricLabel { name: "rule".into(), value: "exec-loop".into() };
        let sample = v1::MetricSample { suffix: String::new(), labels: vec![label], value: 3.0 };
        let family = v1::MetricFamily {
            name: "s_findings_total".into(),
            kind: v1::MetricKind::Counter.into(),
            help: "Findings.".into(),
            samples: vec![sample],
        };
        Ok(Response::new(v1::MetricsReply { families: vec![family] }))
    }

    async fn standing(&self, request: Request<v1::StandingRequest>) -> Answer<v1::StandingReply> {
        let names = request.into_inner().agents;
        let agents = self.script.standings.iter().filter(|standing| names.contains(&standing.agent));
        Ok(Response::new(v1::StandingReply { agents: agents.cloned().collect() }))
    }

    async fn status(&self, _request: Request<v1::StatusRequest>) -> Answer<v1::StatusReply> {
        Ok(Response::new(self.script.status.clone()))
    }

    async fn reload(&self, _request: Request<v1::ReloadRequest>) -> Answer<v1::ReloadReply> {
        Ok(Response::new(self.script.reload.clone()))
    }

    type LedgerStream = tokio_stream::Empty<Result<v1::LedgerPart, Status>>;

    async fn ledger(&self, _request: Request<v1::LedgerRequest>) -> Answer<Self::LedgerStream> {
        Ok(Response::new(tokio_stream::empty()))
    }

    type RecordStream = tokio_stream::Empty<Result<v1::RecordedBytes, Status>>;

    async fn record(&self, _request: Request<v1::TargetRequest>) -> Answer<Self::RecordStream> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn note_export(&self, _request: Request<v1::NoteExportRequest>) -> Answer<v1::NoteExportReply> {
        Err(Status::aborted("the ledger's disk has not taken the entry yet"))
    }
}
