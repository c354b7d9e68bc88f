//! Runs over the cgroups of containers, named by the files of their engines.

use sentry_tests::{
    cgroup,
    containerd::Containerd,
    podman::{Podman, TOOLS},
    require,
    sensor::{Sensor, Setup},
    wait,
};
use serde_json::{Value, json};

/// Tags the cgroup and answers with the run, as `agents` shows it.
fn tag(sensor: &Sensor, cgroup: &str) -> Value {
    let _tagged = sensor.json(&["tag", cgroup, "--name", "contained"]);
    sensor.json(&["agents"]).remove(0)
}

/// The event of the program that ran in the container.
fn exec_event(sensor: &Sensor, run: &Value) -> Value {
    let id = run["id"].as_str().unwrap();
    wait::until("the exec in the container is recorded", || {
        let events = sensor.json(&["events", "--run", id]);
        let exec = events.into_iter().find(|event| event["unmapped"]["act"] == "exec");
        exec.ok_or_else(|| "no exec".to_owned())
    })
}

#[test]
fn a_container_of_podman_is_named_by_its_run() {
    require!("root", "podman");
    let podman = Podman::new();
    let config = format!("containers: {{storage: {}}}", podman.store().display());
    let sensor = Setup::default().config(&config).start();
    podman.start("worker");
    let worker = podman.inspect("worker");
    let id = &worker["Id"];
    let digest = podman.done(&["image", "inspect", TOOLS, "--format", "{{.Digest}}"]);
    let run = tag(&sensor, &cgroup::of(worker["State"]["Pid"].as_u64().unwrap()));
    let expected = json!({
        "engine": "podman", "id": id, "name": "worker", "image": TOOLS, "image_digest": digest,
        "pod": null, "node": null, "runtime": null, "rung": "files", "sandboxed": null,
    });
    assert_eq!(run["container"], expected);
    podman.done(&["exec", "worker", "true"]);
    let event = exec_event(&sensor, &run);
    assert_eq!(sentry_proto::ocsf::check(&event), Ok(()), "{event:#}");
    assert_eq!(
        event["actor"]["process"]["container"],
        json!({ "uid": id, "name": "worker", "image": { "uid": digest, "name": TOOLS } })
    );
    assert_eq!(event["unmapped"]["container"], expected);
    let table = String::from_utf8(sensor.cli(&["agents"]).stdout).unwrap();
    assert!(table.contains(&format!("podman worker  {TOOLS}")), "{table}");
    // The engine removes its files with the container; the report names it all the same.
    podman.done(&["rm", "--force", "--time=0", "worker"]);
    let report = sensor.json(&["report", run["id"].as_str().unwrap()]).remove(0);
    assert_eq!(report["run"]["container"], expected);
}

#[test]
fn a_container_of_containerd_is_named_by_its_run_also_after_a_restart_of_the_sensor() {
    require!("root", "containerd");
    let containerd = Containerd::start();
    let config = format!("containers: {{containerd: {}}}", containerd.state().display());
    let mut sensor = Setup::default().config(&config).start();
    // The runtime keeps its state where those of other tests do.
    let name = format!("work-{}", std::process::id());
    containerd.sleeper(&name, "team=research");
    let run = tag(&sensor, &format!("default/{name}"));
    let expected = json!({
        "engine": "containerd", "id": name, "name": name, "image": null, "image_digest": null,
        "pod": null, "node": null, "runtime": "runc", "rung": "files", "sandboxed": null,
    });
    assert_eq!(run["container"], expected);
    containerd.exec(&name, &["/busybox", "true"]);
    assert_eq!(exec_event(&sensor, &run)["unmapped"]["container"], expected);
    sensor.kill();
    sensor.start_again();
    assert_eq!(sensor.json(&["agents"]).remove(0)["container"], expected);
    containerd.remove(&name);
}
