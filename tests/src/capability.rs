//! What this kernel can do. A test that needs more asks for it with [`require!`](crate::require),
//! which is the only way to skip: it prints the reason, and fails where the capability was
//! promised.

use std::{net::TcpListener, sync::OnceLock};

use crate::{manifests, podman, programs};

/// Skips the calling test unless this kernel has all of these.
#[macro_export]
macro_rules! require {
    ($($capability:literal),+ $(,)?) => {{
        fn here() {}
        $(if !$crate::capability::has(std::any::type_name_of_val(&here), $capability) {
            return;
        })+
    }};
}

/// Whether the capability is there; prints the reason if it is not.
///
/// # Panics
/// When it is missing and was promised.
#[must_use]
pub fn has(place: &str, capability: &str) -> bool {
    if present(capability) {
        return true;
    }
    let test = place.trim_end_matches("::here");
    let promised = std::env::var("AGENTSENTRY_PROMISED").unwrap_or_default();
    assert!(
        promised.split(',').all(|name| name != capability),
        "{test}: {capability} was promised on this machine and is missing"
    );
    println!("SKIP {test}: missing {capability}");
    false
}

fn present(capability: &str) -> bool {
    match capability {
        "root" => nix::unistd::geteuid().is_root(),
        "ipv6" => TcpListener::bind("[::1]:0").is_ok(),
        "tier-a" | "lsm" => tier() == "A",
        "tier-b" => tier() == "B",
        "tier-c" => tier() == "C",
        "trampoline" => matches!(tier(), "A" | "B"),
        "socket-packet" => has_socket_family(17, 3),
        "socket-alg" => has_socket_family(38, 5),
        "socket-vsock" => has_socket_family(40, 1),
        "socket-sctp" => has_socket_family(2, 132),
        "socket-xdp" => has_socket_family(44, 3),
        "secret-memory" => has_act(&["secret-memory"]),
        "userfaultfd" => std::path::Path::new("/proc/sys/vm/unprivileged_userfaultfd").exists(),
        "overlay" => {
            std::fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.contains("\toverlay"))
        }
        // Machines with systemd as their first process.
        "systemd-nspawn" if crate::guest::place().is_some() => true,
        "systemd-nspawn" => {
            let mut command = std::process::Command::new("systemd-nspawn");
            present("overlay") && command.arg("--version").output().is_ok_and(|out| out.status.success())
        }
        // The Debian packages of the programs under test, and something to install them with.
        "debian-packages" => crate::packages::all().is_some() && has_tool("dpkg"),
        "lintian" => has_tool("lintian"),
        // podman, and the images that `cargo xtask image` has made.
        "image" => podman::has_images(),
        // Helm, kustomize and the schemas of Kubernetes.
        "manifests" => manifests::tool("kubernetes-validate").exists(),
        // And axe-core, which looks for what keeps people from using a page.
        "chromium" => has_tool("chromium") && has_tool("chromedriver") && manifests::axe().is_ok(),
        // Node, and what `npm ci` puts below the dashboard.
        "dashboard-tools" => {
            let vite = concat!(env!("CARGO_MANIFEST_DIR"), "/../sentry-collector/web/node_modules/vite");
            std::path::Path::new(vite).is_dir() && has_tool("node")
        }
        "podman" => podman::is_there(),
        "containerd" => has_tool("containerd") && has_tool("ctr") && has_tool("runc"),
        // Scratch directories on a file system that stamps every change.
        "stamped-scratch" => nix::sys::statfs::statfs(&std::env::temp_dir())
            .is_ok_and(|system| system.filesystem_type() != nix::sys::statfs::TMPFS_MAGIC),
        // The kernel may be built without the call gate, or booted with ia32_emulation=0: trying it
        // is fatal then.
        "calls-32-bit" => cfg!(target_arch = "x86_64") && calls_32_bit(),
        "counted-time" => std::env::var_os("AGENTSENTRY_COUNTED_TIME").is_some_and(|value| value == "1"),
        "packets" => sees("DNS and TLS names"),
        "work-tools" => {
            let tools = ["make", "gcc", "xz", "gzip", "sha256sum", "git", "python3", "nice", "timeout"];
            tools.into_iter().all(has_tool)
        }
        other => panic!("no test knows what capability {other} is"),
    }
}

fn has_tool(name: &str) -> bool {
    let mut command = std::process::Command::new(name);
    command.arg("--version").output().is_ok_and(|output| output.status.success())
}

fn has_socket_family(family: u32, kind: u32) -> bool {
    let (family, kind) = (family.to_string(), kind.to_string());
    let mut command = programs::command("workload_scene");
    programs::finish(command.args(["socket", &family, &kind, "0"])).status.success()
}

fn has_act(act: &[&str]) -> bool {
    programs::finish(programs::command("workload_scene").args(act)).status.success()
}

fn calls_32_bit() -> bool {
    let probe = tempfile::NamedTempFile::new().map(tempfile::NamedTempFile::into_temp_path);
    probe.is_ok_and(|file| {
        let mut command = programs::command("workload_scene");
        programs::finish(command.arg("open-32-bit").arg(&*file)).status.success()
    })
}

/// Whether the doctor says that this fact is seen, by all of its hooks.
fn sees(fact: &str) -> bool {
    let output = programs::finish(programs::command("sentry").args(["doctor", "--json"]));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("doctor: {error}: {}", programs::text(&output)));
    let mut facts = value["facts"].as_array().into_iter().flatten();
    facts.any(|row| {
        row["fact"] == fact && row["hook"].as_str().is_some_and(|hook| hook.split(", ").count() == 2)
    })
}

/// Tier letter of this kernel, as `sentry doctor` finds it.
///
/// # Panics
/// When the doctor fails.
#[must_use]
pub fn tier() -> &'static str {
    static TIER: OnceLock<String> = OnceLock::new();
    TIER.get_or_init(|| {
        let output = programs::finish(programs::command("sentry").args(["doctor", "--json"]));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("doctor: {error}: {}", programs::text(&output)));
        value["tier"].as_str().unwrap_or("none").to_owned()
    })
}
