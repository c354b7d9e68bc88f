//! What the sensor asks of the kernel, as traits. The running kernel implements them; in tests a
//! kernel in memory does.
//!
//! | trait | what stands behind it |
//! |---|---|
//! | [`Programs`] | the BPF programs and their tables |
//! | [`Groups`], [`Group`] | the cgroup v2 hierarchy |
//! | [`Processes`], [`HeldProcess`] | procfs and pidfds |
//! | [`Clock`] | the machine's clocks |
//!
//! Every call may fail or block; none is made per event.

use std::{
    collections::HashSet,
    ffi::OsString,
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sentry_common::{
    counter::RunBlock,
    fact::Fact,
    fault,
    table::{Flow, FlowKey, RunTag},
};
use sentry_detect::run::{Holds, ProcessKey};

use crate::{
    bpf::{Links, LoadError, Rows},
    cgroup::{CgroupError, CgroupEvents, CpuTime, Mark},
    clock::Clock,
};

/// Everything that the sensor asks of one kernel.
pub struct Kernel {
    pub programs: Box<dyn Programs>,
    pub groups: Arc<dyn Groups>,
    pub processes: Arc<dyn Processes>,
    pub clock: Clock,
}

/// Programs at their hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Attached now: most are only while a run exists.
    pub attached: u64,
    /// Those that this kernel lacks the hook for, or refuses.
    pub missing: u64,
}

/// The BPF programs and the tables that they share with the sensor.
pub trait Programs: Send {
    /// Letter of the tier: how file facts are seen.
    fn tier(&self) -> &str;

    /// What this kernel does not show, one sentence each.
    fn limits(&self) -> Vec<String>;

    /// How many programs stand at their hooks now.
    fn hooks(&self) -> Hooks;

    /// Whether records of a fact are made here.
    fn tell(&self, fact: Fact) -> bool;

    /// Attaches all programs but the core's, if they are not attached.
    ///
    /// # Errors
    /// When the kernel refuses an attachment; nothing stays attached then.
    fn arm(&mut self) -> Result<(), LoadError>;

    /// Takes what [`Programs::arm`] attached. Drop it where nobody waits: detaching waits for the
    /// kernel.
    fn take_armed(&mut self) -> Links;

    /// Facts whose programs another process has detached.
    ///
    /// # Errors
    /// When the process's own descriptors cannot be listed.
    fn detached(&self) -> io::Result<Vec<Fact>>;

    /// Calls of programs that the kernel skipped since they were loaded; `None` where the kernel
    /// does not report it.
    fn skipped(&self) -> Option<u64>;

    /// Gives a slot to a run, with counters at zero. Generation 0 frees the slot.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn set_run(&mut self, slot: u32, generation: u32) -> Result<(), LoadError>;

    /// Voids every tag of a slot's run, keeps its counters and returns them.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn stop_run(&mut self, slot: u32) -> Result<RunBlock, LoadError>;

    /// The counters of a slot.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn run(&self, slot: u32) -> Result<RunBlock, LoadError>;

    /// Makes a cgroup part of a run.
    ///
    /// # Errors
    /// When the table is full.
    fn add_cgroup(&mut self, cgroup: u64, tag: RunTag) -> Result<(), LoadError>;

    /// Which run a cgroup belongs to.
    fn cgroup(&self, cgroup: u64) -> Option<RunTag>;

    /// The cgroups whose tag is not void.
    fn live_cgroups(&self) -> HashSet<u64>;

    /// Whether a tag is that of the run that has its slot now.
    fn is_live(&self, tag: RunTag) -> bool;

    /// Removes all rows of a run from the tables of cgroups and processes.
    fn forget(&mut self, tag: RunTag);

    /// Live processes of a run, by its lineage, wherever their cgroup is.
    fn members(&self, tag: RunTag) -> Vec<ProcessKey>;

    /// Live processes of all runs.
    fn all_members(&self) -> Vec<(RunTag, ProcessKey)>;

    /// Makes a process a member whose entry no program has seen.
    ///
    /// # Errors
    /// When the table is full, or the kernel refuses.
    fn add_member(&mut self, tag: RunTag, process: ProcessKey) -> Result<(), LoadError>;

    /// Takes a process out. True for the one caller that removed it.
    fn remove_member(&mut self, tag: RunTag, process: ProcessKey) -> bool;

    /// The live run of a process.
    fn process(&self, tgid: u32) -> Option<RunTag>;

    /// Packets and bytes that a run exchanged, by the other side.
    fn flows(&self, tag: RunTag) -> Vec<(FlowKey, Flow)>;

    /// The same, and removes the rows: for a run that has ended.
    fn take_flows(&mut self, tag: RunTag) -> Vec<(FlowKey, Flow)>;

    /// Kernel-side failures since the programs were loaded, by [`fault`].
    fn faults(&self) -> [u64; fault::COUNT as usize];

    /// Prepares a pass over all tasks that tags those in the cgroups of runs.
    ///
    /// # Errors
    /// When the iterator cannot be made.
    fn seed_pass(&mut self) -> Result<SeedPass, LoadError>;

    /// Makes the programs reserve what these rows select for the sensor's decision.
    ///
    /// # Errors
    /// When there are more rows than room, or the kernel refuses.
    fn select(&mut self, rows: Rows) -> Result<(), LoadError>;

    /// The tags in reserve, by place; `None` where the tag was taken.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn spares(&self) -> Result<Vec<Option<RunTag>>, LoadError>;

    /// Puts a tag in reserve at a place, or empties the place (`None`).
    ///
    /// # Errors
    /// When the kernel refuses.
    fn set_spare(&mut self, place: u32, tag: Option<RunTag>) -> Result<(), LoadError>;
}

/// A pass over all tasks. Calling it makes the pass and returns the starts (`CLOCK_BOOTTIME`, ns)
/// of the tasks that it left to their fork records. It is separate from the tables because its time
/// grows with the number of tasks.
pub type SeedPass = Box<dyn FnOnce() -> Result<Vec<u64>, LoadError> + Send>;

/// The hierarchy of control groups.
pub trait Groups: Debug + Send + Sync {
    /// Where it is mounted.
    fn mount(&self) -> &Path;

    /// Where this process is, below the mount, if it lives in a cgroup namespace of its own.
    ///
    /// # Errors
    /// Where it is in no group that the mount shows.
    fn own(&self) -> Result<Option<PathBuf>, CgroupError>;

    /// Makes the group of a run.
    ///
    /// # Errors
    /// Where `run` is not one path component, exists already or cannot be made.
    fn create(&self, run: &str) -> Result<Arc<dyn Group>, CgroupError>;

    /// Makes a group in the one at `parent` below the mount.
    ///
    /// # Errors
    /// Where `name` is not one path component, exists already or cannot be made.
    fn create_in(&self, parent: &Path, name: &str) -> Result<Arc<dyn Group>, CgroupError>;

    /// Opens a group: `path` is absolute in the file system, or relative to the mount.
    ///
    /// # Errors
    /// Where it is outside of the mount, the root, not a domain group, or cannot be opened.
    fn open(&self, path: &Path) -> Result<Arc<dyn Group>, CgroupError>;

    /// Stands for a removed group.
    ///
    /// # Errors
    /// Where no such stand-in can be made.
    fn gone(&self, below: &Path, id: u64) -> Result<Arc<dyn Group>, CgroupError>;

    /// Names of the groups in the directory of runs.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    fn names_of_runs(&self) -> Result<Vec<OsString>, CgroupError>;
}

/// One control group. Its members are those of its subtree.
pub trait Group: Debug + Send + Sync {
    /// The kernel's number of it.
    fn id(&self) -> u64;

    /// Where it was when it was opened, below the mount, without a leading slash.
    fn below(&self) -> &Path;

    /// Where it was when it was opened.
    fn path(&self) -> PathBuf;

    /// Whether it is the root of the hierarchy.
    fn is_root(&self) -> bool;

    /// Processes with a live thread, sorted.
    ///
    /// # Errors
    /// Where a file cannot be read.
    fn procs(&self) -> Result<Vec<u32>, CgroupError>;

    /// Moves a process with all its threads into it.
    ///
    /// # Errors
    /// Where the kernel refuses, or the group is gone.
    fn add(&self, pid: u32) -> Result<(), CgroupError>;

    /// The current state of the group, from `cgroup.events`.
    ///
    /// # Errors
    /// Where the file cannot be read.
    fn events(&self) -> Result<CgroupEvents, CgroupError>;

    /// Whether a live process is in it. A group that is gone has none.
    ///
    /// # Errors
    /// Where the kernel does not say.
    fn populated(&self) -> Result<bool, CgroupError>;

    /// Calls `visit` with the id of every group of the subtree, each before its children are
    /// listed, until that returns false.
    ///
    /// # Errors
    /// Where a directory cannot be read.
    fn visit(&self, visit: &mut dyn FnMut(u64) -> bool) -> Result<(), CgroupError>;

    /// CPU time since it was made.
    ///
    /// # Errors
    /// Where the kernel does not say.
    fn cpu_time(&self) -> Result<CpuTime, CgroupError>;

    /// Memory and its limit, as far as the memory controller says; else the limit is what the host
    /// has.
    fn holds(&self) -> Holds;

    /// Removes it and what is below it. Members must be gone.
    ///
    /// # Errors
    /// Where a process is still in it, or the path belongs to another group by now.
    fn remove(&self) -> Result<(), CgroupError>;

    /// Stops every task and waits until the kernel confirms it.
    ///
    /// # Errors
    /// Where the tasks did not stop within `limit`. The request stays in force until a thaw.
    fn freeze(&self, limit: Duration) -> Result<(), CgroupError>;

    /// Undoes a freeze. A group that is gone is not frozen.
    ///
    /// # Errors
    /// Where it stays frozen, as it does below a frozen parent.
    fn thaw(&self, limit: Duration) -> Result<(), CgroupError>;

    /// Whether all tasks are stopped now.
    ///
    /// # Errors
    /// Where the kernel does not say.
    fn is_frozen(&self) -> Result<bool, CgroupError>;

    /// Kills every process, and does not wait for their end.
    ///
    /// # Errors
    /// Where the kernel refuses.
    fn kill(&self, limit: Duration) -> Result<(), CgroupError>;

    /// Writes the mark of its owner.
    ///
    /// # Errors
    /// Where the kernel refuses.
    fn set_mark(&self, mark: &Mark) -> Result<(), CgroupError>;

    /// The mark of its owner, if it has one.
    fn mark(&self) -> Option<Mark>;

    /// When it was last changed, Unix time in seconds.
    ///
    /// # Errors
    /// Where the kernel does not say.
    fn changed_unix_s(&self) -> Result<u64, CgroupError>;
}

/// Processes, each named by its id and its start time.
pub trait Processes: Send + Sync {
    /// Opens a live process. `None` if it has ended, even if another has its id now.
    fn hold(&self, key: ProcessKey) -> Option<Box<dyn HeldProcess>>;

    /// Whether it lives.
    fn is_alive(&self, key: ProcessKey) -> bool;

    /// Whether it has ended for certain.
    fn is_gone(&self, key: ProcessKey) -> bool;

    /// Whether all live threads of the process are stopped; true if it has ended.
    fn is_stopped(&self, key: ProcessKey) -> bool;

    /// Bytes that it has read and written; 0 where it has ended or may not be asked.
    fn moved_bytes(&self, pid: u32) -> u64;

    /// What it holds, without a limit; nothing where it has ended.
    fn holds(&self, pid: u32) -> Holds;
}

/// A process held by a descriptor, so that a signal cannot reach another one.
pub trait HeldProcess {
    fn key(&self) -> ProcessKey;

    /// Whether it is a kernel thread.
    fn is_kernel_thread(&self) -> bool;

    /// Sends a signal. A process that has ended meanwhile needs none.
    ///
    /// # Errors
    /// Where the kernel refuses.
    fn signal(&self, signal: Signal) -> io::Result<()>;
}

/// A signal, by its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Stop,
    Continue,
    Kill,
}
