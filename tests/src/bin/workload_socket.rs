//! `workload_socket SOCKET HOW [CGROUP]`: speaks to the sensor's control socket without `sentry`,
//! and prints how every call was answered. HOW: `direct`, or `hidden` (as an orphan in a session of
//! its own and in CGROUP).
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::{fs, path::Path};

use hyper_util::rt::TokioIo;
use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, fork, setsid},
};
use sentry_proto::v1::{self, control_client::ControlClient};
use sentry_tests::work::{Arguments, Deadline, Failure};
use tokio::net::UnixStream;
use tonic::{Status, transport::Endpoint};

fn main() -> Result<(), Failure> {
    let life = Deadline::new();
    let mut args = Arguments::new();
    let (socket, how) = (args.path("SOCKET")?, args.text("HOW")?);
    if how != "hidden" {
        return call(&socket);
    }
    let group = args.path("CGROUP")?;
    // SAFETY: this process has one thread, so the child may go on with everything it has.
    if let ForkResult::Parent { child } = unsafe { fork() }? {
        waitpid(child, None)?;
        return Ok(());
    }
    life.arm();
    setsid()?;
    fs::write(group.join("cgroup.procs"), std::process::id().to_string())?;
    call(&socket)
}

fn call(socket: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_uri: tonic::transport::Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://sensor.local").connect_with_connector(connector).await?;
        let mut client = ControlClient::new(channel);
        let start = v1::StartRequest { name: "another".into(), ..v1::StartRequest::default() };
        let run = std::env::var("AGENTSENTRY_RUN").unwrap_or_default();
        let thaw =
            v1::ActRequest { target: run.clone(), action: v1::Action::Thaw.into(), reason: String::new() };
        told("status", client.status(v1::StatusRequest::default()).await);
        told("runs", client.runs(v1::RunsRequest::default()).await);
        told("items", client.items(v1::ItemsRequest::default()).await);
        told("start", client.start(start).await);
        told("enter", client.enter(v1::EnterRequest { run: run.clone() }).await);
        told("finish", client.finish(v1::FinishRequest { run: run.clone() }).await);
        told("untag", client.untag(v1::TargetRequest { target: run.clone() }).await);
        told("report", client.report_of(v1::TargetRequest { target: run }).await);
        told("act", client.act(thaw).await);
        Ok(())
    })
}

fn told<T>(call: &str, answer: Result<tonic::Response<T>, Status>) {
    match answer {
        Ok(_) => println!("{call}: Ok"),
        Err(status) => println!("{call}: {:?}: {}", status.code(), status.message()),
    }
}
