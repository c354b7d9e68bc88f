//! What became of the files that a run touched, as the difference between before and after.

use std::collections::{BTreeMap, HashSet};

use globset::GlobSet;
use sentry_detect::sensitive::SensitiveFiles;
use sentry_view::{By, Change, ChangeKind, Sensitive};

use crate::places::Places;

/// Paths that are held, of changed files and of files that are known to have been there.
const PATHS: usize = 50_000;
/// Sensitive files that are listed.
const SENSITIVE: usize = 1_000;

/// Whether a path named something before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Absent,
    Present,
    Unknown,
}

#[derive(Clone, Debug)]
struct Entry {
    before: Before,
    is_present: bool,
    /// Its content is new.
    is_written: bool,
    is_directory: bool,
    mode: Option<u32>,
    /// Where what stands here now stood before the run.
    from: Option<String>,
    /// What stood here is elsewhere now.
    is_moved: bool,
    by: By,
}

impl Entry {
    fn new(before: Before, by: By) -> Self {
        Self {
            before,
            is_present: true,
            is_written: false,
            is_directory: false,
            mode: None,
            from: None,
            is_moved: false,
            by,
        }
    }
}

/// The files of a run.
#[derive(Debug, Default)]
pub(crate) struct Files {
    entries: BTreeMap<String, Entry>,
    /// Paths that were opened before anything changed them.
    seen: HashSet<String>,
    sensitive: BTreeMap<(String, String), Sensitive>,
    pub(crate) unlisted: u64,
}

impl Files {
    pub(crate) fn read(&mut self, path: &str) {
        if self.seen.len() < PATHS && !self.entries.contains_key(path) {
            self.seen.insert(path.to_owned());
        }
    }

    pub(crate) fn created(&mut self, path: &str, is_directory: bool, by: By) {
        let Some(entry) = self.entry(path, Before::Absent, by) else { return };
        entry.is_present = true;
        entry.is_written = true;
        entry.is_directory = is_directory;
    }

    pub(crate) fn written(&mut self, path: &str, by: By) {
        let Some(entry) = self.entry(path, Before::Present, by) else { return };
        entry.is_present = true;
        entry.is_written = true;
    }

    pub(crate) fn mode(&mut self, path: &str, mode: u32, by: By) {
        if let Some(entry) = self.entry(path, Before::Present, by) {
            entry.mode = Some(mode & 0o7777);
        }
    }

    pub(crate) fn removed(&mut self, path: &str, by: By) {
        if let Some(entry) = self.entry(path, Before::Present, by) {
            entry.is_present = false;
            entry.is_moved = false;
        }
    }

    /// `to` names what `from` named. Whether `to` named something before is not in the event.
    pub(crate) fn renamed(&mut self, from: &str, to: &str, by: By) {
        let Some(source) = self.entry(from, Before::Present, by.clone()).cloned() else { return };
        // What stood at `from` before the run was moved here; else it is new content.
        let origin = match (&source.from, source.before) {
            (Some(origin), _) => Some(origin.clone()),
            (None, Before::Present) if !source.is_moved => Some(from.to_owned()),
            _ => None,
        };
        if let Some(left) = self.entries.get_mut(from) {
            left.is_present = false;
            left.is_moved = origin.as_deref() == Some(from) || left.is_moved;
            left.from = None;
        }
        let known = if self.seen.contains(to) { Before::Present } else { Before::Unknown };
        let Some(target) = self.entry(to, known, by) else { return };
        let is_back = origin.as_deref() == Some(to);
        target.is_present = true;
        target.is_written = source.is_written || (origin.is_none() && !is_back);
        target.is_directory = source.is_directory;
        target.mode = source.mode;
        target.is_moved = false;
        target.from = origin.filter(|_origin| !is_back);
    }

    pub(crate) fn sensitive(
        &mut self,
        classes: &SensitiveFiles,
        path: &str,
        writes: bool,
        by: impl FnOnce() -> By,
    ) {
        let Some(class) = classes.number_of(path).and_then(|number| classes.class(number)) else { return };
        let path = &of_any_process(path);
        let key = (class.name.clone(), path.to_owned());
        if !self.sensitive.contains_key(&key) && self.sensitive.len() >= SENSITIVE {
            self.unlisted += 1;
            return;
        }
        let entry = self.sensitive.entry(key).or_insert_with(|| Sensitive {
            class: class.name.clone(),
            title: class.title.clone(),
            path: path.to_owned(),
            by: by(),
            ..Sensitive::default()
        });
        if writes {
            entry.writes += 1;
        } else {
            entry.reads += 1;
        }
    }

    /// The changes, the number of files that came and went, and the sensitive files.
    pub(crate) fn finish(
        self,
        places: &Places,
        directory: Option<&str>,
        state: Option<&GlobSet>,
    ) -> (Vec<Change>, u64, Vec<Sensitive>) {
        let mut temporary = 0;
        let mut changes = Vec::new();
        for (path, entry) in self.entries {
            let Some(kind) = kind(&entry) else {
                temporary += u64::from(entry.before == Before::Absent);
                continue;
            };
            changes.push(Change {
                kind,
                from: entry.from,
                is_directory: entry.is_directory,
                mode: entry.mode,
                place: places.of(&path, directory, state),
                by: entry.by,
                path,
            });
        }
        (changes, temporary, self.sensitive.into_values().collect())
    }

    /// `before` holds where nothing is known of the path. The newest actor is named.
    fn entry(&mut self, path: &str, before: Before, by: By) -> Option<&mut Entry> {
        if !self.entries.contains_key(path) {
            if self.entries.len() >= PATHS {
                self.unlisted += 1;
                return None;
            }
            // Opened before: it was there, whatever the event says of it now.
            let was_seen = self.seen.remove(path);
            let before = if was_seen && before != Before::Absent { Before::Present } else { before };
            self.entries.insert(path.to_owned(), Entry::new(before, by.clone()));
        }
        let entry = self.entries.get_mut(path)?;
        entry.by = by;
        Some(entry)
    }
}

/// `/proc/42/environ` of many processes is one row: `/proc/*/environ`.
fn of_any_process(path: &str) -> String {
    let file = path.strip_prefix("/proc/").and_then(|rest| rest.split_once('/'));
    match file {
        Some((pid, file)) if pid.bytes().all(|byte| byte.is_ascii_digit()) => format!("/proc/*/{file}"),
        _ => path.to_owned(),
    }
}

/// The difference between before and after; `None` where there is none.
fn kind(entry: &Entry) -> Option<ChangeKind> {
    match (entry.before, entry.is_present) {
        (Before::Absent, true) if entry.from.is_some() => Some(ChangeKind::Renamed),
        (Before::Absent, true) => Some(ChangeKind::Added),
        (Before::Present, true) if entry.is_written || entry.mode.is_some() || entry.from.is_some() => {
            Some(ChangeKind::Modified)
        }
        (Before::Present, false) if !entry.is_moved => Some(ChangeKind::Deleted),
        (Before::Unknown, true) if entry.from.is_some() => Some(ChangeKind::Renamed),
        (Before::Unknown, true) => Some(ChangeKind::Written),
        (Before::Absent | Before::Present | Before::Unknown, false) | (Before::Present, true) => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn changes(act: impl FnOnce(&mut Files)) -> (Vec<(ChangeKind, String, Option<String>)>, u64) {
        let mut files = Files::default();
        act(&mut files);
        let places = Places::built_in().unwrap();
        let (changes, temporary, _) = files.finish(&places, None, None);
        (changes.into_iter().map(|change| (change.kind, change.path, change.from)).collect(), temporary)
    }

    fn one(kind: ChangeKind, path: &str, from: Option<&str>) -> Vec<(ChangeKind, String, Option<String>)> {
        vec![(kind, path.to_owned(), from.map(str::to_owned))]
    }

    #[test]
    fn a_new_file_is_added_and_a_known_one_modified() {
        assert_eq!(
            changes(|files| files.created("/a", false, By::default())),
            (one(ChangeKind::Added, "/a", None), 0)
        );
        assert_eq!(
            changes(|files| files.written("/a", By::default())),
            (one(ChangeKind::Modified, "/a", None), 0)
        );
        assert_eq!(
            changes(|files| files.removed("/a", By::default())),
            (one(ChangeKind::Deleted, "/a", None), 0)
        );
        assert_eq!(
            changes(|files| files.mode("/a", 0o100_755, By::default())),
            (one(ChangeKind::Modified, "/a", None), 0)
        );
    }

    #[test]
    fn what_came_and_went_is_temporary() {
        let (listed, temporary) = changes(|files| {
            files.created("/a.lock", false, By::default());
            files.removed("/a.lock", By::default());
        });
        assert_eq!((listed, temporary), (Vec::new(), 1));
    }

    #[test]
    fn a_file_that_was_removed_and_made_again_is_modified() {
        let (listed, _) = changes(|files| {
            files.removed("/a", By::default());
            files.created("/a", false, By::default());
        });
        assert_eq!(listed, one(ChangeKind::Modified, "/a", None));
    }

    #[test]
    fn a_rename_is_one_change_also_over_stops() {
        let (listed, temporary) = changes(|files| {
            files.renamed("/a", "/b", By::default());
            files.renamed("/b", "/c", By::default());
        });
        assert_eq!((listed, temporary), (one(ChangeKind::Renamed, "/c", Some("/a")), 0));
    }

    #[test]
    fn a_rename_there_and_back_is_no_change() {
        let (listed, _) = changes(|files| {
            files.renamed("/a", "/b", By::default());
            files.renamed("/b", "/a", By::default());
        });
        assert_eq!(listed, Vec::new());
    }

    #[test]
    fn an_editor_that_replaces_a_file_modified_it() {
        let (listed, temporary) = changes(|files| {
            files.read("/a");
            files.created("/a.tmp.1", false, By::default());
            files.renamed("/a.tmp.1", "/a", By::default());
        });
        assert_eq!((listed, temporary), (one(ChangeKind::Modified, "/a", None), 1));
        // Nobody opened it before: whether it was there is not known.
        let (listed, _) = changes(|files| {
            files.created("/a.tmp.1", false, By::default());
            files.renamed("/a.tmp.1", "/a", By::default());
        });
        assert_eq!(listed, one(ChangeKind::Written, "/a", None));
    }

    #[test]
    fn a_sensitive_file_is_counted_by_reading_and_writing() {
        let (mut files, classes) = (Files::default(), SensitiveFiles::built_in());
        for writes in [false, false, true] {
            files.sensitive(&classes, "/home/u/.netrc", writes, || By { pid: 7, ..By::default() });
        }
        files.sensitive(&classes, "/home/u/notes", false, By::default);
        let (_, _, sensitive) = files.finish(&Places::built_in().unwrap(), None, None);
        assert_eq!(
            sensitive,
            [Sensitive {
                class: "token".into(),
                title: "access tokens".into(),
                path: "/home/u/.netrc".into(),
                reads: 2,
                writes: 1,
                by: By { pid: 7, ..By::default() },
            }]
        );
    }
}
