//! One object → loaded programs, with maps shared between the objects.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use aya::{Btf, Ebpf, EbpfLoader};
use nix::mount::{MsFlags, mount};
use sentry_common::offset;

use super::{LoadError, offsets::Offsets, typed};

/// Bytes of the rings; powers of two and multiples of the page size.
#[derive(Clone, Copy, Debug)]
pub struct RingSizes {
    pub critical_bytes: u32,
    pub bulk_bytes: u32,
}

/// Where the BPF file system is, unless `AGENTSENTRY_BPFFS` says otherwise.
const BPF_FS: &str = "/sys/fs/bpf";
/// Directories of pins: this, the process id, `-`, a number.
const PINS: &str = "agentsentry-";
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Names of the maps in every object; the first object makes them, the others adopt them.
const SHARED: [&str; 20] = [
    "RUN_CGROUPS",
    "PROCESS_TAGS",
    "SOCKETS",
    "ASKED",
    "FLOWS",
    "RUNS",
    "HELD",
    "CRITICAL",
    "BULK",
    "FAULTS",
    "SPARES",
    "SPARES_ASKED",
    "SELECTED_NAMES",
    "SELECTED_COMMS",
    "SELECTED_USERS",
    "SELECTED_FILES",
    "TASK_TAGS",
    "TAGS_MISSING",
    "EXEC_FILES",
    "STARTED_TASKS",
];

/// Loads objects that share their maps. The maps are pinned only while this exists, because the
/// loader can adopt a map only by its pin. A sensor that is killed meanwhile leaves the pins, and
/// with them the maps' memory; the next sensor removes them.
pub(super) struct Loader<'a> {
    btf: &'a Btf,
    pub(super) offsets: &'a Offsets,
    rings: RingSizes,
    pins: PathBuf,
}

impl<'a> Loader<'a> {
    pub(super) fn new(btf: &'a Btf, offsets: &'a Offsets, rings: RingSizes) -> Result<Self, LoadError> {
        let root = std::env::var_os("AGENTSENTRY_BPFFS").map_or_else(|| BPF_FS.into(), PathBuf::from);
        let fail = |source| LoadError::BpfFs { path: root.clone(), source };
        if !is_bpf_fs(&root) {
            mount(Some("bpf"), &root, Some("bpf"), MsFlags::empty(), None::<&str>)
                .map_err(|errno| fail(errno.into()))?;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = std::process::id();
        // Pins under our own process id can be stale only now, before we make any: an earlier
        // process had the id.
        remove_left_behind(&root, |pid| if pid == own { number > 0 } else { is_alive(pid) });
        let pins = root.join(format!("{PINS}{own}-{number}"));
        std::fs::create_dir(&pins).map_err(fail)?;
        Ok(Self { btf, offsets, rings, pins })
    }

    /// Whether this kernel lets programs read structures by loads.
    pub(super) fn can_be_typed(&self) -> bool {
        self.offsets.ids.is_some()
    }

    /// `typed`: read structures by loads where the kernel allows it.
    pub(super) fn load(&self, object: &'static str, bytes: &[u8], typed: bool) -> Result<Ebpf, LoadError> {
        if bytes.is_empty() {
            return Err(LoadError::NoPrograms);
        }
        let ids = self.offsets.ids.as_ref().filter(|_| typed);
        let types = ids.map_or([offset::UNTYPED; offset::COUNT], |ids| ids.of_fields);
        let values = self.offsets.values.into_iter().zip(types);
        let fields: Vec<u32> = values.flat_map(|(offset, structure)| [offset, structure]).collect();
        let bulk_bytes = u64::from(self.rings.bulk_bytes);
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(self.btf))
            .allow_unsupported_maps()
            .override_global(offset::GLOBAL, &fields[..], true)
            .override_global("BULK_BYTES", &bulk_bytes, true)
            .map_max_entries("CRITICAL", self.rings.critical_bytes)
            .map_max_entries("BULK", self.rings.bulk_bytes);
        for name in SHARED {
            loader.map_pin_path(name, Cow::Owned(self.pins.join(name)));
        }
        let bytes = typed::link(bytes, ids);
        loader.load(&bytes).map_err(|source| LoadError::Object { object, source: Box::new(source) })
    }
}

impl Drop for Loader<'_> {
    fn drop(&mut self) {
        remove_pins(&self.pins);
    }
}

/// Removes the pins of processes that have ended. A sensor in another pid namespace seems to have
/// ended too: if it is loading at this moment, its start fails and has to be repeated.
fn remove_left_behind(root: &Path, in_use: impl Fn(u32) -> bool) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let parts = name.to_str().and_then(|name| name.strip_prefix(PINS)?.split_once('-'));
        let ids = parts.and_then(|(pid, number)| Some((pid.parse().ok()?, number.parse::<u32>().ok()?)));
        if let Some((pid, _number)) = ids
            && !in_use(pid)
        {
            remove_pins(&entry.path());
            tracing::info!(
                pins = %entry.path().display(),
                "removed what a sensor that was killed had left behind"
            );
        }
    }
}

/// Removes pins alone. A directory with anything else in it stays.
fn remove_pins(pins: &Path) {
    let Ok(entries) = std::fs::read_dir(pins) else { return };
    for entry in entries.filter_map(Result::ok) {
        drop(std::fs::remove_file(entry.path()));
    }
    drop(std::fs::remove_dir(pins));
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn is_bpf_fs(path: &Path) -> bool {
    nix::sys::statfs::statfs(path).is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::BPF_FS_MAGIC)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn pins_of_the_dead_are_removed_and_no_others() {
        let root = tempfile::tempdir().unwrap();
        let names = [
            "agentsentry-7-0",
            "agentsentry-7-1",
            "agentsentry-8-0",
            "agentsentry-x-0",
            "agentsentry-7",
            "other-7-0",
        ];
        for name in names {
            std::fs::create_dir(root.path().join(name)).unwrap();
            std::fs::write(root.path().join(name).join("RUNS"), "").unwrap();
        }
        remove_left_behind(root.path(), |pid| pid == 8);
        let mut left: Vec<_> =
            std::fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, ["agentsentry-7", "agentsentry-8-0", "agentsentry-x-0", "other-7-0"]);
    }

    #[test]
    fn every_map_of_the_programs_is_shared() {
        let maps = include_str!("../../../sentry-ebpf/src/maps.rs");
        let names: Vec<_> = maps
            .lines()
            .filter_map(|line| Some(line.strip_prefix("pub static ")?.split_once(':')?.0))
            .collect();
        assert_eq!(names, SHARED);
    }

    #[test]
    fn a_process_that_runs_is_alive() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
    }
}
