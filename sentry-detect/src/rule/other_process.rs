//! `other-process`: the run reached into a process that is not its own: its memory, its
//! descriptors, or its environment, where secrets are handed on.
//!
//! Judged event by event, and a finding at the next reading: one for memory and one for the
//! environment, and another one after the cool-down. Memory is fixed: the first act of each since
//! the last reading, and the numbers of `MOST_MEMBERS` members that live.
//!
//! An act is: ptrace(2), `process_vm_readv`, `process_vm_writev` and `pidfd_getfd` on a process
//! outside of the run; an open of `/proc/PID/mem` or `environ` of one that is not known as a
//! member. A debugger on a child of its own is none, nor is a program of the system that lists
//! processes: `ps` reads the environment of all of them.
//!
//! A normal agent debugs a server that somebody else started, so that it is recorded and never
//! leads to an act. Limits: `/proc/PID/maps` shows addresses, and no content, and is none. In a
//! container with process ids of its own `/proc` has other numbers than the kernel reports, and a
//! program that reads its own environment there looks as if it read another's. While more than
//! `MOST_MEMBERS` live, opens below `/proc` are none. On tier C the target of a call is not known
//! where the caller has a pid namespace of its own.

use sentry_common::record::other::access;

use super::{
    contract::{About, Rule, Seen, Urgency, Verdict},
    known,
    limits::NoLimits,
    noticed::{LONGEST, Noticed, Weight, said},
    past::Past,
};
use crate::{
    act::TargetAct,
    event::EventKind,
    runaway::{RuleId, Severity},
};

/// It has no thresholds.
pub(super) type Limits = NoLimits;

const OTHER_PROCESS: RuleId = RuleId::new("other-process");
const MEMORY: usize = 0;
const ENVIRONMENT: usize = 1;
const WEIGHTS: [Weight; 2] = [
    Weight {
        severity: Severity::High,
        confidence: 0.7,
        // Process Injection: Ptrace System Calls; OS Credential Dumping: Proc Filesystem.
        tags: &["attack:T1055.008", "attack:T1003.007", "owasp-asi:ASI03"],
    },
    Weight {
        severity: Severity::Medium,
        confidence: 0.6,
        // OS Credential Dumping: Proc Filesystem.
        tags: &["attack:T1003.007", "owasp-asi:ASI03"],
    },
];
/// Members whose numbers are kept.
const MOST_MEMBERS: usize = 256;

/// What a run reached.
#[derive(Debug, Default)]
pub(crate) struct OtherProcess {
    noticed: [Noticed; WEIGHTS.len()],
    members: Vec<u32>,
    /// Members that had no room.
    unlisted: u64,
}

impl Rule for OtherProcess {
    type Limits = Limits;
    const ABOUT: About = About {
        id: OTHER_PROCESS,
        when: "memory, descriptors or the environment of a process outside of the run are read or changed: \
               ptrace, `process_vm_*`, `pidfd_getfd`, `/proc/PID/mem` and `environ`",
        severity: "high for memory, medium for the environment; never leads to an act",
        urgency: Urgency::Known,
    };
    /// Memory, environment.
    const SUBJECTS: usize = WEIGHTS.len();
    /// What was reached stays known after an act.
    const FORGETS: bool = false;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self::default()
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let process = seen.event.process.key.tgid;
        match &seen.event.kind {
            EventKind::Fork { child } => self.enters(child.tgid),
            EventKind::Seed => self.enters(process),
            EventKind::Exec { .. } => self.is_seen(process),
            EventKind::Exit { .. } => self.leaves(process),
            EventKind::Target { act, target, code, target_in_run: false, error: None, .. } => {
                if let Some(verb) = reached(*act, *code) {
                    self.noticed[MEMORY].add(seen, WEIGHTS[MEMORY], || {
                        let by = seen.by(LONGEST);
                        format!("{by} {verb} process {}, which is not of the run.", target.tgid)
                    });
                }
            }
            EventKind::Open { file, intent, .. } if !intent.path_only => {
                let Some((owner, subject)) = of_process(&file.path.text) else { return };
                let is_own = owner == process || self.unlisted > 0 || self.members.contains(&owner);
                if !is_own && !known::lists_processes(seen.program()) {
                    self.noticed[subject].add(seen, WEIGHTS[subject], || {
                        let what = said(seen, "opened", &file.path.text);
                        format!("{what}, of a process that is not of the run.")
                    });
                }
            }
            _ => {}
        }
    }

    fn judge(&mut self, subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        self.noticed[subject].verdict(OTHER_PROCESS, "acts so far")
    }

    fn judged(&mut self) {
        self.noticed.iter_mut().for_each(Noticed::judged);
    }
}

impl OtherProcess {
    fn enters(&mut self, process: u32) {
        if self.members.contains(&process) {
            return;
        }
        if self.members.len() < MOST_MEMBERS {
            self.members.push(process);
        } else {
            self.unlisted += 1;
        }
    }

    /// It was counted when it was born: where it had no room then and has some now, it takes it.
    fn is_seen(&mut self, process: u32) {
        if self.members.len() < MOST_MEMBERS && !self.members.contains(&process) {
            self.members.push(process);
            self.unlisted = self.unlisted.saturating_sub(1);
        }
    }

    fn leaves(&mut self, process: u32) {
        match self.members.iter().position(|member| *member == process) {
            Some(place) => {
                self.members.swap_remove(place);
            }
            None => self.unlisted = self.unlisted.saturating_sub(1),
        }
    }
}

/// What an act does to another process, where that is more than to look at it.
fn reached(act: TargetAct, code: u32) -> Option<&'static str> {
    match (act, code) {
        // A read check stands for much that is shown of every process; a child asked to be traced.
        (TargetAct::Signal, _) | (_, access::READ | access::TRACE_ME) => None,
        (TargetAct::Trace, _) => Some("traces"),
        (TargetAct::Access, access::READ_MEMORY_CALL) => Some("read memory of"),
        (TargetAct::Access, access::WRITE_MEMORY_CALL) => Some("wrote memory of"),
        (TargetAct::Access, access::TAKE_DESCRIPTOR_CALL) => Some("took a descriptor of"),
        (TargetAct::Access, _) => Some("reached into"),
    }
}

/// The process whose memory or environment a path is, and which of the two.
fn of_process(path: &str) -> Option<(u32, usize)> {
    let (number, rest) = path.strip_prefix("/proc/")?.split_once('/')?;
    // `/proc/PID/task/TID/mem`
    let file = match rest.strip_prefix("task/").and_then(|rest| rest.split_once('/')) {
        Some((_, file)) => file,
        None => rest,
    };
    let subject = match file {
        "mem" => MEMORY,
        "environ" => ENVIRONMENT,
        _ => return None,
    };
    Some((number.parse().ok()?, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_and_environment_of_what_proc_has_are_reached() {
        for (path, expected) in [
            ("/proc/42/mem", Some((42, MEMORY))),
            ("/proc/42/environ", Some((42, ENVIRONMENT))),
            ("/proc/42/task/43/mem", Some((42, MEMORY))),
            ("/proc/42/maps", None),
            ("/proc/self/environ", None),
            ("/proc/meminfo", None),
            ("/srv/proc/42/mem", None),
        ] {
            assert_eq!(of_process(path), expected, "{path}");
        }
    }
}
