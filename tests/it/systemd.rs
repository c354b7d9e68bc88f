//! The units under a real systemd, installed by the commands of the README.

use std::collections::BTreeMap;

use sentry_tests::{nspawn, require};

/// The commands under "Run it as a service", but for the build.
pub(super) fn readme_install() -> String {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## Run it as a service\n").nth(1).unwrap();
    let commands = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let lines = commands.lines().filter(|line| !line.starts_with("cargo xtask build"));
    lines.map(|line| format!("{line} || exit 1\n")).collect()
}

/// As systemd rates the unit.
fn exposure(ran: &nspawn::Ran, unit: &str) -> f64 {
    let said = ran.succeeded(&format!("exposure-{unit}"));
    let rating = said.split(&format!("Overall exposure level for {unit}.service: ")).nth(1);
    rating
        .and_then(|rating| rating.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn the_units_start_and_ordinary_users_and_root_run_agents() {
    require!("root", "systemd-nspawn");
    let script = r#"
        step verify systemd-analyze verify agentsentry.service agentsentry-collector.service
        for unit in agentsentry agentsentry-collector; do
            step exposure-$unit systemd-analyze security --offline=true /etc/systemd/system/$unit.service
        done
        step active systemctl is-active agentsentry agentsentry-collector
        step restarts systemctl show --property=NRestarts agentsentry agentsentry-collector
        step root sentry run --name rooted -- sh -c 'id -un'
        step ada setpriv --reuid ada --regid ada --init-groups sentry run --name hers -- sh -c 'id -un'
        await sh -c 'sentry health | grep -q ", 0 waiting"'
        step health sentry health
        step collected asked runs
        step closed curl --silent --output /dev/null --write-out "%{http_code}" http://127.0.0.1:8440/api/v1/runs
        step keyed sentry-collector key create --scope readonly
        step ledger sentry ledger verify
        step capabilities sh -c 'grep CapEff /proc/$(systemctl show -p MainPID --value agentsentry)/status'
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    assert_eq!(ran.succeeded("verify"), "");
    let exposures = ["agentsentry", "agentsentry-collector"].map(|unit| exposure(&ran, unit));
    assert!(exposures[0] <= 3.0 && exposures[1] <= 1.2, "{exposures:?}");
    let rated = format!("rates their exposure {} and {}.", exposures[0], exposures[1]);
    assert!(include_str!("../../README.md").contains(&rated), "the README has other figures: {rated}");
    assert_eq!(ran.succeeded("active"), "active\nactive");
    assert_eq!(ran.succeeded("restarts"), "NRestarts=0\n\nNRestarts=0");
    let (root, ada) = (ran.succeeded("root"), ran.succeeded("ada"));
    assert!(root.starts_with("root\n") && root.contains("rooted ended 0 after"), "{root}");
    assert!(ada.starts_with("ada\n") && ada.contains("hers ended 0 after"), "{ada}");
    assert!(ran.succeeded("health").starts_with("Sensor serving"), "{}", ran.succeeded("health"));
    let collected = ran.succeeded("collected");
    assert!(collected.contains("rooted") && collected.contains("hers"), "{collected}");
    assert_eq!(ran.succeeded("closed"), "401");
    assert!(ran.succeeded("keyed").starts_with("askey_"), "{}", ran.succeeded("keyed"));
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
        # It waits for the sensor, until it gets a signal.
        await grep 'the sensor is away; waiting' /out/long
        kill $long
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
    let (code, said) = ran.step("long");
    assert!(code == 0 && said.contains("the sensor is away; `sentry report"), "{said}");
    // It ended while no sensor was there.
    let over = ran.succeeded("over");
    assert!(over.contains("long") && over.contains("ended") && !over.contains("running"), "{over}");
    assert!(ran.succeeded("ledger").contains("verified"));
}

#[test]
fn a_sensor_and_a_collector_that_stand_still_are_restarted_and_frozen_runs_stay_frozen() {
    require!("root", "systemd-nspawn");
    let script = r#"
        for unit in agentsentry agentsentry-collector; do
            mkdir /etc/systemd/system/$unit.service.d
            printf '[Service]\nWatchdogSec=2s\n' >/etc/systemd/system/$unit.service.d/soon.conf
        done
        systemctl daemon-reload
        systemctl restart agentsentry-collector agentsentry
        sentry run --name long -- sh -c 'touch /tmp/long; exec sleep 1000' &
        sentry run --name still -- sh -c 'touch /tmp/still; exec sleep 1000' &
        ends='touch /tmp/ends; until [ -e /tmp/end ]; do sleep 0.05; done; exit 7'
        sentry run --name ends -- sh -c "$ends" >/out/ends 2>&1 & ends=$!
        await test -e /tmp/long -a -e /tmp/still -a -e /tmp/ends
        step frozen sentry freeze still --reason 'looking into it'
        step beats systemctl show --property=NRestarts --value agentsentry agentsentry-collector
        systemctl kill --signal=STOP agentsentry agentsentry-collector
        touch /tmp/end
        wait $ends
        echo $? >/out/ends.code
        for unit in agentsentry agentsentry-collector; do
            await sh -c "systemctl show --property=NRestarts $unit | grep -q =1"
            await systemctl is-active $unit
        done
        step why journalctl --output=cat --unit=agentsentry --unit=agentsentry-collector --grep='timeout'
        step agents sentry agents
        step status systemctl show --property=StatusText --value agentsentry
        await sh -c 'sentry health | grep -q ", 0 waiting"'
        step killed sentry kill long
        step killed_frozen sentry kill still
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    let acts = ["frozen", "killed", "killed_frozen"].map(|step| ran.step(step));
    assert!(acts.iter().all(|(code, _)| *code == 0), "{acts:?}");
    assert_eq!(ran.succeeded("beats"), "0\n\n0");
    let (code, ends) = ran.step("ends");
    assert!(code == 7 && ends.contains("ends ended"), "{ends}");
    let why = ran.succeeded("why");
    assert_eq!(why.matches("Watchdog timeout").count(), 2, "{why}");
    let agents = ran.succeeded("agents");
    let state = |name: &str| agents.lines().find(|line| line.contains(name)).map(str::to_owned);
    assert!(state("long").is_some_and(|line| line.contains("running")), "{agents}");
    assert!(state("still").is_some_and(|line| line.contains("frozen")), "{agents}");
    let status = ran.succeeded("status");
    assert!(status.contains("is still frozen"), "{status}");
}

#[test]
fn a_reload_takes_a_valid_configuration_and_refuses_a_broken_one_whole() {
    require!("root", "systemd-nspawn");
    let script = r#"
        state() { systemctl show --property=ActiveState,NRestarts,StatusText agentsentry | sort; }
        file=/etc/agentsentry/config.yaml
        pid=$(systemctl show --property=MainPID --value agentsentry)
        printf 'version: 1\nrings: {bulk_bytes: 1 MiB}\nagents: [{name: nightly, mode: enforce}]\n' >$file
        step valid systemctl reload agentsentry
        await sh -c 'systemctl status agentsentry | grep -q "restart it for the changes of rings, collector"'
        step valid_state state
        step enforced sentry run --name nightly --json -- true
        printf 'version: 1\nagents: [{name: nightly, mode: observe}]\nringss: {}\n' >$file
        step broken systemctl reload agentsentry
        await sh -c 'systemctl status agentsentry | grep -q "the configuration is not taken"'
        step broken_state state
        step still_enforced sentry run --name nightly --json -- true
        step health sentry health
        printf 'version: 1\n' >$file
        step mended systemctl reload agentsentry
        await sh -c 'systemctl show --property=StatusText agentsentry | grep -q "restart it for.* collector"'
        step observed sentry run --name nightly --json -- true
        step same_process test $pid = $(systemctl show --property=MainPID --value agentsentry)
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    assert_eq!(ran.succeeded("valid"), "");
    assert_eq!(
        ran.succeeded("valid_state"),
        "ActiveState=active\nNRestarts=0\nStatusText=serving; restart it for the changes of rings, collector"
    );
    let is_enforced = |step| ran.succeeded(step).contains("\"mode\":\"enforce\"");
    assert_eq!(["enforced", "still_enforced", "observed"].map(is_enforced), [true, true, false]);
    assert_ne!(ran.step("broken").0, 0);
    let (state, why) = (ran.succeeded("broken_state"), "/etc/agentsentry/config.yaml:3:1: ");
    let status =
        format!("ActiveState=active\nNRestarts=0\nStatusText=serving; the configuration is not taken: {why}");
    assert!(state.starts_with(&status), "{state}");
    let (code, health) = ran.step("health");
    assert!(code == 1 && health.contains("the configuration is not taken"), "{health}");
    assert_eq!(ran.succeeded("mended"), "");
    assert_eq!(ran.step("same_process").0, 0, "a reload does not restart the sensor");
}

#[test]
fn a_run_that_ends_while_the_sensor_is_away_is_reported_when_it_is_back() {
    require!("root", "systemd-nspawn");
    let script = r#"
        until_file='until [ -e /tmp/end ]; do sleep 0.05; done; exit 7'
        sentry run --name long -- sh -c "echo \$\$ >/tmp/long; $until_file" >/out/long 2>&1 & long=$!
        sentry run --name still -- sh -c 'touch /tmp/still; exec sleep 1000' >/out/still 2>&1 & still=$!
        await test -e /tmp/long -a -e /tmp/still
        step froze sentry freeze still
        systemctl stop agentsentry
        step said journalctl --output=cat --unit=agentsentry --grep='stays frozen'
        step is_frozen sh -c 'cat /sys/fs/cgroup/agentsentry/*/cgroup.freeze | sort | uniq -c'
        touch /tmp/end
        await test ! -e /proc/$(cat /tmp/long)
        systemctl start agentsentry
        wait $long
        echo $? >/out/long.code
        step agents sentry agents --all
        step thawed sentry thaw still
        step killed sentry kill still
        wait $still
        echo $? >/out/still.code
        step health sentry health
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    assert_eq!(ran.step("froze").0, 0, "{}", ran.step("froze").1);
    let (said, is_frozen) = (ran.succeeded("said"), ran.succeeded("is_frozen"));
    assert!(said.contains("run stays frozen; start the sensor and thaw or kill it"), "{said}");
    assert_eq!(is_frozen.split_whitespace().collect::<Vec<_>>(), ["1", "0", "1", "1"]);
    let (code, long) = ran.step("long");
    assert_eq!(code, 7);
    assert!(long.contains("long ended while the sensor was away"), "{long}");
    let agents = ran.succeeded("agents");
    let state = |name: &str| agents.lines().find(|line| line.contains(name)).unwrap_or_default();
    assert!(state("long").contains("ended") && state("still").contains("frozen"), "{agents}");
    let acts = ["thawed", "killed"].map(|step| ran.step(step));
    assert!(acts.iter().all(|(code, _)| *code == 0), "{acts:?}");
    let (code, still) = ran.step("still");
    assert_eq!(code, 137);
    let said = "the sensor stops and run";
    assert!(still.contains(said) && still.contains("still KILLED after"), "{still}");
    let health = ran.succeeded("health");
    assert!(health.starts_with("Sensor serving"), "{health}");
}

#[test]
fn a_feed_key_comes_as_a_credential() {
    require!("root", "systemd-nspawn");
    let script = r#"
        sensor=$(sentry config check --json | sed 's/.*"sensor": *"\([^"]*\)".*/\1/')
        sentry-collector feed-key $sensor --out /root/feed.key
        collector='{endpoint: "http://127.0.0.1:4319", key_file: credential:feed.key}'
        printf 'version: 1\ncollector: %s\n' "$collector" >/etc/agentsentry/config.yaml
        printf 'version: 1\nlisten_grpc: 127.0.0.1:4319\nfeed_keys: {"%s": credential:feed.key}\n' $sensor \
            >/etc/agentsentry/collector.yaml
        for unit in agentsentry agentsentry-collector; do
            mkdir /etc/systemd/system/$unit.service.d
            printf '[Service]\nLoadCredential=feed.key:/root/feed.key\n' \
                >/etc/systemd/system/$unit.service.d/key.conf
        done
        # It knows the sensor by another proof already.
        systemctl stop agentsentry agentsentry-collector
        rm -r /var/lib/agentsentry-collector/*
        systemctl daemon-reload
        systemctl start agentsentry-collector agentsentry
        await sh -c 'sentry health | grep -q "connected to"'
        step health sentry health
        step check sentry config check
        step reload systemctl reload agentsentry
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    assert!(ran.succeeded("health").starts_with("Sensor serving"), "{}", ran.succeeded("health"));
    let check = ran.succeeded("check");
    let key = "the key /run/credentials/agentsentry.service/feed.key: well-formed";
    assert!(check.contains(key), "{check}");
    assert_eq!(ran.succeeded("reload"), "");
}

#[test]
fn runs_and_acts_are_in_the_journal_with_who_and_why() {
    require!("root", "systemd-nspawn");
    let script = r#"
        sentry run --name nightly -- sh -c 'touch /tmp/nightly; exec sleep 1000' &
        await test -e /tmp/nightly
        sentry kill nightly --reason 'enough of it'
        wait $!
        fields=MESSAGE,PRIORITY,AGENT,MODE,USER_ID,ACTION,ORIGIN,REASON,RESULT
        await sh -c 'journalctl AGENT=nightly | grep -q "run ended"'
        step fields journalctl --output=verbose --output-fields=$fields AGENT=nightly
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    let said = ran.succeeded("fields");
    let mut entries = Vec::new();
    for line in said.lines() {
        match line.trim().split_once('=') {
            Some((field, value)) if line.starts_with(' ') => {
                let entry: &mut BTreeMap<_, _> = entries.last_mut().unwrap();
                entry.insert(field, value);
            }
            _ => entries.push(BTreeMap::new()),
        }
    }
    let common = [("AGENT", "nightly"), ("PRIORITY", "5")];
    let with = |rest: &[(&'static str, &'static str)]| common.iter().chain(rest).copied().collect();
    let act = [("ACTION", "Kill"), ("ORIGIN", "user:0"), ("REASON", "enough of it"), ("RESULT", "Applied")];
    let act = [&[("MESSAGE", "outcome"), ("MODE", "Enforce")], &act[..]].concat();
    let started = [("MESSAGE", "run started"), ("MODE", "observe"), ("USER_ID", "0")];
    let expected: Vec<BTreeMap<_, _>> = vec![with(&started), with(&act), with(&[("MESSAGE", "run ended")])];
    assert_eq!(entries, expected, "{said}");
}

#[test]
fn the_exit_codes_that_are_no_reason_to_restart_are_documented() {
    let codes = |unit: &'static str| {
        let line = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
        let (last, rest) = line.unwrap().rsplit_once(' ').map(|(rest, last)| (last, rest)).unwrap();
        format!("{} and {last}", rest.replace(' ', ", "))
    };
    let sensor = codes(include_str!("../../deploy/systemd/agentsentry.service"));
    let collector = codes(include_str!("../../deploy/systemd/agentsentry-collector.service"));
    let expected = format!(
        "The sensor's unit is not started again after {sensor}, the collector's not after {collector}:"
    );
    let documented = include_str!("../../docs/exit-codes.md").replace('\n', " ");
    assert!(documented.contains(&expected), "{expected}");
}

#[test]
fn a_sensor_is_not_started_again_after_what_a_restart_does_not_cure() {
    require!("root", "systemd-nspawn");
    let script = r#"
        printf 'version: 1\nringss: {}\n' >/etc/agentsentry/config.yaml
        step restart systemctl restart agentsentry
        step state sh -c 'systemctl show --property=ActiveState,NRestarts,ExecMainStatus agentsentry | sort'
        step why journalctl --output=cat --unit=agentsentry --grep=ringss
    "#;
    let ran = nspawn::run(&(readme_install() + script));
    assert_ne!(ran.step("restart").0, 0);
    assert_eq!(ran.succeeded("state"), "ActiveState=failed\nExecMainStatus=78\nNRestarts=0");
    let why = ran.succeeded("why");
    assert!(why.starts_with("sentry: /etc/agentsentry/config.yaml:2:1: "), "{why}");
}
