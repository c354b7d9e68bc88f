//! `workload_escape KIND DIR CGROUP`: tries to get away from its run and waits there; writes its
//! pid to DIR/KIND when it has arrived. CGROUP is a directory outside of the run.
//!
//! Kinds: `setsid` (a session of its own), `double-fork` (an orphan in a session of its own),
//! `move` (into CGROUP), `child-cgroup` (into a group made below its own), `orphan-move` (an orphan
//! in CGROUP that goes on forking), `all`.
#![expect(unsafe_code, reason = "it does by system call what agents do")]

use std::{fs, path::Path};

use nix::unistd::{ForkResult, fork, setsid};
use sentry_tests::{
    cgroup, procs,
    work::{Arguments, Deadline, Failure, announce, wait_for_the_end},
};

const KINDS: [&str; 5] = ["setsid", "double-fork", "move", "child-cgroup", "orphan-move"];

fn main() -> Result<(), Failure> {
    let life = Deadline::new();
    let mut args = Arguments::new();
    let (kind, dir, outside) = (args.text("KIND")?, args.path("DIR")?, args.path("CGROUP")?);
    let kinds: Vec<&str> = if kind == "all" { KINDS.to_vec() } else { vec![kind.as_str()] };
    for kind in kinds {
        if in_child(life)? {
            escape(kind, &outside, life)?;
            announce(&dir.join(kind), &std::process::id().to_string())?;
            if kind == "orphan-move" {
                breed(life)?;
            }
            wait_for_the_end();
        }
    }
    announce(&dir.join("main"), &std::process::id().to_string())?;
    wait_for_the_end()
}

fn escape(kind: &str, outside: &Path, life: Deadline) -> Result<(), Failure> {
    match kind {
        "setsid" => {
            setsid()?;
        }
        "double-fork" => become_orphan(life)?,
        "move" => enter(outside)?,
        "child-cgroup" => {
            let own = procs::cgroup(std::process::id()).ok_or("no cgroup v2")?;
            let child = cgroup::mount().join(own.trim_start_matches('/')).join("child");
            fs::create_dir(&child)?;
            enter(&child)?;
        }
        "orphan-move" => {
            become_orphan(life)?;
            enter(outside)?;
        }
        other => return Err(format!("no kind {other}").into()),
    }
    Ok(())
}

fn become_orphan(life: Deadline) -> Result<(), Failure> {
    setsid()?;
    if !in_child(life)? {
        // The one between ends, and init takes the grandchild.
        std::process::exit(0);
    }
    Ok(())
}

fn enter(group: &Path) -> Result<(), Failure> {
    Ok(fs::write(group.join("cgroup.procs"), std::process::id().to_string())?)
}

/// A child every few milliseconds that ends at once: whoever kills meets new members meanwhile.
fn breed(life: Deadline) -> Result<(), Failure> {
    use nix::sys::wait::waitpid;
    loop {
        // SAFETY: this process has one thread, so the child may go on with everything it has.
        match unsafe { fork() }? {
            ForkResult::Child => {
                life.arm();
                std::thread::sleep(std::time::Duration::from_millis(20));
                std::process::exit(0);
            }
            ForkResult::Parent { child } => {
                waitpid(child, None)?;
            }
        }
    }
}

/// Forks; true in the child.
fn in_child(life: Deadline) -> Result<bool, Failure> {
    // SAFETY: this process has one thread, so the child may go on with everything it has.
    let child = matches!(unsafe { fork() }?, ForkResult::Child);
    if child {
        life.arm();
    }
    Ok(child)
}
