//! Freeze, thaw and kill, each waiting until the kernel confirms it.

use std::{
    collections::BTreeSet,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::{Pid, PidfdFlags, Signal},
};

use super::{Cgroup, CgroupError, CgroupEvents, files, handle::is_unsupported};

/// The first pause between two readings; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_micros(100);

/// The kernel announces changes of `cgroup.events` at most every 10 ms, so a wait reads again
/// before that.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// Processes that are signalled per turn where `cgroup.kill` is missing; bounds the descriptors in
/// use.
const SIGNAL_BATCH: usize = 256;

impl Cgroup {
    /// Stops every task of the subtree and waits until the kernel says `frozen 1`.
    ///
    /// # Errors
    /// [`CgroupError::Timeout`] where the tasks did not stop within `limit`. The request stays in
    /// force until `thaw` undoes it.
    pub fn freeze(&self, limit: Duration) -> Result<(), CgroupError> {
        self.write("cgroup.freeze", "1")?;
        self.wait("frozen", limit, |events| events.frozen)
    }

    /// Undoes a freeze and waits until the kernel says `frozen 0`. A group that is gone is not
    /// frozen.
    ///
    /// # Errors
    /// Where the group stays frozen, as it does below a frozen parent.
    pub fn thaw(&self, limit: Duration) -> Result<(), CgroupError> {
        match self.write("cgroup.freeze", "0") {
            Err(error) => or_gone(Err(error)),
            Ok(()) => self.wait("thawed", limit, |events| events.frozen.map(|frozen| !frozen)),
        }
    }

    /// Whether all tasks are stopped now.
    ///
    /// # Errors
    /// Where the file cannot be read or lacks the field.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        self.events()?.frozen.ok_or_else(|| self.format_error("cgroup.events", "frozen"))
    }

    /// Kills every process of the subtree, including those that are being born, in frozen groups
    /// too. Does not wait for their end. Kernels before 5.14 have no `cgroup.kill`, and a threaded
    /// group refuses it: then the group is frozen and each process is signalled, until the group is
    /// empty or `limit` has passed.
    ///
    /// `cgroup.kill` signals the first thread of each process. If that thread has ended, the others
    /// get no signal (seen on 6.18): they are signalled by process.
    ///
    /// # Errors
    /// Where the kernel refuses. A group that is gone has nothing to kill.
    pub fn kill(&self, limit: Duration) -> Result<(), CgroupError> {
        match self.write("cgroup.kill", "1") {
            Ok(()) if self.populated()? => or_gone(self.signal_all(Signal::KILL)),
            Err(CgroupError::Io { source, .. })
                if source.raw_os_error() == Some(Errno::NOENT.raw_os_error()) || is_unsupported(&source) =>
            {
                self.kill_each(limit)
            }
            other => or_gone(other),
        }
    }

    /// Waits until no live process is left. Zombies do not count.
    ///
    /// # Errors
    /// [`CgroupError::Timeout`] after `limit`.
    pub fn wait_empty(&self, limit: Duration) -> Result<(), CgroupError> {
        self.wait("empty", limit, |events| events.populated.map(|populated| !populated))
    }

    /// Kills without `cgroup.kill`. Frozen tasks make no children, and a fatal signal ends them
    /// nevertheless.
    pub(super) fn kill_each(&self, limit: Duration) -> Result<(), CgroupError> {
        let end = Instant::now() + limit;
        self.write("cgroup.freeze", "1")?;
        let killed = loop {
            self.signal_all(Signal::KILL)?;
            match self.wait_empty(LONGEST_PAUSE) {
                Err(CgroupError::Timeout { .. }) if Instant::now() < end => {}
                other => break other,
            }
        };
        let thawed = self.write("cgroup.freeze", "0");
        killed.and(thawed)
    }

    /// Signals each process with a live thread in the subtree, except this one and pid 1.
    fn signal_all(&self, signal: Signal) -> Result<(), CgroupError> {
        let spared = [std::process::id(), 1];
        for batch in self.procs()?.chunks(SIGNAL_BATCH) {
            let open: Vec<_> = batch
                .iter()
                .filter(|pid| !spared.contains(pid))
                .filter_map(|&pid| {
                    let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
                    Some((pid, rustix::process::pidfd_open(raw, PidfdFlags::empty()).ok()?))
                })
                .collect();
            // The process id may have been reused before it was opened. If it is still listed now,
            // it is a member.
            let members: BTreeSet<u32> = self.procs()?.into_iter().collect();
            for (_, fd) in open.iter().filter(|(pid, _)| members.contains(pid)) {
                match rustix::process::pidfd_send_signal(fd, signal) {
                    Ok(()) | Err(Errno::SRCH) => {}
                    Err(error) => {
                        return Err(CgroupError::io("signal a process of cgroup", self.path(), error));
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until `cgroup.events` satisfies `reached`. A missing field is an error at once.
    fn wait(
        &self,
        wanted: &'static str,
        limit: Duration,
        reached: impl Fn(&CgroupEvents) -> Option<bool>,
    ) -> Result<(), CgroupError> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let file = match files::open_file(self.dir(), "cgroup.events") {
            Ok(file) => file,
            Err(error) => {
                return self
                    .gone_is_empty(wanted, self.file_error("open", "cgroup.events".as_ref(), error.into()));
            }
        };
        loop {
            let text = match files::read_all(file.as_fd()) {
                Ok(text) => text,
                Err(error) => {
                    let error = self.file_error("read", "cgroup.events".as_ref(), error);
                    return self.gone_is_empty(wanted, error);
                }
            };
            let events = CgroupEvents::parse(&text);
            if reached(&events).ok_or_else(|| self.format_error("cgroup.events", wanted))? {
                return Ok(());
            }
            let waited = start.elapsed();
            if waited >= limit {
                return Err(CgroupError::Timeout {
                    path: self.path(),
                    wanted,
                    waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
                    state: text.trim().replace('\n', ", "),
                });
            }
            let timeout = pause.min(limit - waited);
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(timeout.subsec_nanos()) };
            match rustix::event::poll(&mut [PollFd::new(&file, PollFlags::PRI)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(CgroupError::io("poll cgroup.events of", self.path(), error)),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A removed group is empty and thawed, not frozen.
    fn gone_is_empty(&self, wanted: &'static str, error: CgroupError) -> Result<(), CgroupError> {
        if error.is_gone() && wanted != "frozen" { Ok(()) } else { Err(error) }
    }
}

/// A removed group has no members.
fn or_gone(result: Result<(), CgroupError>) -> Result<(), CgroupError> {
    match result {
        Err(error) if error.is_gone() => Ok(()),
        other => other,
    }
}
