//! `workload_scene ACT [ARGUMENT…] [, ACT [ARGUMENT…]]…`: single acts, one after the other, in one
//! process. The acts are in `tests/src/scene`, by family. Relative paths are below the working
//! directory.
//!
//! Without arguments it does nothing: some acts execute it that way.

use sentry_tests::{
    scene::{self, Words},
    work::{Deadline, Failure},
};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let line: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    for step in line.split(|word| word == ",").filter(|step| !step.is_empty()) {
        let name = step[0].to_string_lossy();
        let act = scene::act(&name).ok_or_else(|| format!("no act {name}"))?;
        act(&mut Words::new(&step[1..])).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}
