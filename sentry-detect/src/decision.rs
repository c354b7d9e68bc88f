//! What to do about a finding, as a value; the act is the sensor's.
//!
//! [`Decider`] holds where a run stands:
//!
//! ```text
//!           freeze                 kill
//! Running ─────────▶ Frozen ─────────────────▶ Ended
//!    ▲  ◀───────────                             │
//!    │      thaw                                 │
//!    └─────────── outlived / not done ◀──────────┘
//! ```
//!
//! A finding of high or critical severity and enough confidence goes down the whole ladder, Freeze
//! (unless frozen) and Kill, where its rule leads to acts ([`Settings::leads_to_acts`]); any other
//! is Observe. An ended run gets no decision. A run whose cgroup is another's, a service manager's
//! for example, may get new processes after the kill: [`Decider::outlived`] has it run again. Mode
//! changes nothing of it: in observe mode the same decisions are made, and the run stands where
//! they would have put it.

use serde::{Deserialize, Serialize};

use crate::{
    finding::Finding,
    identity::{Mode, RunId},
    rule::Settings,
    runaway::Severity,
};

/// One step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Record only.
    Observe,
    /// Stop all tasks; can be undone by thaw.
    Freeze,
    /// Undo a freeze.
    Thaw,
    /// End every member; cannot be undone.
    Kill,
    /// Start the command again. Never decided: the supervisor does it, as a new run.
    Restart,
}

/// A decision about a run. It goes into the ledger before anything acts on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `<run>-d-<n>`, or `<run>.<life>-d-<n>` where a later sensor life took the run up; also the idempotency key of the act.
    pub id: String,
    pub run: RunId,
    pub action: Action,
    pub mode: Mode,
    /// Finding that led to it, or `None` when a person asked.
    pub finding: Option<String>,
    /// Who asked: `detector:<rule>`, `user:<uid>`, `collector:<command id>`, `sensor:untag` (the thaw before it lets go).
    pub origin: String,
    pub reason: String,
    pub time_unix_ns: u64,
}

/// What really happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Id of the decision.
    pub decision: String,
    pub run: RunId,
    pub action: Action,
    pub result: OutcomeKind,
    pub time_unix_ns: u64,
    /// From the decision to the verified state, ns.
    pub took_ns: u64,
    /// Processes the action reached (killed, frozen).
    pub processes: u64,
    /// Members still alive after a kill; 0 is the only success.
    pub survivors: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OutcomeKind {
    /// Done and verified.
    Applied,
    /// Observe mode: it would have been done.
    WouldApply,
    /// A fence forbade it (self, pid 1, root cgroup, untagged).
    Refused { why: String },
    /// Tried, and the state it aims at was not reached.
    Failed { why: String },
}

/// Least severity that leads to acts.
const ACT_SEVERITY: Severity = Severity::High;

/// Makes the decisions about one run.
#[derive(Clone, Debug)]
pub struct Decider {
    run: RunId,
    /// What decision ids begin with.
    id_prefix: String,
    mode: Mode,
    settings: Settings,
    standing: Standing,
    decisions: u64,
}

/// Where the decisions so far have put a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Running,
    Frozen,
    /// Killed.
    Ended,
}

impl Decider {
    /// With the default settings; see [`Self::with_settings`].
    #[must_use]
    pub fn new(run: RunId, mode: Mode) -> Self {
        Self {
            id_prefix: run.0.clone(),
            run,
            mode,
            settings: Settings::default(),
            standing: Standing::Running,
            decisions: 0,
        }
    }

    #[must_use]
    pub fn with_settings(self, settings: &Settings) -> Self {
        Self { settings: settings.clone(), ..self }
    }

    /// With decision ids `<prefix>-d-<n>`, where the same run may have a decider again.
    #[must_use]
    pub fn with_id_prefix(self, prefix: &str) -> Self {
        Self { id_prefix: prefix.to_owned(), ..self }
    }

    /// Decisions on a finding, in the order to act in.
    pub fn on_finding(&mut self, finding: &Finding, now_unix_ns: u64) -> Vec<Decision> {
        let signal = &finding.signal;
        let sure = signal.confidence >= self.settings.limits().common.act_min_confidence;
        let acts = sure && signal.severity >= ACT_SEVERITY && self.settings.leads_to_acts(&signal.rule);
        let why = format!("{} (confidence {:.2}): {}", signal.rule, signal.confidence, signal.summary);
        let ladder: &[Action] = match (self.standing, acts) {
            (Standing::Ended, _) => &[],
            (_, false) => &[Action::Observe],
            (Standing::Running, true) => &[Action::Freeze, Action::Kill],
            (Standing::Frozen, true) => &[Action::Kill],
        };
        (ladder.iter()).map(|&action| self.on_ground_of(finding, action, why.clone(), now_unix_ns)).collect()
    }

    /// A decision that a person took, here or at the collector; always to be enforced. `origin` as in
    /// [`Decision::origin`].
    pub fn by_hand(&mut self, action: Action, origin: String, reason: String, now_unix_ns: u64) -> Decision {
        self.decide(action, Mode::Enforce, None, origin, reason, now_unix_ns)
    }

    /// Corrects the standing by what really happened: an action that was refused or failed has not moved the run, so the
    /// next finding may try again.
    pub fn on_outcome(&mut self, outcome: &Outcome) {
        if !matches!(outcome.result, OutcomeKind::Applied | OutcomeKind::WouldApply) {
            self.not_done(outcome.action);
        }
    }

    /// The run goes on after a kill that was applied: its cgroup is still there, and new processes may come into it.
    pub fn outlived(&mut self) {
        self.standing = Standing::Running;
    }

    fn not_done(&mut self, action: Action) {
        self.standing = match (action, self.standing) {
            (Action::Freeze, Standing::Frozen) | (Action::Kill, _) => Standing::Running,
            (Action::Thaw, Standing::Running) => Standing::Frozen,
            (_, standing) => standing,
        };
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    fn on_ground_of(
        &mut self,
        finding: &Finding,
        action: Action,
        reason: String,
        now_unix_ns: u64,
    ) -> Decision {
        let origin = format!("detector:{}", finding.signal.rule);
        self.decide(action, self.mode, Some(finding.id.clone()), origin, reason, now_unix_ns)
    }

    fn decide(
        &mut self,
        action: Action,
        mode: Mode,
        finding: Option<String>,
        origin: String,
        reason: String,
        time_unix_ns: u64,
    ) -> Decision {
        self.standing = self.standing.after(action);
        self.decisions += 1;
        let id = format!("{}-d-{}", self.id_prefix, self.decisions);
        Decision { id, run: self.run.clone(), action, mode, finding, origin, reason, time_unix_ns }
    }
}

impl Standing {
    fn after(self, action: Action) -> Self {
        match (self, action) {
            (standing, Action::Observe | Action::Restart) => standing,
            (_, Action::Kill) | (Self::Ended, Action::Freeze | Action::Thaw) => Self::Ended,
            (Self::Running | Self::Frozen, Action::Freeze) => Self::Frozen,
            (Self::Running | Self::Frozen, Action::Thaw) => Self::Running,
        }
    }
}
