//! What changes in a run's life, behind one lock.

use std::time::Instant;

use sentry_detect::run::{Holds, Input, Output, RunMachine, Setup, Usage};
use sentry_recording::{Tape, whole_ms};
use sentry_rules::Judge;

use super::{executed::ExecutedFiles, flows::Flow, moved::Moved, seen::Seen};

pub(super) struct Life {
    pub(super) machine: RunMachine,
    /// All that the machine was given and the journal does not have yet.
    pub(super) tape: Tape,
    pub(super) executed: ExecutedFiles,
    /// What it exchanged, as last read; final when ended.
    pub(super) flows: Vec<Flow>,
    pub(super) moved: Moved,
    /// As last looked at.
    pub(super) holds: Holds,
    /// Rules of somebody's own; `None` where none is for it.
    pub(super) own: Option<Box<Judge>>,
    /// What is learned of it; `None` where nothing is.
    pub(super) seen: Option<Box<Seen>>,
    /// When it was first seen to be over.
    pub(super) over: Option<Instant>,
    /// Its end is in the act stage's queue.
    pub(super) end_asked: bool,
}

impl Life {
    pub(super) fn new(
        setup: Setup,
        usage: &Usage,
        now_unix_ns: u64,
        own: Option<Box<Judge>>,
        seen: Option<Box<Seen>>,
    ) -> Self {
        let now_unix_ns = whole_ms(now_unix_ns);
        Self {
            tape: Tape::new(&setup, usage, now_unix_ns),
            machine: RunMachine::new(setup, usage, now_unix_ns),
            executed: ExecutedFiles::default(),
            flows: Vec::new(),
            moved: Moved::default(),
            holds: Holds::default(),
            own,
            seen,
            over: None,
            end_asked: false,
        }
    }

    /// Takes one input: the machine moves by nothing that is not on the tape.
    pub(super) fn step(&mut self, input: Input<'_>, now_unix_ns: u64) -> Vec<Output> {
        let now_unix_ns = whole_ms(now_unix_ns);
        self.tape.input(&input, now_unix_ns);
        if let (Some(seen), Input::Event { event, .. }) = (&mut self.seen, &input) {
            seen.event(event);
        }
        if let Some(own) = &mut self.own {
            own.input(&input, self.machine.mode());
        }
        let is_due = matches!(input, Input::Reading { room: true, .. });
        let mut outputs = self.machine.step(input, now_unix_ns);
        if let (Some(own), true) = (&mut self.own, is_due) {
            for ruled in own.due(now_unix_ns) {
                let input = Input::Ruled(ruled);
                self.tape.input(&input, now_unix_ns);
                outputs.extend(self.machine.step(input, now_unix_ns));
            }
        }
        if let Some(seen) = &mut self.seen {
            seen.outputs(&outputs);
        }
        outputs
    }
}
