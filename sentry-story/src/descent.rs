//! Where processes come from, and what they executed last.

use std::collections::HashMap;

use sentry_proto::v1::{self, event::Kind};
use sentry_view::Ancestor;

use crate::{
    process::{Key, key},
    text::path_of,
};

/// Processes whose descent is known.
const PROCESSES: usize = 100_000;
/// Bytes of a command line.
const COMMAND_BYTES: usize = 200;

/// The processes of a run, those that have ended too. Every event has to be shown, in order.
#[derive(Debug, Default)]
pub(crate) struct Descent {
    lines: HashMap<Key, Line>,
}

/// A process: where it comes from, and what it executed last.
#[derive(Clone, Debug, Default)]
struct Line {
    parent: Option<Key>,
    /// Of its parent, as long as it executed nothing.
    command: Option<String>,
    executions: u64,
}

impl Descent {
    /// Takes the next event.
    pub(crate) fn event(&mut self, event: &v1::Event) {
        let process = event.process.as_ref();
        let actor = key(process.and_then(|process| process.key.as_ref()));
        match &event.kind {
            Some(Kind::Fork(fork)) => {
                let line = Line { parent: Some(actor), executions: 0, ..self.line(actor) };
                self.know(key(fork.child.as_ref()), line);
            }
            Some(Kind::Exec(_) | Kind::Seed(_)) => {
                let line = self.line(actor);
                let (command, executions) = (process.and_then(command_line), line.executions + 1);
                self.know(actor, Line { command, executions, ..line });
            }
            _ => {}
        }
    }

    pub(crate) fn parent(&self, process: Key) -> Option<Key> {
        self.lines.get(&process)?.parent
    }

    /// From the first known ancestor down to the process itself.
    pub(crate) fn ancestry(&self, process: Key) -> Vec<Ancestor> {
        let mut ancestors = Vec::new();
        let mut at = Some(process);
        // A parent was there before its child; the bound is against made-up records.
        for _ in 0..PROCESSES {
            let Some((key, line)) = at.and_then(|at| Some((at, self.lines.get(&at)?))) else { break };
            let (command, executions) = (line.command.clone(), line.executions);
            ancestors.push(Ancestor { pid: key.0, command, executions });
            at = line.parent;
        }
        ancestors.reverse();
        ancestors
    }

    fn line(&self, process: Key) -> Line {
        self.lines.get(&process).cloned().unwrap_or_default()
    }

    fn know(&mut self, process: Key, line: Line) {
        if self.lines.len() < PROCESSES || self.lines.contains_key(&process) {
            self.lines.insert(process, line);
        }
    }
}

/// What a process executes: the path of its program, and the arguments behind it.
pub(crate) fn command_line(process: &v1::Process) -> Option<String> {
    let program = path_of(process.executable.as_ref());
    match process.argv.as_ref().filter(|argv| !argv.arguments.is_empty()) {
        // The path says more than the name that it was called by.
        Some(argv) => {
            let first = program.unwrap_or(argv.arguments[0].as_str());
            let words = std::iter::once(first).chain(argv.arguments[1..].iter().map(String::as_str));
            Some(cut(&words.collect::<Vec<_>>().join(" ")))
        }
        None => program.map(cut),
    }
}

/// As much of a command line as is kept.
pub(crate) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(COMMAND_BYTES)].to_owned()
}
