//! The running kernel: the implementation of [`crate::kernel`] that the sensor uses.

use std::{
    collections::HashSet,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::process::Signal as RawSignal;
use sentry_common::{
    counter::RunBlock,
    fact::Fact,
    fault,
    table::{Flow, FlowKey, RunTag},
};
use sentry_detect::run::{Holds, ProcessKey};

use crate::{
    bpf::{self, Links, LoadError, Rows, programs::newborns, skipped},
    cgroup::{Cgroup, CgroupError, CgroupEvents, CgroupRoot, CpuTime, Mark},
    clock::Clock,
    kernel::{Group, Groups, HeldProcess, Hooks, Kernel, Processes, Programs, SeedPass, Signal},
    process::{self, Held},
};

/// The running kernel: the loaded programs and the hierarchy of control groups.
#[must_use]
pub fn kernel(programs: bpf::Programs, root: CgroupRoot) -> Kernel {
    Kernel {
        programs: Box::new(programs),
        groups: Arc::new(root),
        processes: Arc::new(Procfs),
        clock: Clock::real(),
    }
}

impl Programs for bpf::Programs {
    fn tier(&self) -> &str {
        self.tier().letter()
    }

    fn limits(&self) -> Vec<String> {
        self.limits()
    }

    fn hooks(&self) -> Hooks {
        Hooks { attached: self.attached() as u64, missing: self.missing().len() as u64 }
    }

    fn tell(&self, fact: Fact) -> bool {
        self.tell(fact)
    }

    fn arm(&mut self) -> Result<(), LoadError> {
        self.arm()
    }

    fn take_armed(&mut self) -> Links {
        self.take_armed()
    }

    fn detached(&self) -> io::Result<Vec<Fact>> {
        self.detached()
    }

    fn skipped(&self) -> Option<u64> {
        skipped()
    }

    fn set_run(&mut self, slot: u32, generation: u32) -> Result<(), LoadError> {
        self.tables.set_run(slot, generation)
    }

    fn stop_run(&mut self, slot: u32) -> Result<RunBlock, LoadError> {
        self.tables.stop_run(slot)
    }

    fn run(&self, slot: u32) -> Result<RunBlock, LoadError> {
        self.tables.run(slot)
    }

    fn add_cgroup(&mut self, cgroup: u64, tag: RunTag) -> Result<(), LoadError> {
        self.tables.add_cgroup(cgroup, tag)
    }

    fn cgroup(&self, cgroup: u64) -> Option<RunTag> {
        self.tables.cgroup(cgroup)
    }

    fn live_cgroups(&self) -> HashSet<u64> {
        self.tables.live_cgroups()
    }

    fn is_live(&self, tag: RunTag) -> bool {
        self.tables.is_live(tag)
    }

    fn forget(&mut self, tag: RunTag) {
        self.tables.forget(tag);
    }

    fn members(&self, tag: RunTag) -> Vec<ProcessKey> {
        self.tables.members(tag)
    }

    fn all_members(&self) -> Vec<(RunTag, ProcessKey)> {
        self.tables.all_members()
    }

    fn add_member(&mut self, tag: RunTag, process: ProcessKey) -> Result<(), LoadError> {
        self.tables.add_member(tag, process)
    }

    fn remove_member(&mut self, tag: RunTag, process: ProcessKey) -> bool {
        self.tables.remove_member(tag, process)
    }

    fn process(&self, tgid: u32) -> Option<RunTag> {
        self.tables.process(tgid)
    }

    fn flows(&self, tag: RunTag) -> Vec<(FlowKey, Flow)> {
        self.tables.flows(tag)
    }

    fn take_flows(&mut self, tag: RunTag) -> Vec<(FlowKey, Flow)> {
        self.tables.take_flows(tag)
    }

    fn faults(&self) -> [u64; fault::COUNT as usize] {
        self.tables.faults()
    }

    fn seed_pass(&mut self) -> Result<SeedPass, LoadError> {
        let pass = self.seed_pass()?;
        Ok(Box::new(move || newborns(pass)))
    }

    fn select(&mut self, rows: Rows) -> Result<(), LoadError> {
        self.selected.set(rows)
    }

    fn spares(&self) -> Result<Vec<Option<RunTag>>, LoadError> {
        self.selected.spares()
    }

    fn set_spare(&mut self, place: u32, tag: Option<RunTag>) -> Result<(), LoadError> {
        self.selected.set_spare(place, tag)
    }
}

impl Groups for CgroupRoot {
    fn mount(&self) -> &Path {
        self.mount()
    }

    fn own(&self) -> Result<Option<PathBuf>, CgroupError> {
        self.own().map(|own| own.map(Path::to_path_buf))
    }

    fn create(&self, run: &str) -> Result<Arc<dyn Group>, CgroupError> {
        self.create(run).map(shared)
    }

    fn create_in(&self, parent: &Path, name: &str) -> Result<Arc<dyn Group>, CgroupError> {
        self.create_in(parent, name).map(shared)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn Group>, CgroupError> {
        self.open(path).map(shared)
    }

    fn gone(&self, below: &Path, id: u64) -> Result<Arc<dyn Group>, CgroupError> {
        self.gone(below, id).map(shared)
    }

    fn names_of_runs(&self) -> Result<Vec<OsString>, CgroupError> {
        self.names_of_runs()
    }
}

fn shared(group: Cgroup) -> Arc<dyn Group> {
    Arc::new(group)
}

impl Group for Cgroup {
    fn id(&self) -> u64 {
        self.id()
    }

    fn below(&self) -> &Path {
        self.below()
    }

    fn path(&self) -> PathBuf {
        self.path()
    }

    fn is_root(&self) -> bool {
        self.id() == self.root().id()
    }

    fn procs(&self) -> Result<Vec<u32>, CgroupError> {
        self.procs()
    }

    fn add(&self, pid: u32) -> Result<(), CgroupError> {
        self.add(pid)
    }

    fn events(&self) -> Result<CgroupEvents, CgroupError> {
        self.events()
    }

    fn populated(&self) -> Result<bool, CgroupError> {
        self.populated()
    }

    fn visit(&self, visit: &mut dyn FnMut(u64) -> bool) -> Result<(), CgroupError> {
        self.visit_ids(visit)
    }

    fn cpu_time(&self) -> Result<CpuTime, CgroupError> {
        self.cpu_time()
    }

    fn holds(&self) -> Holds {
        self.holds()
    }

    fn remove(&self) -> Result<(), CgroupError> {
        self.remove()
    }

    fn freeze(&self, limit: Duration) -> Result<(), CgroupError> {
        self.freeze(limit)
    }

    fn thaw(&self, limit: Duration) -> Result<(), CgroupError> {
        self.thaw(limit)
    }

    fn is_frozen(&self) -> Result<bool, CgroupError> {
        self.is_frozen()
    }

    fn kill(&self, limit: Duration) -> Result<(), CgroupError> {
        self.kill(limit)
    }

    fn set_mark(&self, mark: &Mark) -> Result<(), CgroupError> {
        self.set_mark(mark)
    }

    fn mark(&self) -> Option<Mark> {
        self.mark()
    }

    fn changed_unix_s(&self) -> Result<u64, CgroupError> {
        self.changed_unix_s()
    }
}

/// Processes, by procfs and pidfds.
#[derive(Clone, Copy, Debug)]
pub struct Procfs;

impl Processes for Procfs {
    fn hold(&self, key: ProcessKey) -> Option<Box<dyn HeldProcess>> {
        Held::open(key).map(|held| Box::new(held) as Box<dyn HeldProcess>)
    }

    fn is_alive(&self, key: ProcessKey) -> bool {
        process::alive(key).is_some()
    }

    fn is_gone(&self, key: ProcessKey) -> bool {
        process::is_gone(key)
    }

    fn is_stopped(&self, key: ProcessKey) -> bool {
        process::stopped(key)
    }

    fn moved_bytes(&self, pid: u32) -> u64 {
        process::moved_bytes(pid)
    }

    fn holds(&self, pid: u32) -> Holds {
        process::holds(pid)
    }
}

impl HeldProcess for Held {
    fn key(&self) -> ProcessKey {
        self.key
    }

    fn is_kernel_thread(&self) -> bool {
        self.stat.is_kernel_thread()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(self.signal(match signal {
            Signal::Stop => RawSignal::STOP,
            Signal::Continue => RawSignal::CONT,
            Signal::Kill => RawSignal::KILL,
        })?)
    }
}
