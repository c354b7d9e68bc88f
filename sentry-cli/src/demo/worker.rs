//! The runaway of the demo: a worker that goes wrong in its first life and works in its second.
//!
//! Wrong: it uses every core and starts more and more processes. It cannot harm the host even where
//! nothing stops it: the number of processes and the life of each are bounded.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::super::{
    args::{DemoAgentArgs, DemoRole},
    error::CliError,
    exit::Exit,
};

/// Processes that the runaway starts at most.
pub(super) const MAX_PROCESSES: u32 = 300;
/// After this every process of the runaway ends by itself.
pub(super) const MAX_LIFE: Duration = Duration::from_secs(20);

/// Directory that has a file for each run of the demo, named by its id.
pub(super) const LIVES: &str = "lives";

const SPAWN_EVERY: Duration = Duration::from_millis(4);
const FILES: u32 = 12;

pub(super) fn run(args: &DemoAgentArgs) -> Result<Exit, CliError> {
    let lives = args.dir.join(LIVES);
    let done = match args.role {
        Some(DemoRole::Spin) => {
            spin();
            Ok(())
        }
        Some(DemoRole::Wait) => {
            thread::sleep(MAX_LIFE);
            Ok(())
        }
        None => live(&args.dir, &lives),
    };
    done.map(|()| Exit::Ok).map_err(|source| CliError::System { what: "play the demo's agent", source })
}

fn live(dir: &Path, lives: &Path) -> io::Result<()> {
    fs::create_dir_all(lives)?;
    let first = fs::read_dir(lives)?.next().is_none();
    fs::write(lives.join(std::env::var_os("AGENTSENTRY_RUN").unwrap_or_else(|| "unsupervised".into())), "")?;
    if first { run_away(dir) } else { work(dir) }
}

fn run_away(dir: &Path) -> io::Result<()> {
    let end = Instant::now() + MAX_LIFE;
    for _core in 0..thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8) {
        start(dir, "spin")?;
    }
    for _process in 0..MAX_PROCESSES {
        start(dir, "wait")?;
        thread::sleep(SPAWN_EVERY);
    }
    thread::sleep(end.saturating_duration_since(Instant::now()));
    Ok(())
}

/// One more process, which nobody waits for, as runaways do.
fn start(dir: &Path, role: &str) -> io::Result<()> {
    let child = Command::new(sentry_agent::OWN_IMAGE)
        .args(["demo-agent", "--role", role, "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .spawn()?;
    drop(child);
    Ok(())
}

fn spin() {
    let end = Instant::now() + MAX_LIFE;
    let mut sum = 0_u64;
    while Instant::now() < end {
        for n in 0..1_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(n));
        }
    }
}

/// What a worker does: makes files, reads them, puts them in place, tidies up.
fn work(dir: &Path) -> io::Result<()> {
    let place = dir.join("work");
    fs::create_dir_all(&place)?;
    for n in 0..FILES {
        let draft = place.join(format!("draft-{n}"));
        fs::write(&draft, format!("result {n}\n"))?;
        let text = fs::read_to_string(&draft)?;
        fs::rename(&draft, place.join(format!("result-{n}-{}", text.len())))?;
    }
    fs::remove_dir_all(&place)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_second_life_works_and_tidies_up() {
        let dir = tempfile::tempdir().unwrap();
        let lives = dir.path().join(LIVES);
        fs::create_dir(&lives).unwrap();
        fs::write(lives.join("first"), "").unwrap();
        live(dir.path(), &lives).unwrap();
        assert!(!dir.path().join("work").exists());
        assert_eq!(fs::read_dir(&lives).unwrap().count(), 2);
    }
}
