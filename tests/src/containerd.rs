//! A containerd of one test, started by hand with all of its files in a scratch directory.
//!
//! The one root of its containers is busybox without anything else: snapshots and registries are
//! not needed.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use nix::{sys::signal::Signal, unistd::Pid};

use crate::{programs, scratch::Scratch, wait};

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
        let root = scratch.dir("rootfs");
        fs::copy("/bin/busybox", root.join("busybox")).unwrap();
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

fn succeed(command: &mut Command) {
    let output = programs::finish(command.stdin(Stdio::null()));
    assert!(output.status.success(), "{command:?}: {}", programs::text(&output));
}
