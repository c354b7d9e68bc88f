//! `sentry demo`: the whole story on this host, with real parts.
//!
//! A collector and a sensor of its own are started in a scratch directory (`scene`), a runaway is
//! launched under `sentry run --enforce --restart 1` (`worker`), and the sensor's API, the cgroup's
//! CPU counter, the collector's HTTP API and the ledger are watched (`watch`, `http`). Every number
//! printed is one that the sensor or the kernel gave; no time is taken from when a line was
//! printed. What did not happen is said, and the exit code is not 0 then.
//!
//! Limits: needs root. The runaway stops by itself: at most [`worker::MAX_PROCESSES`] processes, at
//! most [`worker::MAX_LIFE`].

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{
    args::DemoAgentArgs,
    client::block_on,
    error::CliError,
    exit::Exit,
    out,
    render::{BOLD, DIM, GREEN, RED, paint},
};

mod say;

mod http;

mod scene;

mod watch;

mod worker;

use say::{failure, say, step};
use scene::Scene;
use watch::Seen;

/// For the whole story; a warm run takes a third of it.
const STORY_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run() -> Result<Exit, CliError> {
    if !rustix::process::geteuid().is_root() {
        let what = "the demo starts a sensor, which needs root; run `sudo sentry demo`".into();
        return Err(CliError::Other { what, exit: Exit::NoPermission });
    }
    block_on(async {
        let stop = stop_signal()?;
        let mut scene = Scene::new()?;
        let told = tokio::select! {
            () = stop => None,
            told = tokio::time::timeout(STORY_LIMIT, tell(&mut scene)) => {
                Some(told.unwrap_or_else(|_late| Err(failure(&format!("not done after {STORY_LIMIT:?}")))))
            }
        };
        if matches!(told, Some(Ok(false) | Err(_))) {
            scene.show_logs();
        }
        let cleaned = scene.clean_up().await;
        let complete = told.unwrap_or_else(|| Err(failure("interrupted")))?;
        cleaned?;
        out::print(&if complete {
            paint(GREEN, "Everything was cleaned up.") + "\n"
        } else {
            paint(RED, "Not all of it happened; everything was cleaned up.") + "\n"
        })?;
        Ok(if complete { Exit::Ok } else { Exit::Failure })
    })
}

pub(super) fn agent(args: &DemoAgentArgs) -> Result<Exit, CliError> {
    worker::run(args)
}

/// Resolves when this process is asked to end.
fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    let listen =
        |kind| signal(kind).map_err(|source| CliError::System { what: "listen for signals", source });
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Shows the story. Returns whether all of it happened.
async fn tell(scene: &mut Scene) -> Result<bool, CliError> {
    say(&format!(
        "{} a collector and a sensor, with everything in {}",
        paint(BOLD, "Starting"),
        scene.dir()
    ))?;
    let http = scene.start_collector().await?;
    let mut client = scene.start_sensor().await?;
    say(&format!("{} a runaway: sentry run --enforce --restart 1", paint(BOLD, "Launching")))?;
    let mut seen = Seen::default();
    let status = watch::follow(&mut client, scene.start_runaway()?, &mut seen).await?;
    let mut complete = true;
    complete &= step(seen.peak().map(|peak| peak.to_string()), "the run's CPU use was never read")?;
    let recovered = status.success().then_some(()).and_then(|()| seen.recovered());
    let recovered =
        recovered.map(|run| format!("Process recovered: run {run} did its work and ended with 0"));
    complete &= step(recovered, &format!("the command did not recover ({status})"))?;
    complete &= seen.story_told();
    for missing in seen.missing() {
        step(None, missing)?;
    }
    complete &=
        step(collector_has(&http, &scene.key(), &seen).await, "the collector does not have the finding")?;
    complete &= step(ledger(scene), "the ledger could not be verified")?;
    Ok(complete)
}

/// The finding as the collector has it. Export is asynchronous, so it is asked until it is there.
async fn collector_has(http: &str, key: &str, seen: &Seen) -> Option<String> {
    const LIMIT: Duration = Duration::from_secs(10);
    const EVERY: Duration = Duration::from_millis(50);
    let finding = seen.finding()?;
    let path = format!("/api/v1/findings?run={}", finding.run);
    let found = tokio::time::timeout(LIMIT, async {
        loop {
            if let Ok(body) = http::get(http, &path, key).await
                && body.contains(&finding.id)
            {
                return;
            }
            tokio::time::sleep(EVERY).await;
        }
    });
    found.await.ok()?;
    let note = paint(DIM, &format!("http://{http}{path}"));
    Some(format!("Collector has finding {} ({}) {note}", finding.id, finding.rule))
}

fn ledger(scene: &Scene) -> Option<String> {
    let verified = sentry_agent::ledger::verify(&scene.ledger_dir()).ok()?;
    Some(format!("Ledger verified: {} entries in an unbroken chain", verified.entries))
}
