//! The thread that reads, and those that did not come back: a file may be large, and its file
//! system may never answer.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Executed, Proven, Unknown, content::Reader};

/// Longest wait for one file.
const LONGEST: Duration = Duration::from_secs(10);
/// Threads left behind in a file system that does not answer; beyond it no file is read until one
/// comes back.
const MOST_LEFT_BEHIND: usize = 4;
/// Nice value of the thread that reads: that of the programs beside it, not the sensor's.
const PRIORITY: i32 = 0;

/// Reads files, one at a time, for at most `LONGEST` each.
pub struct Readers {
    serve: Serve,
    longest: Duration,
    current: Option<Current>,
    left_behind: Vec<JoinHandle<()>>,
}

type Serve = fn(&Receiver<Executed>, &SyncSender<Result<Proven, Unknown>>);

struct Current {
    files: SyncSender<Executed>,
    contents: Receiver<Result<Proven, Unknown>>,
    thread: JoinHandle<()>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { serve, longest: LONGEST, current: None, left_behind: Vec::new() }
    }
}

impl Readers {
    /// What was in the file, or why that is not known. `None` where there is nobody to read it.
    pub fn content(&mut self, executed: &Executed) -> Option<Result<Proven, Unknown>> {
        let current = match self.current.take() {
            Some(current) => current,
            None => self.start()?,
        };
        current.files.send(executed.clone()).ok()?;
        match current.contents.recv_timeout(self.longest) {
            Ok(content) => {
                self.current = Some(current);
                Some(content)
            }
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(path = executed.file.path.text, "an executed file cannot be read in time");
                self.left_behind.push(current.thread);
                Some(Err(Unknown::Unreadable))
            }
            // It panicked, which is in the log.
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn start(&mut self) -> Option<Current> {
        self.left_behind.retain(|thread| !thread.is_finished());
        if self.left_behind.len() >= MOST_LEFT_BEHIND {
            return None;
        }
        let (files, to_read) = sync_channel(1);
        let (read, contents) = sync_channel(1);
        let serve = self.serve;
        let thread =
            thread::Builder::new().name("read-executed".into()).spawn(move || serve(&to_read, &read));
        thread
            .inspect_err(|error| tracing::error!(%error, "cannot start a thread that reads executed files"))
            .ok()
            .map(|thread| Current { files, contents, thread })
    }
}

fn serve(files: &Receiver<Executed>, contents: &SyncSender<Result<Proven, Unknown>>) {
    // To lower it needs no right.
    let _same_as_before = rustix::process::setpriority_process(None, PRIORITY);
    let mut reader = Reader::default();
    while let Ok(executed) = files.recv() {
        if contents.send(reader.content(&executed)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::sync::Mutex;

    use sentry_detect::{
        event::{File, Path, PathSource},
        run::ProcessKey,
    };

    use super::*;

    fn executed() -> Executed {
        let path = Path { text: "/x".into(), source: PathSource::Kernel, truncated: false };
        Executed {
            file: File { path, key: None },
            process: ProcessKey { tgid: 1, start_boot_ns: 0 },
            parent: None,
            is_image: true,
            time_boot_ns: 0,
            time_unix_ns: 0,
        }
    }

    /// Held by the test for as long as no file system answers.
    static NO_ANSWER: Mutex<()> = Mutex::new(());

    fn stuck(files: &Receiver<Executed>, _contents: &SyncSender<Result<Proven, Unknown>>) {
        while files.recv().is_ok() {
            drop(NO_ANSWER.lock());
        }
    }

    #[test]
    fn a_file_system_that_does_not_answer_holds_a_few_threads_and_no_more() {
        let answer = NO_ANSWER.lock().unwrap();
        let mut readers = Readers { serve: stuck, longest: Duration::from_millis(1), ..Readers::default() };
        let contents: Vec<_> = (0..MOST_LEFT_BEHIND + 2).map(|_| readers.content(&executed())).collect();
        let mut expected = vec![Some(Err(Unknown::Unreadable)); MOST_LEFT_BEHIND];
        expected.extend([None, None]);
        assert_eq!(contents, expected);
        // Those that come back make room.
        drop(answer);
        while !readers.left_behind.iter().all(JoinHandle::is_finished) {
            thread::yield_now();
        }
        readers.serve = serve;
        readers.longest = LONGEST;
        assert_eq!(readers.content(&executed()), Some(Err(Unknown::NoObject)));
        assert!(readers.left_behind.is_empty());
    }
}
