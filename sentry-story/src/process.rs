//! The living processes of a run, and what part each plays.

use std::collections::HashMap;

use sentry_proto::v1;
use sentry_view::{By, Exit};

/// Processes that are held at once; a host has fewer.
const PROCESSES: usize = 100_000;

/// Thread-group id and start time.
pub(crate) type Key = (u32, u64);

/// What part a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Not born in the run: the first process of it, or one that entered.
    Entered,
    /// A known coding agent.
    Agent,
    /// The agent's own business, with all below it.
    Own,
    /// Belongs to a call.
    Call(u32),
    /// Born and not executed anything; what it will be depends on who it comes from.
    Unborn,
}

#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its own role.
    pub(crate) role: Role,
    /// The role of the nearest ancestor that has one.
    pub(crate) from: Role,
    pub(crate) program: Option<String>,
    pub(crate) argv: Vec<String>,
    /// Addresses that it takes connections at.
    pub(crate) listens: Vec<String>,
}

/// A process that outlived the first one.
#[derive(Clone, Debug)]
pub(crate) struct Outlived {
    pub(crate) key: Key,
    pub(crate) process: Process,
    pub(crate) ended_ns: Option<u64>,
}

/// All that live.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    living: HashMap<Key, Process>,
    /// The first process of the run.
    first: Option<Key>,
    /// When it ended, and how.
    pub(crate) first_ended: Option<(u64, Exit)>,
    pub(crate) outlived: Vec<Outlived>,
    pub(crate) unlisted: u64,
}

/// Outliving processes that are listed.
const OUTLIVED: usize = 1_000;

pub(crate) fn key(key: Option<&v1::ProcessKey>) -> Key {
    key.map_or((0, 0), |key| (key.tgid, key.start_boot_ns))
}

impl Process {
    fn new(role: Role, from: Role, event: Option<&v1::Process>) -> Self {
        let mut process = Self { role, from, program: None, argv: Vec::new(), listens: Vec::new() };
        if let Some(known) = event {
            process.is_now(known);
        }
        process
    }

    fn is_now(&mut self, known: &v1::Process) {
        if let Some(path) = known.executable.as_ref().and_then(|file| file.path.as_ref()) {
            self.program = Some(path.text.clone());
        }
        if let Some(argv) = &known.argv {
            self.argv.clone_from(&argv.arguments);
        }
    }

    /// Number of its call.
    pub(crate) fn call(&self) -> Option<u32> {
        match (self.role, self.from) {
            (Role::Call(number), _) | (Role::Unborn, Role::Call(number)) => Some(number),
            _ => None,
        }
    }
}

impl Processes {
    /// The process that an event is of; known from now on.
    pub(crate) fn actor(&mut self, event: &v1::Event) -> Key {
        let process = event.process.as_ref();
        let key = key(process.and_then(|process| process.key.as_ref()));
        if !self.living.contains_key(&key) {
            self.first.get_or_insert(key);
            self.insert(key, Process::new(Role::Entered, Role::Entered, process));
        }
        key
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Process> {
        self.living.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Process> {
        self.living.get_mut(&key)
    }

    pub(crate) fn is_first(&self, key: Key) -> bool {
        self.first == Some(key)
    }

    /// Who acts, for a reader.
    pub(crate) fn by(&self, key: Key) -> By {
        let process = self.get(key);
        By {
            call: process.and_then(Process::call),
            program: process.and_then(|process| process.program.clone()),
            pid: key.0,
        }
    }

    /// `child` goes on as its parent until it executes something.
    pub(crate) fn fork(&mut self, parent: Key, child: Key) {
        let Some(parent) = self.living.get(&parent) else { return };
        let from = if parent.role == Role::Unborn { parent.from } else { parent.role };
        let born = Process { role: Role::Unborn, from, listens: Vec::new(), ..parent.clone() };
        self.insert(child, born);
    }

    /// It runs another program now.
    pub(crate) fn exec(&mut self, key: Key, event: &v1::Event) {
        if let (Some(process), Some(known)) = (self.living.get_mut(&key), &event.process) {
            process.is_now(known);
        }
    }

    pub(crate) fn exit(&mut self, key: Key, time_ns: u64, exit: Exit) {
        let ended = self.living.remove(&key);
        if let Some(outlived) = self.outlived.iter_mut().find(|outlived| outlived.key == key) {
            outlived.ended_ns = Some(time_ns);
            if let Some(process) = ended {
                outlived.process = process;
            }
        }
        if self.is_first(key) && self.first_ended.is_none() {
            self.first_ended = Some((time_ns, exit));
            self.outlive();
        }
    }

    /// Remembers who lives when the first process has ended.
    fn outlive(&mut self) {
        let mut living: Vec<_> = self.living.iter().map(|(key, process)| (*key, process.clone())).collect();
        living.sort_by_key(|(key, _)| (key.1, key.0));
        self.unlisted += living.len().saturating_sub(OUTLIVED) as u64;
        living.truncate(OUTLIVED);
        self.outlived =
            living.into_iter().map(|(key, process)| Outlived { key, process, ended_ns: None }).collect();
    }

    fn insert(&mut self, key: Key, process: Process) {
        if self.living.len() < PROCESSES || self.living.contains_key(&key) {
            self.living.insert(key, process);
        } else {
            self.unlisted += 1;
        }
    }
}
