//! Decisions → ledger → act → verified outcome → ledger; and the beginning and end of runs.
//!
//! Everything that changes a run's fate passes through this one thread, so that the ledger has one
//! order. A decision is in the ledger before it is acted on, unless the disk takes longer than
//! [`crate::ledger::pending::PATIENCE`]: a runaway that makes the disk slow must not delay its own
//! stop. Then the act goes first and its entries follow, in order.

use std::{collections::VecDeque, ops::ControlFlow, sync::Arc, time::Duration};

use sentry_detect::{
    decision::{Decision, Outcome},
    finding::Finding,
    run::{Input, Output, machine::Over},
};
use sentry_proto::v1::{self, item::Item as Kind};
use sentry_view::{ConfigChanged, Exported};
use tokio::sync::{mpsc, oneshot};

use super::{StageStats, counted::Counted};
use crate::{
    enforce::{Enforcer, Target},
    journal::JournalHandle,
    ledger::{Note, pending::PendingLedger},
    runs::{Registry, Run},
};

/// Cases that may wait.
pub const QUEUE_CASES: usize = 1_024;

/// Something that concerns the fate of a run.
pub enum Case {
    /// Nothing comes after it. Senders may be left that wait for a slow caller.
    Stop,
    /// It exists from now on.
    Started { run: Arc<Run>, noted: oneshot::Sender<()> },
    /// Decisions, in the order to act in, and the finding that led to them.
    Decided {
        run: Arc<Run>,
        finding: Option<Box<Finding>>,
        decisions: Vec<Decision>,
        /// The outcome of the last decision.
        reply: Option<oneshot::Sender<Outcome>>,
    },
    /// Another policy holds.
    Configured { change: ConfigChanged, noted: oneshot::Sender<()> },
    /// An archive of a run was made. Answered with whether the ledger's disk has taken it.
    Exported { exported: Exported, noted: oneshot::Sender<bool> },
    /// The run ends and its records are in: close its counters.
    Over { run: Arc<Run>, over: Over },
}

/// The act stage.
pub struct Actor {
    pub registry: Arc<Registry>,
    pub enforcer: Enforcer,
    pub ledger: PendingLedger,
    pub journal: JournalHandle,
    pub counted: Arc<Counted>,
}

impl Actor {
    /// Runs until [`Case::Stop`], or until the queue is closed and empty.
    pub fn run(mut self, mut cases: mpsc::Receiver<Case>, stats: &StageStats) {
        while let Some(case) = cases.blocking_recv() {
            stats.progress.begin();
            if self.handle(case).is_break() {
                return;
            }
            stats.handled(1);
            stats.progress.rest();
        }
    }

    /// Takes one case; breaks at [`Case::Stop`].
    pub(crate) fn handle(&mut self, case: Case) -> ControlFlow<()> {
        match case {
            Case::Stop => return ControlFlow::Break(()),
            Case::Started { run, noted } => {
                self.started(&run);
                // The caller may have gone away.
                let _gone = noted.send(());
            }
            Case::Decided { run, finding, decisions, reply } => {
                let (outcome, follows) = self.decided(&run, finding, decisions);
                self.follow(&run, follows);
                if let (Some(reply), Some(outcome)) = (reply, outcome) {
                    let _gone = reply.send(outcome);
                }
            }
            Case::Configured { change, noted } => {
                self.ledger.note(Note::ConfigChanged(change));
                self.ledger.settle();
                let _gone = noted.send(());
            }
            Case::Exported { exported, noted } => {
                self.ledger.note(Note::Exported(exported));
                let _gone = noted.send(self.ledger.settle());
            }
            Case::Over { run, over } => self.over(&run, over),
        }
        ControlFlow::Continue(())
    }

    fn started(&mut self, run: &Arc<Run>) {
        let wire = run.wire();
        tracing::info!(
            run.id = %run.id,
            agent = run.agent.name,
            mode = if wire.mode() == v1::Mode::Enforce { "enforce" } else { "observe" },
            user.id = run.uid,
            cgroup = wire.cgroup_path,
            "run started"
        );
        self.counted.started(run.mode());
        self.ledger.note(Note::RunStarted(wire));
        self.ledger.settle();
        self.tell(Vec::new(), run);
    }

    fn decided(
        &mut self,
        run: &Arc<Run>,
        finding: Option<Box<Finding>>,
        decisions: Vec<Decision>,
    ) -> (Option<Outcome>, Vec<Output>) {
        let (mut told, mut follows) = (Vec::new(), Vec::new());
        if let Some(finding) = finding {
            tracing::warn!(
                run.id = %run.id,
                agent = run.agent.name,
                finding.id,
                rule = finding.signal.rule.as_str(),
                summary = finding.signal.summary,
                "finding"
            );
            self.counted.found(&finding);
            told.push(Kind::Finding(v1::Finding::from(&*finding)));
            self.ledger.note(Note::Finding(*finding));
        }
        let mut last: Option<Outcome> = None;
        for decision in decisions {
            self.ledger.note(Note::Decision(decision.clone()));
            self.ledger.settle();
            let outcome = self.act(run, &decision);
            tracing::info!(
                run.id = %run.id,
                agent = run.agent.name,
                action = ?outcome.action,
                origin = decision.origin,
                reason = decision.reason,
                mode = ?decision.mode,
                result = ?outcome.result,
                took_ms = Duration::from_nanos(outcome.took_ns).as_millis(),
                processes = outcome.processes,
                survivors = outcome.survivors,
                "outcome"
            );
            self.counted.acted(&outcome);
            // Signs of life from now on are those of who came after the act.
            self.registry.read(run);
            let stopped = self.enforcer.stopped(&run.id);
            follows.extend(run.step(Input::Outcome { outcome: &outcome, stopped }));
            self.ledger.note(Note::Outcome(outcome.clone()));
            told.push(Kind::Decision(v1::Decision::from(&decision)));
            told.push(Kind::Outcome(v1::Outcome::from(&outcome)));
            last = Some(outcome);
        }
        // First into the ledger, then the answer.
        self.ledger.settle();
        self.keep_tape(run);
        self.tell(told, run);
        (last, follows)
    }

    fn act(&self, run: &Arc<Run>, decision: &Decision) -> Outcome {
        let registry = Arc::clone(&self.registry);
        let member_of = Arc::clone(run);
        let target = Target {
            cgroup: Arc::clone(&run.cgroup),
            members: Box::new(move || registry.members(&member_of)),
            tagged: !run.is_ended(),
        };
        self.enforcer.act(decision, &target)
    }

    fn over(&mut self, run: &Arc<Run>, over: Over) {
        // Somebody may have entered since it was seen to be empty: then it goes on.
        if over == Over::Empty && !self.registry.is_empty(run) {
            return run.end_not_asked();
        }
        let follows = run.step(Input::Over(over));
        self.follow(run, follows);
    }

    /// Does what follows from an end. Here, behind every act in the queue.
    fn follow(&mut self, run: &Arc<Run>, follows: Vec<Output>) {
        let mut follows = VecDeque::from(follows);
        while let Some(output) = follows.pop_front() {
            match output {
                Output::Decided(thaw) => follows.extend(self.decided(run, None, vec![thaw]).1),
                Output::LeftFrozen => {
                    tracing::error!(run.id = %run.id, "run ended but its processes are still frozen");
                }
                Output::Close => self.close(run),
                // Only a reading finds.
                Output::Found { .. } => {}
            }
        }
    }

    fn close(&mut self, run: &Arc<Run>) {
        self.registry.close(run);
        self.enforcer.forget(&run.id);
        let wire = run.wire();
        let lasted = wire.ended_unix_ns.unwrap_or_default().saturating_sub(run.started_unix_ns);
        tracing::info!(
            run.id = %run.id,
            agent = run.agent.name,
            lasted_ms = Duration::from_nanos(lasted).as_millis(),
            "run ended"
        );
        self.counted.ended(run.mode());
        self.ledger.note(Note::RunEnded(wire));
        self.ledger.settle();
        self.keep_tape(run);
        self.tell(Vec::new(), run);
        // First: who is on neither list has not been.
        self.registry.keep_ended(run);
        self.registry.retire(run);
        run.announce_end();
    }

    /// So that what was found can be judged again, even if this sensor life is killed.
    fn keep_tape(&self, run: &Run) {
        self.journal.submit_tapes(run.tape(true).map(|part| (run.id.0.clone(), part)).into_iter().collect());
    }

    fn tell(&self, kinds: Vec<Kind>, run: &Run) {
        // Only after the acts, and waiting: what decided a run's fate must not be lost in a flood
        // of its events.
        let submit = |kind| {
            let _writer_ended = self.journal.submit_waiting(v1::Item { item: Some(kind) });
        };
        kinds.into_iter().for_each(submit);
        run.report(|run| submit(Kind::Run(run)));
    }
}
