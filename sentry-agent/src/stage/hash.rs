//! Executed files → what was in them, for the run's list. Apart from the other stages: a file may be large, and its file
//! system may never answer.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sentry_common::abi::ring;
use sentry_detect::event::{Event, EventKind};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::StageStats;
use crate::{
    digest::{Basis, Content, Executed, Proven, Reader, Unknown},
    runs::{Registry, Run},
};

/// Files that wait to be read.
const QUEUE_FILES: usize = 1_024;
/// Longest wait for one file.
const LONGEST: Duration = Duration::from_secs(10);
/// Threads left behind in a file system that does not answer; beyond it no file is read until one comes back.
const MOST_LEFT_BEHIND: usize = 4;
/// Longest wait for the records before a moment; they are analysed within milliseconds.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Nice value of the thread that reads: that of the programs beside it, not the sensor's.
const PRIORITY: i32 = 0;

/// A file, and whose list it is for.
pub struct Request {
    run: Arc<Run>,
    executed: Executed,
}

/// Where executed files are handed in.
pub struct HashQueue(mpsc::Sender<Request>);

/// A queue and its other end, for [`run`].
#[must_use]
pub fn queue() -> (HashQueue, mpsc::Receiver<Request>) {
    let (sender, receiver) = mpsc::channel(QUEUE_FILES);
    (HashQueue(sender), receiver)
}

impl HashQueue {
    /// Hands in what an exec ran: the image, and the script that it interprets. Never waits; what does not fit is
    /// counted in the run.
    pub fn event(&self, run: &Arc<Run>, event: &Event, time_boot_ns: u64) {
        let EventKind::Exec { script, .. } = &event.kind else { return };
        let files = [(&event.process.executable, true), (script, false)];
        for (file, is_image) in files {
            let Some(file) = file else { continue };
            let (process, parent) = (event.process.key, event.process.parent);
            let executed = Executed { file: file.clone(), process, parent, is_image, time_boot_ns };
            run.executed().awaits(&executed);
            if let Err(TrySendError::Full(left) | TrySendError::Closed(left)) =
                self.0.try_send(Request { run: Arc::clone(run), executed })
            {
                run.executed().does_not_come(&left.executed);
            }
        }
    }
}

/// Runs until the queue is closed and empty.
pub fn run(mut requests: mpsc::Receiver<Request>, registry: &Registry, stats: &StageStats) {
    let mut readers = Readers { serve, longest: LONGEST, current: None, left_behind: Vec::new() };
    while let Some(Request { run, executed }) = requests.blocking_recv() {
        match readers.content(&executed) {
            Some(proven) => {
                let content = proven.and_then(|proven| confirmed(proven, &executed, &run, registry));
                run.executed().came(&executed, content);
                stats.handled(1);
            }
            None => {
                run.executed().does_not_come(&executed);
                stats.lost(1);
            }
        }
    }
}

/// A process that has executed something since may have executed the same file again, changed in between: so all that the
/// kernel told of the run so far has to be known first.
fn confirmed(
    proven: Proven,
    executed: &Executed,
    run: &Run,
    registry: &Registry,
) -> Result<Content, Unknown> {
    match proven.basis {
        Basis::Time => Ok(proven.content),
        Basis::Process if is_caught_up(run, registry) && run.executed().is_latest(executed) => {
            Ok(proven.content)
        }
        Basis::Process => Err(Unknown::Changed),
    }
}

/// Waits until the records of process life that the kernel has made of the run are analysed. False where one is missing.
fn is_caught_up(run: &Run, registry: &Registry) -> bool {
    let Some(block) = registry.read(run) else { return false };
    let missing = block.lost[ring::CRITICAL] + block.throttled[ring::CRITICAL];
    let end = Instant::now() + CATCH_UP;
    while run.delivered_so_far(ring::CRITICAL) < block.generated[ring::CRITICAL] {
        if missing > 0 || Instant::now() >= end {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
    true
}

/// The thread that reads, and those that did not come back.
struct Readers {
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

impl Readers {
    /// `None` where nobody can read it.
    fn content(&mut self, executed: &Executed) -> Option<Result<Proven, Unknown>> {
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
            // It panicked; the log says so.
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
        let longest = Duration::from_millis(1);
        let mut readers = Readers { serve: stuck, longest, current: None, left_behind: Vec::new() };
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
