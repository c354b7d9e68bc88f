//! What the machine holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use sentry_common::{
    abi::ring,
    counter::RunBlock,
    fault,
    table::{Flow, FlowKey, RUN_SLOTS, RunTag, SPARES},
};
use sentry_detect::run::Holds;

use super::{Call, When};
use crate::{bpf::Rows, cgroup::Mark};

/// The root of the hierarchy.
pub(super) const ROOT: u64 = 1;
/// Process ids of a test begin here: above those of the sensor and of whatever runs the tests.
const FIRST_PID: u32 = 5_000_000;

pub(super) struct State {
    pub(super) boot_ns: u64,
    pub(super) calls: BTreeMap<Call, u64>,
    pub(super) failures: BTreeMap<Call, When>,
    pub(super) groups: BTreeMap<u64, GroupState>,
    pub(super) processes: BTreeMap<u32, ProcessState>,
    pub(super) slots: Vec<RunBlock>,
    pub(super) run_cgroups: BTreeMap<u64, RunTag>,
    /// By process id: the run, and when the process started.
    pub(super) process_tags: BTreeMap<u32, (RunTag, u64)>,
    pub(super) flows: Vec<(FlowKey, Flow)>,
    pub(super) faults: [u64; fault::COUNT as usize],
    pub(super) skipped: u64,
    pub(super) spares: Vec<Option<RunTag>>,
    pub(super) rows: Rows,
    pub(super) is_armed: bool,
    next_group: u64,
    next_pid: u32,
}

pub(super) struct GroupState {
    pub(super) below: PathBuf,
    /// A freeze was requested. It is complete once no process in the group is stuck.
    pub(super) is_frozen: bool,
    pub(super) cpu_usec: u64,
    pub(super) mark: Option<Mark>,
    pub(super) changed_boot_ns: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ProcessState {
    pub(super) start_boot_ns: u64,
    pub(super) group: u64,
    /// By a signal.
    pub(super) is_stopped: bool,
    /// In an uninterruptible sleep: no freeze, signal or kill reaches it.
    pub(super) is_stuck: bool,
    pub(super) is_kernel_thread: bool,
    pub(super) moved_bytes: u64,
    pub(super) holds: Holds,
}

impl State {
    pub(super) fn new(boot_ns: u64) -> Self {
        let mut state = Self {
            boot_ns,
            calls: BTreeMap::new(),
            failures: BTreeMap::new(),
            groups: BTreeMap::new(),
            processes: BTreeMap::new(),
            slots: vec![RunBlock::default(); RUN_SLOTS as usize],
            run_cgroups: BTreeMap::new(),
            process_tags: BTreeMap::new(),
            flows: Vec::new(),
            faults: [0; fault::COUNT as usize],
            skipped: 0,
            spares: vec![None; SPARES as usize],
            rows: Rows::default(),
            is_armed: false,
            next_group: ROOT,
            next_pid: FIRST_PID,
        };
        state.add_group(PathBuf::new());
        state.add_process_as(1, ROOT);
        state.add_process_as(std::process::id(), ROOT);
        state
    }

    pub(super) fn unload(&mut self) {
        self.slots.fill(RunBlock::default());
        self.run_cgroups.clear();
        self.process_tags.clear();
        self.flows.clear();
        self.spares.fill(None);
        self.rows = Rows::default();
        self.is_armed = false;
    }

    /// Counts a call. False if the call is to fail.
    pub(super) fn is_answered(&mut self, call: Call) -> bool {
        *self.calls.entry(call).or_default() += 1;
        match self.failures.get_mut(&call) {
            None => true,
            Some(When::Always) => false,
            Some(When::Once { after: 0 }) => {
                self.failures.remove(&call);
                false
            }
            Some(When::Once { after }) => {
                *after -= 1;
                true
            }
        }
    }

    pub(super) fn add_group(&mut self, below: PathBuf) -> u64 {
        let id = self.next_group;
        self.next_group += 1;
        // A group made in a watched one is watched from the start.
        let parent = below.parent().and_then(|parent| self.group_at(parent));
        let tag = parent.and_then(|parent| self.live_tag(parent));
        if let Some(tag) = tag {
            self.run_cgroups.insert(id, tag);
            self.block(tag).counts.cgroups_made += 1;
            self.make_record(tag, ring::CRITICAL, 1);
        }
        let group =
            GroupState { below, is_frozen: false, cpu_usec: 0, mark: None, changed_boot_ns: self.boot_ns };
        self.groups.insert(id, group);
        id
    }

    pub(super) fn group_at(&self, below: &Path) -> Option<u64> {
        self.groups.iter().find(|(_, group)| group.below == below).map(|(id, _)| *id)
    }

    /// The group and those below it, parents first.
    pub(super) fn subtree(&self, id: u64) -> Vec<u64> {
        let Some(top) = self.groups.get(&id).map(|group| group.below.clone()) else { return Vec::new() };
        let mut found: Vec<(&Path, u64)> = self
            .groups
            .iter()
            .filter(|(_, group)| group.below.starts_with(&top))
            .map(|(id, group)| (group.below.as_path(), *id))
            .collect();
        found.sort();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// Processes in the group and those below it, sorted.
    pub(super) fn inside(&self, id: u64) -> Vec<u32> {
        let groups: BTreeSet<u64> = self.subtree(id).into_iter().collect();
        let inside = self.processes.iter().filter(|(_, process)| groups.contains(&process.group));
        inside.map(|(pid, _)| *pid).collect()
    }

    pub(super) fn has_stuck(&self, id: u64) -> bool {
        self.inside(id).iter().any(|pid| self.processes[pid].is_stuck)
    }

    /// Whether a freeze of the group, or of one above it, was asked for.
    pub(super) fn is_frozen(&self, id: u64) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        self.groups.values().any(|above| above.is_frozen && group.below.starts_with(&above.below))
    }

    pub(super) fn add_process(&mut self, group: u64) -> u32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        self.add_process_as(pid, group);
        pid
    }

    fn add_process_as(&mut self, pid: u32, group: u64) {
        let process = ProcessState {
            start_boot_ns: self.boot_ns,
            group,
            is_stopped: false,
            is_stuck: false,
            is_kernel_thread: false,
            moved_bytes: 0,
            holds: Holds::default(),
        };
        self.processes.insert(pid, process);
    }

    /// The process ends, and the programs see it.
    pub(super) fn end_process(&mut self, pid: u32) {
        self.processes.remove(&pid);
        if let Some((tag, _)) = self.process_tags.remove(&pid)
            && self.is_live(tag)
        {
            self.block(tag).counts.processes_ended += 1;
            self.make_record(tag, ring::CRITICAL, 1);
        }
    }

    /// Moves a process. The programs see it if it enters a watched group.
    pub(super) fn move_process(&mut self, pid: u32, group: u64) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.group = group;
        let start = process.start_boot_ns;
        let (before, into) = (self.tag_of(pid), self.live_tag(group));
        match (before, into) {
            (Some(tag), _) => {
                self.block(tag).counts.cgroup_moves += 1;
                self.make_record(tag, ring::CRITICAL, 1);
            }
            (None, Some(tag)) => {
                self.process_tags.insert(pid, (tag, start));
                let block = self.block(tag);
                block.counts.processes_entered += 1;
                block.counts.cgroup_moves += 1;
                self.make_record(tag, ring::CRITICAL, 1);
            }
            (None, None) => {}
        }
    }

    /// The live run of a process.
    pub(super) fn tag_of(&self, pid: u32) -> Option<RunTag> {
        self.process_tags.get(&pid).map(|(tag, _)| *tag).filter(|tag| self.is_live(*tag))
    }

    /// The live run of a group.
    pub(super) fn live_tag(&self, group: u64) -> Option<RunTag> {
        self.run_cgroups.get(&group).copied().filter(|tag| self.is_live(*tag))
    }

    pub(super) fn is_live(&self, tag: RunTag) -> bool {
        tag.generation != 0 && self.slots[tag.slot as usize].generation == tag.generation
    }

    pub(super) fn block(&mut self, tag: RunTag) -> &mut RunBlock {
        &mut self.slots[tag.slot as usize]
    }

    pub(super) fn make_record(&mut self, tag: RunTag, ring: usize, records: u64) {
        self.block(tag).generated[ring] += records;
    }
}
