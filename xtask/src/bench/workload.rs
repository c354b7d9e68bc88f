//! The things that are timed: `xtask workload <name> <repetitions>` prints nanoseconds per repetition.

use std::{
    fs::File,
    hint::black_box,
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;

/// A workload by name.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Enough repetitions to see how long one takes.
    pub(super) probe: u64,
    once: fn() -> Result<()>,
}

pub(super) const KINDS: [Kind; 3] = [
    // The cheapest system call there is: shows anything that sits on all of them.
    Kind { name: "getpid", probe: 100_000, once: getpid },
    Kind { name: "open-close", probe: 5_000, once: open_close },
    Kind { name: "fork-exec", probe: 50, once: fork_exec },
];

impl Kind {
    /// Repetitions that take about so long, given what one takes.
    pub(super) fn repetitions_for_ms(&self, ms: u32, ns_each: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive count, far below 2^53"
        )]
        let repetitions = (f64::from(ms) * 1e6 / ns_each) as u64;
        repetitions.max(self.probe)
    }
}

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let words = args.words();
    args.done()?;
    let [name, repetitions] = &words[..] else { bail!("needs a workload and a number of repetitions") };
    let kind = KINDS.iter().find(|kind| kind.name == name).with_context(|| format!("no workload {name}"))?;
    let repetitions: u32 = repetitions.parse().context("the number of repetitions is not one")?;
    // What happens once, such as loading pages, is not what is measured.
    (kind.once)()?;
    let started = Instant::now();
    for _ in 0..repetitions {
        (kind.once)()?;
    }
    println!("{}", started.elapsed().as_secs_f64() * 1e9 / f64::from(repetitions.max(1)));
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for all workloads")]
fn getpid() -> Result<()> {
    black_box(std::process::id());
    Ok(())
}

fn open_close() -> Result<()> {
    black_box(File::open("/etc/hostname").or_else(|_| File::open("/"))?);
    Ok(())
}

fn fork_exec() -> Result<()> {
    let status = Command::new("/bin/true").status().context("cannot start /bin/true")?;
    if status.success() { Ok(()) } else { bail!("/bin/true: {status}") }
}
