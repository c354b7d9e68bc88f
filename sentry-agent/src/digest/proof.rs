//! Whether what was read is what was executed. No I/O.

use super::{Basis, Unknown};

/// A file system stamps a change with a clock that may be a tick old: 10 ms where the kernel ticks
/// slowest.
const TICKS_NS: i128 = 20_000_000;

/// A file at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Version {
    pub(super) device_major: u32,
    pub(super) device_minor: u32,
    pub(super) inode: u64,
    pub(super) size_bytes: u64,
    /// `st_ctime`: no program can set it but by the system's clock.
    pub(super) changed_unix_ns: i128,
}

/// What a file system shows of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// Every change is stamped.
    Stamped,
    /// The same, but another image may be mounted in its place, and have the same stamps.
    Image,
    /// The same, but what runs can be written to in the layers below.
    Layered,
    /// Changes through a mapping are not stamped.
    Memory,
    /// Its server may change it without a trace.
    Foreign,
}

impl Storage {
    /// By the number that `statfs` gives.
    pub(super) fn of_magic(magic: u64) -> Self {
        // <linux/magic.h>
        match magic {
            // ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs.
            0xef53 | 0x5846_5342 | 0x9123_683e | 0xf2f5_2010 | 0x2fc1_2fc1 | 0xca45_1a4e => Self::Stamped,
            // EROFS, SquashFS, ISO 9660.
            0xe0f5_e1e2 | 0x7371_7368 | 0x9660 => Self::Image,
            // overlayfs.
            0x794c_7630 => Self::Layered,
            // tmpfs (memfd too), ramfs.
            0x0102_1994 | 0x8584_58f6 => Self::Memory,
            _ => Self::Foreign,
        }
    }
}

/// What is known of a file that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) before: Version,
    pub(super) after: Version,
    pub(super) storage: Storage,
    /// Its process ran it before and afterwards, and nobody can write to what runs.
    pub(super) held: bool,
    pub(super) executed_unix_ns: u64,
}

/// # Errors
/// When the content may be another than was executed.
pub(super) fn was_executed(reading: &Reading) -> Result<Basis, Unknown> {
    let Reading { before, after, storage, held, executed_unix_ns } = *reading;
    if before != after {
        return Err(Unknown::Changed);
    }
    match storage {
        Storage::Foreign => Err(Unknown::FileSystem),
        Storage::Memory if held => Ok(Basis::Process),
        Storage::Memory => Err(Unknown::FileSystem),
        _ if is_older(&before, executed_unix_ns) => Ok(Basis::Time),
        Storage::Stamped | Storage::Image if held => Ok(Basis::Process),
        Storage::Stamped | Storage::Image | Storage::Layered => Err(Unknown::Changed),
    }
}

/// Whether the same version will mean the same content later: a change from now on gets another
/// stamp.
pub(super) fn is_lasting(version: &Version, storage: Storage, now_unix_ns: u64) -> bool {
    matches!(storage, Storage::Stamped | Storage::Layered) && is_older(version, now_unix_ns)
}

fn is_older(version: &Version, unix_ns: u64) -> bool {
    version.changed_unix_ns + TICKS_NS <= i128::from(unix_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXECUTED: u64 = 1_000_000_000;

    fn reading(changed_unix_ns: i128) -> Reading {
        let version = Version { device_major: 8, device_minor: 1, inode: 2, size_bytes: 3, changed_unix_ns };
        Reading {
            before: version,
            after: version,
            storage: Storage::Stamped,
            held: false,
            executed_unix_ns: EXECUTED,
        }
    }

    #[test]
    fn a_file_that_was_changed_before_is_what_was_executed() {
        assert_eq!(was_executed(&reading(0)), Ok(Basis::Time));
        let last = i128::from(EXECUTED) - TICKS_NS;
        assert_eq!(was_executed(&reading(last)), Ok(Basis::Time));
        assert_eq!(was_executed(&reading(last + 1)), Err(Unknown::Changed));
    }

    #[test]
    fn what_runs_cannot_be_changed() {
        let young = reading(EXECUTED.into());
        assert_eq!(was_executed(&Reading { held: true, ..young }), Ok(Basis::Process));
        let memory = Reading { storage: Storage::Memory, ..young };
        assert_eq!(was_executed(&Reading { held: true, ..memory }), Ok(Basis::Process));
    }

    #[test]
    fn what_runs_from_an_overlay_can_be_changed_in_its_layers() {
        let layered = |changed| Reading { storage: Storage::Layered, held: true, ..reading(changed) };
        assert_eq!(was_executed(&layered(EXECUTED.into())), Err(Unknown::Changed));
        assert_eq!(was_executed(&layered(0)), Ok(Basis::Time));
    }

    #[test]
    fn memory_tells_no_changes_and_a_server_may_change_all() {
        let old = reading(0);
        for (storage, held, expected) in [
            (Storage::Memory, false, Err(Unknown::FileSystem)),
            (Storage::Foreign, false, Err(Unknown::FileSystem)),
            (Storage::Foreign, true, Err(Unknown::FileSystem)),
        ] {
            assert_eq!(was_executed(&Reading { storage, held, ..old }), expected, "{storage:?} {held}");
        }
    }

    #[test]
    fn what_changes_while_it_is_read_is_not_known() {
        let old = reading(0);
        for after in [
            Version { changed_unix_ns: 1, ..old.before },
            Version { size_bytes: 4, ..old.before },
            Version { inode: 9, ..old.before },
        ] {
            assert_eq!(was_executed(&Reading { after, held: true, ..old }), Err(Unknown::Changed));
        }
    }

    #[test]
    fn only_a_version_that_no_later_change_can_share_is_remembered() {
        let version = reading(0).before;
        let now = 20_000_000;
        assert!(is_lasting(&version, Storage::Stamped, now));
        assert!(!is_lasting(&version, Storage::Stamped, now - 1));
        assert!(!is_lasting(&version, Storage::Memory, now));
        assert!(!is_lasting(&version, Storage::Image, now));
    }

    #[test]
    fn file_systems_are_known_by_their_number() {
        let kinds = [0xef53, 0x0102_1994, 0x6573_5546].map(Storage::of_magic);
        assert_eq!(kinds, [Storage::Stamped, Storage::Memory, Storage::Foreign]);
    }
}
