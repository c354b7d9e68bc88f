//! A run among its kernel, its act stage and the people who give orders: whatever comes when.
//!
//! [`World`] is the truth that the machine knows only by its inputs. The act stage takes one case
//! after the other; an act on it may be done, refused, or fail with a part of it done.

use std::collections::VecDeque;

use proptest::prelude::*;
use sentry_detect::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    run::{Counted, Input, Mode, Output, Phase, RingBooks, RunMachine, Setup, State, Usage, machine::Over},
};

use crate::support::{MS, START, agent, run_id, settings};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// Processes are born until it is a finding; `room`: the act stage can take it.
    Storm { room: bool },
    /// Time passes.
    Quiet,
    /// Somebody asks for it.
    Order(Action),
    /// The act stage takes the next case, and its acts end so.
    Act(Ends),
    /// The processes end by themselves.
    Exit,
    /// A process enters.
    Enter,
    /// The watch is ended on purpose.
    Untag,
    /// Another mode holds.
    Mode(Mode),
}

#[derive(Clone, Copy, Debug)]
enum Ends {
    Applied,
    /// `part`: some of it is done.
    Failed {
        part: bool,
    },
    Refused,
}

fn happens() -> impl Strategy<Value = Happens> {
    let ends = prop_oneof![
        4 => Just(Ends::Applied),
        2 => any::<bool>().prop_map(|part| Ends::Failed { part }),
        1 => Just(Ends::Refused),
    ];
    prop_oneof![
        3 => any::<bool>().prop_map(|room| Happens::Storm { room }),
        1 => Just(Happens::Quiet),
        2 => prop_oneof![Just(Action::Freeze), Just(Action::Thaw), Just(Action::Kill)]
            .prop_map(Happens::Order),
        6 => ends.prop_map(Happens::Act),
        1 => Just(Happens::Exit),
        1 => Just(Happens::Enter),
        1 => Just(Happens::Untag),
    ]
}

/// What the act stage takes.
enum Case {
    Decided(Vec<Decision>),
    Over(Over),
}

struct World {
    machine: RunMachine,
    owned: bool,
    now: u64,
    counted: Counted,
    cases: VecDeque<Case>,
    /// Members that live.
    alive: u64,
    /// At least one of them stands still because of an act.
    frozen: bool,
    /// It was reported that nobody thaws it.
    left_frozen: bool,
    released: bool,
    /// Everything that came out.
    outputs: Vec<Output>,
    /// Of the last act that was tried on it.
    last: Option<(Action, OutcomeKind)>,
}

impl World {
    fn new(mode: Mode, owned: bool) -> Self {
        let setup = Setup {
            id: run_id(),
            id_prefix: run_id().0,
            agent: agent(),
            mode,
            owned,
            settings: settings(|limits| limits.common.cool_down_ms = 1_000),
            before: None,
        };
        Self {
            machine: RunMachine::new(setup, &Usage::default(), START),
            owned,
            now: START,
            counted: Counted::default(),
            cases: VecDeque::new(),
            alive: 1,
            frozen: false,
            left_frozen: false,
            released: false,
            outputs: Vec::new(),
            last: None,
        }
    }

    fn step(&mut self, input: Input<'_>) -> Vec<Output> {
        let outputs = self.machine.step(input, self.now);
        self.outputs.extend(outputs.iter().cloned());
        outputs
    }

    fn count(&mut self) {
        let counted = self.counted;
        self.step(Input::Counted { counted, began_boot_ns: self.now });
    }

    fn read(&mut self, ms: u64, room: bool) {
        self.now += ms * MS;
        self.count();
        for output in self.step(Input::Reading { usage: Usage::default(), room }) {
            let Output::Found { decisions, .. } = output else { unreachable!("a reading finds") };
            self.cases.push_back(Case::Decided(decisions));
        }
        if self.alive == 0 && !self.is_ended() {
            self.cases.push_back(Case::Over(Over::Empty));
        }
    }

    fn is_ended(&self) -> bool {
        self.machine.state() == State::Ended
    }

    fn born(&mut self, processes: u64) {
        self.alive += processes;
        self.counted.counts.processes_born += processes;
        self.counted.rings[0].generated += processes;
    }

    fn happens(&mut self, what: Happens) {
        match what {
            // The frozen and the dead make no processes.
            Happens::Storm { room } if self.alive > 0 && !self.frozen && !self.released => {
                self.read(2_000, false);
                self.born(500);
                self.read(100, room);
            }
            Happens::Storm { .. } | Happens::Quiet => self.read(100, true),
            Happens::Order(action) => {
                let order = Input::Order { action, origin: "user:0".to_owned(), reason: String::new() };
                for output in self.step(order) {
                    let Output::Decided(decision) = output else { unreachable!("an order is decided") };
                    self.cases.push_back(Case::Decided(vec![decision]));
                }
            }
            Happens::Act(ends) => match self.cases.pop_front() {
                Some(Case::Decided(decisions)) => {
                    decisions.iter().for_each(|decision| drop(self.act(decision, ends)));
                }
                // Somebody may have entered since it was seen to be empty.
                Some(Case::Over(Over::Empty)) if self.alive > 0 => {}
                Some(Case::Over(over)) => self.over(over, ends),
                None => {}
            },
            Happens::Mode(mode) => {
                let settings = self.machine.settings().clone();
                self.step(Input::Settings { settings, mode });
            }
            Happens::Exit => self.alive = 0,
            Happens::Enter if !self.is_ended() => {
                self.alive += 1;
                self.counted.counts.processes_entered += 1;
            }
            Happens::Enter => {}
            Happens::Untag => {
                self.released = true;
                self.cases.push_back(Case::Over(Over::Released));
            }
        }
    }

    fn act(&mut self, decision: &Decision, ends: Ends) -> Vec<Output> {
        let why = || "it did not".to_owned();
        let result = match ends {
            _ if self.is_ended() => OutcomeKind::Refused { why: why() },
            Ends::Refused => OutcomeKind::Refused { why: why() },
            _ if decision.action == Action::Observe => OutcomeKind::Applied,
            _ if decision.mode == Mode::Observe => OutcomeKind::WouldApply,
            Ends::Applied => OutcomeKind::Applied,
            Ends::Failed { .. } => OutcomeKind::Failed { why: why() },
        };
        let part = matches!(ends, Ends::Failed { part: true });
        match (decision.action, &result) {
            (Action::Freeze, OutcomeKind::Applied) => self.frozen = self.alive > 0,
            (Action::Thaw, OutcomeKind::Applied) => self.frozen = false,
            (Action::Kill, OutcomeKind::Applied) => (self.frozen, self.alive) = (false, 0),
            (Action::Freeze | Action::Kill, OutcomeKind::Failed { .. }) => {
                self.frozen |= part && self.alive > 0;
            }
            _ => {}
        }
        if decision.action != Action::Observe && decision.mode == Mode::Enforce && !self.is_ended() {
            self.last = Some((decision.action, result.clone()));
        }
        let outcome = Outcome {
            decision: decision.id.clone(),
            run: run_id(),
            action: decision.action,
            result,
            time_unix_ns: self.now,
            took_ns: 1,
            processes: 1,
            survivors: 0,
        };
        self.count();
        self.step(Input::Outcome { outcome: &outcome, stopped: Vec::new() })
    }

    fn over(&mut self, over: Over, ends: Ends) {
        let mut outputs = VecDeque::from(self.step(Input::Over(over)));
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Decided(thaw) => outputs.extend(self.act(&thaw, ends)),
                Output::LeftFrozen => self.left_frozen = true,
                Output::Close => drop(self.step(Input::Closed { skipped: 0 })),
                Output::Found { .. } => unreachable!("an end finds nothing"),
            }
        }
    }

    /// Somebody is answerable for members that stand still.
    fn has_owner(&self) -> bool {
        match self.machine.phase() {
            Phase::Freezing | Phase::Frozen | Phase::Thawing | Phase::Killing | Phase::OutOfControl => true,
            Phase::Ended => self.left_frozen,
            Phase::Running => false,
        }
    }

    /// What the outcomes justify while nothing is in flight.
    fn justified(&self) -> Vec<Phase> {
        use OutcomeKind::{Applied, Failed, Refused, WouldApply};
        match &self.last {
            None => vec![Phase::Running],
            Some((Action::Freeze, Applied)) => vec![Phase::Frozen],
            Some((Action::Thaw, Applied)) => vec![Phase::Running, Phase::Killing],
            Some((Action::Kill, Applied)) if self.owned => vec![Phase::Killing, Phase::Running],
            Some((Action::Kill, Applied)) => vec![Phase::Running],
            Some((Action::Freeze | Action::Kill, Failed { .. } | Refused { .. })) => {
                vec![Phase::OutOfControl]
            }
            // It is where it was before.
            Some((Action::Thaw, Failed { .. } | Refused { .. })) => {
                vec![Phase::Running, Phase::Frozen, Phase::OutOfControl, Phase::Killing]
            }
            Some((Action::Observe | Action::Restart, _) | (_, WouldApply)) => Vec::new(),
        }
    }

    fn in_flight(&self, what: impl Fn(&Decision) -> bool) -> usize {
        let decided = self.cases.iter().filter_map(|case| match case {
            Case::Decided(decisions) => Some(decisions),
            Case::Over(_) => None,
        });
        decided.flatten().filter(|decision| what(decision)).count()
    }
}

fn world(mode: Mode, owned: bool, all: &[Happens]) -> World {
    let mut world = World::new(mode, owned);
    all.iter().for_each(|what| world.happens(*what));
    world
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Enforce), Just(Mode::Observe)]
}

fn happens_in_changing_modes() -> impl Strategy<Value = Happens> {
    prop_oneof![8 => happens(), 1 => modes().prop_map(Happens::Mode)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn who_stands_still_has_an_owner_and_a_phase_is_justified(
        mode in modes(), owned in any::<bool>(), all in prop::collection::vec(happens(), 0..60),
    ) {
        let mut world = World::new(mode, owned);
        for what in all {
            world.happens(what);
            let phase = world.machine.phase();
            prop_assert!(!world.frozen || world.alive == 0 || world.has_owner(), "{what:?}: {phase:?}");
            let acts = |decision: &Decision| {
                decision.mode == Mode::Enforce && decision.action != Action::Observe
            };
            if world.in_flight(acts) == 0 && phase != Phase::Ended {
                let is_justified = world.justified().contains(&phase);
                prop_assert!(is_justified, "{what:?}: {phase:?} after {:?}", world.last);
            }
            // A ladder that is in flight is not decided again.
            let kills = |decision: &Decision| decision.action == Action::Kill && decision.finding.is_some();
            prop_assert!(world.in_flight(kills) <= 1, "{what:?}");
        }
    }

    #[test]
    fn the_same_holds_while_the_mode_changes(
        mode in modes(), owned in any::<bool>(),
        all in prop::collection::vec(happens_in_changing_modes(), 0..60),
    ) {
        let mut world = World::new(mode, owned);
        for what in all {
            world.happens(what);
            let phase = world.machine.phase();
            prop_assert!(!world.frozen || world.alive == 0 || world.has_owner(), "{what:?}: {phase:?}");
            let acts = |decision: &Decision| {
                decision.mode == Mode::Enforce && decision.action != Action::Observe
            };
            if world.in_flight(acts) == 0 && phase != Phase::Ended {
                let is_justified = world.justified().contains(&phase);
                prop_assert!(is_justified, "{what:?}: {phase:?} after {:?}", world.last);
            }
            let kills = |decision: &Decision| {
                acts(decision) && decision.action == Action::Kill && decision.finding.is_some()
            };
            prop_assert!(world.in_flight(kills) <= 1, "{what:?}");
        }
    }

    #[test]
    fn whatever_was_before_an_enforced_storm_is_stopped_in_the_end(
        owned in any::<bool>(), all in prop::collection::vec(happens(), 0..40),
    ) {
        let mut world = world(Mode::Enforce, owned, &all);
        // Everything that waits is done, and the run is let go on.
        for _ in 0..100 {
            world.happens(Happens::Act(Ends::Applied));
        }
        world.happens(Happens::Order(Action::Thaw));
        world.happens(Happens::Act(Ends::Applied));
        if world.is_ended() || world.released {
            return Ok(());
        }
        world.happens(Happens::Enter);
        world.happens(Happens::Quiet);
        world.happens(Happens::Quiet);
        world.happens(Happens::Storm { room: true });
        for _ in 0..3 {
            world.happens(Happens::Act(Ends::Applied));
        }
        prop_assert_eq!((world.alive, world.frozen), (0, false), "{:?}", world.machine.phase());
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(
        mode in modes(), owned in any::<bool>(), all in prop::collection::vec(happens(), 0..60),
    ) {
        let (one, other) = (world(mode, owned, &all), world(mode, owned, &all));
        prop_assert_eq!(one.outputs, other.outputs);
        prop_assert_eq!(one.machine.account(), other.machine.account());
    }

    #[test]
    fn the_books_close_once_every_record_is_read(
        generated in 0..100u64, lost in 0..100u64, throttled in 0..100u64, refused in 0..100u64,
    ) {
        let mut world = World::new(Mode::Observe, true);
        let ring = RingBooks { generated, lost, throttled, delivered: 0 };
        world.counted.rings = [ring, RingBooks::default()];
        world.count();
        world.step(Input::Refused([refused, 0]));
        prop_assert_eq!(world.machine.books_are_closed(), lost + throttled + refused == generated);
        world.step(Input::Drained);
        let [critical, _] = world.machine.rings();
        prop_assert!(critical.generated >= critical.settled());
        prop_assert_eq!(critical.generated, generated.max(lost + throttled + refused));
    }
}
