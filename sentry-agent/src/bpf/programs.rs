//! The loaded programs and their attachments.

use std::{
    any::Any,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Instant,
};

use aya::{
    Btf, Ebpf,
    maps::{MapData, RingBuf},
    programs::{BtfTracePoint, CgroupAttachMode, CgroupSockAddr, FEntry, Iter, Lsm, Program, ProgramError},
};

use super::{
    LoadError,
    load::{Loader, refused},
    objects, offsets,
    tables::Tables,
};
use crate::enrich::clock;

/// Bytes of the rings; powers of two and multiples of the page size.
#[derive(Clone, Copy, Debug)]
pub struct RingSizes {
    pub critical_bytes: u32,
    pub bulk_bytes: u32,
}

/// How file facts are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTier {
    /// BPF-LSM.
    A,
    /// Trampolines on the security calls.
    B,
    /// Syscall results.
    C,
}

/// The consumer ends of the rings.
pub struct Rings {
    pub critical: RingBuf<MapData>,
    pub bulk: RingBuf<MapData>,
}

/// Everything loaded. Dropping it detaches everything.
pub struct Programs {
    pub tables: Tables,
    pub file_tier: FileTier,
    core: Ebpf,
    network: Ebpf,
    file: Ebpf,
    cgroup_root: PathBuf,
    /// Attachments that exist only while a run does.
    armed: Links,
}

/// What an object's program hooks.
pub(super) const CORE: [(&str, &str); 6] = [
    ("fork", "sched_process_fork"),
    ("exec", "sched_process_exec"),
    ("exit", "sched_process_exit"),
    ("cgroup_attach", "cgroup_attach_task"),
    ("cgroup_make", "cgroup_mkdir"),
    ("cgroup_remove", "cgroup_rmdir"),
];
pub(super) const NETWORK: [&str; 4] = ["connect_ipv4", "connect_ipv6", "send_ipv4", "send_ipv6"];
pub(super) const FILE_LSM: [(&str, &str); 4] = [
    ("lsm_open", "file_open"),
    ("lsm_unlink", "path_unlink"),
    ("lsm_rmdir", "path_rmdir"),
    ("lsm_rename", "path_rename"),
];
pub(super) const FILE_FENTRY: [(&str, &str); 4] = [
    ("fentry_open", "security_file_open"),
    ("fentry_unlink", "security_path_unlink"),
    ("fentry_rmdir", "security_path_rmdir"),
    ("fentry_rename", "security_path_rename"),
];
pub(super) const FILE_SYSCALL: [(&str, &str); 1] = [("sys_exit", "sys_exit")];

impl Programs {
    /// Loads all objects and attaches the process and cgroup programs. File and network programs are attached by
    /// [`Programs::arm`], while a run exists.
    ///
    /// # Errors
    /// When this kernel or this caller cannot run the programs every run needs.
    pub fn load(btf_path: &Path, cgroup_root: &Path, rings: RingSizes) -> Result<(Self, Rings), LoadError> {
        let result = Self::load_all(btf_path, cgroup_root, rings);
        match result {
            Err(error) if error.is_permission() => Err(LoadError::Permission),
            other => other,
        }
    }

    fn load_all(btf_path: &Path, cgroup_root: &Path, rings: RingSizes) -> Result<(Self, Rings), LoadError> {
        if objects::CORE.is_empty() {
            return Err(LoadError::NoPrograms);
        }
        let start = Instant::now();
        let step = |what| tracing::debug!(what, elapsed_ms = start.elapsed().as_millis(), "loading");
        let offsets = offsets::of_this_kernel(btf_path)?;
        step("offsets");
        if !offsets.missing.is_empty() {
            return Err(LoadError::MissingFields { missing: offsets.missing });
        }
        let btf = parse_btf(btf_path)?;
        step("type information");
        let loader = Loader::new(&btf, &offsets, rings)?;
        let mut core = load_core(&loader, &btf)?;
        step("process and cgroup programs");
        let network = load_network(&loader)?;
        step("network programs");
        let (file_tier, file) = load_file(&loader, &btf)?;
        step("file programs");
        drop(loader);
        let tables = Tables::take(&mut core)?;
        let rings =
            Rings { critical: take_ring(&mut core, "CRITICAL")?, bulk: take_ring(&mut core, "BULK")? };
        let mut programs = Self {
            tables,
            file_tier,
            core,
            network,
            file,
            cgroup_root: cgroup_root.to_owned(),
            armed: Links::new(),
        };
        for (name, _) in CORE {
            attach_tracepoint(&mut programs.core, "core", name)?;
        }
        Ok((programs, rings))
    }

    /// Attaches the file and network programs; they cost every process something, so only while a run exists.
    ///
    /// # Errors
    /// When the kernel refuses an attachment; nothing stays attached then.
    pub fn arm(&mut self) -> Result<(), LoadError> {
        if self.armed.is_empty() {
            let mut links = Links::new();
            self.attach_network(&mut links)?;
            self.attach_file(&mut links)?;
            self.armed = links;
        }
        Ok(())
    }

    /// Detaches what [`Programs::arm`] attached.
    pub fn disarm(&mut self) {
        self.armed.clear();
    }

    /// Tags tasks that already sit in the cgroups of runs, each reported as a seed record. Passes again for tasks that
    /// were being forked when it began: their fork may have been over before the cgroup was tagged.
    ///
    /// # Errors
    /// When the iterator cannot be made or read.
    pub fn seed(&mut self) -> Result<(), LoadError> {
        let began = clock::boot_ns();
        while self.seed_pass()?.into_iter().any(|newborn| newborn <= began) {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// One pass over all tasks; the starts (`CLOCK_BOOTTIME` ns) of those that it left to their fork records.
    fn seed_pass(&mut self) -> Result<Vec<u64>, LoadError> {
        let program: &mut Iter = program(&mut self.core, "core", "seed")?;
        let id = program.attach().map_err(refused("core", "seed"))?;
        let link = program.take_link(id).map_err(refused("core", "seed"))?;
        let mut file: File =
            link.into_file().map_err(|source| LoadError::Seed { source: std::io::Error::other(source) })?;
        let mut newborns = Vec::new();
        file.read_to_end(&mut newborns).map_err(|source| LoadError::Seed { source })?;
        Ok(newborns.as_chunks().0.iter().map(|start| u64::from_ne_bytes(*start)).collect())
    }

    /// At the root of the hierarchy, not at the run's cgroup: a member that leaves its cgroup must stay visible.
    fn attach_network(&mut self, links: &mut Links) -> Result<(), LoadError> {
        let root = File::open(&self.cgroup_root)
            .map_err(|source| LoadError::CgroupRoot { path: self.cgroup_root.clone(), source })?;
        for name in NETWORK {
            let program: &mut CgroupSockAddr = program(&mut self.network, "network", name)?;
            let id = program.attach(&root, CgroupAttachMode::Single).map_err(refused("network", name))?;
            links.push(Box::new(program.take_link(id).map_err(refused("network", name))?));
        }
        Ok(())
    }

    fn attach_file(&mut self, links: &mut Links) -> Result<(), LoadError> {
        match self.file_tier {
            FileTier::A => {
                for (name, _) in FILE_LSM {
                    let lsm: &mut Lsm = program(&mut self.file, "file_lsm", name)?;
                    let id = lsm.attach().map_err(refused("file_lsm", name))?;
                    links.push(Box::new(lsm.take_link(id).map_err(refused("file_lsm", name))?));
                }
            }
            FileTier::B => {
                for (name, _) in FILE_FENTRY {
                    let fentry: &mut FEntry = program(&mut self.file, "file_fentry", name)?;
                    let id = fentry.attach().map_err(refused("file_fentry", name))?;
                    links.push(Box::new(fentry.take_link(id).map_err(refused("file_fentry", name))?));
                }
            }
            FileTier::C => {
                for (name, _) in FILE_SYSCALL {
                    let tracepoint: &mut BtfTracePoint = program(&mut self.file, "file_syscall", name)?;
                    let id = tracepoint.attach().map_err(refused("file_syscall", name))?;
                    links.push(Box::new(tracepoint.take_link(id).map_err(refused("file_syscall", name))?));
                }
            }
        }
        Ok(())
    }
}

/// Attachments of different kinds; dropping one detaches it.
type Links = Vec<Box<dyn Any + Send + Sync>>;

fn program<'a, T>(
    ebpf: &'a mut Ebpf,
    object: &'static str,
    name: &'static str,
) -> Result<&'a mut T, LoadError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or(LoadError::Absent { object, what: "program", name })?
        .try_into()
        .map_err(refused(object, name))
}

fn load_tracepoint(
    ebpf: &mut Ebpf,
    object: &'static str,
    name: &'static str,
    hook: &str,
    btf: &Btf,
) -> Result<(), LoadError> {
    program::<BtfTracePoint>(ebpf, object, name)?.load(hook, btf).map_err(refused(object, name))
}

fn attach_tracepoint(ebpf: &mut Ebpf, object: &'static str, name: &'static str) -> Result<(), LoadError> {
    program::<BtfTracePoint>(ebpf, object, name)?.attach().map_err(refused(object, name)).map(drop)
}

fn take_ring(ebpf: &mut Ebpf, name: &'static str) -> Result<RingBuf<MapData>, LoadError> {
    let map = ebpf.take_map(name).ok_or(LoadError::Absent { object: "core", what: "map", name })?;
    RingBuf::try_from(map).map_err(|source| LoadError::Table {
        doing: "open",
        table: name,
        source: Box::new(source),
    })
}

pub(super) fn parse_btf(path: &Path) -> Result<Btf, LoadError> {
    Btf::parse_file(path, aya::Endianness::default())
        .map_err(|error| LoadError::BadBtf { path: path.to_owned(), reason: error.to_string() })
}

/// Loads (not attaches) the process and cgroup programs.
pub(super) fn load_core(loader: &Loader<'_>, btf: &Btf) -> Result<Ebpf, LoadError> {
    let mut core = loader.load("core", objects::CORE)?;
    for (name, hook) in CORE {
        load_tracepoint(&mut core, "core", name, hook, btf)?;
    }
    let seed: &mut Iter = program(&mut core, "core", "seed")?;
    seed.load("task", btf).map_err(refused("core", "seed"))?;
    Ok(core)
}

/// Loads the cgroup programs.
pub(super) fn load_network(loader: &Loader<'_>) -> Result<Ebpf, LoadError> {
    let mut network = loader.load("network", objects::NETWORK)?;
    for name in NETWORK {
        let program: &mut CgroupSockAddr = program(&mut network, "network", name)?;
        program.load().map_err(refused("network", name))?;
    }
    Ok(network)
}

fn load_file(loader: &Loader<'_>, btf: &Btf) -> Result<(FileTier, Ebpf), LoadError> {
    if super::capability::lsm_is_active()
        && let Ok(object) = load_file_lsm(loader, btf)
    {
        return Ok((FileTier::A, object));
    }
    if let Ok(object) = load_file_fentry(loader, btf) {
        return Ok((FileTier::B, object));
    }
    Ok((FileTier::C, load_file_syscall(loader, btf)?))
}

pub(super) fn load_file_lsm(loader: &Loader<'_>, btf: &Btf) -> Result<Ebpf, LoadError> {
    let mut object = loader.load("file_lsm", objects::FILE_LSM)?;
    for (name, hook) in FILE_LSM {
        let lsm: &mut Lsm = program(&mut object, "file_lsm", name)?;
        lsm.load(hook, btf).map_err(refused("file_lsm", name))?;
    }
    Ok(object)
}

pub(super) fn load_file_fentry(loader: &Loader<'_>, btf: &Btf) -> Result<Ebpf, LoadError> {
    let mut object = loader.load("file_fentry", objects::FILE_FENTRY)?;
    for (name, hook) in FILE_FENTRY {
        let fentry: &mut FEntry = program(&mut object, "file_fentry", name)?;
        fentry.load(hook, btf).map_err(refused("file_fentry", name))?;
    }
    Ok(object)
}

pub(super) fn load_file_syscall(loader: &Loader<'_>, btf: &Btf) -> Result<Ebpf, LoadError> {
    let mut object = loader.load("file_syscall", objects::FILE_SYSCALL)?;
    for (name, hook) in FILE_SYSCALL {
        load_tracepoint(&mut object, "file_syscall", name, hook, btf)?;
    }
    Ok(object)
}
