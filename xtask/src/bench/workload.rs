//! The things that are timed: `xtask workload <name> <repetitions> [<per second>]` prints
//! nanoseconds per repetition.

use std::{
    fs::File,
    hint::black_box,
    net::UdpSocket,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
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

/// The cheapest system call there is: shows anything that sits on all of them.
pub(super) const GETPID: Kind = Kind { name: "getpid", probe: 100_000, once: getpid };
/// What the sensor has hooks on, in shares of about a third of the time.
pub(super) const MIX: Kind = Kind { name: "mix", probe: 10, once: mix };
pub(super) const OPEN_CLOSE: Kind = Kind { name: "open-close", probe: 5_000, once: open_close };
pub(super) const FORK_EXEC: Kind = Kind { name: "fork-exec", probe: 50, once: fork_exec };

const KINDS: [Kind; 4] = [GETPID, MIX, OPEN_CLOSE, FORK_EXEC];

/// A paced workload works so often in a second, and rests in between.
const TICKS: u32 = 1_000;

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
    let [name, numbers @ ..] = &words[..] else { bail!("needs a workload and a number of repetitions") };
    let kind = KINDS.iter().find(|kind| kind.name == name).with_context(|| format!("no workload {name}"))?;
    let numbers: Vec<u32> = numbers
        .iter()
        .map(|number| number.parse().with_context(|| format!("{number} is no number of repetitions")))
        .collect::<Result<_>>()?;
    // What happens once, such as loading pages, is not what is measured.
    (kind.once)()?;
    let started = Instant::now();
    let repetitions = match numbers[..] {
        [repetitions] => {
            for _ in 0..repetitions {
                (kind.once)()?;
            }
            repetitions
        }
        [repetitions, per_second] => paced(kind, repetitions, per_second)?,
        _ => bail!("needs a number of repetitions, and perhaps one per second"),
    };
    println!("{}", started.elapsed().as_secs_f64() * 1e9 / f64::from(repetitions.max(1)));
    Ok(ExitCode::SUCCESS)
}

/// Spreads the repetitions evenly; returns how many it did.
fn paced(kind: &Kind, repetitions: u32, per_second: u32) -> Result<u32> {
    let each = (per_second / TICKS).max(1);
    let ticks = repetitions / each;
    let started = Instant::now();
    for tick in 1..=ticks {
        for _ in 0..each {
            (kind.once)()?;
        }
        let due = started + Duration::from_secs(tick.into()) / TICKS;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(ticks * each)
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

fn mix() -> Result<()> {
    fork_exec()?;
    for _ in 0..200 {
        open_close()?;
    }
    // Connecting a datagram socket sends nothing, so that the network's own work stays out of it.
    let socket = UdpSocket::bind("127.0.0.1:0").context("cannot bind a socket")?;
    for _ in 0..200 {
        socket.connect("127.0.0.1:9").context("cannot connect a socket")?;
    }
    Ok(())
}
