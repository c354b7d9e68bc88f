//! Reads contents, each once.

use std::{
    fs::File,
    io::{self, Read as _},
    num::NonZeroUsize,
};

use lru::LruCache;
use sentry_kernel::clock::Clock;
use sha2::{Digest as _, Sha256};

use super::{
    Content, Executed, Proven, Unknown, find,
    proof::{self, Reading, Storage, Version},
};

/// Contents remembered, by the versions of their files.
const CONTENTS: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();
/// Largest file that is read.
const MOST_BYTES: u64 = 512 << 20;
/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Reads files and remembers what was in them.
pub(super) struct Reader {
    known: LruCache<Key, [u8; 32]>,
    chunk: Vec<u8>,
    /// Contents read, not remembered.
    read: u64,
}

/// The generation, as the kernel reported it, distinguishes two files that had the same inode one
/// after the other.
type Key = (Version, u32);

impl Default for Reader {
    fn default() -> Self {
        Self { known: LruCache::new(CONTENTS), chunk: vec![0; CHUNK], read: 0 }
    }
}

impl Reader {
    /// What was in the file when it was executed. May take as long as its file system does.
    ///
    /// # Errors
    /// When that is not known.
    pub(super) fn content(&mut self, executed: &Executed) -> Result<Proven, Unknown> {
        let found = find::file(executed)?;
        let unreadable = |_error| Unknown::Unreadable;
        let before = find::version(&found.file).map_err(unreadable)?;
        let magic = rustix::fs::fstatfs(&found.file).map_err(|_errno| Unknown::Unreadable)?.f_type;
        let storage = match Storage::of_magic(magic.cast_unsigned()) {
            // Anybody may lay one over files of their own, in a user namespace.
            Storage::Layered if !find::is_mounted_by_host(&before) => Storage::Foreign,
            storage => storage,
        };
        let generation = executed.file.key.map_or(0, |key| key.generation);
        let key = (before, generation);
        let known = self.known.get(&key).copied();
        if known.is_none() && before.size_bytes > MOST_BYTES {
            return Err(Unknown::TooLarge);
        }
        // Before the first byte: what is changed after it has another version.
        let lasts = proof::is_lasting(&before, storage, Clock::real().wall_ns());
        let sha256 = known.map_or_else(|| self.read(&found.file), Ok).map_err(unreadable)?;
        let after = find::version(&found.file).map_err(unreadable)?;
        if lasts && after == before {
            self.known.put(key, sha256);
        }
        let reading = Reading {
            before,
            after,
            storage,
            held: found.by_process && find::holds(executed.process, &before),
            executed_unix_ns: Clock::real().wall_ns_of(executed.time_boot_ns).min(executed.time_unix_ns),
        };
        let basis = proof::was_executed(&reading)?;
        Ok(Proven { content: Content { sha256, size_bytes: before.size_bytes }, basis })
    }

    /// At most [`MOST_BYTES`]: a file that grows meanwhile is another version.
    fn read(&mut self, file: &File) -> io::Result<[u8; 32]> {
        self.read += 1;
        let mut hash = Sha256::new();
        let mut file = file.take(MOST_BYTES);
        loop {
            match file.read(&mut self.chunk) {
                Ok(0) => return Ok(hash.finalize().into()),
                Ok(bytes) => hash.update(&self.chunk[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use sentry_detect::{
        event::{self, FileKey, PathSource},
        run::ProcessKey,
    };

    use super::*;
    use crate::digest::Basis;

    /// A process that ended long ago executed that file at that time.
    fn executed_at(path: &Path, time_unix_ns: u64) -> Executed {
        let file = File::open(path).unwrap();
        let version = find::version(&file).unwrap();
        let key = FileKey {
            device_major: version.device_major,
            device_minor: version.device_minor,
            inode: version.inode,
            generation: 0,
            links: 1,
            mode: 0o100_755,
        };
        let text = sentry_kernel::decode::text::escape(path.as_os_str().as_encoded_bytes());
        Executed {
            file: event::File {
                path: event::Path { text, source: PathSource::Kernel, truncated: false },
                key: Some(key),
            },
            process: ProcessKey { tgid: u32::MAX, start_boot_ns: 1 },
            parent: None,
            is_image: true,
            time_boot_ns: Clock::real().boot_ns(),
            time_unix_ns,
        }
    }

    /// Now.
    fn executed(path: &Path) -> Executed {
        executed_at(path, u64::MAX)
    }

    /// Beside the test program, where no file system of memory is.
    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let here = std::env::current_exe().unwrap();
        let directory = tempfile::tempdir_in(here.parent().unwrap()).unwrap();
        let path = directory.path().join("back\\slash");
        fs::write(&path, text).unwrap();
        (directory, path)
    }

    #[test]
    fn an_old_file_is_read_once_and_its_digest_is_that_of_its_content() {
        let path = std::env::current_exe().unwrap();
        let mut reader = Reader::default();
        let contents = [(); 2].map(|()| reader.content(&executed(&path)).unwrap());
        let bytes = fs::read(&path).unwrap();
        let content = Content { sha256: Sha256::digest(&bytes).into(), size_bytes: bytes.len() as u64 };
        let expected = Proven { content, basis: Basis::Time };
        assert_eq!((contents, reader.read), ([expected; 2], 1));
    }

    #[test]
    fn what_was_written_just_before_may_not_be_what_was_executed() {
        let (_directory, path) = written("one");
        let changed = find::version(&File::open(&path).unwrap()).unwrap().changed_unix_ns;
        let executed = executed_at(&path, u64::try_from(changed).unwrap());
        assert_eq!(Reader::default().content(&executed), Err(Unknown::Changed));
    }

    #[test]
    fn a_name_that_leads_to_the_file_is_good_enough() {
        let (directory, path) = written("one");
        let old = std::env::current_exe().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&old, &link).unwrap();
        let through_link = |file: &Path| {
            let mut executed = executed(file);
            executed.file.path.text =
                sentry_kernel::decode::text::escape(link.as_os_str().as_encoded_bytes());
            executed
        };
        assert!(Reader::default().content(&through_link(&old)).is_ok());
        assert_eq!(Reader::default().content(&through_link(&path)), Err(Unknown::Gone));
    }

    #[test]
    fn another_file_of_that_name_is_not_taken_for_it() {
        let (directory, path) = written("one");
        let executed = executed(&path);
        let other = directory.path().join("other");
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(Reader::default().content(&executed), Err(Unknown::Gone));
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let (_directory, path) = written("");
        File::options().write(true).open(&path).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert_eq!(Reader::default().content(&executed(&path)), Err(Unknown::TooLarge));
    }
}
