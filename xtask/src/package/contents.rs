//! The packages, and what is in each.

use std::path::PathBuf;

use crate::paths;

pub(super) const AREA: &str = "package";

/// A package: a program and what belongs to it.
pub(crate) struct Package {
    /// As package managers, systemd and the directories know it.
    pub(crate) name: &'static str,
    /// The crate with the program, whose manifest describes the package.
    pub(super) member: &'static str,
    pub(crate) program: &'static str,
    /// What it keeps; its file `format` is what a downgrade is refused by.
    pub(super) state: &'static str,
    /// Files of the checkout, and the directory that they are installed to.
    pub(super) files: &'static [(&'static str, &'static str)],
}

pub(crate) const PACKAGES: [Package; 2] = [
    Package {
        name: "agentsentry",
        member: "sentry-cli",
        program: "sentry",
        state: "/var/lib/agentsentry",
        files: &[
            ("deploy/systemd/agentsentry.service", "usr/lib/systemd/system"),
            ("deploy/systemd/sysusers.d/agentsentry.conf", "usr/lib/sysusers.d"),
            ("deploy/systemd/tmpfiles.d/agentsentry.conf", "usr/lib/tmpfiles.d"),
            ("deploy/systemd/config.yaml", "etc/agentsentry"),
            ("deploy/systemd/backoff.conf", "usr/share/doc/agentsentry/examples"),
        ],
    },
    Package {
        name: "agentsentry-collector",
        member: "sentry-collector",
        program: "sentry-collector",
        state: "/var/lib/private/agentsentry-collector",
        files: &[
            ("deploy/systemd/agentsentry-collector.service", "usr/lib/systemd/system"),
            ("deploy/systemd/sysusers.d/agentsentry-collector.conf", "usr/lib/sysusers.d"),
            ("deploy/systemd/collector.yaml", "etc/agentsentry"),
            ("deploy/systemd/backoff.conf", "usr/share/doc/agentsentry-collector/examples"),
        ],
    },
];

/// In the checkout's own target folder, whatever cargo's is: manifests name the place.
pub(super) fn base() -> PathBuf {
    paths::root().join("target/package")
}

impl Package {
    /// Where its files are laid out.
    pub(super) fn stage(&self) -> PathBuf {
        base().join(self.name)
    }
}
