//! Files that were changed, and whether somebody who came later read one: only then can a command
//! that is tried again come out in another way.
//!
//! Who lives already when a file is changed may read it back for itself, as an agent does with its
//! session; that changes nothing for the next command. [`CHANGED`] files are kept, the oldest
//! leaves first.

use crate::identity::ProcessKey;

/// Files kept.
const CHANGED: usize = 16;

#[derive(Debug)]
pub(crate) struct Changes {
    /// Fingerprint of the path, and the start of the youngest process known by then.
    files: [(u64, u64); CHANGED],
    next: usize,
    youngest_boot_ns: u64,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self { files: [(0, u64::MAX); CHANGED], next: 0, youngest_boot_ns: 0 }
    }

    /// A process was seen.
    pub(crate) fn lives(&mut self, process: ProcessKey) {
        self.youngest_boot_ns = self.youngest_boot_ns.max(process.start_boot_ns);
    }

    /// A file was changed.
    pub(crate) fn changed(&mut self, path: u64) {
        let known = self.files.iter().position(|(known, _)| *known == path);
        let place = known.unwrap_or_else(|| {
            let place = self.next;
            self.next = (place + 1) % CHANGED;
            place
        });
        self.files[place] = (path, self.youngest_boot_ns);
    }

    /// Whether what this process reads was changed before it was born.
    pub(crate) fn is_read_by(&self, path: u64, process: ProcessKey) -> bool {
        self.files.iter().any(|(known, born)| *known == path && process.start_boot_ns > *born)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { youngest_boot_ns: self.youngest_boot_ns, ..Self::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn born(start_boot_ns: u64) -> ProcessKey {
        ProcessKey { tgid: 1, start_boot_ns }
    }

    #[test]
    fn only_who_was_born_after_the_change_reads_a_changed_file() {
        let mut changes = Changes::new();
        changes.lives(born(10));
        changes.changed(77);
        assert!(changes.is_read_by(77, born(11)));
        assert!(!changes.is_read_by(77, born(10)) && !changes.is_read_by(78, born(11)));
        changes.lives(born(20));
        changes.changed(77);
        assert!(!changes.is_read_by(77, born(15)) && changes.is_read_by(77, born(21)));
        (0..CHANGED as u64).for_each(|path| changes.changed(1_000 + path));
        assert!(!changes.is_read_by(77, born(99)), "it is forgotten");
        changes.clear();
        assert!(!changes.is_read_by(1_000, born(99)));
    }
}
