//! Runtimes that give a container a kernel of its own.

/// What stands between a container and this host's kernel. Its system calls are not this kernel's,
/// so nothing of what it does is seen here: only that the sandbox as a whole runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sandbox {
    /// gVisor (`runsc`): a kernel in user space.
    Gvisor,
    /// Kata Containers: a virtual machine for each pod.
    Kata,
    /// Another virtual machine.
    VirtualMachine,
}

impl Sandbox {
    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gvisor => "gvisor",
            Self::Kata => "kata",
            Self::VirtualMachine => "vm",
        }
    }

    /// By the name of a runtime, a runtime's handler or a shim: `runsc`, `io.containerd.kata.v2`.
    #[must_use]
    pub fn of_runtime(name: &str) -> Option<Self> {
        let named = |part: &str| name.contains(part);
        if named("runsc") || named("gvisor") {
            Some(Self::Gvisor)
        } else if named("kata") {
            Some(Self::Kata)
        } else if named("firecracker") || named("cloud-hypervisor") {
            Some(Self::VirtualMachine)
        } else {
            None
        }
    }

    /// By the file name of an executable that runs in the cgroup.
    #[must_use]
    pub fn of_executable(name: &str) -> Option<Self> {
        match name {
            "runsc" | "runsc-sandbox" | "runsc-gofer" => Some(Self::Gvisor),
            "containerd-shim-kata-v2" | "virtiofsd" => Some(Self::Kata),
            "firecracker" | "cloud-hypervisor" => Some(Self::VirtualMachine),
            _ if name.starts_with("qemu-system-") => Some(Self::VirtualMachine),
            _ => None,
        }
    }

    /// By the name that libvirt gives to a machine, as systemd escapes it: `qemu\x2d1\x2dNAME`.
    pub(super) fn of_machine(name: &str) -> Option<Self> {
        name.starts_with(r"qemu\x2d").then_some(Self::VirtualMachine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_are_known_by_runtime_and_executable() {
        for (name, expected) in [
            ("runc", None),
            ("crun", None),
            ("io.containerd.runc.v2", None),
            ("runsc", Some(Sandbox::Gvisor)),
            ("io.containerd.runsc.v1", Some(Sandbox::Gvisor)),
            ("gvisor", Some(Sandbox::Gvisor)),
            ("kata-qemu", Some(Sandbox::Kata)),
            ("io.containerd.kata.v2", Some(Sandbox::Kata)),
        ] {
            assert_eq!(Sandbox::of_runtime(name), expected, "{name}");
        }
        for (name, expected) in [
            ("node", None),
            ("qemu-img", None),
            ("runsc", Some(Sandbox::Gvisor)),
            ("qemu-system-x86_64", Some(Sandbox::VirtualMachine)),
            ("containerd-shim-kata-v2", Some(Sandbox::Kata)),
        ] {
            assert_eq!(Sandbox::of_executable(name), expected, "{name}");
        }
    }
}
