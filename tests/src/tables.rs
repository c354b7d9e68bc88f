//! The tables that a sensor shares with its programs, by their names, behind its back: what is left
//! there when the kernel has not called a program can be made by hand.

use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

use aya::maps::{Array, HashMap, Map, MapData};
use nix::libc;

use crate::holdings::{fdinfo, field};

/// `BPF_MAP_DELETE_ELEM`.
const DELETE: libc::c_long = 3;

/// A row of `PROCESS_TAGS`: the run's tag, and the start of the process (`CLOCK_BOOTTIME` ns).
pub type Row = [u64; 2];

/// The tables of members.
pub struct Members {
    processes: HashMap<MapData, u32, Row>,
    tasks: MapData,
}

impl Members {
    /// Of the sensor with this process id.
    ///
    /// # Panics
    /// When it holds no such tables.
    #[must_use]
    pub fn of(sensor: u32) -> Self {
        let processes = Map::HashMap(held(sensor, "PROCESS_TAGS"));
        Self { processes: HashMap::try_from(processes).unwrap(), tasks: held(sensor, "TASK_TAGS") }
    }

    /// # Panics
    /// When the process is no member.
    #[must_use]
    pub fn row(&self, tgid: u32) -> Row {
        self.processes.get(&tgid, 0).unwrap()
    }

    /// As if the program at its end had not been called.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn leave(&mut self, tgid: u32, row: Row) {
        self.processes.insert(tgid, row, 0).unwrap();
    }

    /// As if the program at its birth had not been called. The process has one thread.
    ///
    /// # Panics
    /// When it is no member.
    pub fn forget(&mut self, tgid: u32) {
        self.processes.remove(&tgid).unwrap();
        // SAFETY: no pointers.
        let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, tgid, 0) };
        let pidfd = i32::try_from(pidfd).ok().filter(|fd| *fd >= 0).unwrap();
        // SAFETY: made above, owned by nobody else.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        // A task storage's key is a pidfd.
        let key = pidfd.as_raw_fd();
        let map = self.tasks.fd().as_fd().as_raw_fd();
        let attribute = [u64::from(map.unsigned_abs()), &raw const key as u64, 0, 0];
        // SAFETY: the attribute and the key that it points to live until the call returns.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, DELETE, attribute.as_ptr(), size_of_val(&attribute)) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }
}

/// Whether the sensor's programs look every task up by its process, because one may have lost its
/// tag.
///
/// # Panics
/// When the sensor holds no such table.
#[must_use]
pub fn tags_may_be_missing(sensor: u32) -> bool {
    let missing = Array::<_, u32>::try_from(Map::Array(held(sensor, "TAGS_MISSING"))).unwrap();
    missing.get(&0, 0).unwrap() != 0
}

fn held(pid: u32, name: &str) -> MapData {
    fdinfo(pid)
        .filter_map(|text| MapData::from_id(field(&text, "map_id:")?).ok())
        .find(|map| map.info().unwrap().name_as_str() == Some(name))
        .unwrap_or_else(|| panic!("process {pid} holds no map {name}"))
}
