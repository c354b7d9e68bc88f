//! `workload_user UID GROUPS CMD…`: becomes an ordinary user with these supplementary groups (by
//! comma, or ""), then the command.

use std::os::unix::process::CommandExt as _;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use sentry_tests::work::{Arguments, Failure};

fn main() -> Result<(), Failure> {
    let mut args = Arguments::new();
    let uid: u32 = args.number("UID")?;
    let groups = args.text("GROUPS")?;
    let groups: Result<Vec<Gid>, _> = groups
        .split(',')
        .filter(|group| !group.is_empty())
        .map(|group| group.parse().map(Gid::from_raw))
        .collect();
    setgroups(&groups?)?;
    setgid(Gid::from_raw(uid))?;
    setuid(Uid::from_raw(uid))?;
    let program = args.path("CMD")?;
    Err(std::process::Command::new(program).args(args.rest()).exec().into())
}
