//! Where a run stands: by what outcomes have said, and by what is decided and has no outcome yet.
//!
//! ```text
//!             freeze                    thaw
//! Running ─▶ Freezing ─▶ Frozen ─▶ Thawing ─▶ Running
//!    │           │          │
//!    └───────────┼──────────┴─────▶ Killing ─▶ Ended; Running where its cgroup is another's,
//!                ▼                     │       or where somebody enters it
//!          OutOfControl ◀──────────────┘
//! ```
//!
//! An act that is not done leaves the run out of control, a thaw that is not done leaves it frozen.
//!
//! A decision changes nothing but what is in flight; its outcome moves the run. So a decision that
//! fails needs no correction, and two findings while a ladder is in flight are decided once.
//!
//! A finding of high or critical severity and enough confidence goes down the whole ladder, freeze
//! (unless frozen) and kill, where its rule leads to acts; any other is observed. In observe mode
//! the same decisions are made and have outcomes, too: what *would* be is kept apart from what
//! *is*.

use crate::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    finding::{Finding, Reach},
    identity::{Mode, RunId},
    rule::Settings,
    runaway::ACT_SEVERITY,
};

/// The phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Running,
    /// A freeze is decided and has no outcome yet.
    Freezing,
    /// A thaw is.
    Thawing,
    /// A kill is; or it is done, and the end of the run is not written yet.
    Killing,
    Frozen,
    /// The last act on it was not done: it may run, or stand still in part.
    OutOfControl,
    Ended,
}

/// Whether the processes of a run stand still, as the outcomes have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stillness {
    Moving,
    Frozen,
    /// A freeze or a kill was begun and not done.
    Unsure,
}

/// What the next finding has to reckon with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Running,
    Frozen,
    Killed,
}

/// Decided, and without an outcome yet.
#[derive(Clone, Debug)]
struct InFlight {
    decision: String,
    action: Action,
    mode: Mode,
}

/// The fate of one run.
#[derive(Debug)]
pub struct Fate {
    run: RunId,
    /// What decision ids begin with.
    id_prefix: String,
    mode: Mode,
    /// The cgroup is the run's own: nobody comes into it after a kill but who is let in.
    owned: bool,
    still: Stillness,
    /// Where the outcomes have put it, those of observe mode included.
    standing: Standing,
    out_of_control: bool,
    /// Signs of life that there were when a kill was verified.
    life_before_kill: Option<u64>,
    in_flight: Vec<InFlight>,
    decisions: u64,
}

impl Fate {
    #[must_use]
    pub fn new(run: RunId, id_prefix: String, mode: Mode, owned: bool) -> Self {
        Self {
            run,
            id_prefix,
            mode,
            owned,
            still: Stillness::Moving,
            standing: Standing::Running,
            out_of_control: false,
            life_before_kill: None,
            in_flight: Vec::new(),
            decisions: 0,
        }
    }

    /// The mode of decisions from now on.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Has another mode hold for decisions from now on. What only would have been done in observe
    /// mode counts for nothing then: the next finding has to reckon with what is.
    pub fn set_mode(&mut self, mode: Mode) {
        if mode == Mode::Enforce && self.mode == Mode::Observe {
            self.in_flight.retain(|act| act.mode == Mode::Enforce);
            self.standing = match self.still {
                _ if self.life_before_kill.is_some() => Standing::Killed,
                Stillness::Frozen => Standing::Frozen,
                Stillness::Moving | Stillness::Unsure => Standing::Running,
            };
        }
        self.mode = mode;
    }

    /// An earlier sensor life has left it frozen.
    pub fn found_frozen(&mut self) {
        self.still = Stillness::Frozen;
        self.standing = Standing::Frozen;
    }

    /// The phase of a run that has not ended.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let acts = self.in_flight.iter().filter(|act| act.mode == Mode::Enforce);
        let under_way = acts.map(|act| act.action).find_map(|action| match action {
            Action::Freeze => Some(Phase::Freezing),
            Action::Thaw => Some(Phase::Thawing),
            Action::Kill => Some(Phase::Killing),
            Action::Observe | Action::Restart => None,
        });
        under_way.unwrap_or(match self.still {
            _ if self.out_of_control => Phase::OutOfControl,
            Stillness::Frozen | Stillness::Unsure => Phase::Frozen,
            Stillness::Moving if self.life_before_kill.is_some() => Phase::Killing,
            Stillness::Moving => Phase::Running,
        })
    }

    /// Verified, and not undone since.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.still == Stillness::Frozen
    }

    /// Some of its processes may stand still.
    #[must_use]
    pub fn may_be_frozen(&self) -> bool {
        self.still != Stillness::Moving
    }

    /// Decisions on a finding, in the order to act in; at most as far as `reach`.
    pub fn on_finding(
        &mut self,
        finding: &Finding,
        reach: Reach,
        settings: &Settings,
        now_unix_ns: u64,
    ) -> Vec<Decision> {
        let signal = &finding.signal;
        let sure = signal.confidence >= settings.limits().common.act_min_confidence;
        let acts = sure && signal.severity >= ACT_SEVERITY && settings.leads_to_acts(&signal.rule);
        let why = format!("{} (confidence {:.2}): {}", signal.rule, signal.confidence, signal.summary);
        let reach = if acts { reach } else { Reach::Observe };
        let ladder: &[Action] = match (self.heading(), reach) {
            (Standing::Killed, _) => &[],
            (_, Reach::Observe) | (Standing::Frozen, Reach::Freeze) => &[Action::Observe],
            (Standing::Running, Reach::Freeze) => &[Action::Freeze],
            (Standing::Running, Reach::Kill) => &[Action::Freeze, Action::Kill],
            (Standing::Frozen, Reach::Kill) => &[Action::Kill],
        };
        let origin = format!("detector:{}", signal.rule);
        let decide = |&action| {
            let finding = Some(finding.id.clone());
            self.decide(action, self.mode, finding, origin.clone(), why.clone(), now_unix_ns)
        };
        ladder.iter().map(decide).collect()
    }

    /// A decision that somebody took; always to be enforced.
    pub fn by_hand(&mut self, action: Action, origin: String, reason: String, now_unix_ns: u64) -> Decision {
        self.decide(action, Mode::Enforce, None, origin, reason, now_unix_ns)
    }

    /// Takes the outcome of a decision; true where the run was acted on. `signs`: how many signs of
    /// life there were by then.
    pub fn outcome(&mut self, outcome: &Outcome, signs: u64) -> bool {
        let Some(at) = self.in_flight.iter().position(|act| act.decision == outcome.decision) else {
            return false;
        };
        let InFlight { action, mode, .. } = self.in_flight.remove(at);
        match outcome.result {
            OutcomeKind::Applied => self.applied(action, signs),
            OutcomeKind::WouldApply => self.standing = self.standing.after(action),
            OutcomeKind::Failed { .. } => self.not_done(action, mode, true),
            OutcomeKind::Refused { .. } => self.not_done(action, mode, false),
        }
        let is_act = !matches!(action, Action::Observe | Action::Restart);
        is_act && outcome.result == OutcomeKind::Applied
    }

    /// Takes how many signs of life there are. After a kill that was verified, one more is another
    /// life of the run: somebody has entered it.
    pub fn lives(&mut self, signs: u64) {
        if self.life_before_kill.is_some_and(|then| signs > then) {
            self.life_before_kill = None;
            self.standing = Standing::Running;
        }
    }

    fn applied(&mut self, action: Action, signs: u64) {
        self.standing = self.standing.after(action);
        match action {
            Action::Observe | Action::Restart => return,
            Action::Freeze => self.still = Stillness::Frozen,
            Action::Thaw => self.still = Stillness::Moving,
            Action::Kill => {
                self.still = Stillness::Moving;
                if self.owned {
                    self.life_before_kill = Some(signs);
                } else {
                    // A service manager may start it again.
                    self.standing = Standing::Running;
                }
            }
        }
        self.out_of_control = false;
    }

    /// `begun`: it was tried, and may be done in part.
    fn not_done(&mut self, action: Action, mode: Mode, begun: bool) {
        match action {
            Action::Observe | Action::Restart | Action::Thaw => return,
            Action::Freeze => {}
            // The next finding begins at the top: to freeze what is frozen does no harm.
            Action::Kill => self.standing = Standing::Running,
        }
        // What would be done has left everything as it was.
        if mode == Mode::Enforce {
            self.out_of_control = true;
            // What stands still already does not move for that.
            if begun && self.still == Stillness::Moving {
                self.still = Stillness::Unsure;
            }
        }
    }

    /// Where it will stand when all that is in flight is done.
    fn heading(&self) -> Standing {
        self.in_flight.iter().fold(self.standing, |standing, act| standing.after(act.action))
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
        self.decisions += 1;
        let id = format!("{}-d-{}", self.id_prefix, self.decisions);
        self.in_flight.push(InFlight { decision: id.clone(), action, mode });
        Decision { id, run: self.run.clone(), action, mode, finding, origin, reason, time_unix_ns }
    }
}

impl Standing {
    fn after(self, action: Action) -> Self {
        match (self, action) {
            (standing, Action::Observe | Action::Restart) => standing,
            (_, Action::Kill) | (Self::Killed, Action::Freeze | Action::Thaw) => Self::Killed,
            (Self::Running | Self::Frozen, Action::Freeze) => Self::Frozen,
            (Self::Running | Self::Frozen, Action::Thaw) => Self::Running,
        }
    }
}
