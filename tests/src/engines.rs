//! Container engines, started by hand with all of their files in the scratch directory of a test.
//!
//! The one image is busybox without anything else: the networks and registries of engines are not
//! needed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{sys::signal::Signal, unistd::Pid};

use crate::{programs, scratch::Scratch, wait};

/// What runs in the containers; the package busybox-static has it.
const BUSYBOX: &str = "/bin/busybox";

/// Makes a root file system and returns where it is.
fn root_file_system(scratch: &Scratch) -> PathBuf {
    let root = scratch.dir("rootfs");
    fs::copy(BUSYBOX, root.join("busybox")).unwrap();
    root
}

fn succeed(command: &mut Command) -> String {
    let output = programs::finish(command.stdin(Stdio::null()));
    assert!(output.status.success(), "{command:?}: {}", programs::text(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Podman with its own storage and no daemon.
pub struct Podman {
    scratch: Scratch,
}

impl Podman {
    /// With the image `localhost/agent:1`.
    ///
    /// # Panics
    /// When Podman refuses.
    #[must_use]
    pub fn new() -> Self {
        let podman = Self { scratch: Scratch::new() };
        let settings = "[containers]\n\
             default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n\
             [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n";
        fs::write(podman.scratch.join("containers.conf"), settings).unwrap();
        let root = root_file_system(&podman.scratch);
        let archive = podman.scratch.join("root.tar");
        succeed(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg("."));
        succeed(podman.command(&["import", "--quiet"]).arg(archive).arg("localhost/agent:1"));
        podman
    }

    /// Where it keeps its containers.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.scratch.join("storage")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command
            .env("CONTAINERS_CONF", self.scratch.join("containers.conf"))
            .arg("--root")
            .arg(self.storage())
            .arg("--runroot")
            .arg(self.scratch.join("run"))
            .args(["--storage-driver", "vfs"])
            .args(args);
        command
    }

    /// Runs `podman` with these arguments; what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> String {
        succeed(&mut self.command(args))
    }
}

impl Default for Podman {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        programs::finish(&mut self.command(&["rm", "--all", "--force", "--time", "0"]));
    }
}

/// A containerd of the test.
pub struct Containerd {
    daemon: Child,
    scratch: Scratch,
    root: PathBuf,
}

impl Containerd {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start() -> Self {
        let scratch = Scratch::new();
        let at = |name: &str| scratch.join(name).display().to_string();
        let settings = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{}\"\n",
            at("root"),
            at("state"),
            at("c.sock")
        );
        fs::write(scratch.join("containerd.toml"), settings).unwrap();
        let log = fs::File::create(scratch.join("containerd.log")).unwrap();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(scratch.join("containerd.toml"));
        let daemon = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let root = root_file_system(&scratch);
        let containerd = Self { daemon: daemon.unwrap(), scratch, root };
        wait::until("containerd answers", || {
            let output = programs::finish(&mut containerd.command(&["version"]));
            if output.status.success() { Ok(()) } else { Err(programs::text(&output)) }
        });
        containerd
    }

    /// Where it keeps its containers.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.stdin(Stdio::null()).arg("--address").arg(self.scratch.join("c.sock")).args(args);
        command
    }

    /// Runs a container that sleeps, in the namespace `default`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn sleeper(&self, name: &str, label: &str) {
        let mut command = self.command(&["run", "--detach", "--label", label, "--rootfs"]);
        succeed(command.arg(&self.root).args([name, "/busybox", "sleep", "600"]));
    }

    /// Runs a program in a container.
    ///
    /// # Panics
    /// When it fails.
    pub fn exec(&self, name: &str, program: &[&str]) {
        succeed(self.command(&["task", "exec", "--exec-id", "second", name]).args(program));
    }

    /// Ends a container and everything in it.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn remove(&self, name: &str) {
        succeed(&mut self.command(&["task", "delete", "--force", name]));
        succeed(&mut self.command(&["container", "delete", name]));
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.daemon.id().cast_signed());
        nix::sys::signal::kill(pid, Signal::SIGTERM).ok();
        self.daemon.wait().ok();
    }
}

/// The cgroup v2 path of a process, below the mount.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn cgroup_of(pid: &str) -> String {
    let text = fs::read_to_string(Path::new("/proc").join(pid).join("cgroup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("0::/"));
    line.unwrap_or_else(|| panic!("no cgroup of {pid}: {text}")).to_owned()
}
