//! The tool calls of a run.

use std::collections::{BTreeMap, HashSet};

use sentry_view::{Call, CallKind, CallSource, Exact, Exit, Tally, time};

use crate::{
    process::{Key, Processes, Role},
    shapes::{Child, Shape, Shapes},
    text::{shell_script, unescape},
};

/// Calls that are listed.
const CALLS: usize = 10_000;
/// Paths that one call lists as read.
const READ: usize = 100;
/// Most different programs that are listed, per call and for the agent.
const PROGRAMS: usize = 1_000;
/// Bytes of a command that are kept.
const COMMAND_BYTES: usize = 16 << 10;

/// Calls in the order of their starts, and what the agent did outside of them.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: Vec<Open>,
    pub(crate) agent: Option<Shape>,
    own_programs: BTreeMap<String, u64>,
    own_processes: u64,
    pub(crate) unlisted: u64,
}

/// A call, and what is only needed to gather it.
#[derive(Debug)]
struct Open {
    call: Call,
    root: Key,
    /// Its command is in a later execution.
    is_wrapped: bool,
    programs: BTreeMap<String, u64>,
    read: HashSet<String>,
}

impl Calls {
    /// A process executed a program: it may be the agent, or begin a call.
    pub(crate) fn exec(&mut self, processes: &mut Processes, key: Key, time_ns: u64, shapes: &Shapes) {
        let Some(process) = processes.get_mut(key) else { return };
        let (program, argv) = (process.program.as_deref(), process.argv.as_slice());
        match process.role {
            Role::Entered => {
                if let Some(agent) = shapes.agent(program, argv) {
                    process.role = Role::Agent;
                    self.agent.get_or_insert_with(|| agent.clone());
                }
            }
            Role::Unborn => {
                let role = match process.from {
                    Role::Call(number) => Role::Call(number),
                    Role::Own => Role::Own,
                    from => self.born(from, key, (program, argv), time_ns, shapes),
                };
                process.role = role;
            }
            Role::Call(number) => self.unwrap(number, key, (program, argv)),
            Role::Agent | Role::Own => {}
        }
        let program = program.unwrap_or("?").to_owned();
        let programs = match process.role {
            Role::Call(number) => self.get_mut(number).map(|open| &mut open.programs),
            _ => Some(&mut self.own_programs),
        };
        if let Some(programs) = programs {
            count(programs, program);
        }
    }

    /// What a child of the agent, or of a program that is not known, becomes.
    fn born(
        &mut self,
        from: Role,
        key: Key,
        (program, argv): (Option<&str>, &[String]),
        time_ns: u64,
        shapes: &Shapes,
    ) -> Role {
        if let (Role::Agent, Some(agent)) = (from, &self.agent) {
            let (kind, command) = match shapes.child(agent, program, argv) {
                Child::Own if agent.is(program, argv) => return Role::Agent,
                Child::Own => return Role::Own,
                Child::Call(command) => (CallKind::Command, Some(command)),
                Child::Wrapper => (CallKind::Command, None),
                Child::McpServer(command) => (CallKind::McpServer, Some(command)),
            };
            return self.begin(key, kind, CallSource::ProcessArguments, command, time_ns);
        }
        if let Some(agent) = shapes.agent(program, argv) {
            self.agent.get_or_insert_with(|| agent.clone());
            return Role::Agent;
        }
        let command = shell_script(program, argv).unwrap_or_else(|| unescape(&argv.join(" ")));
        self.begin(key, CallKind::Command, CallSource::DirectChild, Some(command), time_ns)
    }

    fn begin(
        &mut self,
        key: Key,
        kind: CallKind,
        source: CallSource,
        command: Option<String>,
        time_ns: u64,
    ) -> Role {
        if self.calls.len() >= CALLS {
            self.unlisted += 1;
            return Role::Own;
        }
        let number = u32::try_from(self.calls.len() + 1).unwrap_or(u32::MAX);
        let is_wrapped = command.is_none();
        self.calls.push(Open {
            call: Call {
                number,
                kind,
                source,
                command: cut(command.unwrap_or_default()),
                pid: key.0,
                started: time::rfc3339(time_ns),
                started_unix_ns: Exact(time_ns),
                processes: 1,
                ..Call::default()
            },
            root: key,
            is_wrapped,
            programs: BTreeMap::new(),
            read: HashSet::new(),
        });
        Role::Call(number)
    }

    /// The command of a wrapped call is the first script behind the wrapper, or the first program.
    fn unwrap(&mut self, number: u32, key: Key, (program, argv): (Option<&str>, &[String])) {
        let wrapper = |agent: &Shape| agent.is_wrapper(argv);
        let is_wrapper = self.agent.as_ref().is_some_and(wrapper);
        let Some(open) = self.get_mut(number) else { return };
        if open.is_wrapped && open.root == key && !is_wrapper {
            open.is_wrapped = false;
            let command = shell_script(program, argv).unwrap_or_else(|| unescape(&argv.join(" ")));
            open.call.command = cut(command);
        }
    }

    pub(crate) fn fork(&mut self, call: Option<u32>) {
        match call.and_then(|number| self.get_mut(number)) {
            Some(open) => open.call.processes += 1,
            None => self.own_processes += 1,
        }
    }

    /// A process ended: it may have been the first one of a call.
    pub(crate) fn exit(&mut self, call: Option<u32>, key: Key, time_ns: u64, exit: Exit) {
        if let Some(open) = call.and_then(|number| self.get_mut(number))
            && open.root == key
        {
            open.call.exit = Some(exit);
            open.call.lasted_ns = Some(Exact(time_ns.saturating_sub(open.call.started_unix_ns.0)));
        }
    }

    pub(crate) fn read(&mut self, call: Option<u32>, path: &str) {
        let Some(open) = call.and_then(|number| self.get_mut(number)) else { return };
        if open.read.contains(path) {
            return;
        }
        if open.call.read.len() < READ {
            open.read.insert(path.to_owned());
            open.call.read.push(path.to_owned());
        } else {
            open.call.read_unlisted += 1;
        }
    }

    pub(crate) fn finding(&mut self, call: Option<u32>, id: &str) {
        if let Some(open) = call.and_then(|number| self.get_mut(number))
            && !open.call.findings.iter().any(|known| known == id)
        {
            open.call.findings.push(id.to_owned());
        }
    }

    /// The calls, the agent's own programs, and its own processes. What a call reads of the agent's
    /// own state, such as the snapshot of its shell, is not what a reader looks for.
    pub(crate) fn finish(self) -> (Vec<Call>, Vec<Tally>, u64) {
        let agent = self.agent.as_ref();
        let finish = |open: Open| {
            let mut call = Call { programs: tallies(open.programs), ..open.call };
            call.read.retain(|path| agent.is_none_or(|agent| !agent.state.is_match(path)));
            call
        };
        (self.calls.into_iter().map(finish).collect(), tallies(self.own_programs), self.own_processes)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Open> {
        self.calls.get_mut((number as usize).checked_sub(1)?)
    }
}

fn count(programs: &mut BTreeMap<String, u64>, program: String) {
    let known = programs.len() < PROGRAMS || programs.contains_key(&program);
    *programs.entry(if known { program } else { "(others)".into() }).or_default() += 1;
}

fn tallies(programs: BTreeMap<String, u64>) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = programs.into_iter().map(|(what, count)| Tally { what, count }).collect();
    tallies.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.what.cmp(&b.what)));
    tallies
}

fn cut(mut command: String) -> String {
    command.truncate(command.floor_char_boundary(COMMAND_BYTES));
    command
}
