//! Does the sensor still see? A canary process acts under watch, and what it does has to come back.
//!
//! A hook that was detached behind the sensor's back, or that the kernel stopped calling, is silent: nothing else tells
//! it apart from an agent that does nothing. While runs exist a canary flies every four seconds; a fact that does not come
//! back within four seconds is an alarm in the log and in `sentry health`, until it does.

use std::{
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, process::Command, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::runs::{Registry, RunError};

/// Between two flights.
pub const EVERY: Duration = Duration::from_secs(4);
/// How long an act may take to come back.
const WAIT: Duration = Duration::from_secs(4);
/// Between two looks at what has come back.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What the last flight showed.
#[derive(Debug, Default)]
pub struct CanaryState {
    silent: Mutex<Option<Result<Vec<&'static str>, String>>>,
    /// One flight at a time.
    turn: tokio::sync::Mutex<()>,
}

impl CanaryState {
    /// What is wrong, in words; `None` when all came back, or none has flown yet.
    #[must_use]
    pub fn alarm(&self) -> Option<String> {
        match &*self.silent.lock().unwrap_or_else(PoisonError::into_inner) {
            None => None,
            Some(Ok(silent)) if silent.is_empty() => None,
            Some(Ok(silent)) => Some(format!("silent hooks: {}", silent.join("; "))),
            Some(Err(error)) => Some(format!("the canary cannot fly: {error}")),
        }
    }

    /// Sends one canary and keeps what it showed.
    pub async fn fly(&self, registry: &Registry) {
        let _turn = self.turn.lock().await;
        let result = flight(registry).await.map_err(|error| crate::error_chain(&error));
        let before = self.alarm();
        *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        match (before, self.alarm()) {
            (before, Some(alarm)) if before.as_ref() != Some(&alarm) => {
                tracing::error!(alarm, "the sensor does not see everything");
            }
            (Some(_), None) => tracing::info!("the sensor sees everything again"),
            _ => {}
        }
    }
}

/// Flies while runs exist, until cancelled.
pub async fn run(state: Arc<CanaryState>, registry: Arc<Registry>, token: CancellationToken) {
    let mut timer = tokio::time::interval(EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once, before anything could have gone silent.
    timer.tick().await;
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            _ = timer.tick() => {}
        }
        if !registry.live().is_empty() {
            state.fly(&registry).await;
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
}

/// The facts that did not come back.
async fn flight(registry: &Registry) -> Result<Vec<&'static str>, FlightError> {
    // It may have to attach the programs, which takes the kernel a while.
    let canary = tokio::task::block_in_place(|| registry.start_canary())?;
    let mut child = Command::new(crate::OWN_IMAGE)
        .arg("canary")
        .env_clear()
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
    let end = Instant::now() + WAIT;
    loop {
        let silent = canary.silent();
        if silent.is_empty() || Instant::now() >= end {
            // Its exit is among what has to come back; after the time is up it is ended.
            child.kill().await?;
            // Of two programs with one fact, one may be gone and the fact still come back.
            let detached = registry.detached().map_err(FlightError::Attachments)?;
            return Ok(with(silent, detached));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn with(mut silent: Vec<&'static str>, detached: Vec<&'static str>) -> Vec<&'static str> {
    for fact in detached {
        if !silent.contains(&fact) {
            silent.push(fact);
        }
    }
    silent
}
