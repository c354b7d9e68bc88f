//! `workload_report CODE`: prints as JSON who and where it is and what it read, and ends with CODE.
//! `workload_report signal FILE`: writes its pid to FILE, waits for SIGTERM, SIGINT or SIGHUP, and
//! ends with 40 + its number.

use std::io::Read as _;

use nix::{
    sys::signal::{SigSet, Signal},
    unistd::{getegid, getgroups, getuid},
};
use sentry_tests::work::{Arguments, Deadline, Failure, announce};
use serde_json::json;

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let first = args.text("CODE")?;
    if first == "signal" {
        let mut awaited = SigSet::empty();
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].iter().for_each(|signal| awaited.add(*signal));
        // Before anybody knows the pid.
        awaited.thread_block()?;
        announce(&args.path("FILE")?, &std::process::id().to_string())?;
        std::process::exit(40 + awaited.wait()? as i32);
    }
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let groups: Vec<u32> = getgroups()?.iter().map(|group| group.as_raw()).collect();
    let value = json!({
        "uid": getuid().as_raw(),
        "gid": getegid().as_raw(),
        "groups": groups,
        "directory": std::env::current_dir()?,
        "variable": std::env::var("OF_THE_CALLER").ok(),
        "run": std::env::var("AGENTSENTRY_RUN").ok(),
        "arguments": args.rest().iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "input": input,
    });
    println!("{value}");
    eprintln!("on standard error");
    std::process::exit(first.parse()?);
}
