//! The kernel's side of `cargo xtask bench`; what is measured with it stands in
//! `docs/performance.md`. Not shipped.
//!
//! ```text
//! bench empty OBJECT TIER ROOT       programs that do nothing, on the sensor's hooks
//! bench stats SOCKET                 run times of the programs of the sensor that listens there
//! bench raw OBJECT [--stats] -- CMD  the least that CMD's events could cost: a record for each of its system calls
//! ```
//!
//! Each says `ready`, works until its input ends, and then prints its figures as JSON.

use std::{
    any::Any,
    collections::HashMap,
    error::Error,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{MapData, PerCpuArray, RingBuf},
    programs::{
        BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSock, CgroupSockAddr, FEntry,
        FExit, Lsm, loaded_programs,
    },
    sys::{Stats, enable_stats},
};
use sentry_kernel::bpf::hooks::{Attach, HOOKS, Hook, Tier};
use serde_json::json;

type Failure = Box<dyn Error>;

/// Time between two drains of the raw ring: it holds several times of what comes meanwhile.
const DRAIN: Duration = Duration::from_millis(1);

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["empty", object, tier, root] => empty(object, tier, root),
        ["stats", socket] => stats(socket),
        ["raw", object, "--", command @ ..] => raw(object, false, command),
        ["raw", object, "--stats", "--", command @ ..] => raw(object, true, command),
        _ => Err("this is a part of `cargo xtask bench`".into()),
    }
}

/// Prints that, and waits until the input ends.
fn ready() -> Result<(), Failure> {
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn kernel_types() -> Result<Btf, Failure> {
    Ok(Btf::from_sys_fs()?)
}

fn load(object: &str, btf: &Btf, process: Option<u32>) -> Result<Ebpf, Failure> {
    let bytes = fs::read(object).map_err(|error| format!("{object}: {error}"))?;
    let mut loader = EbpfLoader::new();
    loader.btf(Some(btf));
    if let Some(process) = &process {
        loader.override_global("PROCESS", process, true);
    }
    Ok(loader.load(&bytes)?)
}

fn empty(object: &str, tier: &str, root: &str) -> Result<(), Failure> {
    let tier = Tier::ALL.into_iter().find(|known| known.letter() == tier).ok_or("no such tier")?;
    let (btf, root) = (kernel_types()?, File::open(root)?);
    let mut ebpf = load(object, &btf, None)?;
    let mut links = Vec::new();
    let mut refused = Vec::new();
    for hook in HOOKS.iter().filter(|hook| hook.is_on(tier)) {
        match attach_empty(&mut ebpf, hook, &btf, &root) {
            Ok(link) => links.extend(link),
            // What the sensor cannot have on this kernel either.
            Err(error) if !hook.required => refused.push(format!("{}: {error}", hook.name())),
            Err(error) => return Err(format!("{}: {error}", hook.name()).into()),
        }
    }
    ready()?;
    println!("{}", json!({ "attached": links.len(), "refused": refused }));
    Ok(())
}

/// The empty program of the hook's sort, loaded anew for each hook; `None` for what is called or
/// run, not attached.
fn attach_empty(
    ebpf: &mut Ebpf,
    hook: &Hook,
    btf: &Btf,
    root: &File,
) -> Result<Option<Box<dyn Any>>, Failure> {
    let mode = CgroupAttachMode::Single;
    macro_rules! link {
        ($type:ty, $name:expr, ($($load:expr),*) $(, $attach:expr)*) => {{
            let program = ebpf.program_mut($name).ok_or("the object lacks a program")?;
            let program: &mut $type = program.try_into()?;
            program.load($($load),*)?;
            let id = program.attach($($attach),*)?;
            let link = program.take_link(id)?;
            // The link keeps it in the kernel; here there is room for the next hook.
            program.unload()?;
            Box::new(link) as Box<dyn Any>
        }};
    }
    Ok(Some(match hook.attach {
        Attach::TailCall(_) | Attach::Iterator => return Ok(None),
        Attach::Tracepoint => link!(BtfTracePoint, "tracepoint", (hook.target, btf)),
        Attach::Lsm => link!(Lsm, "security", (hook.target, btf)),
        Attach::FEntry => link!(FEntry, "before", (hook.target, btf)),
        Attach::FExit => link!(FExit, "after", (hook.target, btf)),
        Attach::SockAddr => link!(CgroupSockAddr, hook.target, (), root, mode),
        Attach::Sock => link!(CgroupSock, hook.target, (), root, mode),
        Attach::Egress => link!(CgroupSkb, hook.target, (), root, CgroupSkbAttachType::Egress, mode),
        Attach::Ingress => link!(CgroupSkb, hook.target, (), root, CgroupSkbAttachType::Ingress, mode),
    }))
}

/// Time spent in a program, and how often it ran.
#[derive(Clone, Copy, Default)]
struct Spent {
    ns: u64,
    runs: u64,
}

impl Spent {
    /// From what procfs says of a program's descriptor: aya does not pass these numbers on. `None`
    /// for any other one.
    fn of(fdinfo: &Path) -> Option<(u32, Self)> {
        let text = fs::read_to_string(fdinfo).ok()?;
        let field = |name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
        };
        let id = u32::try_from(field("prog_id:")?).ok()?;
        Some((id, Self { ns: field("run_time_ns:")?, runs: field("run_cnt:")? }))
    }
}

fn stats(socket: &str) -> Result<(), Failure> {
    let sensor = sensor(socket)?;
    let _counting = enable_stats(Stats::RunTime)?;
    let before = spent(&sensor)?;
    ready()?;
    let after = spent(&sensor)?;
    let names: HashMap<u32, String> = loaded_programs()
        .filter_map(|info| info.ok().map(|info| (info.id(), info.name_as_str().unwrap_or("?").to_owned())))
        .collect();
    let programs: Vec<_> = after
        .into_iter()
        .filter_map(|(id, after)| {
            let before = before.get(&id).copied().unwrap_or_default();
            let (ns, runs) = (after.ns - before.ns, after.runs - before.runs);
            (runs > 0).then(|| json!({ "name": names.get(&id), "ns": ns, "runs": runs }))
        })
        .collect();
    println!("{}", json!({ "programs": programs }));
    Ok(())
}

/// The process that was started to listen there; others on this machine are not what is measured.
fn sensor(socket: &str) -> Result<PathBuf, Failure> {
    for process in fs::read_dir("/proc")?.flatten().map(|entry| entry.path()) {
        let comm = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if comm.trim() == "sentry" && words.contains(&&b"sensor"[..]) && words.contains(&socket.as_bytes()) {
            return Ok(process);
        }
    }
    Err("no sensor listens there".into())
}

/// By the program's id, all that a process holds.
fn spent(process: &Path) -> Result<HashMap<u32, Spent>, Failure> {
    let descriptors = fs::read_dir(process.join("fdinfo"))?;
    Ok(descriptors.flatten().filter_map(|entry| Spent::of(&entry.path())).collect())
}

/// A child that does not outlive this.
struct Generator(Child);

impl Drop for Generator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn raw(object: &str, count_time: bool, command: &[&str]) -> Result<(), Failure> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let mut generator = Command::new(program);
    generator.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let btf = kernel_types()?;
    let generator = Generator(generator.spawn().map_err(|error| format!("{program}: {error}"))?);
    let mut ebpf = load(object, &btf, Some(generator.0.id()))?;
    let ring = RingBuf::try_from(ebpf.take_map("RECORDS").ok_or("the object lacks its ring")?)?;
    let lost = PerCpuArray::<_, u64>::try_from(ebpf.take_map("LOST").ok_or("the object lacks its counter")?)?;
    let _counting = count_time.then(|| enable_stats(Stats::RunTime)).transpose()?;
    let program: &mut BtfTracePoint =
        ebpf.program_mut("raw").ok_or("the object lacks its program")?.try_into()?;
    program.load("sys_exit", &btf)?;
    let id = program.attach()?;
    let fdinfo = format!("/proc/self/fdinfo/{}", program.fd()?.as_fd().as_raw_fd());

    let started = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let drain = {
        let over = Arc::clone(&over);
        thread::spawn(move || drain(ring, &over))
    };
    ready()?;
    let seconds = started.elapsed().as_secs_f64();
    program.detach(id)?;
    let (_, spent) = Spent::of(Path::new(&fdinfo)).ok_or("the kernel does not report run times")?;
    over.store(true, Ordering::Release);
    let (records, bytes) = drain.join().map_err(|_panic| "the drain ended early")?;
    let lost: u64 = lost.get(&0, 0)?.iter().sum();
    println!(
        "{}",
        json!({
            "records": records, "bytes": bytes, "lost": lost, "seconds": seconds,
            "ns": spent.ns, "runs": spent.runs,
        })
    );
    Ok(())
}

/// Takes records out of the ring, in batches, and does nothing with them.
fn drain(mut ring: RingBuf<MapData>, over: &AtomicBool) -> (u64, u64) {
    let (mut records, mut bytes) = (0, 0);
    loop {
        let last = over.load(Ordering::Acquire);
        while let Some(record) = ring.next() {
            records += 1;
            bytes += record.len() as u64;
        }
        if last {
            return (records, bytes);
        }
        thread::sleep(DRAIN);
    }
}
