//! The files that a run executed, with what was in them.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use sentry_detect::{event::File, run::ProcessKey};

use crate::digest::{Content, Executed, Unknown};

/// Files in the list of one run.
const FILES: usize = 200;

/// Files by object and content.
#[derive(Debug, Default)]
pub struct ExecutedFiles {
    files: BTreeMap<Key, ExecutedFile>,
    unlisted: u64,
    /// Processes with files that are being read: when each last executed something
    /// (`CLOCK_BOOTTIME`, ns), and how many files.
    processes: HashMap<ProcessKey, (u64, u64)>,
}

/// Device, inode, generation; without them the name. And the content, or why it is not known.
type Key = (Option<(u32, u32, u64, u32)>, String, Result<[u8; 32], Option<Unknown>>);

/// A file of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExecutedFile {
    pub(super) file: Option<File>,
    /// What was in it, or why that is not known, as far as the reason is.
    pub(super) content: Result<Content, Option<Unknown>>,
    pub(super) executions: u64,
}

impl ExecutedFiles {
    /// A process has executed something.
    pub fn executes(&mut self, process: ProcessKey, time_boot_ns: u64) {
        if let Some((last, _files)) = self.processes.get_mut(&process) {
            *last = time_boot_ns;
        }
    }

    /// One more execution, whose file is read from now on.
    pub fn awaits(&mut self, executed: &Executed) {
        self.processes.entry(executed.process).or_insert((executed.time_boot_ns, 0)).1 += 1;
    }

    /// One more execution, whose file is not known.
    pub fn cannot_list(&mut self) {
        self.unlisted += 1;
    }

    /// Whether the process of an awaited one has executed nothing since, by the records so far.
    #[must_use]
    pub fn is_latest(&self, executed: &Executed) -> bool {
        self.processes.get(&executed.process).is_some_and(|(last, _)| *last == executed.time_boot_ns)
    }

    /// The result for an awaited one.
    pub fn came(&mut self, executed: &Executed, content: Result<Content, Unknown>) {
        self.no_longer_awaits(executed);
        let file = Some(executed.file.clone());
        self.add(ExecutedFile { file, content: content.map_err(Some), executions: 1 });
    }

    /// An awaited one is not read after all.
    pub fn does_not_come(&mut self, executed: &Executed) {
        self.no_longer_awaits(executed);
        self.unlisted += 1;
    }

    fn no_longer_awaits(&mut self, executed: &Executed) {
        if let Entry::Occupied(mut process) = self.processes.entry(executed.process) {
            process.get_mut().1 -= 1;
            if process.get().1 == 0 {
                process.remove();
            }
        }
    }

    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.processes.is_empty()
    }

    /// The list, the most often executed first, and the number of executions that are not in it.
    pub(super) fn list(&self) -> (Vec<ExecutedFile>, u64) {
        let mut files: Vec<ExecutedFile> = self.files.values().cloned().collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.executions));
        let awaited: u64 = self.processes.values().map(|(_last, files)| files).sum();
        (files, self.unlisted + awaited)
    }

    fn add(&mut self, more: ExecutedFile) {
        let key = key(&more);
        if let Some(known) = self.files.get_mut(&key) {
            known.executions += more.executions;
        } else if self.files.len() < FILES {
            self.files.insert(key, more);
        } else {
            self.unlisted += more.executions;
        }
    }
}

fn key(executed: &ExecutedFile) -> Key {
    let file = executed.file.as_ref();
    let object = file
        .and_then(|file| file.key)
        .map(|key| (key.device_major, key.device_minor, key.inode, key.generation));
    // Ten names of one file are one file.
    let name = match object {
        Some(_) => String::new(),
        None => file.map_or_else(String::new, |file| file.path.text.clone()),
    };
    (object, name, executed.content.map(|content| content.sha256))
}

/// What two sensor lives listed, as one list, and the number of executions that are not in it.
pub(super) fn sum(
    (mut files, unlisted): (Vec<ExecutedFile>, u64),
    before: &(Vec<ExecutedFile>, u64),
) -> (Vec<ExecutedFile>, u64) {
    let mut all = ExecutedFiles::default();
    files.extend_from_slice(&before.0);
    files.into_iter().for_each(|file| all.add(file));
    let (files, beyond) = all.list();
    (files, unlisted + before.1 + beyond)
}

#[cfg(test)]
mod tests {
    use sentry_detect::event::{FileKey, Path, PathSource};

    use super::*;

    fn executed(path: &str, inode: u64) -> Executed {
        let key =
            FileKey { device_major: 8, device_minor: 1, inode, generation: 0, links: 2, mode: 0o100_755 };
        let path = Path { text: path.into(), source: PathSource::Kernel, truncated: false };
        Executed {
            file: File { path, key: Some(key) },
            process: ProcessKey { tgid: 1, start_boot_ns: 1 },
            parent: None,
            is_image: true,
            time_boot_ns: 5,
            time_unix_ns: 5,
        }
    }

    fn content(byte: u8) -> Content {
        Content { sha256: [byte; 32], size_bytes: 9 }
    }

    fn after(events: &[(&Executed, Result<Content, Unknown>)]) -> ExecutedFiles {
        let mut files = ExecutedFiles::default();
        for (executed, content) in events {
            files.awaits(executed);
            files.came(executed, *content);
        }
        files
    }

    #[test]
    fn names_of_a_file_are_one_file_and_its_contents_are_told_apart() {
        let (a, alias) = (executed("/a", 7), executed("/alias", 7));
        let files = after(&[
            (&a, Ok(content(1))),
            (&alias, Ok(content(1))),
            (&a, Ok(content(2))),
            (&a, Err(Unknown::Changed)),
        ]);
        let row = |content, executions| ExecutedFile { file: Some(a.file.clone()), content, executions };
        let expected = [row(Ok(content(1)), 2), row(Ok(content(2)), 1), row(Err(Some(Unknown::Changed)), 1)];
        assert_eq!(files.list(), (expected.to_vec(), 0));
    }

    #[test]
    fn an_execution_is_the_latest_until_its_process_executes_again() {
        let first = executed("/a", 7);
        let script = Executed { is_image: false, ..executed("/script", 8) };
        let second = Executed { time_boot_ns: 6, ..executed("/b", 9) };
        let mut files = ExecutedFiles::default();
        files.awaits(&first);
        files.awaits(&script);
        assert!(files.is_latest(&first) && files.is_latest(&script));
        files.came(&script, Ok(content(1)));
        files.executes(second.process, second.time_boot_ns);
        files.awaits(&second);
        assert!(!files.is_latest(&first) && files.is_latest(&second));
        files.came(&first, Err(Unknown::Unconfirmed));
        files.came(&second, Ok(content(2)));
        assert!(files.is_settled() && files.processes.is_empty());
    }

    #[test]
    fn what_does_not_fit_or_never_came_is_counted() {
        let many: Vec<Executed> = (0..FILES as u64 + 3).map(|inode| executed("/f", inode)).collect();
        let mut files = after(&many.iter().map(|file| (file, Ok(content(0)))).collect::<Vec<_>>());
        files.awaits(&many[0]);
        files.does_not_come(&many[0]);
        assert!(files.is_settled());
        files.awaits(&many[0]);
        assert!(!files.is_settled());
        let (list, unlisted) = files.list();
        assert_eq!((list.len(), unlisted), (FILES, 5));
    }

    #[test]
    fn two_sensor_lives_are_one_list() {
        let list = |executions| {
            let file = ExecutedFile { file: None, content: Err(None), executions };
            (vec![file], 1)
        };
        assert_eq!(sum(list(2), &list(3)), (list(5).0, 2));
    }
}
