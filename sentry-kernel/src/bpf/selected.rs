//! The tables by which the programs recognise cgroups that may belong to an agent, and the slots in
//! reserve for these.

use std::collections::BTreeSet;

use aya::{
    Ebpf,
    maps::{
        Array, HashMap as Table, MapData,
        lpm_trie::{Key, LpmTrie},
    },
};
use sentry_common::table::{COMM_BYTES, FileId, NAME_BYTES, RunTag, SPARES, spare, spare_tag};

use super::{
    LoadError,
    row::Row,
    tables::{table, take},
};

/// Rows of the tables `SELECTED_*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Beginnings of the names of new cgroups.
    pub names: BTreeSet<NamePrefix>,
    /// Names of tasks that execute something.
    pub comms: BTreeSet<[u8; COMM_BYTES]>,
    /// Their users.
    pub users: BTreeSet<u32>,
    pub files: BTreeSet<(u64, u32)>,
}

/// Matches names whose first `bytes` are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePrefix {
    pub name: [u8; NAME_BYTES],
    pub bytes: u32,
}

impl Rows {
    /// [`FileId`]s of `files`.
    pub fn file_ids(&self) -> impl Iterator<Item = FileId> {
        self.files.iter().map(|(inode, device)| FileId { inode: *inode, device: *device, reserved: 0 })
    }
}

impl NamePrefix {
    /// Names with this beginning. Of a long text only the part that is compared is kept.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let bytes = text.len().min(NAME_BYTES);
        let mut name = [0; NAME_BYTES];
        name[..bytes].copy_from_slice(&text.as_bytes()[..bytes]);
        Self { name, bytes: u32::try_from(bytes).unwrap_or(0) }
    }

    /// This name exactly: the NUL at its end is compared too, if it fits. The kernel's text always
    /// ends in a NUL, so of a name of 31 bytes or more only the first 31 are compared.
    #[must_use]
    pub fn whole(text: &str) -> Self {
        const MOST: usize = NAME_BYTES - 1;
        if text.len() >= MOST {
            let prefix = text.as_bytes().get(..MOST).unwrap_or_default();
            let mut name = [0; NAME_BYTES];
            name[..prefix.len()].copy_from_slice(prefix);
            return Self { name, bytes: u32::try_from(prefix.len()).unwrap_or(0) };
        }
        let prefix = Self::new(text);
        Self { bytes: prefix.bytes + 1, ..prefix }
    }
}

/// Handles of the tables `SELECTED_*` and `SPARES`.
pub struct SelectedTables {
    names: LpmTrie<MapData, [u8; NAME_BYTES], u8>,
    comms: Table<MapData, [u8; COMM_BYTES], u8>,
    users: Table<MapData, u32, u8>,
    files: Table<MapData, Row<FileId>, u8>,
    spares: Array<MapData, u64>,
    now: Rows,
}

impl SelectedTables {
    pub(super) fn take(core: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            names: take(core, "SELECTED_NAMES")?,
            comms: take(core, "SELECTED_COMMS")?,
            users: take(core, "SELECTED_USERS")?,
            files: take(core, "SELECTED_FILES")?,
            spares: take(core, "SPARES")?,
            now: Rows::default(),
        })
    }

    /// Makes the tables hold these rows. Inserts the new ones before it removes the old, so that
    /// what stays selected is never missing.
    ///
    /// # Errors
    /// When there are more rows than room, or the kernel refuses.
    pub fn set(&mut self, rows: Rows) -> Result<(), LoadError> {
        for name in &rows.names {
            self.names.insert(&key(name), 1, 0).map_err(table("write", "SELECTED_NAMES"))?;
        }
        for comm in &rows.comms {
            self.comms.insert(comm, 1, 0).map_err(table("write", "SELECTED_COMMS"))?;
        }
        for user in &rows.users {
            self.users.insert(user, 1, 0).map_err(table("write", "SELECTED_USERS"))?;
        }
        for file in rows.file_ids() {
            self.files.insert(Row(file), 1, 0).map_err(table("write", "SELECTED_FILES"))?;
        }
        for name in self.now.names.difference(&rows.names) {
            self.names.remove(&key(name)).map_err(table("write", "SELECTED_NAMES"))?;
        }
        for comm in self.now.comms.difference(&rows.comms) {
            self.comms.remove(comm).map_err(table("write", "SELECTED_COMMS"))?;
        }
        for user in self.now.users.difference(&rows.users) {
            self.users.remove(user).map_err(table("write", "SELECTED_USERS"))?;
        }
        let kept: Vec<FileId> = rows.file_ids().collect();
        for file in self.now.file_ids().filter(|file| !kept.contains(file)) {
            self.files.remove(&Row(file)).map_err(table("write", "SELECTED_FILES"))?;
        }
        self.now = rows;
        Ok(())
    }

    /// The tags in reserve, by place; `None` where the tag was taken.
    ///
    /// # Errors
    /// When the kernel refuses the read.
    pub fn spares(&self) -> Result<Vec<Option<RunTag>>, LoadError> {
        (0..SPARES)
            .map(|place| {
                let row = self.spares.get(&place, 0).map_err(table("read", "SPARES"))?;
                Ok((row != 0).then(|| spare_tag(row)))
            })
            .collect()
    }

    /// Puts a tag in reserve at a place, or empties the place (`None`).
    ///
    /// # Errors
    /// When the kernel refuses the write.
    pub fn set_spare(&mut self, place: u32, tag: Option<RunTag>) -> Result<(), LoadError> {
        self.spares.set(place, tag.map_or(0, spare), 0).map_err(table("write", "SPARES"))
    }
}

fn key(prefix: &NamePrefix) -> Key<[u8; NAME_BYTES]> {
    Key::new(prefix.bytes * 8, prefix.name)
}
