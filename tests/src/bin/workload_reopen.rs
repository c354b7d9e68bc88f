//! `workload_reopen FILE COUNT`: opens FILE for reading, COUNT times. Prints how often.

use std::fs::File;

use sentry_tests::work::{Arguments, Deadline, Failure};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let (file, count): (_, u64) = (args.path("FILE")?, args.number("COUNT")?);
    for _ in 0..count {
        drop(File::open(&file)?);
    }
    println!("{count}");
    Ok(())
}
