//! Typed access to the tables that the programs share with the sensor.

use std::collections::{HashMap, HashSet};

use aya::{
    Ebpf,
    maps::{Array, HashMap as Table, Map, MapData, MapError, PerCpuArray},
};
use sentry_common::{
    counter::RunBlock,
    fault,
    table::{Flow, FlowKey, ProcessTag, RunTag},
};
use sentry_detect::run::ProcessKey;

use super::{LoadError, row::Row};

/// Handles of the shared maps.
pub struct Tables {
    run_cgroups: Table<MapData, u64, Row<RunTag>>,
    process_tags: Table<MapData, u32, Row<ProcessTag>>,
    flows: Table<MapData, Row<FlowKey>, Row<Flow>>,
    runs: Array<MapData, Row<RunBlock>>,
    faults: PerCpuArray<MapData, u64>,
    tags_missing: Array<MapData, u32>,
}

/// The runs whose bulk records the programs leave out: for each slot the generation of the held
/// run.
pub struct Held {
    table: Array<MapData, u32>,
    now: HashMap<u32, u32>,
}

impl Held {
    pub(super) fn take(core: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self { table: take(core, "HELD")?, now: HashMap::new() })
    }

    /// Holds a run or releases it. Has no effect on a later run in the same slot.
    ///
    /// # Errors
    /// When the kernel refuses the write.
    pub fn set(&mut self, tag: RunTag, held: bool) -> Result<(), LoadError> {
        if held {
            self.now.insert(tag.slot, tag.generation);
        } else if self.now.get(&tag.slot) == Some(&tag.generation) {
            self.now.remove(&tag.slot);
        } else {
            return Ok(());
        }
        self.table.set(tag.slot, if held { tag.generation } else { 0 }, 0).map_err(table("write", "HELD"))
    }
}

impl Tables {
    pub(super) fn take(core: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            run_cgroups: take(core, "RUN_CGROUPS")?,
            process_tags: take(core, "PROCESS_TAGS")?,
            flows: take(core, "FLOWS")?,
            runs: take(core, "RUNS")?,
            faults: take(core, "FAULTS")?,
            tags_missing: take(core, "TAGS_MISSING")?,
        })
    }

    /// Gives a slot to a run, with counters at zero. Generation 0 frees the slot. Every tag of the
    /// old generation is void from then on.
    ///
    /// # Errors
    /// When the kernel refuses the write.
    pub fn set_run(&mut self, slot: u32, generation: u32) -> Result<(), LoadError> {
        let block = RunBlock { generation, ..RunBlock::default() };
        self.runs.set(slot, Row(block), 0).map_err(table("write", "RUNS"))
    }

    /// Voids every tag of a slot's run, keeps its counters and returns them. A count made between
    /// the two accesses is missing from them, though its record exists.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn stop_run(&mut self, slot: u32) -> Result<RunBlock, LoadError> {
        let block = self.run(slot)?;
        let stopped = RunBlock { generation: 0, ..block };
        self.runs.set(slot, Row(stopped), 0).map_err(table("write", "RUNS"))?;
        self.run(slot)
    }

    /// The counters of a slot.
    ///
    /// # Errors
    /// When the kernel refuses the read.
    pub fn run(&self, slot: u32) -> Result<RunBlock, LoadError> {
        self.runs.get(&slot, 0).map(|row| row.0).map_err(table("read", "RUNS"))
    }

    /// Makes a cgroup part of a run.
    ///
    /// # Errors
    /// When the table is full.
    pub fn add_cgroup(&mut self, cgroup: u64, tag: RunTag) -> Result<(), LoadError> {
        self.run_cgroups.insert(cgroup, Row(tag), 0).map_err(table("write", "RUN_CGROUPS"))
    }

    /// Which run a cgroup belongs to.
    #[must_use]
    pub fn cgroup(&self, cgroup: u64) -> Option<RunTag> {
        self.run_cgroups.get(&cgroup, 0).ok().map(|row| row.0)
    }

    /// The cgroups whose tag is not void.
    #[must_use]
    pub fn live_cgroups(&self) -> HashSet<u64> {
        let rows = self.run_cgroups.iter().filter_map(Result::ok);
        rows.filter(|(_, tag)| self.is_live(tag.0)).map(|(cgroup, _)| cgroup).collect()
    }

    /// Whether a tag is that of the run that has its slot now.
    #[must_use]
    pub fn is_live(&self, tag: RunTag) -> bool {
        self.run(tag.slot).is_ok_and(|run| run.generation == tag.generation)
    }

    /// Removes all rows of a run, from the cgroup and process tables.
    pub fn forget(&mut self, tag: RunTag) {
        let cgroups: Vec<u64> = self
            .run_cgroups
            .iter()
            .filter_map(Result::ok)
            .filter(|row| row.1.0 == tag)
            .map(|row| row.0)
            .collect();
        for cgroup in cgroups {
            // A row that is gone already needs no removal.
            drop(self.run_cgroups.remove(&cgroup));
        }
        for process in self.members(tag) {
            drop(self.process_tags.remove(&process.tgid));
        }
    }

    /// Live processes of a run, by its lineage, wherever their cgroup is.
    #[must_use]
    pub fn members(&self, tag: RunTag) -> Vec<ProcessKey> {
        self.member_rows().filter(|(of, _)| *of == tag).map(|(_, process)| process).collect()
    }

    /// Live processes of all runs.
    #[must_use]
    pub fn all_members(&self) -> Vec<(RunTag, ProcessKey)> {
        self.member_rows().collect()
    }

    fn member_rows(&self) -> impl Iterator<Item = (RunTag, ProcessKey)> {
        let rows = self.process_tags.iter().filter_map(Result::ok);
        rows.map(|(tgid, Row(row))| (row.tag, ProcessKey { tgid, start_boot_ns: row.start_boot_ns }))
    }

    /// Makes a process a member whose entry no program has seen. Its tasks have no tags: from now
    /// on they are looked up by process.
    ///
    /// # Errors
    /// When the table is full, or the kernel refuses.
    pub fn add_member(&mut self, tag: RunTag, process: ProcessKey) -> Result<(), LoadError> {
        self.tags_missing.set(0, 1, 0).map_err(table("write", "TAGS_MISSING"))?;
        let row = ProcessTag { tag, start_boot_ns: process.start_boot_ns };
        self.process_tags.insert(process.tgid, Row(row), 0).map_err(table("write", "PROCESS_TAGS"))
    }

    /// Takes a process out. True for the one caller that removed it.
    pub fn remove_member(&mut self, tag: RunTag, process: ProcessKey) -> bool {
        let row = ProcessTag { tag, start_boot_ns: process.start_boot_ns };
        self.process_tags.get(&process.tgid, 0).is_ok_and(|now| now.0 == row)
            && self.process_tags.remove(&process.tgid).is_ok()
    }

    /// Packets and bytes that a run exchanged, by the other side.
    #[must_use]
    pub fn flows(&self, tag: RunTag) -> Vec<(FlowKey, Flow)> {
        let rows = self.flows.iter().filter_map(Result::ok).map(|(Row(key), Row(flow))| (key, flow));
        rows.filter(|(key, _)| key.tag == tag).collect()
    }

    /// The same, and removes the rows: for a run that has ended.
    #[must_use]
    pub fn take_flows(&mut self, tag: RunTag) -> Vec<(FlowKey, Flow)> {
        let flows = self.flows(tag);
        for (key, _) in &flows {
            drop(self.flows.remove(&Row(*key)));
        }
        flows
    }

    /// The run of a process.
    #[must_use]
    pub fn process(&self, tgid: u32) -> Option<RunTag> {
        let tag = self.process_tags.get(&tgid, 0).ok()?.0.tag;
        self.is_live(tag).then_some(tag)
    }

    /// Kernel-side failures since load, by [`fault`].
    #[must_use]
    pub fn faults(&self) -> [u64; fault::COUNT as usize] {
        std::array::from_fn(|index| {
            self.faults
                .get(&u32::try_from(index).unwrap_or(u32::MAX), 0)
                .map_or(0, |counts| counts.iter().sum())
        })
    }
}

pub(super) fn take<T: TryFrom<Map, Error = MapError>>(
    core: &mut Ebpf,
    name: &'static str,
) -> Result<T, LoadError> {
    let map = core.take_map(name).ok_or(LoadError::Absent { object: "core", what: "map", name })?;
    T::try_from(map).map_err(table("open", name))
}

pub(super) fn table(doing: &'static str, table: &'static str) -> impl Fn(MapError) -> LoadError {
    move |source| LoadError::Table { doing, table, source: Box::new(source) }
}
