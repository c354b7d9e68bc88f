//! The Debian packages in a machine of their own, with dpkg and systemd, as an operator meets them.

use std::process::Command;

use sentry_tests::{
    guest,
    nspawn::{Machine, Ran},
    packages, require,
    scratch::Scratch,
};

/// Functions for the scripts below: `as_ada` runs as an ordinary member of the group, `traces`
/// lists what an installation could leave.
pub(super) const FUNCTIONS: &str = r#"
    # Hosts made for continuous integration forbid packages to start services.
    rm -f /usr/sbin/policy-rc.d
    as_ada() { setpriv --reuid ada --regid ada --init-groups "$@"; }
    # An emulated machine makes few processes per second.
    low_storm_limits() {
        echo 'detect: {storm_net_processes: 8, storm_births_per_s: 2}' >>/etc/agentsentry/config.yaml
        systemctl reload agentsentry
    }
    storm_is_collected() { asked findings | grep -q spawn-storm; }
    traces() {
        find /etc /usr /opt /root /srv /var /run/agentsentry* -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' \
            -not -name '*-' -not -name '.pwd.lock' 2>/dev/null | sort
        cat /etc/passwd /etc/group /etc/shadow
        find /sys/fs/cgroup -name 'agentsentry*'
        systemctl list-units --all --plain --no-legend 'agentsentry*'
    }
"#;

/// Runs the script where both packages are in `/packages`, also as a later version, 9.9, and as an
/// older one that knows no format of the state, 0.0.
fn run(script: &str) -> Ran {
    let scratch = Scratch::new();
    let mut machine = Machine::default().with_dpkg();
    for (package, name) in packages::all().unwrap().into_iter().zip(packages::NAMES) {
        for (version, knows_format) in [("9.9", true), ("0.0", false)] {
            let other = packages::with_version(&package, version, knows_format, scratch.path());
            machine = machine.with_file(other, &format!("/packages/{version}/{name}.deb"));
        }
        machine = machine.with_file(package, &format!("/packages/{name}.deb"));
    }
    machine.run(&format!("{FUNCTIONS}{script}"))
}

#[test]
fn lintian_has_nothing_against_the_packages() {
    require!("debian-packages", "lintian");
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning", "--suppress-tags"]);
    // There is no bug report in Debian that asks for the packages.
    lintian.arg("initial-upload-closes-no-bugs").args(packages::all().unwrap());
    packages::run(&mut lintian);
}

#[test]
fn installed_packages_serve_members_of_the_group_and_leave_nothing_when_purged() {
    require!("root", "systemd-nspawn", "debian-packages");
    let script = r#"
        traces >/tmp/before
        step install dpkg --install /packages/agentsentry.deb /packages/agentsentry-collector.deb
        step active systemctl is-active agentsentry agentsentry-collector
        step enabled systemctl is-enabled agentsentry agentsentry-collector
        step verify systemd-analyze verify /usr/lib/systemd/system/agentsentry*.service
        usermod -aG agentsentry ada
        step ada as_ada sentry run --name hers -- id -un
        step reload low_storm_limits
        step runaway as_ada sentry run --enforce --name storm -- sh -c 'while :; do sleep 600 & done'
        await storm_is_collected
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
    assert_eq!(ran.succeeded("verify"), "");
    let ada = ran.succeeded("ada");
    assert!(ada.starts_with("ada\n") && ada.contains("hers ended 0 after"), "{ada}");
    assert_eq!(ran.succeeded("reload"), "");
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

#[test]
fn a_runaway_under_a_selected_unit_is_frozen_and_killed_and_other_units_go_on() {
    require!("root", "systemd-nspawn", "debian-packages");
    let script = r#"
        dpkg --install /packages/*.deb >/out/install 2>&1 || exit 1
        echo "  - {name: svc, mode: enforce, match: [{unit: 'runaway*.service'}]}" \
            >>/etc/agentsentry/config.yaml
        step reload low_storm_limits
        storm='while :; do sleep 600 & done'
        systemd-run --quiet --unit=runaway-1 --property=TasksMax=400 sh -c "$storm" || exit 1
        systemd-run --quiet --unit=neighbour sleep infinity || exit 1
        await sh -c '! systemctl is-active runaway-1'
        step unit systemctl show --property=Result --value runaway-1
        await sh -c 'sentry agents --all | grep svc | grep -q ended'
        step agents sentry agents --all
        acts() { journalctl --output=verbose --output-fields=ACTION AGENT=svc MESSAGE=outcome | grep ACTION; }
        step acts acts
        step neighbour systemctl is-active neighbour
        step health sentry health
    "#;
    let ran = run(script);
    assert_eq!(ran.succeeded("reload"), "");
    assert_eq!(ran.succeeded("unit"), "signal");
    let agents = ran.succeeded("agents");
    assert!(agents.contains("unit runaway*.service") && !agents.contains("neighbour"), "{agents}");
    let acts = ran.succeeded("acts");
    // A first finding of low confidence is only noted.
    let acts: Vec<_> = acts.split_whitespace().filter(|act| *act != "ACTION=Observe").collect();
    assert_eq!(acts, ["ACTION=Freeze", "ACTION=Kill"]);
    assert_eq!(ran.succeeded("neighbour"), "active");
    let (_, health) = ran.step("health");
    assert!(guest::place().is_none() || health.contains("tier A"), "{health}");
}

#[test]
fn the_watchdog_restarts_a_sensor_that_stands_still_and_its_run_stays_watched() {
    require!("root", "systemd-nspawn", "debian-packages");
    let script = r#"
        mkdir -p /etc/systemd/system/agentsentry.service.d
        # A busy emulator lets whole seconds pass between two beats.
        soon=10s
        [ -z "$emulated" ] || soon=60s
        printf "[Service]\nWatchdogSec=$soon\n" >/etc/systemd/system/agentsentry.service.d/soon.conf
        dpkg --install /packages/*.deb >/out/install 2>&1 || exit 1
        sentry run --name long -- sh -c 'touch /tmp/long; exec sleep 1000' &
        await test -e /tmp/long
        systemctl kill --signal=STOP agentsentry
        await sh -c 'systemctl show --property=NRestarts agentsentry | grep -q =1'
        await systemctl is-active agentsentry
        step why journalctl --output=cat --unit=agentsentry --grep='Watchdog timeout'
        step agents sentry agents
        step killed sentry kill long
    "#;
    let ran = run(script);
    assert_eq!(ran.succeeded("why").lines().count(), 1);
    let agents = ran.succeeded("agents");
    assert!(agents.contains("long") && agents.contains("running"), "{agents}");
    ran.succeeded("killed");
}

#[test]
fn an_upgrade_keeps_runs_watched_and_what_was_configured() {
    require!("root", "systemd-nspawn", "debian-packages");
    let script = r#"
        until_file() { echo "touch /tmp/$1.started; until [ -e /tmp/$1.end ]; do sleep 0.05; done"; }
        dpkg --install /packages/*.deb >/out/install 2>&1 || exit 1
        usermod -aG agentsentry ada
        echo '# ours' >>/etc/agentsentry/config.yaml
        as_ada sentry run --name long -- sh -c "$(until_file long)" >/out/long 2>&1 & long=$!
        as_ada sentry run --name short -- sh -c "$(until_file short)" >/out/short 2>&1 & short=$!
        await test -e /tmp/long.started
        await test -e /tmp/short.started
        main() { systemctl show --property=MainPID --value agentsentry; }
        before=$(main)
        step upgrade dpkg --install /packages/9.9/*.deb
        step version dpkg-query --show agentsentry agentsentry-collector
        step active systemctl is-active agentsentry agentsentry-collector
        step restarted test "$before" != "$(main)"
        step configured tail -n 1 /etc/agentsentry/config.yaml
        step upgraded sentry agents
        kill -KILL $(main)
        touch /tmp/short.end
        wait $short
        echo $? >/out/short.code
        await systemctl is-active agentsentry
        await sentry agents
        step killed sentry agents --all
        # That is longer than `sentry run` waits for a sensor; it names the command that shows the report.
        later=$(grep -o 'sentry report [0-9a-f-]*' /out/short)
        if [ "$emulated" ] && [ "$later" ]; then step short $later; fi
        touch /tmp/long.end
        wait $long
        echo $? >/out/long.code
        step ledger sentry ledger verify
    "#;
    let ran = run(script);
    ran.succeeded("upgrade");
    assert_eq!(ran.succeeded("version"), "agentsentry\t9.9\nagentsentry-collector\t9.9");
    assert_eq!(ran.succeeded("active"), "active\nactive");
    ran.succeeded("restarted");
    assert_eq!(ran.succeeded("configured"), "# ours");
    let state = |step: &str, name: &str| {
        let agents = ran.succeeded(step);
        let line = agents.lines().find(|line| line.contains(name)).unwrap_or(&agents).to_owned();
        ["running", "ended"].into_iter().filter(|state| line.contains(state)).collect::<Vec<_>>()
    };
    assert_eq!((state("upgraded", "long"), state("upgraded", "short")), (vec!["running"], vec!["running"]));
    assert_eq!((state("killed", "long"), state("killed", "short")), (vec!["running"], vec!["ended"]));
    for run in ["long", "short"] {
        let report = ran.succeeded(run);
        assert!(report.contains(&format!("{run} ended")), "{report}");
    }
    assert!(ran.succeeded("ledger").contains("verified"));
}

#[test]
fn a_downgrade_below_the_format_on_disk_is_refused_in_words() {
    require!("root", "systemd-nspawn", "debian-packages");
    let script = r#"
        sensor=/var/lib/agentsentry collector=/var/lib/private/agentsentry-collector
        dpkg --install /packages/*.deb >/out/install 2>&1 || exit 1
        await test -e $collector/format
        for name in agentsentry agentsentry-collector; do
            step install_$name dpkg --install /packages/0.0/$name.deb
        done
        step version dpkg-query --show agentsentry agentsentry-collector
        step active systemctl is-active agentsentry agentsentry-collector
        # Nor does a program that was put there by other means touch what is newer.
        systemctl stop agentsentry agentsentry-collector
        for state in $sensor $collector; do echo 99 >$state/format; done
        sums() { find $sensor $collector -type f | sort | xargs sha256sum; }
        sums >/tmp/before
        for name in agentsentry agentsentry-collector; do
            systemctl start $name
            await sh -c "systemctl show --property=ExecMainStatus $name | grep -q =78"
            systemctl stop $name
            step start_$name journalctl --unit=$name --output=cat --lines=20
        done
        sums >/tmp/after
        step untouched diff /tmp/before /tmp/after
        # What the words say.
        mv $sensor $sensor.newer
        step anew dpkg --install /packages/0.0/agentsentry.deb
        await systemctl is-active agentsentry
        step older dpkg-query --show agentsentry
    "#;
    let ran = run(script);
    for name in packages::NAMES {
        let (code, said) = ran.step(&format!("install_{name}"));
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(", and this version knows formats up to 0.\n"), "{said}");
        assert!(said.contains("mv /var/lib/"), "{said}");
        let said = ran.succeeded(&format!("start_{name}"));
        assert!(said.contains("has format 99, and this version knows "), "{said}");
    }
    let version = concat!(env!("CARGO_PKG_VERSION"), "-1");
    let versions = packages::NAMES.map(|name| format!("{name}\t{version}")).join("\n");
    assert_eq!(ran.succeeded("version"), versions);
    assert_eq!(ran.succeeded("active"), "active\nactive");
    assert_eq!(ran.succeeded("untouched"), "");
    ran.succeeded("anew");
    assert_eq!(ran.succeeded("older"), "agentsentry\t0.0");
}
