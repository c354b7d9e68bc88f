//! Executed files on their way to the hash stage. Runs take turns, so that large files of one do
//! not keep another's waiting.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use sentry_common::table::RunTag;
use sentry_detect::event::{Event, EventKind};

use sentry_kernel::clock::Clock;

use crate::{digest::Executed, runs::Run};

/// Files that wait to be read, of all runs.
const MOST_FILES: usize = 1_024;
/// Of one run.
const MOST_OF_A_RUN: usize = 128;

/// A file, and whose list it is for.
pub struct Request {
    pub run: Arc<Run>,
    pub executed: Executed,
}

/// Where executed files are handed in. Dropping it closes the queue.
pub struct HashQueue(Arc<Shared>);

/// Where they are taken out.
pub struct Requests(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting<Request>>,
    changed: Condvar,
}

/// A queue and its other end.
#[must_use]
pub fn queue() -> (HashQueue, Requests) {
    let shared = Arc::<Shared>::default();
    (HashQueue(Arc::clone(&shared)), Requests(shared))
}

impl HashQueue {
    /// Hands in what an exec ran: the image, and the script that it interprets. Never waits; what
    /// does not fit is counted in the run.
    pub fn event(&self, run: &Arc<Run>, event: &Event, time_boot_ns: u64) {
        let EventKind::Exec { script, .. } = &event.kind else { return };
        let (process, parent) = (event.process.key, event.process.parent);
        run.executed(|files| {
            files.executes(process, time_boot_ns);
            if event.process.executable.is_none() {
                files.cannot_list();
            }
        });
        let time_unix_ns = Clock::real().wall_ns_of(time_boot_ns);
        let image = event.process.executable.iter().map(|file| (file, true));
        for (file, is_image) in image.chain(script.iter().map(|file| (file, false))) {
            let file = file.clone();
            let executed = Executed { file, process, parent, is_image, time_boot_ns, time_unix_ns };
            run.executed(|files| files.awaits(&executed));
            let pushed = self.0.waiting().push(run.tag, Request { run: Arc::clone(run), executed });
            if let Err(left) = pushed {
                run.executed(|files| files.does_not_come(&left.executed));
            }
        }
        self.0.changed.notify_one();
    }
}

impl Drop for HashQueue {
    fn drop(&mut self) {
        self.0.waiting().closed = true;
        self.0.changed.notify_one();
    }
}

impl Requests {
    /// Waits for the next one; `None` once the queue is closed and empty.
    pub fn next(&self) -> Option<Request> {
        let waiting = self.0.waiting();
        let mut waiting = self
            .0
            .changed
            .wait_while(waiting, |waiting| waiting.files == 0 && !waiting.closed)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.pop()
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs with waiting files, in turn.
struct Waiting<T> {
    turns: VecDeque<(RunTag, VecDeque<T>)>,
    files: usize,
    closed: bool,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), files: 0, closed: false }
    }
}

impl<T> Waiting<T> {
    /// Gives back what does not fit.
    fn push(&mut self, run: RunTag, file: T) -> Result<(), T> {
        if self.files >= MOST_FILES {
            return Err(file);
        }
        match self.turns.iter_mut().find(|(tag, _)| *tag == run) {
            Some((_, files)) if files.len() >= MOST_OF_A_RUN => return Err(file),
            Some((_, files)) => files.push_back(file),
            None => self.turns.push_back((run, VecDeque::from([file]))),
        }
        self.files += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<T> {
        let (run, mut files) = self.turns.pop_front()?;
        let file = files.pop_front()?;
        self.files -= 1;
        if !files.is_empty() {
            self.turns.push_back((run, files));
        }
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(slot: u32) -> RunTag {
        RunTag { slot, generation: 1 }
    }

    #[test]
    fn runs_take_turns() {
        let mut waiting = Waiting::default();
        for (run, file) in [(1, "1a"), (1, "1b"), (1, "1c"), (2, "2a"), (3, "3a"), (2, "2b")] {
            assert_eq!(waiting.push(tag(run), file), Ok(()));
        }
        let order: Vec<_> = std::iter::from_fn(|| waiting.pop()).collect();
        assert_eq!(order, ["1a", "2a", "3a", "1b", "2b", "1c"]);
        assert_eq!((waiting.files, waiting.turns.len()), (0, 0));
    }

    #[test]
    fn one_run_does_not_fill_the_queue_and_all_together_do_not_exceed_it() {
        let mut waiting = Waiting::default();
        let taken = |waiting: &mut Waiting<()>, run| {
            (0..MOST_OF_A_RUN + 1).filter(|_| waiting.push(tag(run), ()).is_ok()).count()
        };
        let runs = MOST_FILES / MOST_OF_A_RUN;
        let taken: Vec<usize> = (0..=runs as u32).map(|run| taken(&mut waiting, run)).collect();
        let mut expected = vec![MOST_OF_A_RUN; runs];
        expected.push(0);
        assert_eq!((taken, waiting.files), (expected, MOST_FILES));
    }
}
