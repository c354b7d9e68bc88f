//! The commands of the pages in `docs/install`, in machines of their own.

use std::path::PathBuf;

use sentry_tests::{
    nspawn::{Machine, Ran},
    packages, require,
    scratch::Scratch,
};

use crate::{packages::FUNCTIONS, systemd::readme_install};

/// What a page has in its blocks of `sh`.
fn commands(page: &str) -> String {
    let blocks = page.split("\n```sh\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("\n```").next()).collect();
    assert!(!blocks.is_empty(), "no commands in {page}");
    blocks.join("\n")
}

/// Runs the page in the directory; returns what it left of ours.
fn run(machine: Machine, dir: &str, before: &str, page: &str) -> (Ran, Vec<String>) {
    let commands = commands(page);
    let ran = machine.run(&format!(
        "{FUNCTIONS}\ncd {dir}\nmkdir -p /opt\ntraces >/tmp/before\n{before}\n\
         cat >/tmp/page.sh <<'END'\n{commands}\nEND\nstep page bash -ex /tmp/page.sh\n\
         traces >/tmp/after\nstep left diff /tmp/before /tmp/after\n"
    ));
    ran.succeeded("page");
    let left = ran.step("left").1;
    let ours = left.lines().filter_map(|line| line.strip_prefix("> ")).filter(|line| line.contains("sentry"));
    let ours = ours.map(str::to_owned).collect();
    (ran, ours)
}

#[test]
fn the_page_for_debian_installs_upgrades_goes_back_and_leaves_nothing() {
    require!("root", "systemd-nspawn", "debian-packages");
    let scratch = Scratch::new();
    let mut machine = Machine::default().with_dpkg();
    let beside = |machine: Machine, file: PathBuf, dir: &str| {
        let path = format!("{dir}/{}", file.file_name().unwrap().to_string_lossy());
        machine.with_file(file, &path)
    };
    for package in packages::all().unwrap() {
        let newer = packages::with_version(&package, "9.9", true, scratch.path());
        machine = beside(machine, newer, "/packages/newer");
        machine = beside(machine, package, "/packages");
    }
    let page = include_str!("../../docs/install/debian.md");
    let (_ran, left) = run(machine, "/packages", "", page);
    assert_eq!(left, [""; 0]);
}

#[test]
fn the_page_for_systemd_follows_the_readme_and_leaves_nothing() {
    require!("root", "systemd-nspawn");
    let page = include_str!("../../docs/install/systemd.md");
    let (_ran, left) = run(Machine::default(), "/src", &readme_install(), page);
    assert_eq!(left, [""; 0]);
}

#[test]
fn the_page_for_hosts_without_a_network_installs_and_removes_the_archive() {
    require!("root", "systemd-nspawn", "debian-packages");
    let [archive, sums] = packages::archive();
    let name = archive.file_name().unwrap().to_string_lossy().into_owned();
    let machine = Machine::default()
        .with_file(archive, &format!("/packages/{name}"))
        .with_file(sums, "/packages/SHA256SUMS");
    let page = include_str!("../../docs/install/air-gapped.md");
    let (_ran, left) = run(machine, "/packages", "", page);
    let kept =
        ["/etc/agentsentry", "/run/agentsentry", "/var/lib/", "agentsentry:", "agentsentry-collector:"];
    let more: Vec<_> = left.iter().filter(|line| kept.iter().all(|kept| !line.starts_with(kept))).collect();
    assert_eq!(more, [""; 0]);
}

#[test]
fn the_page_for_hosts_without_systemd_starts_both_and_runs_a_command() {
    require!("root", "systemd-nspawn");
    let page = include_str!("../../docs/install/bare-host.md");
    let (ran, _left) = run(Machine::default(), "/src", "", page);
    let page = ran.succeeded("page");
    assert!(page.contains("true ended 0 after"), "{page}");
}
