//! `workload_exec_loop COUNT FILE`: COUNT times, opens FILE and runs /bin/true to its end. Prints
//! how many it ran.

use std::{fs::File, process::Command};

use sentry_tests::work::{Arguments, Deadline, Failure};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let (count, file): (u32, _) = (args.number("COUNT")?, args.path("FILE")?);
    for _ in 0..count {
        drop(File::open(&file)?);
        // The standard library makes the child by vfork.
        let status = Command::new("/bin/true").env_clear().status()?;
        if !status.success() {
            return Err(format!("/bin/true ended with {status}").into());
        }
    }
    println!("{count}");
    Ok(())
}
