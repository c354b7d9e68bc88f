//! Which service stands behind a unix socket, by the name it is bound to.
//!
//! Through these a program can have work done outside of its run, or reach secrets.

/// The service's name, or `None` for a socket that is not listed.
#[must_use]
pub(super) fn of_socket(name: &str) -> Option<&'static str> {
    /// The end of a socket's path → its service. The first that fits counts.
    const BY_END: &[(&str, &str)] = &[
        ("/docker.sock", "docker"),
        ("/containerd.sock", "containerd"),
        ("/containerd.sock.ttrpc", "containerd"),
        ("/podman.sock", "podman"),
        ("/crio.sock", "cri-o"),
        ("/buildkitd.sock", "buildkit"),
        ("/dbus/system_bus_socket", "dbus"),
        ("/bus", "dbus"),
        ("/systemd/private", "systemd"),
        // This socket takes notifications, not orders.
        ("/systemd/notify", "sd-notify"),
        ("/systemd/journal/socket", "journald"),
        ("/systemd/journal/stdout", "journald"),
        ("/systemd/journal/dev-log", "journald"),
        ("/dev/log", "syslog"),
        ("/S.gpg-agent.ssh", "ssh-agent"),
        ("/S.gpg-agent", "gpg-agent"),
        ("/keyring/ssh", "ssh-agent"),
        ("/libvirt/libvirt-sock", "libvirt"),
        ("/lxd/unix.socket", "lxd"),
        ("/incus/unix.socket", "incus"),
        ("/snapd.socket", "snapd"),
        ("/pulse/native", "pulseaudio"),
        ("/nscd/socket", "nscd"),
    ];
    /// A part of the path → its service.
    const BY_PART: &[(&str, &str)] = &[
        ("/ssh-", "ssh-agent"),
        ("ssh-agent", "ssh-agent"),
        ("/tmux-", "tmux"),
        ("/screen/S-", "screen"),
        ("/.X11-unix/", "x11"),
        ("@/tmp/dbus-", "dbus"),
        ("/wayland-", "wayland"),
    ];
    let ends = BY_END.iter().find(|(end, _)| name.ends_with(end));
    ends.or_else(|| BY_PART.iter().find(|(part, _)| name.contains(part))).map(|(_, service)| *service)
}

#[cfg(test)]
mod tests {
    use super::of_socket;

    #[test]
    fn known_sockets_are_named() {
        assert_eq!(of_socket("/run/docker.sock"), Some("docker"));
        assert_eq!(of_socket("/run/user/1000/bus"), Some("dbus"));
        assert_eq!(of_socket("/tmp/ssh-XXabc/agent.12"), Some("ssh-agent"));
        assert_eq!(of_socket("/tmp/tmux-0/default"), Some("tmux"));
        assert_eq!(of_socket("@/tmp/.X11-unix/X0"), Some("x11"));
        assert_eq!(of_socket("/tmp/mine.sock"), None);
    }
}
