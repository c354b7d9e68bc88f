//! The machine of [`crate::nspawn`] as an emulated one with a kernel of its own: its root is a
//! Debian in memory that `cargo xtask vm-systemd` makes, with what the test needs on top.
//!
//! There is no disk: results come out over the second serial port, as an archive.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::programs::{self, Gathered};

/// For the whole life of a guest. Emulated, a sensor takes 25 to 40 s of CPU time to start, and a
/// test starts up to four; on a machine that compiles meanwhile a test took 15 minutes.
const LIMIT: Duration = Duration::from_secs(3_600);

const MEMORY_MIB: &str = "3072";

/// As the hosts that Agent Sentry is made for boot: BPF among the security modules. Watchdogs of
/// the kernel have time for an emulated verifier. Nothing of the guest needs udev, which is not
/// installed.
const KERNEL_COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/sbin/init \
     lsm=landlock,lockdown,yama,integrity,apparmor,bpf watchdog_thresh=60 \
     rcupdate.rcu_cpu_stall_timeout=240 systemd.unit=script.target";

/// A service may take as long to start as an emulated verifier.
const PATIENCE: &str = "[Manager]\nDefaultTimeoutStartSec=10min\n";

/// Where the kernel and the root are, if the tests shall run on emulated machines.
#[must_use]
pub fn place() -> Option<PathBuf> {
    env::var_os("AGENTSENTRY_GUEST").map(PathBuf::from)
}

/// Boots it with the files on top of its root, and waits until it is off; what the script left in
/// `/out` is in `out` then.
///
/// # Panics
/// When it cannot be made, or is not off in time.
pub(crate) fn boot(place: &Path, scratch: &Path, files: &[(PathBuf, String)], out: &Path) -> Output {
    let layer = scratch.join("layer");
    for (host, path) in files {
        let to = layer.join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        symlink(host, to).unwrap();
    }
    let patience = layer.join("etc/systemd/system.conf.d/emulated.conf");
    fs::create_dir_all(patience.parent().unwrap()).unwrap();
    fs::write(patience, PATIENCE).unwrap();
    for empty in ["out", "src"] {
        fs::create_dir(layer.join(empty)).unwrap();
    }
    // The kernel unpacks one archive after the other.
    let archive = r#"cat "$1/root.cpio" && cd "$2" && find . -mindepth 1 -print0 |
        cpio --null --create --dereference --format=newc --owner=0:0 --quiet"#;
    let initrd = scratch.join("initrd");
    let mut pack = Command::new("sh");
    pack.args(["-c", archive, "sh"]).arg(place).arg(&layer).stdin(Stdio::null());
    let packed = pack.stdout(fs::File::create(&initrd).unwrap()).output().unwrap();
    assert!(packed.status.success(), "cannot pack the guest: {}", programs::text(&packed));

    let results = scratch.join("results.tar");
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg,thread=multi", "-smp", "2", "-cpu", "max,-cx16", "-m", MEMORY_MIB]);
    qemu.args(["-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot"]);
    qemu.args(["-serial", "stdio", "-serial"]).arg(format!("file:{}", results.display()));
    qemu.arg("-kernel").arg(place.join("vmlinuz")).arg("-initrd").arg(&initrd);
    qemu.args(["-append", KERNEL_COMMAND_LINE]).stdin(Stdio::null());
    let output = Gathered::start(&mut qemu).wait_within(LIMIT);
    let mut unpack = Command::new("tar");
    unpack.arg("--extract").arg("--file").arg(&results).arg("--directory").arg(out);
    let unpacked = programs::finish(unpack.stdin(Stdio::null()));
    assert!(
        unpacked.status.success(),
        "no results of the guest: {}\n{}",
        programs::text(&unpacked),
        programs::text(&output)
    );
    output
}
