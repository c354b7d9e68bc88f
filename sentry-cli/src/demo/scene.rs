//! The demo's own processes and directory, and their end.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal};
use sentry_kernel::cgroup::{CgroupRoot, RUNS_DIR};
use sentry_proto::v1;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{
    super::{
        client::{Client, connect},
        error::CliError,
        out, query,
        render::{self, status},
    },
    say::failure,
    worker::LIVES,
};

const COLLECTOR: &str = "sentry-collector";

/// Until a part answers.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Until a part that was asked to end is killed.
const END_LIMIT: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Lines of a part's log that are shown when it failed.
const LOG_TAIL: usize = 15;

pub(super) struct Scene {
    dir: PathBuf,
    own: PathBuf,
    collector: Option<Child>,
    grpc: String,
    sensor: Option<Child>,
    runaway: Option<Child>,
}

impl Scene {
    pub(super) fn new() -> Result<Self, CliError> {
        let own = std::env::current_exe()
            .map_err(|source| CliError::System { what: "find the sentry executable", source })?;
        let dir = std::env::temp_dir().join(format!("agentsentry-demo-{}", uuid::Uuid::now_v7()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|source| CliError::Write { path: dir.clone(), source })?;
        Ok(Self { dir, own, collector: None, grpc: String::new(), sensor: None, runaway: None })
    }

    pub(super) fn dir(&self) -> std::path::Display<'_> {
        self.dir.display()
    }

    pub(super) fn ledger_dir(&self) -> PathBuf {
        self.state_dir().join("ledger")
    }

    fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("sensor.sock")
    }

    fn collector_dir(&self) -> PathBuf {
        self.dir.join("collector")
    }

    /// The collector's first key. Without one it answers nothing, which the story shows.
    pub(super) fn key(&self) -> String {
        fs::read_to_string(self.collector_dir().join("admin.key")).unwrap_or_default()
    }

    /// Returns the address of its HTTP API.
    pub(super) async fn start_collector(&mut self) -> Result<String, CliError> {
        let text = format!(
            "version: 1\nlisten_grpc: unix:{}\nlisten_http: 127.0.0.1:0\ndata_dir: {}\n",
            self.dir.join("feed.sock").display(),
            self.collector_dir().display()
        );
        let config = self.write("collector.yaml", &text)?;
        let beside = self.own.with_file_name(COLLECTOR);
        let program = if beside.exists() { beside } else { COLLECTOR.into() };
        let mut command = self.command(&program, "collector.log")?;
        command.arg("--config").arg(config).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| {
            failure(&format!("cannot start {}; install it beside sentry: {source}", program.display()))
        })?;
        let out = child.stdout.take();
        self.collector = Some(child);
        let mut line = String::new();
        if let Some(out) = out {
            let mut lines = BufReader::new(out);
            let read = tokio::time::timeout(START_LIMIT, lines.read_line(&mut line)).await;
            read.map_err(|_late| failure("the collector did not say where it listens"))?
                .map_err(|source| CliError::System { what: "read from the collector", source })?;
        }
        let addresses: serde_json::Value = serde_json::from_str(&line)
            .map_err(|_not_json| failure("the collector ended before it listened"))?;
        let address = |key: &str| {
            let value = addresses.get(key).and_then(serde_json::Value::as_str);
            value.map(str::to_owned).ok_or_else(|| failure("the collector does not say where it listens"))
        };
        self.grpc = address("grpc")?;
        address("http")
    }

    pub(super) async fn start_sensor(&mut self) -> Result<Client, CliError> {
        // A file of its own keeps the host's configuration out.
        let config = self.write("sensor.yaml", "version: 1\nsensor: {id: demo, group: ''}\n")?;
        let (state, socket) = (self.state_dir(), self.socket());
        let mut command = self.command(&self.own, "sensor.log")?;
        command.arg("sensor").arg("--config").arg(config);
        command.arg("--state-dir").arg(state).arg("--socket").arg(&socket);
        command.arg("--collector").arg(&self.grpc).stdout(Stdio::null());
        let mut child =
            command.spawn().map_err(|source| CliError::System { what: "start the sensor", source })?;
        let ready = tokio::time::timeout(START_LIMIT, async {
            loop {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(failure(&format!("the sensor ended at its start ({status})")));
                }
                if let Ok(mut client) = connect(&socket).await
                    && let Ok(reply) = client.status(v1::StatusRequest::default()).await
                    && reply.into_inner().health == status::SERVING
                {
                    return Ok(client);
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        });
        let ready = ready.await.unwrap_or_else(|_late| Err(failure("the sensor did not begin to serve")));
        self.sensor = Some(child);
        ready
    }

    /// `sentry run`, which the story follows to its end.
    pub(super) fn start_runaway(&mut self) -> Result<&mut Child, CliError> {
        let mut command = self.command(&self.own, "run.log")?;
        command.args(["run", "--name", "demo", "--enforce", "--restart", "1", "--socket"]);
        command.arg(self.socket()).arg("--").arg(&self.own).arg("demo-agent").arg("--dir").arg(&self.dir);
        let child = command
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| CliError::System { what: "start the runaway", source })?;
        Ok(self.runaway.insert(child))
    }

    /// In a process group of its own: Ctrl-C reaches the demo, which ends the parts in their order.
    fn command(&self, program: &Path, log: &str) -> Result<Command, CliError> {
        let path = self.dir.join(log);
        let log = File::create(&path).map_err(|source| CliError::Write { path, source })?;
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stderr(log).process_group(0).kill_on_drop(true);
        Ok(command)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, CliError> {
        let path = self.dir.join(name);
        fs::write(&path, text).map_err(|source| CliError::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// The end of each log, for a demo that failed.
    pub(super) fn show_logs(&self) {
        for log in ["collector.log", "sensor.log", "run.log"] {
            let text = fs::read_to_string(self.dir.join(log)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for line in lines.iter().skip(lines.len().saturating_sub(LOG_TAIL)) {
                out::note(&format!("{log}: {}\n", render::safe(line)));
            }
        }
    }

    /// Ends all parts, kills what the runs left, removes cgroups and directory.
    pub(super) async fn clean_up(&mut self) -> Result<(), CliError> {
        if let Some(mut runaway) = self.runaway.take() {
            // Not asked: it would hand the request on to a command that may be frozen, and wait.
            tell_error(runaway.kill().await);
        }
        // The runaway must not outlive the one that can stop it.
        for run in self.runs().await {
            end_group(&run);
        }
        for mut part in [self.sensor.take(), self.collector.take()].into_iter().flatten() {
            end(&mut part).await;
        }
        fs::remove_dir_all(&self.dir)
            .map_err(|source| CliError::System { what: "remove the demo's directory", source })
    }

    /// Ids of this demo's runs: as the sensor has them, and, where it died, as the runs noted
    /// themselves.
    async fn runs(&self) -> BTreeSet<String> {
        let notes = fs::read_dir(self.dir.join(LIVES)).into_iter().flatten();
        let mut runs: BTreeSet<String> =
            notes.filter_map(|note| note.ok()?.file_name().into_string().ok()).collect();
        if let Ok(mut client) = connect(&self.socket()).await
            && let Ok(listed) = query::runs(&mut client, true).await
        {
            runs.extend(listed.into_iter().map(|run| run.id));
        }
        runs
    }
}

fn end_group(run: &str) {
    let ended = CgroupRoot::find().and_then(|root| {
        let group = root.open(&Path::new(RUNS_DIR).join(run))?;
        group.kill(END_LIMIT)?;
        group.wait_empty(END_LIMIT)?;
        group.remove()
    });
    match ended {
        Err(error) if !error.is_gone() => {
            out::note(&format!("sentry: left behind: {}\n", sentry_service::error_chain(&error)));
        }
        _ => {}
    }
}

/// SIGTERM, time to drain, SIGKILL.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        && let Err(error) = rustix::process::kill_process(pid, Signal::TERM)
        // Not waited for yet, so the number is its own; it may have ended, which is what is wanted.
        && error != rustix::io::Errno::SRCH
    {
        tell_error(Err(error.into()));
    }
    if tokio::time::timeout(END_LIMIT, child.wait()).await.is_err() {
        tell_error(child.kill().await);
    }
}

fn tell_error(killed: io::Result<()>) {
    match killed {
        // It has ended already.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
            out::note(&format!("sentry: cannot end a part of the demo: {error}\n"));
        }
        _ => {}
    }
}
