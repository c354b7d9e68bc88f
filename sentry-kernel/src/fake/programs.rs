//! The programs' tables.

use std::{collections::HashSet, io};

use sentry_common::{
    counter::RunBlock,
    fact::Fact,
    fault,
    table::{Flow, FlowKey, RunTag},
};
use sentry_detect::run::ProcessKey;

use super::{Call, World, refused};
use crate::{
    bpf::{Links, LoadError, Rows},
    kernel::{Hooks, Programs, SeedPass},
};

pub(super) struct FakePrograms(World);

impl FakePrograms {
    pub(super) fn new(world: World) -> Self {
        Self(world)
    }
}

/// Detaches the programs when it goes.
struct Link(World);

impl Drop for Link {
    fn drop(&mut self) {
        self.0.state().is_armed = false;
    }
}

impl Programs for FakePrograms {
    fn tier(&self) -> &'static str {
        "A"
    }

    fn limits(&self) -> Vec<String> {
        Vec::new()
    }

    fn hooks(&self) -> Hooks {
        Hooks { attached: u64::from(self.0.state().is_armed), missing: 0 }
    }

    fn tell(&self, _fact: Fact) -> bool {
        true
    }

    fn arm(&mut self) -> Result<(), LoadError> {
        self.0.table(Call::Arm)?.is_armed = true;
        Ok(())
    }

    fn take_armed(&mut self) -> Links {
        let is_armed = self.0.state().is_armed;
        if is_armed { vec![Box::new(Link(self.0.clone()))] } else { Vec::new() }
    }

    fn detached(&self) -> io::Result<Vec<Fact>> {
        self.0.call(Call::Detached).map(|_state| Vec::new()).ok_or_else(refused)
    }

    fn skipped(&self) -> Option<u64> {
        self.0.call(Call::Skipped).map(|state| state.skipped)
    }

    fn set_run(&mut self, slot: u32, generation: u32) -> Result<(), LoadError> {
        let mut state = self.0.table(Call::SetRun)?;
        state.slots[slot as usize] = RunBlock { generation, ..RunBlock::default() };
        Ok(())
    }

    fn stop_run(&mut self, slot: u32) -> Result<RunBlock, LoadError> {
        let mut state = self.0.table(Call::StopRun)?;
        let block = &mut state.slots[slot as usize];
        block.generation = 0;
        Ok(*block)
    }

    fn run(&self, slot: u32) -> Result<RunBlock, LoadError> {
        Ok(self.0.table(Call::Run)?.slots[slot as usize])
    }

    fn add_cgroup(&mut self, cgroup: u64, tag: RunTag) -> Result<(), LoadError> {
        self.0.table(Call::AddCgroup)?.run_cgroups.insert(cgroup, tag);
        Ok(())
    }

    fn cgroup(&self, cgroup: u64) -> Option<RunTag> {
        self.0.call(Call::Cgroup)?.run_cgroups.get(&cgroup).copied()
    }

    fn live_cgroups(&self) -> HashSet<u64> {
        let Some(state) = self.0.call(Call::LiveCgroups) else { return HashSet::new() };
        let rows = state.run_cgroups.iter();
        rows.filter(|(_, tag)| state.is_live(**tag)).map(|(cgroup, _)| *cgroup).collect()
    }

    fn is_live(&self, tag: RunTag) -> bool {
        self.0.state().is_live(tag)
    }

    fn forget(&mut self, tag: RunTag) {
        let mut state = self.0.state();
        state.run_cgroups.retain(|_, of| *of != tag);
        state.process_tags.retain(|_, (of, _)| *of != tag);
    }

    fn members(&self, tag: RunTag) -> Vec<ProcessKey> {
        let all = self.0.call(Call::Members).map(|state| members(&state.process_tags));
        all.into_iter().flatten().filter(|(of, _)| *of == tag).map(|(_, key)| key).collect()
    }

    fn all_members(&self) -> Vec<(RunTag, ProcessKey)> {
        self.0.call(Call::AllMembers).map(|state| members(&state.process_tags)).unwrap_or_default()
    }

    fn add_member(&mut self, tag: RunTag, process: ProcessKey) -> Result<(), LoadError> {
        let mut state = self.0.table(Call::AddMember)?;
        state.process_tags.insert(process.tgid, (tag, process.start_boot_ns));
        Ok(())
    }

    fn remove_member(&mut self, tag: RunTag, process: ProcessKey) -> bool {
        let Some(mut state) = self.0.call(Call::RemoveMember) else { return false };
        let is_there = state.process_tags.get(&process.tgid) == Some(&(tag, process.start_boot_ns));
        is_there && state.process_tags.remove(&process.tgid).is_some()
    }

    fn process(&self, tgid: u32) -> Option<RunTag> {
        self.0.call(Call::Process)?.tag_of(tgid)
    }

    fn flows(&self, tag: RunTag) -> Vec<(FlowKey, Flow)> {
        let Some(state) = self.0.call(Call::Flows) else { return Vec::new() };
        state.flows.iter().filter(|(key, _)| key.tag == tag).copied().collect()
    }

    fn take_flows(&mut self, tag: RunTag) -> Vec<(FlowKey, Flow)> {
        let flows = self.flows(tag);
        self.0.state().flows.retain(|(key, _)| key.tag != tag);
        flows
    }

    fn faults(&self) -> [u64; fault::COUNT as usize] {
        self.0.state().faults
    }

    fn seed_pass(&mut self) -> Result<SeedPass, LoadError> {
        drop(self.0.table(Call::SeedPass)?);
        let world = self.0.clone();
        Ok(Box::new(move || {
            let mut state = world.table(Call::Seed)?;
            let pids: Vec<u32> = state.processes.keys().copied().collect();
            for pid in pids {
                let (group, start) = {
                    let process = &state.processes[&pid];
                    (process.group, process.start_boot_ns)
                };
                if state.tag_of(pid).is_none()
                    && let Some(tag) = state.live_tag(group)
                {
                    state.process_tags.insert(pid, (tag, start));
                    state.block(tag).counts.processes_entered += 1;
                    state.make_record(tag, sentry_common::abi::ring::CRITICAL, 1);
                }
            }
            Ok(Vec::new())
        }))
    }

    fn select(&mut self, rows: Rows) -> Result<(), LoadError> {
        self.0.table(Call::Select)?.rows = rows;
        Ok(())
    }

    fn spares(&self) -> Result<Vec<Option<RunTag>>, LoadError> {
        Ok(self.0.table(Call::Spares)?.spares.clone())
    }

    fn set_spare(&mut self, place: u32, tag: Option<RunTag>) -> Result<(), LoadError> {
        self.0.table(Call::SetSpare)?.spares[place as usize] = tag;
        Ok(())
    }
}

fn members(tags: &std::collections::BTreeMap<u32, (RunTag, u64)>) -> Vec<(RunTag, ProcessKey)> {
    let key = |(tgid, (tag, start)): (&u32, &(RunTag, u64))| {
        (*tag, ProcessKey { tgid: *tgid, start_boot_ns: *start })
    };
    tags.iter().map(key).collect()
}
