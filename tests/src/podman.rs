//! Containers of one test: podman with a store of its own and no daemon, an image with a shell, and
//! those that `cargo xtask image` has made.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::{manifests::checkout, programs, scratch::Scratch, wait};

/// The image with a static shell and its tools.
pub const TOOLS: &str = "localhost/tools:1";

/// What the shell and the tools are; the package busybox-static has it.
const BUSYBOX: &str = "/bin/busybox";

/// Everything that was started through it is gone when the value goes.
pub struct Podman {
    scratch: Scratch,
}

impl Podman {
    /// With the image of tools.
    ///
    /// # Panics
    /// When podman cannot import it.
    #[must_use]
    pub fn new() -> Self {
        let podman = Self { scratch: Scratch::new() };
        let root = podman.scratch.join("tools");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir(root.join("tmp")).unwrap();
        fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
        for name in ["sh", "sleep", "cat", "nc", "true", "touch"] {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        let archive = podman.scratch.join("tools.tar");
        let mut tar = Command::new("tar");
        let made = programs::finish(tar.arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."));
        assert!(made.status.success(), "{}", programs::text(&made));
        podman.done(&["import", "--quiet", archive.to_str().unwrap(), TOOLS]);
        podman
    }

    /// Also with those of sensor and collector.
    ///
    /// # Panics
    /// When podman cannot load them.
    #[must_use]
    pub fn with_images() -> Self {
        let podman = Self::new();
        for name in ["sentry", "sentry-collector"] {
            podman.done(&["load", "--quiet", "--input", image(name).to_str().unwrap()]);
        }
        podman
    }

    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", checkout("tests/deploy/containers.conf"));
        command.arg("--root").arg(self.store());
        command.arg("--runroot").arg(self.scratch.join("runroot"));
        command.arg("--tmpdir").arg(self.scratch.join("tmpdir"));
        command.arg("--storage-driver=vfs").args(args);
        command
    }

    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        programs::finish(&mut self.command(args))
    }

    /// What a command printed, which must succeed.
    ///
    /// # Panics
    /// When it fails.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", programs::text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What podman knows of a container.
    ///
    /// # Panics
    /// When there is no such container.
    #[must_use]
    pub fn inspect(&self, name: &str) -> Value {
        let mut all: Value = serde_json::from_str(&self.done(&["inspect", name])).unwrap();
        all[0].take()
    }

    /// Starts a container that waits.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&self, name: &str) {
        self.done(&["run", "--detach", "--network=none", "--name", name, TOOLS, "sleep", "100000"]);
    }

    /// Where its containers and images are.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.scratch.join("store")
    }

    /// Whether a container runs.
    #[must_use]
    pub fn is_running(&self, name: &str) -> bool {
        self.inspect(name)["State"]["Running"] == true
    }
}

impl Default for Podman {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        wait::until("the containers are gone", || {
            let output = self.run(&["rm", "--all", "--force", "--time=0"]);
            if output.status.success() { Ok(()) } else { Err(programs::text(&output)) }
        });
    }
}

/// The archive of an image, as `cargo xtask image` makes it.
fn image(name: &str) -> PathBuf {
    checkout("target/image").join(format!("{name}.tar"))
}

/// Whether containers can be run here.
#[must_use]
pub fn is_there() -> bool {
    let has = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    has("podman") && has("runc") && Path::new(BUSYBOX).exists()
}

/// Whether also those of sensor and collector were made.
#[must_use]
pub fn has_images() -> bool {
    is_there() && image("sentry").exists()
}
