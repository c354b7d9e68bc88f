//! `workload_rules WHAT …`: does for some seconds what a rule looks for, or what only looks like
//! it.
//!
//! `fails TIMES`: a command that fails, five times a second. `edits TIMES FILE`: the same, each
//! time by what FILE says, which is written before. `connects TIMES PORTS ADDRESSES`: TCP
//! connections, fifty a second, to so many ports that nobody listens at, of so many addresses of
//! loopback; with 0 ports to one where it listens itself. `asks TIMES ADDRESS long|short`: names of
//! one domain, of a server at port 53 of ADDRESS. `memory MIB SECONDS`, `descriptors COUNT
//! SECONDS`: ever more. `threads COUNT`: fifty a second, each for ten seconds.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
    thread::sleep,
    time::Duration,
};

use sentry_tests::work::{Arguments, Deadline, Failure};

fn main() -> Result<(), Failure> {
    let _life = Deadline::new();
    let mut args = Arguments::new();
    let (what, count): (_, u32) = (args.text("WHAT")?, args.number("COUNT")?);
    match what.as_str() {
        "fails" => fails(count, "exit 3", |_| Ok(())),
        "edits" => {
            let file = args.path("FILE")?;
            let script = format!(". {}", file.display());
            fails(count, &script, |n| Ok(fs::write(&file, format!("exit 3 # {n}\n"))?))
        }
        "connects" => connects(count, args.number("PORTS")?, args.number("ADDRESSES")?),
        "asks" => asks(count, args.text("ADDRESS")?.parse()?, args.text("LENGTH")? == "long"),
        "memory" => {
            let mut held = Vec::new();
            steps(args.number("SECONDS")?, |steps| {
                held.push(vec![1_u8; ((count as usize) << 20) / steps as usize]);
            });
            Ok(())
        }
        "descriptors" => {
            let mut held = Vec::new();
            steps(args.number("SECONDS")?, |steps| {
                held.extend((0..count / steps).filter_map(|_| File::open("/dev/null").ok()));
            });
            Ok(())
        }
        "threads" => {
            let threads: Vec<_> = (0..count)
                .map(|_| {
                    sleep(Duration::from_millis(20));
                    std::thread::spawn(|| sleep(Duration::from_secs(10)))
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_panic| "a thread panicked".into()))
        }
        other => Err(format!("{other} is not known").into()),
    }
}

fn fails(times: u32, script: &str, before: impl Fn(u32) -> Result<(), Failure>) -> Result<(), Failure> {
    for n in 0..times {
        before(n)?;
        let status = Command::new("/bin/sh").args(["-c", script]).status()?;
        if status.code() != Some(3) {
            return Err(format!("the command ended with {status}").into());
        }
        sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn connects(times: u32, ports: u16, addresses: u32) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let own = listener.local_addr()?;
    for n in 0..times {
        let address = if ports == 0 {
            own
        } else {
            let host = Ipv4Addr::from_bits(Ipv4Addr::new(127, 77, 0, 1).to_bits() + n % addresses);
            // Below all ports that are given out.
            SocketAddr::from((host, 1_000 + u16::try_from(n)? % ports))
        };
        if TcpStream::connect(address).is_ok() {
            drop(listener.accept()?);
        }
        sleep(Duration::from_millis(15));
    }
    Ok(())
}

fn asks(times: u32, address: Ipv4Addr, long: bool) -> Result<(), Failure> {
    let server = UdpSocket::bind((address, 53))?;
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    client.connect(server.local_addr()?)?;
    let mut state = 1_u64;
    for n in 0..times {
        let mut label = format!("host{n}");
        if long {
            label.clear();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                label += &format!("{:012x}", state >> 16);
            }
        }
        let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for part in [&label, "tunnel", "example"] {
            question.push(u8::try_from(part.len())?);
            question.extend(part.as_bytes());
        }
        question.extend([0, 0, 1, 0, 1]);
        client.send(&question)?;
        sleep(Duration::from_millis(10));
    }
    // What came last is reported before the end of the socket.
    sleep(Duration::from_millis(300));
    Ok(())
}

/// Calls `step` ten times a second, with how often that will be.
fn steps(seconds: u32, mut step: impl FnMut(u32)) {
    let steps = seconds * 10;
    for _ in 0..steps {
        step(steps);
        sleep(Duration::from_millis(100));
    }
    sleep(Duration::from_millis(500));
}
