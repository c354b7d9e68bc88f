//! `workload_cost WORK REPETITIONS`: nanoseconds of its own CPU time for each repetition of
//! `getpid`, `open-close` or `connect`.

use std::{
    fs::File,
    hint::black_box,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use sentry_tests::work::{Arguments, Deadline, Failure};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let work = args.text("WORK")?;
    let repetitions: u32 = args.number("REPETITIONS")?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let once = || -> Result<(), Failure> {
        match work.as_str() {
            "getpid" => drop(black_box(std::process::id())),
            "open-close" => drop(black_box(File::open("/etc/hosts")?)),
            // Of a datagram socket: it sends nothing.
            "connect" => socket.connect((Ipv4Addr::LOCALHOST, 9))?,
            other => return Err(format!("no work {other}").into()),
        }
        Ok(())
    };
    // What happens once is not what is measured.
    once()?;
    let start = used()?;
    for _ in 0..repetitions {
        once()?;
    }
    println!("{}", (used()? - start).as_secs_f64() * 1e9 / f64::from(repetitions));
    Ok(())
}

fn used() -> Result<Duration, Failure> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}
