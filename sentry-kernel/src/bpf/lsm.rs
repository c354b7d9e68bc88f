//! Whether the kernel calls programs on its security hooks.

use std::{fs, path::Path};

use nix::mount::{MsFlags, mount};

/// The file that lists the active security modules.
pub(super) const LIST: &str = "/sys/kernel/security/lsm";

/// Why tier A is not used though the kernel may have it: the sensor cannot read whether the kernel
/// calls BPF-LSM programs, for example in a container without this mount.
pub(super) fn unknown() -> Option<String> {
    (!Path::new(LIST).exists()).then(|| {
        format!(
            "BPF-LSM: {LIST} is not there, so that the kernel cannot be asked for it; in a \
             container, mount the host's /sys/kernel/security (read-only is enough)"
        )
    })
}

/// True when the kernel calls BPF-LSM programs: `bpf` stands in the list of active LSMs. Programs
/// load and attach without it on 6.1–7.2, and are then never called.
pub(super) fn is_active() -> bool {
    let list = Path::new(LIST);
    if !list.exists() {
        // Minimal systems do not mount it at boot. A failure shows below: the file is still
        // missing.
        let _already_mounted = mount(
            Some("securityfs"),
            "/sys/kernel/security",
            Some("securityfs"),
            MsFlags::empty(),
            None::<&str>,
        );
    }
    fs::read_to_string(list).is_ok_and(|list| list.trim().split(',').any(|name| name == "bpf"))
}
