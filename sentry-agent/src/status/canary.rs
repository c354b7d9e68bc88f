//! Does the sensor still see? A canary process acts under watch, and what it does has to come back.
//!
//! A hook that was detached behind the sensor's back, or that the kernel stopped calling, is
//! silent: only this check distinguishes it from an agent that does nothing. While runs exist a
//! canary flies every four seconds; a fact that does not come back within four seconds is an alarm
//! in the log and in `sentry health`, until it does. Late is not silent: while the canary has not
//! acted to its end, or the kernel has made records of it that are not read yet, nothing is judged,
//! for half a minute at most.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use sentry_common::fact::Fact;
use sentry_service::progress;
use tokio::{io::AsyncWriteExt as _, process::Command, time::Instant};

use crate::runs::{Registry, RunError, canary::Progress};

/// Between two flights.
pub const EVERY: Duration = Duration::from_secs(4);
/// How long an act may take to come back.
const WAIT: Duration = Duration::from_secs(4);
/// How long a busy machine may make its process and its records late.
const LATE: Duration = Duration::from_secs(30);
/// Between two looks at what has come back.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What the last flight showed.
#[derive(Debug, Default)]
pub struct CanaryState {
    silent: Mutex<Option<Result<Vec<Fact>, String>>>,
    /// One flight at a time.
    turn: tokio::sync::Mutex<()>,
    progress: Arc<progress::Progress>,
}

impl CanaryState {
    /// What is wrong, in words; `None` when all came back, or none has flown yet.
    #[must_use]
    pub fn alarm(&self) -> Option<String> {
        match &*self.silent.lock() {
            None => None,
            Some(Ok(silent)) if silent.is_empty() => None,
            Some(Ok(silent)) => {
                let names: Vec<_> = silent.iter().map(|fact| fact.name()).collect();
                Some(format!("silent hooks: {}", names.join("; ")))
            }
            Some(Err(error)) => Some(format!("the canary cannot fly: {error}")),
        }
    }

    /// That [`run`] goes on from turn to turn.
    #[must_use]
    pub fn progress(&self) -> Arc<progress::Progress> {
        Arc::clone(&self.progress)
    }

    /// Whether all of the last one came back.
    #[must_use]
    pub fn came_back(&self) -> bool {
        let silent = self.silent.lock();
        matches!(&*silent, Some(Ok(silent)) if silent.is_empty())
    }

    /// Sends one canary, with its files in `place`, and keeps what it showed.
    pub async fn fly(&self, registry: &Registry, place: &Path) {
        let _turn = self.turn.lock().await;
        let result = flight(registry, place).await.map_err(|error| sentry_service::error_chain(&error));
        let before = self.alarm();
        *self.silent.lock() = Some(result);
        match (before, self.alarm()) {
            (before, Some(alarm)) if before.as_ref() != Some(&alarm) => {
                tracing::error!(alarm, "the sensor does not see everything");
            }
            (Some(_), None) => tracing::info!("the sensor sees everything again"),
            _ => {}
        }
    }
}

/// Flies while runs exist, for ever.
pub async fn run(state: Arc<CanaryState>, registry: Arc<Registry>, place: PathBuf) {
    let mut timer = tokio::time::interval(EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once, before anything could have gone silent.
    timer.tick().await;
    loop {
        state.progress.begin();
        timer.tick().await;
        if !registry.live().is_empty() {
            state.fly(&registry, &place).await;
        }
    }
}

/// Why a canary could not fly.
#[derive(Debug, thiserror::Error)]
enum FlightError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cannot start its process")]
    Process(#[from] std::io::Error),
    #[error("cannot list the sensor's own attachments")]
    Attachments(#[source] std::io::Error),
    #[error("its process has not come to its end after {}", seconds(*waited))]
    Slow { waited: Duration },
    #[error("its records are late: {made} were made, {read} are read after {}", seconds(*waited))]
    Late { made: u64, read: u64, waited: Duration },
    #[error("{left_out} of its {made} records found no room")]
    LeftOut { made: u64, left_out: u64 },
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// Why what has not come back so far says nothing of the hooks; `None`: they are silent.
fn excuse(runs: bool, Progress { made, left_out, read }: Progress, waited: Duration) -> Option<FlightError> {
    if runs {
        Some(FlightError::Slow { waited })
    } else if made > read + left_out {
        Some(FlightError::Late { made, read, waited })
    } else if left_out > 0 {
        Some(FlightError::LeftOut { made, left_out })
    } else {
        None
    }
}

/// The facts that did not come back.
async fn flight(registry: &Registry, place: &Path) -> Result<Vec<Fact>, FlightError> {
    // It may have to attach the programs, which takes the kernel a while.
    let canary = tokio::task::block_in_place(|| registry.start_canary())?;
    let mut child = Command::new(crate::OWN_IMAGE)
        .arg("canary")
        .env_clear()
        .current_dir(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(pid) = child.id() {
        canary.enter(pid)?;
    }
    // It acts when it reads the byte, which is after it entered.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"!").await?;
    }
    let start = Instant::now();
    let (silent, excuse) = loop {
        let silent = canary.silent();
        let waited = start.elapsed();
        if silent.is_empty() {
            break (silent, None);
        }
        if waited >= WAIT {
            let excuse = excuse(child.try_wait()?.is_none(), registry.progress(&canary)?, waited);
            let may_come = matches!(excuse, Some(FlightError::Slow { .. } | FlightError::Late { .. }));
            if !may_come || waited >= LATE {
                break (silent, excuse);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    // Its exit is among what has to come back; after the time is up it is ended.
    child.kill().await?;
    // Of two programs with one fact, one may be gone and the fact still come back.
    let detached = registry.detached().map_err(FlightError::Attachments)?;
    match excuse {
        Some(excuse) if detached.is_empty() => Err(excuse),
        Some(_) => Ok(detached),
        None => Ok(with(silent, detached)),
    }
}

fn with(mut silent: Vec<Fact>, detached: Vec<Fact>) -> Vec<Fact> {
    for fact in detached {
        if !silent.contains(&fact) {
            silent.push(fact);
        }
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_neither_made_nor_left_out_is_silent() {
        let told = |runs, made, left_out, read| {
            let progress = Progress { made, left_out, read };
            excuse(runs, progress, Duration::from_millis(4_200)).map(|excuse| excuse.to_string())
        };
        assert_eq!(told(true, 3, 0, 3).as_deref(), Some("its process has not come to its end after 4 s"));
        let late = "its records are late: 37 were made, 0 are read after 4 s";
        assert_eq!(told(false, 37, 0, 0).as_deref(), Some(late));
        assert_eq!(told(false, 37, 2, 35).as_deref(), Some("2 of its 37 records found no room"));
        assert_eq!(told(false, 37, 0, 37), None);
    }
}
