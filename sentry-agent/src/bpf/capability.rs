//! What this kernel can do, found by really loading, and what is lost where it cannot.

use std::{fs, path::Path};

use nix::mount::{MsFlags, mount};
use serde::Serialize;

use super::{
    LoadError,
    load::Loader,
    offsets,
    programs::{self, FileTier, RingSizes},
};

/// The answer of `sentry doctor`.
#[derive(Clone, Debug, Serialize)]
pub struct Capabilities {
    pub kernel: String,
    /// `A`, `B`, `C`, or `none` when not even the process programs load.
    pub tier: &'static str,
    pub facts: Vec<Fact>,
    /// Why the better tiers are not available, one line each.
    pub limits: Vec<String>,
}

/// One kind of fact and how it is seen here.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    pub fact: &'static str,
    /// The kernel hook used, or why there is none.
    pub hook: String,
    pub seen: bool,
    /// What this hook does not tell, if anything.
    pub lost: Option<&'static str>,
}

/// True when the kernel calls BPF-LSM programs: `bpf` stands in the list of active LSMs. Programs load and attach
/// without it on 6.1–7.2, and are then never called.
pub(super) fn lsm_is_active() -> bool {
    let list = Path::new("/sys/kernel/security/lsm");
    if !list.exists() {
        // Not mounted at boot on minimal systems. Failure is answered below: the file is still missing.
        let _already_mounted = mount(
            Some("securityfs"),
            "/sys/kernel/security",
            Some("securityfs"),
            MsFlags::empty(),
            None::<&str>,
        );
    }
    fs::read_to_string(list).is_ok_and(|list| list.trim().split(',').any(|name| name == "bpf"))
}

/// Probes by loading every object once; nothing is attached.
///
/// # Errors
/// Without BTF, without the programs in this build, or without the right to load.
pub fn doctor(btf_path: &Path) -> Result<Capabilities, LoadError> {
    let offsets = offsets::of_this_kernel(btf_path)?;
    let btf = programs::parse_btf(btf_path)?;
    let rings = RingSizes { critical_bytes: 1 << 16, bulk_bytes: 1 << 16 };
    let loader = Loader::new(&btf, &offsets, rings)?;
    let mut limits: Vec<String> =
        offsets.missing.iter().map(|field| format!("kernel structure field {field} is missing")).collect();
    let mut works = |result: Result<aya::Ebpf, LoadError>, what: &str| match result {
        Ok(_) => Ok(true),
        Err(error @ LoadError::NoPrograms) => Err(error),
        Err(error) => {
            limits.push(format!("{what}: {}", crate::error_chain(&error)));
            Ok(false)
        }
    };
    let core = programs::load_core(&loader, &btf);
    if let Err(error) = &core
        && error.is_permission()
    {
        return Err(LoadError::Permission);
    }
    let core = works(core, "process and cgroup programs")?;
    let network = works(programs::load_network(&loader), "cgroup network programs")?;
    let lsm_active = lsm_is_active();
    let lsm = works(programs::load_file_lsm(&loader, &btf), "BPF-LSM programs")? && lsm_active;
    let fentry = works(programs::load_file_fentry(&loader, &btf), "fentry programs")?;
    // Only where it is needed: it is the largest program, and 6.1 takes seconds to refuse it.
    let syscall =
        !lsm && !fentry && works(programs::load_file_syscall(&loader, &btf), "syscall result programs")?;
    drop(loader);
    if !lsm_active {
        limits.push(
            "BPF-LSM is not active: `bpf` is not in /sys/kernel/security/lsm (boot with lsm=…,bpf)".into(),
        );
    }
    let file = if lsm {
        Some(FileTier::A)
    } else if fentry {
        Some(FileTier::B)
    } else if syscall {
        Some(FileTier::C)
    } else {
        None
    };
    let tier = match (core, file) {
        (false, _) | (_, None) => "none",
        (_, Some(FileTier::A)) => "A",
        (_, Some(FileTier::B)) => "B",
        (_, Some(FileTier::C)) => "C",
    };
    Ok(Capabilities { kernel: kernel_release(), tier, facts: facts(core, network, file), limits })
}

/// The table "fact → hook → what is lost".
#[must_use]
pub(super) fn facts(core: bool, network: bool, file: Option<FileTier>) -> Vec<Fact> {
    let core_fact = |fact, hook: &str, lost| Fact { fact, hook: hook.into(), seen: core, lost };
    let network_fact = |fact, hook: &str, lost| Fact { fact, hook: hook.into(), seen: network, lost };
    let mut facts = vec![
        core_fact("fork", "tp_btf/sched_process_fork", None),
        core_fact(
            "exec",
            "tp_btf/sched_process_exec",
            Some("failed execs; the script of an interpreter stands in argv only"),
        ),
        core_fact("exit", "tp_btf/sched_process_exit", None),
        core_fact("cgroup move", "tp_btf/cgroup_attach_task", Some("who wrote to cgroup.procs")),
        core_fact("cgroup made, removed", "tp_btf/cgroup_mkdir, cgroup_rmdir", None),
        core_fact(
            "pre-existing process",
            "iter/task",
            Some("argv comes from procfs, as the process shows it now"),
        ),
        network_fact("TCP, UDP connect", "cgroup/connect4, connect6", Some("the result of the call")),
        network_fact("UDP destination", "cgroup/sendmsg4, sendmsg6", Some("datagrams on connected sockets")),
    ];
    let (open, unlink, rename, open_lost, name_lost) = match file {
        Some(FileTier::A) => (
            "lsm/file_open",
            "lsm/path_unlink, path_rmdir",
            "lsm/path_rename",
            Some("whether a later check refused the open"),
            Some("whether the file system did it"),
        ),
        Some(FileTier::B) => (
            "fentry/security_file_open",
            "fentry/security_path_unlink, security_path_rmdir",
            "fentry/security_path_rename",
            Some("whether a later check refused the open"),
            Some("whether the file system did it"),
        ),
        Some(FileTier::C) => (
            "tp_btf/sys_exit (returned descriptor → file)",
            "tp_btf/sys_exit (argument)",
            "tp_btf/sys_exit (argument)",
            Some("refused opens; opens by io_uring; 32-bit calls"),
            Some("the object: only the path the program passed; io_uring; 32-bit calls"),
        ),
        None => ("none", "none", "none", Some("all of it"), Some("all of it")),
    };
    let seen = file.is_some();
    facts.push(Fact { fact: "file open, create", hook: open.into(), seen, lost: open_lost });
    facts.push(Fact { fact: "file unlink", hook: unlink.into(), seen, lost: name_lost });
    facts.push(Fact { fact: "file rename", hook: rename.into(), seen, lost: name_lost });
    facts
}

impl super::Programs {
    /// Tier letter of the loaded programs.
    #[must_use]
    pub fn tier(&self) -> &'static str {
        match self.file_tier {
            FileTier::A => "A",
            FileTier::B => "B",
            FileTier::C => "C",
        }
    }

    /// What the loaded programs do not see, one line each.
    #[must_use]
    pub fn limits(&self) -> Vec<String> {
        facts(true, true, Some(self.file_tier))
            .into_iter()
            .filter_map(|fact| Some(format!("{}: {}", fact.fact, fact.lost?)))
            .collect()
    }
}

fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".into(), |name| name.release().to_string_lossy().into_owned())
}
