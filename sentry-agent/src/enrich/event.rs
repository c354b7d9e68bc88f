//! One record → one event.

use std::sync::Arc;

use sentry_common::{
    abi::{RecordHeader, ring},
    record::{
        cgroup::{AT_BIRTH, CgroupRecord, DESTINATION_IN_RUN, MEMBER_BEFORE},
        file::{ATTEMPT, CREATED, EXCHANGE, FROM_ARGUMENT, FileRecord},
        process::{BY_THREAD, ExecRecord, SCRIPT},
        text::TRUNCATED,
    },
};
use sentry_detect::{
    act::FileAct,
    event::{Event, EventKind, File, OpenIntent, Path, PathSource, Process, Ring},
    run::{AgentIdentity, ProcessKey, RunId},
};
use sentry_kernel::{
    clock::Clock,
    decode::{Record, text},
};

use super::{
    act,
    object::{endpoint, file_key, named_file, no_path},
    process_table::ProcessTable,
    seed,
};

/// Turns records into events; remembers the processes of all runs.
pub struct Enricher {
    processes: ProcessTable,
    clock: Clock,
}

/// The run that records belong to, as their events share it.
pub struct Owner<'a> {
    pub run: Arc<RunId>,
    /// Prefix of event ids: the run, and its life where a restarted sensor adopted it again.
    pub event_prefix: &'a str,
    pub agent: Arc<AgentIdentity>,
}

impl Enricher {
    #[must_use]
    pub fn new(processes: ProcessTable, clock: Clock) -> Self {
        Self { processes, clock }
    }

    /// One event per record.
    pub fn event(&mut self, header: &RecordHeader, record: &Record<'_>, owner: &Owner<'_>) -> Event {
        let actor = ProcessKey { tgid: header.tgid, start_boot_ns: header.start_boot_ns };
        let kind = self.kind(actor, record);
        let ring = if header.ring as usize == ring::CRITICAL { Ring::Critical } else { Ring::Bulk };
        let process = match record {
            // Not a member: its end is not reported, so it would stay in the table for ever.
            Record::StartedOutside(exec) => Arc::new(Process { tid: header.tid, ..process(actor, exec) }),
            _ => self.processes.shown(actor, header.tid),
        };
        if let Record::Exit(_) = record {
            self.processes.end(actor);
        }
        Event {
            id: id(owner.event_prefix, ring, header.sequence),
            run: Arc::clone(&owner.run),
            agent: Arc::clone(&owner.agent),
            ring,
            sequence: header.sequence,
            time_unix_ns: self.clock.unix_ns_of(header.time_boot_ns),
            process,
            kind,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: a row for each kind")]
    fn kind(&mut self, actor: ProcessKey, record: &Record<'_>) -> EventKind {
        match record {
            Record::Fork(fork) => {
                let child = ProcessKey { tgid: fork.child_tgid, start_boot_ns: fork.child_start_boot_ns };
                self.know(actor);
                self.processes.fork(actor, child);
                EventKind::Fork { child }
            }
            Record::Exec(exec) => {
                let process = process(actor, exec);
                let kind = executed(exec, &process);
                self.processes.set(process);
                kind
            }
            Record::Seed(seed) => {
                let argv = super::seed::argv(actor.tgid);
                self.processes.set(Process { argv, pre_existing: true, ..process(actor, seed) });
                EventKind::Seed
            }
            Record::StartedOutside(exec) => {
                let asked = ProcessKey { tgid: exec.asked_tgid, start_boot_ns: exec.asked_start_boot_ns };
                EventKind::StartedOutside { asked }
            }
            Record::Exit(exit) => {
                let signal = exit.status & 0x7f;
                if signal == 0 {
                    EventKind::Exit { code: Some((exit.status >> 8) & 0xff), signal: None }
                } else {
                    EventKind::Exit { code: None, signal: Some(signal) }
                }
            }
            Record::CgroupMove(moved) => {
                self.know(actor);
                cgroup_move(moved)
            }
            Record::CgroupMake(made) => {
                EventKind::CgroupMake { cgroup: made.cgroup, path: text::plain(&made.path) }
            }
            Record::CgroupRemove(removed) => {
                EventKind::CgroupRemove { cgroup: removed.cgroup, path: text::plain(&removed.path) }
            }
            Record::Completeness(record) => act::completeness(record),
            Record::Connect(connect) => EventKind::Connect { destination: endpoint(connect) },
            Record::Send(send) => EventKind::Send { destination: endpoint(send) },
            Record::Open(open) => opened(open),
            Record::Unlink(unlink) => {
                EventKind::Unlink { file: named_file(unlink), attempt: unlink.flags & ATTEMPT != 0 }
            }
            Record::Rename(swap) if swap.flags & EXCHANGE != 0 => act::name(FileAct::Exchange, swap),
            Record::Rename(rename) => EventKind::Rename {
                file: named_file(rename),
                new_path: if rename.source == FROM_ARGUMENT {
                    text::argument(&rename.new_path, &rename.new_argument)
                } else {
                    text::path(&rename.new_path).unwrap_or_else(no_path)
                },
                attempt: rename.flags & ATTEMPT != 0,
            },
            Record::ExecFailed(failed) => EventKind::ExecFailed {
                path: text::argument(&failed.path, &failed.argument),
                error: failed.error,
            },
            Record::File(act, record) => act::file(*act, record),
            Record::FileArgument(act, record) => act::file_argument(*act, record),
            Record::Name(act, record) => act::name(*act, record),
            Record::Socket(act, record) => act::socket(*act, record),
            Record::Unix(datagram, record) => {
                let mut kind = act::unix(*datagram, record);
                self.describe_peer(&mut kind);
                kind
            }
            Record::Payload(record) => act::payload(record),
            Record::Target(act, record) => act::target(*act, record),
            Record::Kernel(act, record) => act::kernel(*act, record),
            Record::KernelArgument(act, record) => act::kernel_argument(*act, record),
        }
    }

    /// What stands behind the socket of a listed service; others are not looked up, as there may be
    /// many.
    fn describe_peer(&mut self, kind: &mut EventKind) {
        if let EventKind::Unix { service: Some(_), peer: Some(peer), peer_executable, .. } = kind {
            self.know(*peer);
            *peer_executable = self.processes.executable(*peer).map(|file| file.path.text.clone());
        }
    }

    /// A process that entered from outside is described by procfs, once.
    fn know(&mut self, key: ProcessKey) {
        if !self.processes.knows(key)
            && let Some(process) = seed::process(key)
        {
            self.processes.set(process);
        }
    }
}

/// `<prefix>-<letter of the ring>-<sequence>`; every event has one, so that it is put together by
/// hand.
fn id(prefix: &str, ring: Ring, sequence: u64) -> String {
    let letter = match ring {
        Ring::Critical => "-c-",
        Ring::Bulk => "-b-",
    };
    let mut number = itoa::Buffer::new();
    [prefix, letter, number.format(sequence)].concat()
}

/// The process that an exec record shows.
pub(crate) fn process(key: ProcessKey, exec: &ExecRecord) -> Process {
    let known = |id: u32| (id != u32::MAX).then_some(id);
    let parent = ProcessKey { tgid: exec.parent_tgid, start_boot_ns: exec.parent_start_boot_ns };
    Process {
        key,
        tid: key.tgid,
        parent: (parent.tgid != 0).then_some(parent),
        executable: text::path(&exec.path).map(|path| File { path, key: file_key(&exec.file) }),
        argv: text::argv(&exec.argv),
        cwd: text::path(&exec.cwd),
        uid: known(exec.uid),
        gid: known(exec.gid),
        euid: known(exec.euid),
        pre_existing: false,
    }
}

fn executed(exec: &ExecRecord, process: &Process) -> EventKind {
    let asked = text::plain(&exec.requested);
    let requested = (!asked.is_empty()).then_some(Path {
        text: asked,
        source: PathSource::Argument,
        truncated: exec.requested.flags & TRUNCATED != 0,
    });
    let script = script(exec, process);
    let by_thread = (exec.flags & BY_THREAD != 0).then_some(exec.old_tid);
    EventKind::Exec { requested, script, by_thread }
}

/// The script that the program interprets.
pub(crate) fn script(exec: &ExecRecord, process: &Process) -> Option<File> {
    (exec.flags & SCRIPT != 0).then(|| File {
        path: text::argument_at(process.cwd.as_ref(), &exec.requested),
        key: file_key(&exec.script),
    })
}

fn cgroup_move(moved: &CgroupRecord) -> EventKind {
    EventKind::CgroupMove {
        cgroup: moved.cgroup,
        path: text::plain(&moved.path),
        in_run: moved.flags & DESTINATION_IN_RUN != 0,
        member_before: moved.flags & MEMBER_BEFORE != 0,
        at_birth: moved.flags & AT_BIRTH != 0,
    }
}

fn opened(open: &FileRecord) -> EventKind {
    const O_WRONLY: u32 = 0o1;
    const O_RDWR: u32 = 0o2;
    const O_TRUNC: u32 = 0o1000;
    const O_APPEND: u32 = 0o2000;
    const O_PATH: u32 = 0o1000_0000;
    // `f_flags` has 32 bits.
    let raw = open.detail as u32;
    let path_only = raw & O_PATH != 0;
    let write = raw & (O_WRONLY | O_RDWR) != 0 && !path_only;
    EventKind::Open {
        file: File { path: text::path(&open.path).unwrap_or_else(no_path), key: file_key(&open.file) },
        intent: OpenIntent {
            read: raw & O_WRONLY == 0 && !path_only,
            write,
            truncate: raw & O_TRUNC != 0,
            append: raw & O_APPEND != 0,
            path_only,
            raw,
        },
        created: open.flags & CREATED != 0,
        attempt: open.flags & ATTEMPT != 0,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::num::NonZeroUsize;

    use sentry_common::record::process::{ExitRecord, ForkRecord};
    use zerocopy::FromZeros as _;

    use super::*;

    #[test]
    fn a_process_that_ends_makes_room_and_its_late_records_still_name_its_parent() {
        // No process has this id.
        const TGID: u32 = u32::MAX;
        let mut enricher = Enricher::new(ProcessTable::new(NonZeroUsize::new(2).unwrap()), Clock::real());
        let agent = AgentIdentity { id: "agent".into(), name: "agent".into() };
        let owner = Owner { run: RunId("run".into()).into(), event_prefix: "run", agent: agent.into() };
        let by = |start_boot_ns| RecordHeader { tgid: TGID, start_boot_ns, ..RecordHeader::new_zeroed() };
        let ended = ExitRecord::new_zeroed();
        let exit = Record::Exit(&ended);
        let fork = |child_start_boot_ns| ForkRecord {
            child_tgid: TGID,
            child_start_boot_ns,
            ..ForkRecord::new_zeroed()
        };
        // The parent is known, too: it has one of the two places.
        enricher.event(&by(0), &Record::Fork(&fork(1)), &owner);
        for child in 2..=4 {
            enricher.event(&by(1), &Record::Fork(&fork(child)), &owner);
            enricher.event(&by(child), &exit, &owner);
        }
        let parents = [2, 3, 4].map(|start| enricher.event(&by(start), &exit, &owner).process.parent);
        let parent = Some(ProcessKey { tgid: TGID, start_boot_ns: 1 });
        assert_eq!(parents, [None, parent, parent]);
    }
}
