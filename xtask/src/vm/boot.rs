//! Booting a kernel in QEMU and reading its console until it says how it went.
//!
//! The guest prints one line `vm: success` or `vm: failure` and powers off. Everything it prints is
//! in `target/xtask/vm-<name>.log` while it runs. A panic, a kernel bug or a stall fails the run
//! even if every test passed.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{
    long::long,
    step::{self, say},
    tally::Tally,
    vm::matrix::Kernel,
};

const AREA: &str = "vm";
const EMULATOR: &str = "qemu-system-x86_64";
const MEMORY_MIB: u32 = 2048;
/// With `AGENTSENTRY_LONG=1` there is more to do, and more to keep: the guest has no disk.
const LONG_MEMORY_MIB: u32 = 8192;
const LONG_TIMEOUTS: u32 = 8;
/// Security modules as Debian enables them; `bpf` is appended where the matrix wants it.
const SECURITY_MODULES: &str = "landlock,lockdown,yama,integrity";
/// Everything the emulator can do, but for one instruction: before QEMU 8.1 it computed the flags
/// of `cmpxchg16b` from stale state, sometimes setting the trap flag, which the kernel met as a
/// double fault in its allocator at boot. Without the feature bit the kernel does the same in
/// software.
const CPU: &str = "max,-cx16";
/// A guest's CPU counts as locked up after twice this time, the longest that a kernel takes.
/// Verifying one program takes tens of times longer under emulation than on the machines that the
/// kernel's own 10 s are made for, and longer still beside other tests.
const WATCHDOG_S: u32 = 60;
/// Niceness of a guest beside other tests: these get three quarters of a processor that both want.
const BESIDE: &str = "5";
/// The same for a grace period of RCU, made for 21 s: a busy host keeps a CPU of the guest away for
/// longer.
const RCU_STALL_S: u32 = 240;
const TAIL_LINES: usize = 40;
/// Lines waiting to be written to the log; the guest blocks beyond it, nothing is lost.
const QUEUED_LINES: usize = 1024;

/// What the console said.
#[derive(Debug, Default)]
struct Console {
    text: String,
    verdict: Option<bool>,
    kernel_fault: Option<String>,
    /// See [`is_emulator_fault`].
    emulator_fault: bool,
}

/// Boots of one kernel before an emulator's fault counts as a failure.
const BOOTS: u32 = 3;

/// Boots, waits for the end, and counts. Only a broken host is an error; a broken guest is a
/// failure in the tally.
pub(super) fn boot(kernel: &Kernel, image: &Path, initrd: &Path, filter: &[String]) -> Result<Tally> {
    let mut boots = 1;
    loop {
        let (tally, emulator_fault) = boot_once(kernel, image, initrd, filter)?;
        if !emulator_fault || boots == BOOTS {
            return Ok(tally);
        }
        boots += 1;
        say(
            AREA,
            format_args!("{}: the emulator failed, not the guest: boot {boots} of {BOOTS}", kernel.name),
        );
    }
}

/// Where everything that the guest printed is.
pub(super) fn log_of(kernel: &Kernel) -> Result<PathBuf> {
    step::log_path(&format!("vm-{}", kernel.name))
}

/// The counts of one boot, and whether the emulator broke it.
fn boot_once(kernel: &Kernel, image: &Path, initrd: &Path, filter: &[String]) -> Result<(Tally, bool)> {
    let log = log_of(kernel)?;
    let bpf = if kernel.lsm { "with" } else { "without" };
    say(AREA, format_args!("boot {} {bpf} BPF as a security module and run the tests there", kernel.name));
    let started = Instant::now();
    let mut qemu = command(kernel, image, initrd, filter);
    let mut child =
        qemu.spawn().with_context(|| format!("cannot start {EMULATOR}; `cargo xtask setup` installs it"))?;
    let mut file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    writeln!(file, "$ {}", step::shell_line(&qemu))?;
    let lines = read_lines(&mut child)?;

    let mut console = Console::default();
    let deadline = started + timeout(kernel);
    let ended = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                writeln!(file, "{line}")?;
                console.line(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    // After a timeout it is alive; after its end this fails, which is as good.
    let _already_dead = child.kill();
    child.wait().context("cannot wait for qemu")?;

    let (tally, complaint) = console.judge(ended, kernel);
    match complaint {
        None => say(AREA, format_args!("{}: {tally} in {}", kernel.name, step::took(started))),
        Some(complaint) => {
            step::print_tail(&log, TAIL_LINES);
            say(
                AREA,
                format_args!("{}: FAILED: {complaint}; {tally} in {}", kernel.name, step::took(started)),
            );
        }
    }
    Ok((tally, console.emulator_fault))
}

impl Console {
    fn line(&mut self, line: &str) {
        self.emulator_fault |= is_emulator_fault(line);
        match line.trim() {
            "vm: success" => self.verdict = Some(self.verdict.unwrap_or(true)),
            "vm: failure" => self.verdict = Some(false),
            line if self.kernel_fault.is_none() && is_kernel_fault(line) => {
                self.kernel_fault = Some(line.to_owned());
            }
            _ => {}
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// The counts, and what was wrong with the run as a whole. A run that failed has at least one
    /// failure counted.
    fn judge(&self, ended: bool, kernel: &Kernel) -> (Tally, Option<String>) {
        let mut tally = Tally::from_libtest(&self.text);
        tally.failures = tally.failures.iter().map(|name| format!("{}: {name}", kernel.name)).collect();
        let complaint = match (&self.kernel_fault, ended, self.verdict) {
            (Some(fault), ..) => Some(format!("the kernel reported a fault: {fault}")),
            (None, false, _) => Some(format!("no end within {} s", timeout(kernel).as_secs())),
            (None, true, None) => Some("the guest ended without a result".to_owned()),
            (None, true, Some(false)) => Some("the guest reported a failure".to_owned()),
            (None, true, Some(true)) if tally.is_empty() => Some("the guest ran no tests".to_owned()),
            (None, true, Some(true)) => None,
        };
        if let Some(complaint) = &complaint
            && tally.failed == 0
        {
            tally += &Tally::broken(format!("{}: {complaint}", kernel.name));
        }
        (tally, complaint)
    }
}

fn timeout(kernel: &Kernel) -> Duration {
    if long() { kernel.timeout * LONG_TIMEOUTS } else { kernel.timeout }
}

/// Kernel messages start with a time in brackets; what a test prints does not count.
fn is_kernel_fault(line: &str) -> bool {
    let Some((_, message)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) else {
        return false;
    };
    let stall = message.contains("rcu") && message.contains("stall");
    stall || ["Kernel panic", "BUG:", "soft lockup"].iter().any(|fault| message.contains(fault))
}

/// The kernel met a breakpoint of its own that it had already taken out: while it patches a
/// function's first bytes (as every attached trampoline makes it do), another CPU may run into the
/// breakpoint it stands there for a moment. Under emulation with a thread per CPU that CPU can see
/// the breakpoint after the patch is done (QEMU 7.2, one boot in about fifteen). Nothing in the
/// guest can cause this message otherwise.
fn is_emulator_fault(line: &str) -> bool {
    line.contains("int3: 0000 [#1]")
}

fn command(kernel: &Kernel, image: &Path, initrd: &Path, filter: &[String]) -> Command {
    let modules = if kernel.lsm { format!("{SECURITY_MODULES},bpf") } else { SECURITY_MODULES.to_owned() };
    // Words that the kernel does not know and that have an equals sign become the environment of
    // init.
    let append = format!(
        "console=ttyS0 quiet panic=-1 watchdog_thresh={WATCHDOG_S} \
         rcupdate.rcu_cpu_stall_timeout={RCU_STALL_S} lsm={modules} {} AGENTSENTRY_VM={} AGENTSENTRY_LSM={} \
         AGENTSENTRY_PROMISED={} AGENTSENTRY_FILTER={} AGENTSENTRY_SCENARIO={} AGENTSENTRY_ROUNDS={} \
         AGENTSENTRY_LONG={}",
        kernel.arguments.join(" "),
        kernel.name,
        if kernel.lsm { "on" } else { "off" },
        kernel.promised.join(","),
        filter.join(","),
        std::env::var("AGENTSENTRY_SCENARIO").unwrap_or_default(),
        std::env::var("AGENTSENTRY_ROUNDS").unwrap_or_default(),
        u8::from(long())
    );
    let memory = if long() { LONG_MEMORY_MIB } else { MEMORY_MIB };
    let mut qemu = if kernel.beside {
        let mut nice = Command::new("nice");
        nice.args(["-n", BESIDE, EMULATOR]);
        nice
    } else {
        Command::new(EMULATOR)
    };
    // Where time is counted, one nanosecond is one instruction, and sleeping takes none of ours.
    let way: &[&str] = if kernel.counted {
        &["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1"]
    } else {
        &["-accel", "tcg,thread=multi", "-smp", "2"]
    };
    qemu.args(way)
        .args(["-cpu", CPU, "-m", &memory.to_string()])
        .args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", &append])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    qemu
}

fn read_lines(child: &mut Child) -> Result<Receiver<String>> {
    let stdout = child.stdout.take().context("qemu has no standard output")?;
    let (sender, receiver) = mpsc::sync_channel(QUEUED_LINES);
    thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        // Ends with qemu, or when nobody listens any more.
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Kernel {
        Kernel {
            name: "k".to_owned(),
            suite: "s".to_owned(),
            package: "p".to_owned(),
            modules: None,
            lsm: true,
            arguments: vec!["slab_debug=F".to_owned()],
            promised: vec!["fentry".to_owned(), "ring_buffer".to_owned()],
            tests: Vec::new(),
            timeout: Duration::from_secs(1),
            counted: false,
            beside: false,
        }
    }

    fn judged(lines: &[&str], ended: bool) -> (Tally, Option<String>) {
        let mut console = Console::default();
        lines.iter().for_each(|line| console.line(line));
        console.judge(ended, &kernel())
    }

    #[test]
    fn success_needs_the_line_and_a_quiet_kernel() {
        let ok = "test result: ok. 2 passed; 0 failed; 0 ignored";
        assert_eq!(judged(&[ok, "vm: success"], true).1, None);
        assert_eq!(judged(&["vm: success"], true).0.failed, 1, "no tests");
        assert_eq!(judged(&[ok], true).0.failed, 1, "no result line");
        assert_eq!(judged(&[ok, "vm: success"], false).0.failed, 1, "did not power off");
        assert_eq!(judged(&[ok, "vm: failure", "vm: success"], true).0.failed, 1);
        let bug = "[    9.1] BUG: unable to handle page fault for address: 0";
        assert_eq!(judged(&[ok, bug, "vm: success"], true).0.failed, 1);
        assert_eq!(judged(&["a test says BUG: nothing", ok, "vm: success"], true).1, None);
    }

    #[test]
    fn a_late_breakpoint_is_the_emulators() {
        let mut console = Console::default();
        console.line("test a::b ... [  108.9] Oops: int3: 0000 [#1] PREEMPT SMP NOPTI");
        assert!(console.emulator_fault);
        let mut console = Console::default();
        console.line("[  108.9] Oops: 0000 [#1] PREEMPT SMP NOPTI");
        assert!(!console.emulator_fault);
    }

    #[test]
    fn a_failed_test_is_counted_once_and_named() {
        let failed = "test result: FAILED. 1 passed; 1 failed; 0 ignored";
        let (tally, complaint) = judged(&["test exec::argv ... FAILED", failed, "vm: failure"], true);
        assert_eq!((tally.passed, tally.failed), (1, 1));
        assert!(tally.failures.contains("k: exec::argv"), "{tally:?}");
        assert!(complaint.is_some());
    }

    #[test]
    fn a_guest_beside_other_tests_gives_way_to_them() {
        let line = |beside| {
            let kernel = Kernel { beside, ..kernel() };
            step::shell_line(&command(&kernel, Path::new("v"), Path::new("i"), &[]))
        };
        assert!(line(true).starts_with("nice -n 5 qemu-system-x86_64 -accel "), "{}", line(true));
        assert!(line(false).starts_with("qemu-system-x86_64 -accel "), "{}", line(false));
    }

    #[test]
    fn the_guest_is_told_what_was_promised() {
        let line =
            step::shell_line(&command(&kernel(), Path::new("v"), Path::new("i"), &["exec".to_owned()]));
        assert!(line.contains("watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=240 "), "{line}");
        assert!(line.contains("lsm=landlock,lockdown,yama,integrity,bpf slab_debug=F "), "{line}");
        assert!(line.contains("AGENTSENTRY_PROMISED=fentry,ring_buffer AGENTSENTRY_FILTER=exec"), "{line}");
    }
}
