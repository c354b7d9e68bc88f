//! `workload_forkbomb UID LIMIT SECONDS`: every process makes processes, as fast as it can.
//! `workload_forkbomb UID idle FILE`: the same program and user doing nothing; its pid is in FILE.
//!
//! Fenced before it starts: it becomes an unprivileged user of its own that may have LIMIT
//! processes, and every one of them ends by SIGALRM when the seconds are over, whatever happens to
//! the test.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::time::Duration;

use nix::{
    sys::resource::{Resource, setrlimit},
    unistd::{ForkResult, Gid, Uid, fork, setgid, setgroups, setuid},
};
use sentry_tests::work::{Arguments, Deadline, Failure, announce, wait_for_the_end};

/// Users that nothing else on a host has.
const USERS: std::ops::RangeInclusive<u32> = 64_000..=65_000;
const MOST_PROCESSES: u64 = 512;
const MOST_SECONDS: u64 = 60;

fn main() -> Result<(), Failure> {
    let mut args = Arguments::new();
    let uid: u32 = args.number("UID")?;
    let limit = args.text("LIMIT")?;
    if limit == "idle" {
        let _life = Deadline::new();
        become_user(uid)?;
        announce(&args.path("FILE")?, &std::process::id().to_string())?;
        wait_for_the_end();
    }
    let (limit, seconds): (u64, u64) = (limit.parse()?, args.number("SECONDS")?);
    if !USERS.contains(&uid) || limit > MOST_PROCESSES || seconds > MOST_SECONDS {
        return Err("refused: these limits would endanger the host".into());
    }
    let life = Deadline::within(Duration::from_secs(seconds));
    setrlimit(Resource::RLIMIT_NPROC, limit, limit)?;
    become_user(uid)?;
    // An alarm outlives the change of user; it is set again to be sure.
    life.arm();
    while !life.is_over() {
        // SAFETY: this process has one thread, so the child may go on with everything it has.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => life.arm(),
            Ok(ForkResult::Parent { .. }) => {}
            // At the limit: try again when somebody has ended.
            Err(_at_the_limit) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    Ok(())
}

fn become_user(uid: u32) -> Result<(), Failure> {
    setgroups(&[])?;
    setgid(Gid::from_raw(uid))?;
    setuid(Uid::from_raw(uid))?;
    Ok(())
}
