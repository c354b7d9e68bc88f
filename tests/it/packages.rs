//! The Debian packages in a machine of their own, with dpkg and systemd, as an operator meets them.

use sentry_tests::{
    nspawn::{Machine, Ran},
    packages, require,
    scratch::Scratch,
};

/// Functions for the scripts below: `as_ada` runs as an ordinary member of the group, `traces` lists what an
/// installation could leave.
const FUNCTIONS: &str = r#"
    # Hosts made for continuous integration forbid packages to start services.
    rm -f /usr/sbin/policy-rc.d
    as_ada() { setpriv --reuid ada --regid ada --init-groups "$@"; }
    traces() {
        find /etc /usr /opt /root /srv /var /run/agentsentry* -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' \
            -not -name '*-' -not -name '.pwd.lock' 2>/dev/null | sort
        cat /etc/passwd /etc/group /etc/shadow
        find /sys/fs/cgroup -name 'agentsentry*'
        systemctl list-units --all --plain --no-legend 'agentsentry*'
    }
"#;

/// Runs the script where both packages are in `/packages`, also as a later version, 9.9.
fn run(script: &str) -> Ran {
    let scratch = Scratch::new();
    let mut machine = Machine::default().with_dpkg();
    for (package, name) in packages::all().unwrap().into_iter().zip(packages::NAMES) {
        let later = packages::with_version(&package, "9.9-1", scratch.path());
        machine = machine.with_file(package, &format!("/packages/{name}.deb"));
        machine = machine.with_file(later, &format!("/packages/9.9/{name}.deb"));
    }
    machine.run(&format!("{FUNCTIONS}{script}"))
}

#[test]
fn installed_packages_serve_members_of_the_group_and_leave_nothing_when_purged() {
    require!("root", "systemd-nspawn", "debian-packages");
    let script = r#"
        traces >/tmp/before
        step install dpkg --install /packages/agentsentry.deb /packages/agentsentry-collector.deb
        step active systemctl is-active agentsentry agentsentry-collector
        step enabled systemctl is-enabled agentsentry agentsentry-collector
        usermod -aG agentsentry ada
        step ada as_ada sentry run --name hers -- id -un
        step runaway as_ada sentry run --enforce --name storm -- sh -c 'while :; do sleep 600 & done'
        await sh -c 'curl --silent --fail http://127.0.0.1:8440/api/v1/findings | grep -q spawn-storm'
        step remove dpkg --remove agentsentry agentsentry-collector
        step kept sh -c 'ls /etc/agentsentry; ls -d /var/lib/agentsentry/ledger'
        step purge dpkg --purge agentsentry agentsentry-collector
        traces >/tmp/after
        step left diff /tmp/before /tmp/after
    "#;
    let ran = run(script);
    ran.succeeded("install");
    assert_eq!(ran.succeeded("active"), "active\nactive");
    assert_eq!(ran.succeeded("enabled"), "enabled\nenabled");
    let ada = ran.succeeded("ada");
    assert!(ada.starts_with("ada\n") && ada.contains("Agent hers ran"), "{ada}");
    let (code, runaway) = ran.step("runaway");
    assert!(
        code == 137 && runaway.contains("spawn-storm") && runaway.contains("0 survivors"),
        "{code}: {runaway}"
    );
    ran.succeeded("remove");
    assert_eq!(ran.succeeded("kept"), "collector.yaml\nconfig.yaml\n/var/lib/agentsentry/ledger");
    ran.succeeded("purge");
    assert_eq!(ran.succeeded("left"), "");
}
