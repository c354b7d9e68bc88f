//! The machine this runs on, as far as the commands care: what is on `PATH`, and which BPF
//! toolchain there is.
//!
//! Everything is looked up below [`Host::root`], so that a test can show a machine that lacks
//! things.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{paths, step};

/// Version of the linker that turns LLVM bitcode into BPF objects.
pub(crate) const BPF_LINKER_VERSION: &str = "0.13.0";

/// Version of what makes Debian packages.
pub(crate) const CARGO_DEB_VERSION: &str = "3.8.0";

/// A machine to look at.
pub(crate) struct Host {
    pub(crate) root: PathBuf,
    pub(crate) path: Vec<PathBuf>,
    pub(crate) home: PathBuf,
    pub(crate) cargo_home: PathBuf,
    pub(crate) checkout: PathBuf,
}

/// A compiler that can produce BPF code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BpfCompiler {
    /// The distribution's own rustc, which brings a compiled `core` for BPF.
    Distribution { cargo: PathBuf, rustc: PathBuf },
    /// A nightly from rustup with `rust-src`, which compiles `core` first.
    Nightly,
}

impl Host {
    /// This machine.
    pub(crate) fn this() -> Self {
        let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
        let mut path: Vec<PathBuf> =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        // `cargo install` puts programs here whether or not the user's PATH has it; sbin is absent
        // for plain users.
        path.push(cargo_home.join("bin"));
        path.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
        Self { root: PathBuf::from("/"), path, home, cargo_home, checkout: paths::root() }
    }

    /// The first program of this name on the path.
    pub(crate) fn which(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|dir| dir.join(name)).find(|file| file.is_file())
    }

    /// A file given by its absolute path.
    pub(crate) fn file(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// The compiler for the BPF programs; the distribution's wins because its `core` is already
    /// compiled.
    pub(crate) fn bpf_compiler(&self) -> Option<BpfCompiler> {
        let (cargo, rustc) = (self.file("/usr/bin/cargo"), self.file("/usr/bin/rustc"));
        if cargo.is_file()
            && rustc.is_file()
            && has_core(&self.file("/usr/lib/rustlib/bpfel-unknown-none/lib"))
        {
            return Some(BpfCompiler::Distribution { cargo, rustc });
        }
        let toolchains = env::var_os("RUSTUP_HOME").map_or_else(|| self.home.join(".rustup"), PathBuf::from);
        let nightly = fs::read_dir(toolchains.join("toolchains")).ok()?.flatten().any(|toolchain| {
            toolchain.file_name().to_string_lossy().starts_with("nightly-")
                && toolchain.path().join("lib/rustlib/src/rust/library/core").is_dir()
        });
        nightly.then_some(BpfCompiler::Nightly)
    }

    /// The BPF linker, if there is one and it starts (it needs its LLVM library).
    pub(crate) fn bpf_linker(&self) -> Option<PathBuf> {
        let linker = self.which("bpf-linker")?;
        let version = step::capture(Command::new(&linker).arg("--version")).ok()?;
        version.contains(BPF_LINKER_VERSION).then_some(linker)
    }

    /// What makes Debian packages, if it is there.
    pub(crate) fn cargo_deb(&self) -> Option<PathBuf> {
        let program = self.which("cargo-deb")?;
        let version = step::capture(Command::new(&program).arg("--version")).ok()?;
        version.contains(CARGO_DEB_VERSION).then_some(program)
    }

    /// True if this process may do everything.
    pub(crate) fn is_root(&self) -> bool {
        // /proc rather than a system call: the crate has no unsafe code and needs no wrapper crate
        // for one number.
        let status = fs::read_to_string(self.file("/proc/self/status")).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:"))
            .and_then(|ids| ids.split_whitespace().nth(1))
            .is_some_and(|effective| effective == "0")
    }

    /// True if `sudo` works without asking.
    pub(crate) fn has_sudo(&self) -> bool {
        self.which("sudo").is_some_and(|sudo| {
            Command::new(sudo)
                .args(["-n", "true"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
    }
}

/// A command that runs as root: directly, or through sudo where this process is an ordinary user.
pub(crate) fn as_root(program: &Path) -> Command {
    if Host::this().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-E").arg(program);
    command
}

fn has_core(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}
