//! The units under a real systemd, installed by the commands of the README.

use sentry_tests::{nspawn, require};

/// The commands under "Run it as a service", but for the build.
pub(super) fn readme_install() -> String {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## Run it as a service\n").nth(1).unwrap();
    let commands = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let lines = commands.lines().filter(|line| !line.starts_with("cargo xtask build"));
    lines.map(|line| format!("{line} || exit 1\n")).collect()
}

#[test]
fn the_units_start_and_ordinary_users_and_root_run_agents() {
    require!("root", "systemd-nspawn");
    let script = r#"
        step active systemctl is-active agentsentry agentsentry-collector
        step restarts systemctl show --property=NRestarts agentsentry agentsentry-collector
        step root sentry run --name rooted -- sh -c 'id -un'
        step ada setpriv --reuid ada --regid ada --init-groups sentry run --name hers -- sh -c 'id -un'
        await sh -c 'sentry health | grep -q ", 0 waiting"'
        step health sentry health
        step collected curl --silent --fail http://127.0.0.1:8440/api/v1/runs
        step ledger sentry ledger verify
        step capabilities sh -c 'grep CapEff /proc/$(systemctl show -p MainPID --value agentsentry)/status'
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    assert_eq!(ran.succeeded("active"), "active\nactive");
    assert_eq!(ran.succeeded("restarts"), "NRestarts=0\n\nNRestarts=0");
    let (root, ada) = (ran.succeeded("root"), ran.succeeded("ada"));
    assert!(root.starts_with("root\n") && root.contains("Agent rooted ran"), "{root}");
    assert!(ada.starts_with("ada\n") && ada.contains("Agent hers ran"), "{ada}");
    assert!(ran.succeeded("health").starts_with("Sensor serving"), "{}", ran.succeeded("health"));
    let collected = ran.succeeded("collected");
    assert!(collected.contains("rooted") && collected.contains("hers"), "{collected}");
    let ledger = ran.succeeded("ledger");
    assert!(ledger.contains("verified"), "{ledger}");
    // BPF, PERFMON, NET_ADMIN, CHOWN, DAC_OVERRIDE, KILL, SYS_NICE.
    assert_eq!(ran.succeeded("capabilities"), "CapEff:\t000000c000801023");
}

#[test]
fn a_run_lives_through_a_restart_of_the_service_and_its_end_is_seen() {
    require!("root", "systemd-nspawn");
    let script = r#"
        runs() { sentry agents --json | grep -c "\"name\": *\"$1\""; }
        until_file='until [ -e /tmp/end ]; do sleep 0.05; done'
        sentry run --name long -- sh -c "touch /tmp/started; $until_file" >/out/long 2>&1 & long=$!
        await test -e /tmp/started
        step restart systemctl restart agentsentry
        step alive sentry agents
        step killed systemctl kill --signal=KILL agentsentry
        await sh -c 'systemctl show --property=NRestarts agentsentry | grep -q =1'
        await systemctl is-active agentsentry
        step alive_again sentry agents
        step stopped systemctl stop agentsentry
        touch /tmp/end
        wait $long
        echo $? >/out/long.code
        step started systemctl start agentsentry
        step over sentry agents --all
        step ledger sentry ledger verify
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    for step in ["restart", "killed", "stopped", "started"] {
        assert_eq!(ran.succeeded(step), "");
    }
    for step in ["alive", "alive_again"] {
        let agents = ran.succeeded(step);
        assert!(agents.contains("long") && agents.contains("running"), "{agents}");
    }
    assert_eq!(ran.step("long").0, 0, "{}", ran.step("long").1);
    // It ended while no sensor was there.
    let over = ran.succeeded("over");
    assert!(over.contains("long") && over.contains("ended") && !over.contains("running"), "{over}");
    assert!(ran.succeeded("ledger").contains("verified"));
}
