//! What a test can let happen on the machine.

use std::{path::Path, time::Duration};

use sentry_common::{abi::ring, counter::RunBlock, table::RunTag};
use sentry_detect::run::ProcessKey;

use super::{World, state::ROOT};

/// The ring of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    Critical,
    Bulk,
}

impl Ring {
    fn index(self) -> usize {
        match self {
            Self::Critical => ring::CRITICAL,
            Self::Bulk => ring::BULK,
        }
    }
}

impl World {
    /// A process outside of every run.
    pub fn spawn(&self) -> u32 {
        self.state().add_process(ROOT)
    }

    /// A part of the kernel.
    pub fn spawn_kernel_thread(&self) -> u32 {
        let mut state = self.state();
        let pid = state.add_process(ROOT);
        if let Some(process) = state.processes.get_mut(&pid) {
            process.is_kernel_thread = true;
        }
        pid
    }

    /// A process enters a group without any program being called.
    pub fn spawn_unseen(&self, group: u64) -> u32 {
        self.state().add_process(group)
    }

    /// Makes a process a member of a run, wherever it is.
    pub fn adopt(&self, pid: u32, tag: RunTag) {
        let mut state = self.state();
        if let Some(start) = state.processes.get(&pid).map(|process| process.start_boot_ns) {
            state.process_tags.insert(pid, (tag, start));
        }
    }

    /// A child of `parent`, in its group and run. `None` if the parent is frozen or has ended.
    pub fn fork(&self, parent: u32) -> Option<u32> {
        let mut state = self.state();
        let process = state.processes.get(&parent)?.clone();
        if process.is_stopped || state.is_frozen(process.group) {
            return None;
        }
        let child = state.add_process(process.group);
        if let Some(tag) = state.tag_of(parent) {
            let start = state.boot_ns;
            state.process_tags.insert(child, (tag, start));
            let block = state.block(tag);
            block.counts.processes_born += 1;
            block.counts.tasks_born += 1;
            state.make_record(tag, ring::CRITICAL, 1);
        }
        Some(child)
    }

    /// Makes this many children, each of which ends at once.
    pub fn fork_and_end(&self, parent: u32, times: u64) {
        for _ in 0..times {
            if let Some(child) = self.fork(parent) {
                self.exit(child);
            }
        }
    }

    /// A process acts: its run's counters are changed and this many records made, if it is in a run
    /// and not stopped.
    pub fn act(&self, pid: u32, records: u64, ring: Ring, count: impl FnOnce(&mut RunBlock)) {
        let mut state = self.state();
        let Some(process) = state.processes.get(&pid) else { return };
        if process.is_stopped || state.is_frozen(process.group) {
            return;
        }
        if let Some(tag) = state.tag_of(pid) {
            count(state.block(tag));
            state.make_record(tag, ring.index(), records);
        }
    }

    /// A process ends.
    pub fn exit(&self, pid: u32) {
        self.state().end_process(pid);
    }

    /// A process ends, and no program was called.
    pub fn exit_unseen(&self, pid: u32) {
        self.state().processes.remove(&pid);
    }

    /// A process becomes stuck in the kernel: nothing stops or ends it until it is released.
    pub fn stick(&self, pid: u32, is_stuck: bool) {
        if let Some(process) = self.state().processes.get_mut(&pid) {
            process.is_stuck = is_stuck;
        }
    }

    /// A process moves itself to another group. It stays a member of its run.
    pub fn leave(&self, pid: u32, below: &Path) {
        let mut state = self.state();
        if let Some(group) = state.group_at(below) {
            state.move_process(pid, group);
        }
    }

    /// Somebody else makes a group.
    pub fn make_group(&self, below: &str) -> u64 {
        self.state().add_group(below.into())
    }

    /// Somebody else removes a group; its processes end.
    pub fn remove_group(&self, below: &str) {
        let mut state = self.state();
        let Some(id) = state.group_at(Path::new(below)) else { return };
        for pid in state.inside(id) {
            state.end_process(pid);
        }
        for id in state.subtree(id) {
            state.groups.remove(&id);
            state.run_cgroups.remove(&id);
        }
    }

    /// A group uses this much CPU time.
    pub fn use_cpu(&self, id: u64, time: Duration) {
        let mut state = self.state();
        if state.is_frozen(id) {
            return;
        }
        if let Some(group) = state.groups.get_mut(&id) {
            group.cpu_usec += u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        }
    }

    /// The process that loaded the programs has ended, and with it the programs and their tables.
    pub fn unload(&self) {
        self.state().unload();
    }

    /// The kernel skips this many calls of programs.
    pub fn skip_programs(&self, calls: u64) {
        self.state().skipped += calls;
    }

    /// A process has read and written this many bytes.
    pub fn move_bytes(&self, pid: u32, bytes: u64) {
        if let Some(process) = self.state().processes.get_mut(&pid) {
            process.moved_bytes += bytes;
        }
    }

    /// Records were lost, because the ring had no room.
    pub fn lose(&self, tag: RunTag, ring: Ring, records: u64) {
        let mut state = self.state();
        state.make_record(tag, ring.index(), records);
        state.block(tag).lost[ring.index()] += records;
    }

    /// The process as the tables name it. `None` where it has ended.
    #[must_use]
    pub fn key(&self, pid: u32) -> Option<ProcessKey> {
        let state = self.state();
        let start_boot_ns = state.processes.get(&pid)?.start_boot_ns;
        Some(ProcessKey { tgid: pid, start_boot_ns })
    }

    #[must_use]
    pub fn is_alive(&self, pid: u32) -> bool {
        self.state().processes.contains_key(&pid)
    }

    /// By a signal, or with its group.
    #[must_use]
    pub fn stands_still(&self, pid: u32) -> bool {
        let state = self.state();
        let process = state.processes.get(&pid);
        process.is_some_and(|process| {
            !process.is_stuck && (process.is_stopped || state.is_frozen(process.group))
        })
    }

    /// Whether the programs beside the core's are attached.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.state().is_armed
    }

    /// Paths of all groups but the root's.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        let state = self.state();
        let below = state.groups.values().map(|group| group.below.display().to_string());
        below.filter(|below| !below.is_empty()).collect()
    }

    /// Slots that a run or a candidate has.
    #[must_use]
    pub fn slots_in_use(&self) -> usize {
        self.state().slots.iter().filter(|block| block.generation != 0).count()
    }

    /// Rows that name a group or a process as a run's.
    #[must_use]
    pub fn rows_in_use(&self) -> usize {
        let state = self.state();
        state.run_cgroups.len() + state.process_tags.len()
    }
}
