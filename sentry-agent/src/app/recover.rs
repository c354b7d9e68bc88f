//! What one sensor life leaves to the next: the runs as last reported to the journal, and how the
//! next life takes them up.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use sentry_detect::{
    finding::Finding,
    run::{Input, Mode, State},
    runaway::{RuleId, RunawaySignal, Severity},
};
use sentry_proto::v1::{self, item::Item as Kind};
use sentry_service::{error_chain, notify};

use crate::{
    journal::{JournalError, JournalHandle},
    ledger::{Note, OpenRuns, open_runs, pending::PendingLedger},
    runs::{Registry, Run, RunError},
};

/// Time between two reports of a run whose counters change. If the sensor is killed, the next one
/// does not know what was counted since the last report.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Reports every changed run to the journal, again and again.
pub(super) async fn keep_telling(registry: Arc<Registry>, journal: JournalHandle) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        tell(&registry, &journal).await;
        keep_tapes(&registry, &journal, false).await;
    }
}

/// Has the journal keep what the live runs were judged by: all of it, or where it is worth a row.
pub(crate) async fn keep_tapes(registry: &Arc<Registry>, journal: &JournalHandle, all: bool) {
    /// Parts of one commit.
    const PARTS: usize = 64;
    let (registry, journal) = (Arc::clone(registry), journal.clone());
    let keeping = tokio::task::spawn_blocking(move || {
        for runs in registry.live().chunks(PARTS) {
            let parts = runs.iter().filter_map(|run| Some((run.id.0.clone(), run.tape(all)?)));
            journal.submit_tapes(parts.collect());
        }
    });
    if let Err(error) = keeping.await {
        tracing::error!(%error, "cannot hand what runs were judged by to the journal");
    }
}

/// Reports every live run to the journal that has changed since its last report.
pub(crate) async fn tell(registry: &Arc<Registry>, journal: &JournalHandle) {
    let (registry, journal) = (Arc::clone(registry), journal.clone());
    // On a thread that may wait for room: a run must not be lost in a flood of its own events.
    let telling = tokio::task::spawn_blocking(move || {
        for run in registry.live() {
            if registry.read(&run) {
                run.report(|run| {
                    let _writer_ended = journal.submit_waiting(v1::Item { item: Some(Kind::Run(run)) });
                });
            }
        }
    });
    if let Err(error) = telling.await {
        tracing::error!(%error, "cannot report the runs to the journal");
    }
}

/// The runs that stand frozen now.
fn frozen(registry: &Registry) -> Vec<String> {
    let live = registry.live().into_iter();
    live.filter(|run| run.state() == State::Frozen).map(|run| run.id.0.clone()).collect()
}

/// For the service manager, while the sensor serves.
pub(super) fn standing(registry: &Registry) -> String {
    match frozen(registry).as_slice() {
        [] => "serving".into(),
        [run] => format!("serving; run {run} is still frozen, `sentry thaw {run}` lets it go on"),
        runs => format!("serving; {} runs are still frozen, `sentry agents` lists them", runs.len()),
    }
}

/// Says which runs stay frozen while the sensor is away: to let them go on unwatched would undo
/// what stopped them.
pub(super) fn leave_frozen(registry: &Registry) {
    let frozen = frozen(registry);
    for run in &frozen {
        tracing::warn!(run.id = run, "run stays frozen; start the sensor and thaw or kill it");
    }
    let status = match frozen.as_slice() {
        [] => return,
        [run] => format!("run {run} stays frozen; start the sensor, then `sentry thaw {run}` lets it go on"),
        runs => format!(
            "{} runs stay frozen; start the sensor, then `sentry thaw RUN` lets one go on, `sentry agents` \
            lists them",
            runs.len()
        ),
    };
    notify::status(&status);
}

/// The sources of the recovery, and its targets.
pub(crate) struct Life<'a> {
    pub(crate) registry: &'a Arc<Registry>,
    pub(crate) journal: &'a JournalHandle,
    pub(crate) ledger: &'a PendingLedger,
    pub(crate) ledger_dir: &'a Path,
    /// Of the ledger that this one took the place of just now.
    pub(crate) kept_ledger: Option<&'a Path>,
    /// For runs of which not even the mode is known.
    pub(crate) strictest: Mode,
}

impl Life<'_> {
    /// Takes up the runs that still have processes, ends the others in the books, and sweeps up the
    /// canaries. The journal is asked first, then the ledger, then the cgroups themselves: a run
    /// that only they know is a trouble, in words.
    ///
    /// What of runs is left is their cgroups: the kernel's tables and tags are those of the
    /// programs, and go with the process that loaded them.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) async fn take_up(&self) -> Result<Vec<String>, JournalError> {
        self.registry.sweep_canaries();
        let stored = self.journal.runs(false).await?;
        let asked: HashSet<String> = stored.iter().map(|run| run.id.clone()).collect();
        let OpenRuns { mut open, ended } = open_runs(self.ledger_dir, &asked);
        let in_ledger: HashSet<String> = open.keys().cloned().collect();
        if let Some(kept) = self.kept_ledger {
            for (id, run) in open_runs(kept, &asked).open {
                open.entry(id).or_insert(run);
            }
        }
        for run in stored {
            open.remove(&run.id);
            let ended_there = ended.contains(&run.id);
            match self.registry.adopt(run.clone()) {
                Ok(live) => {
                    tracing::info!(run.id = %live.id, "run of an earlier sensor life is watched again");
                    if !in_ledger.contains(&live.id.0) {
                        self.ledger.note(Note::RunStarted(live.wire()));
                    }
                    self.tell(Kind::Run(live.wire()));
                }
                Err(error) => self.over(run, &error, !ended_there),
            }
        }
        let mut troubles = Vec::new();
        for (id, run) in open {
            self.only_in_the_ledger(run, in_ledger.contains(&id)).await?;
        }
        for run in self.registry.unknown_runs(self.strictest) {
            troubles.extend(self.known_to_nobody(run));
        }
        // Who asks as soon as the sensor answers must not read of a run that is over.
        self.journal.flush().await?;
        Ok(troubles)
    }

    /// The run has no members left: writes its end.
    fn over(&self, run: v1::Run, error: &RunError, in_ledger_too: bool) {
        tracing::info!(
            run.id = run.id,
            reason = %error_chain(error),
            "run of an earlier sensor life is over"
        );
        let run = v1::Run {
            state: v1::RunState::Ended.into(),
            ended_unix_ns: Some(self.registry.clock().unix_ns()),
            end_unseen: true,
            interruptions: run.interruptions + 1,
            ..run
        };
        if in_ledger_too {
            self.ledger.note(Note::RunEnded(run.clone()));
        }
        self.tell(Kind::Run(run));
    }

    /// The ledger has its beginning and no end; the journal does not know that it lives. A sensor
    /// that is killed just after it began a run leaves it so: the ledger is written first, the
    /// journal a moment later.
    async fn only_in_the_ledger(&self, begun: v1::Run, in_this_one: bool) -> Result<(), JournalError> {
        if let Some(ended) = self.journal.run(begun.id.clone()).await? {
            // Its end reached only one of journal and ledger.
            self.ledger.note(Note::RunEnded(ended));
            return Ok(());
        }
        match self.registry.adopt(begun.clone()) {
            Ok(run) => {
                tracing::warn!(run.id = %run.id, "run that only the ledger had is watched again");
                if !in_this_one {
                    self.ledger.note(Note::RunStarted(run.wire()));
                }
                self.tell(Kind::Run(run.wire()));
            }
            Err(error) => self.over(begun, &error, true),
        }
        Ok(())
    }

    /// Processes are in a cgroup of ours, and nothing says how they came there.
    fn known_to_nobody(&self, found: v1::Run) -> Option<String> {
        let path = found.cgroup_path.clone();
        match self.registry.adopt(found) {
            Ok(run) => {
                let trouble = format!("run {} of unknown origin was found in {path}; it is watched", run.id);
                tracing::error!(run.id = %run.id, path, "a run of unknown origin is watched from now on");
                let alarm = alarm(&run, &path);
                self.ledger.note(Note::RunStarted(run.wire()));
                self.ledger.note(Note::Finding(alarm.clone()));
                run.step(Input::Found);
                self.tell(Kind::Run(run.wire()));
                self.tell(Kind::Finding(v1::Finding::from(&alarm)));
                Some(trouble)
            }
            // Its last process has just ended.
            Err(RunError::Deserted { .. }) => None,
            Err(error) => {
                let why = error_chain(&error);
                tracing::error!(path, why, "a run of unknown origin cannot be watched");
                Some(format!("a run of unknown origin in {path} cannot be watched: {why}"))
            }
        }
    }

    fn tell(&self, kind: Kind) {
        // A full queue is counted there and covered by a Gap.
        let _counted_there = self.journal.submit(v1::Item { item: Some(kind) });
    }
}

/// The finding that stands for a run of unknown origin.
fn alarm(run: &Run, path: &str) -> Finding {
    let now = run.clock().unix_ns();
    Finding {
        id: format!("{}-f-0", run.event_prefix),
        run: run.id.clone(),
        agent: run.agent.clone(),
        time_unix_ns: now,
        since_unix_ns: now,
        signal: RunawaySignal {
            rule: RuleId::new("unknown-run"),
            confidence: 1.0,
            severity: Severity::High,
            summary: format!("processes in {path}, and neither journal nor ledger knows how they came there"),
            arithmetic: Vec::new(),
        },
        evidence: Vec::new(),
        tags: Vec::new(),
        complete: false,
    }
}
